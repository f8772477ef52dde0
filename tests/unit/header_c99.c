/* SPDX-License-Identifier: Apache-2.0 */
/* The public header alone, as strict C99 and as C++: that this compiles is the test. */
#include <gpualloc/gpualloc.h>

int main(void)
{
	gpualloc_error *error = gpualloc_error_new();
	int failed = gpualloc_error_status(error) != GPUALLOC_OK;

	gpualloc_error_free(error);
	return failed;
}
