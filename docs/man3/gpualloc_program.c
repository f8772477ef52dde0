/* SPDX-License-Identifier: Apache-2.0 */
/* The example of gpualloc_program(3). */
#include <gpualloc/gpualloc.h>
#include <stdio.h>

int main(void)
{
	const char *const words[] = {"/bin/echo", "one", "program", NULL};
	gpualloc_error *error = gpualloc_error_new();
	char *path = NULL, *text = NULL;
	int result = gpualloc_program_find("sh", &path, error);

	if (result == 0)
		printf("sh is %s\n", path);
	if (result == 0)
		result = gpualloc_program_output(words, 10000, 4096, &text, error);
	if (result == 0)
		printf("%s", text);
	else
		fprintf(stderr, "%s\n", gpualloc_error_message(error));
	gpualloc_free(path);
	gpualloc_free(text);
	gpualloc_error_free(error);
	return gpualloc_exit_status(result);
}
