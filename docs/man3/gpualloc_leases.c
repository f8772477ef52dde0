/* SPDX-License-Identifier: Apache-2.0 */
/* The example of gpualloc_leases(3). */
#include <gpualloc/gpualloc.h>
#include <stdio.h>

int main(void)
{
	gpualloc_store *store = NULL;
	gpualloc_leases *leases = NULL;
	int result = gpualloc_store_open(NULL, 0, &store, NULL);

	if (result == 0)
		result = gpualloc_leases_read(store, &leases, NULL);
	for (size_t i = 0; i < gpualloc_leases_held_count(leases); i++) {
		const gpualloc_held *held = gpualloc_leases_held(leases, i);
		const char *user = gpualloc_held_user(held);

		printf("%s has %zu devices\n", user ? user : "somebody",
		       gpualloc_held_device_count(held));
	}
	printf("%zu wait\n", gpualloc_leases_waiter_count(leases));
	gpualloc_leases_free(leases);
	gpualloc_store_free(store);
	return gpualloc_exit_status(result);
}
