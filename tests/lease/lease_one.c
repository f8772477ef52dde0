/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes one lease, for the tests that disturb a process doing so.
 *   lease_one exit|release|hold MACHINE STORE COUNT WAIT_MS   says what it got, and how it ends:
 *                                  without a word, by release, or when its input ends
 *   lease_one free MACHINE STORE COUNT   nobody is shown, and COUNT devices can be had at once
 *   lease_one setup MACHINE STORE 0      makes the store
 */
#include <gpualloc/gpualloc.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct one {
	gpualloc_error *error;
	gpualloc_store *store;
	gpualloc_request *request;
	gpualloc_lease_wish *wish;
	gpualloc_lease *lease;
};

static int fail(const struct one *one, int status)
{
	printf("refused %d %s\n", status, gpualloc_error_message(one->error));
	(void)fflush(stdout);
	return gpualloc_exit_status(status);
}

static int acquire(struct one *one, const char *machine, const char *count, const char *wait)
{
	one->request = gpualloc_request_new();
	one->wish = gpualloc_lease_wish_new();
	if (!one->request || !one->wish)
		return GPUALLOC_ENOMEM;
	gpualloc_request_set_count(one->request, strtoll(count, NULL, 10));
	gpualloc_lease_wish_set_wait(one->wish, strtoll(wait, NULL, 10), NULL, NULL);
	if (gpualloc_lease_wish_set_machine(one->wish, machine, 10000) < 0)
		return GPUALLOC_ENOMEM;
	return gpualloc_lease_acquire(one->store, one->request, one->wish, &one->lease, one->error);
}

/* Nobody would let go of a lease that they were never told about. */
static bool say_granted(const struct one *one)
{
	printf("granted");
	for (size_t i = 0; i < gpualloc_lease_device_count(one->lease); i++)
		printf(" %s", gpualloc_device_uuid(gpualloc_lease_device(one->lease, i)));
	for (size_t i = 0; gpualloc_lease_note(one->lease, i); i++)
		printf("; %s", gpualloc_lease_note(one->lease, i));
	printf("\n");
	return fflush(stdout) == 0;
}

static int nobody_is_shown(const struct one *one)
{
	gpualloc_leases *leases = NULL;
	int status = gpualloc_leases_read(one->store, &leases, one->error);
	size_t shown;

	if (status < 0)
		return fail(one, status);
	shown = gpualloc_leases_held_count(leases) + gpualloc_leases_waiter_count(leases);
	gpualloc_leases_free(leases);
	if (shown)
		printf("%zu are still shown\n", shown);
	return shown != 0;
}

int main(int argc, char **argv)
{
	struct one one = {.error = gpualloc_error_new()};
	int status;
	char input;

	if (argc < 5)
		return 64;
	if (strcmp(argv[1], "setup") == 0) {
		status = gpualloc_store_setup(argv[3], one.error);
		gpualloc_error_free(one.error);
		return status < 0;
	}
	status = gpualloc_store_open(argv[3], 0, &one.store, one.error);
	if (status == 0 && strcmp(argv[1], "free") == 0 && (status = nobody_is_shown(&one)) != 0)
		return status;
	if (status == 0)
		status = acquire(&one, argv[2], argv[4], argc > 5 ? argv[5] : "0");
	if (status < 0)
		return fail(&one, status);
	if (!say_granted(&one))
		_exit(74);
	if (strcmp(argv[1], "exit") == 0)
		_exit(0);
	while (strcmp(argv[1], "hold") == 0 && read(STDIN_FILENO, &input, 1) > 0)
		;
	if (strcmp(argv[1], "hold") != 0)
		status = gpualloc_lease_release(one.lease, one.error);
	gpualloc_lease_free(one.lease);
	gpualloc_lease_wish_free(one.wish);
	gpualloc_request_free(one.request);
	gpualloc_store_free(one.store);
	gpualloc_error_free(one.error);
	return status < 0 ? 1 : 0;
}
