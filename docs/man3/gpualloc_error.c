/* SPDX-License-Identifier: Apache-2.0 */
/* The example of gpualloc_error(3). */
#include <gpualloc/gpualloc.h>
#include <stdio.h>

int main(void)
{
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_policy *policy = NULL;
	int result = gpualloc_policy_open("fastest", &policy, error);

	if (result < 0)
		printf("status %d: %s\n", gpualloc_exit_status(result),
		       gpualloc_error_message(error));
	gpualloc_policy_free(policy);
	gpualloc_error_free(error);
	return 0;
}
