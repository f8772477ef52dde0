/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives GPUs to jobs within one program, as a scheduler's agent on a node does.
 *
 *   allocator [MACHINE [POLICY]]
 *
 * Takes two well-connected GPUs, then two particular ones, shows what is left, and gives the first
 * two back.
 */
#include <gpualloc/gpualloc.h>

#include <stdio.h>
#include <stdlib.h>

static void print_devices(const char *what, const gpualloc_device *const *devices, size_t count)
{
	printf("%s:", what);
	for (size_t i = 0; i < count; i++) {
		const char *uuid = gpualloc_device_uuid(devices[i]);

		printf(" %s", uuid ? uuid : "(no UUID)");
	}
	printf("\n");
}

static void print_available(const gpualloc_allocator *allocator)
{
	const gpualloc_device *device;

	printf("available:");
	for (size_t i = 0; (device = gpualloc_allocator_available(allocator, i)); i++)
		printf(" %lld", (long long)gpualloc_device_index(device));
	printf("\n");
}

static int fail(gpualloc_error *error)
{
	int status = gpualloc_exit_status(gpualloc_error_status(error));

	fprintf(stderr, "allocator: %s\n", gpualloc_error_message(error));
	gpualloc_error_free(error);
	return status;
}

int main(int argc, char **argv)
{
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_allocator *allocator;
	const gpualloc_device *pair[2], *given[2];
	char *details;
	int status = 0;

	if (gpualloc_allocator_open(argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : "best-effort",
				    &allocator, error) < 0)
		return fail(error);

	/* Any number, chosen by the policy. */
	if (gpualloc_allocator_take(allocator, 2, pair, error) < 0) {
		gpualloc_allocator_free(allocator);
		return fail(error);
	}
	print_devices("taken", pair, 2);

	/* Exactly these: all of them or none. */
	given[0] = gpualloc_allocator_available(allocator, 0);
	given[1] = gpualloc_allocator_available(allocator, 1);
	if (given[1] && gpualloc_allocator_take_these(allocator, given, 2, error) == 0)
		print_devices("taken as asked", given, 2);
	print_available(allocator);

	if (gpualloc_allocator_give_back(allocator, pair, 2, error) < 0)
		status = 1;
	print_available(allocator);

	if (gpualloc_device_describe(gpualloc_allocator_machine(allocator), pair[0], &details,
				     NULL) == 0) {
		printf("%s", details);
		free(details);
	}
	gpualloc_allocator_free(allocator);
	gpualloc_error_free(error);
	return status;
}
