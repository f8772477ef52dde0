/* SPDX-License-Identifier: Apache-2.0 */
/* The example of gpualloc_lease(3). */
#include <gpualloc/gpualloc.h>
#include <stdio.h>

int main(void)
{
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_store *store = NULL;
	gpualloc_lease *lease = NULL;
	int result = gpualloc_store_open(NULL, 0, &store, error);

	gpualloc_request_set_count(request, 2);
	if (result == 0)
		result = gpualloc_lease_acquire(store, request, NULL, &lease, error);
	if (result < 0)
		fprintf(stderr, "%s\n", gpualloc_error_message(error));
	for (size_t i = 0; i < gpualloc_lease_device_count(lease); i++)
		printf("%s\n", gpualloc_device_uuid(gpualloc_lease_device(lease, i)));
	if (lease)
		gpualloc_lease_release(lease, NULL);
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
	gpualloc_request_free(request);
	gpualloc_error_free(error);
	return gpualloc_exit_status(result);
}
