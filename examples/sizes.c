/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which GPUs a policy would give to one, two, four and eight.
 *
 *   sizes [MACHINE [POLICY]]
 *
 * The C beside the sample program of NVIDIA's go-gpuallocator: see docs/MOVING.md.
 */
#include <gpualloc/gpualloc.h>

#include <stdio.h>
#include <stdlib.h>

enum { MOST = 8 };

static void print_devices(size_t size, const gpualloc_device *const *devices)
{
	printf("%zu:", size);
	for (size_t i = 0; i < size; i++)
		printf(" %lld", (long long)gpualloc_device_index(devices[i]));
	printf("\n");
}

static int print_details(const gpualloc_machine *machine, gpualloc_error *error)
{
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		char *details;
		int result = gpualloc_device_describe(machine, gpualloc_machine_device(machine, i),
						      &details, error);

		if (result < 0)
			return result;
		printf("%s\n", details);
		gpualloc_free(details);
	}
	return 0;
}

/* Takes some, says which, and gives them back. */
static int try_size(gpualloc_allocator *allocator, size_t size, gpualloc_error *error)
{
	const gpualloc_device *devices[MOST];
	int result = gpualloc_allocator_take(allocator, size, devices, error);

	if (result < 0)
		return result;
	print_devices(size, devices);
	return gpualloc_allocator_give_back(allocator, devices, size, error);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = {1, 2, 4, MOST};
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_allocator *allocator = NULL;
	int result = gpualloc_allocator_open(argc > 1 ? argv[1] : NULL,
					     argc > 2 ? argv[2] : "simple", &allocator, error);

	if (result == 0)
		result = print_details(gpualloc_allocator_machine(allocator), error);
	for (size_t i = 0; result == 0 && i < sizeof sizes / sizeof *sizes; i++)
		result = try_size(allocator, sizes[i], error);
	if (result < 0)
		fprintf(stderr, "sizes: %s\n", gpualloc_error_message(error));
	gpualloc_allocator_free(allocator);
	gpualloc_error_free(error);
	return result < 0 ? gpualloc_exit_status(result) : 0;
}
