/* SPDX-License-Identifier: Apache-2.0 */
/* After the claim: processes that used the devices before may still be on them. */
#include "leasing.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Two GPUs that do not count as simulated, with that many programs on the second. */
static void write_to(FILE *file, const char *users)
{
	CHECK(file != NULL);
	(void)fprintf(file,
		      "{\"gpualloc_machine\": 1, \"name\": \"two\", \"source\": \"nvml\","
		      " \"devices\": ["
		      "{\"index\": 0, \"uuid\": \"GPU-a\", \"processes\": []},"
		      "{\"index\": 1, \"uuid\": \"GPU-b\", \"processes\": [%s]}],"
		      " \"pcie\": [[\"X\", \"SYS\"], [\"SYS\", \"X\"]]}",
		      users);
	CHECK_INT(fclose(file), 0);
}

static void describe(const char *path, const char *users)
{
	write_to(fopen(path, "we"), users);
}

#define A_USER "{\"pid\": 4711, \"type\": \"C\", \"user\": \"ada\", \"name\": \"python\"}"

static void path_of(const char *name, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/%s", leasing_folder(), name);
}

/*
 * The machine is a pipe, and when the first look at it has begun, another: so each look finds what
 * is written for it.
 */
static _Noreturn void write_for_two_looks(const char *machine)
{
	char first[128], second[128], next[128];
	FILE *file;

	path_of("first", first, sizeof first);
	path_of("second", second, sizeof second);
	path_of("next", next, sizeof next);
	file = fopen(first, "we");
	if (symlink(second, next) < 0 || rename(next, machine) < 0)
		_exit(1);
	write_to(file, A_USER);
	describe(second, "");
	_exit(0);
}

static void it_looks_until_they_have_gone(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_lease *lease = NULL;
	char path[128], first[128], second[128], machine[128];
	int status;
	pid_t child;

	path_of("two.json", path, sizeof path);
	path_of("first", first, sizeof first);
	path_of("second", second, sizeof second);
	path_of("machine", machine, sizeof machine);
	describe(path, "");
	CHECK_INT(mkfifo(first, 0600), 0);
	CHECK_INT(mkfifo(second, 0600), 0);
	CHECK_INT(symlink(first, machine), 0);
	CHECK_INT(leasing_ask(store, path, 2, 0, &lease, error), 0);
	child = fork();
	if (child == 0)
		write_for_two_looks(machine);
	CHECK_INT(gpualloc_lease_settle(lease, machine, 0, error), 0);
	CHECK_INT(waitpid(child, &status, 0), child); /* both were read */
	CHECK_INT(status, 0);
	gpualloc_lease_free(lease);
	gpualloc_error_free(error);
	gpualloc_store_free(store);
}

static void other_devices_do_not_matter(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease = NULL;
	char path[128];

	path_of("used.json", path, sizeof path);
	describe(path, A_USER);
	CHECK_INT(leasing_ask(store, path, 1, 0, &lease, NULL), 0);
	CHECK_TEXT(gpualloc_device_uuid(gpualloc_lease_device(lease, 0)), "GPU-a");
	CHECK_INT(gpualloc_lease_settle(lease, path, 0, NULL), 0);
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
}

static void nothing_is_asked_where_nothing_can_be_in_the_way(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_lease *lease = NULL;
	static const char none[] = "/nonexistent/machine.json";

	CHECK_INT(leasing_ask(store, "dgx1-volta", 2, 0, &lease, NULL), 0);
	CHECK_INT(gpualloc_lease_settle(lease, none, 0, error), 0);
	gpualloc_lease_free(lease);
	CHECK_INT(leasing_share(store, "dgx1-volta", "0", 1 << 20, &lease, NULL), 0);
	CHECK_INT(gpualloc_lease_settle(lease, none, 0, error), 0);
	gpualloc_lease_free(lease);
	gpualloc_error_free(error);
	gpualloc_store_free(store);
}

static void a_machine_that_cannot_be_read_is_an_error(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_lease *lease = NULL;
	char path[128];

	path_of("fine.json", path, sizeof path);
	describe(path, "");
	CHECK_INT(leasing_ask(store, path, 1, 0, &lease, NULL), 0);
	CHECK_INT(gpualloc_lease_settle(lease, "/nonexistent/machine.json", 0, error),
		  GPUALLOC_EUSAGE);
	CHECK_HAS(gpualloc_error_message(error), "/nonexistent/machine.json");
	gpualloc_lease_free(lease);
	gpualloc_error_free(error);
	gpualloc_store_free(store);
}

static const struct test_case cases[] = {
	{"it looks until they have gone", it_looks_until_they_have_gone},
	{"other devices do not matter", other_devices_do_not_matter},
	{"nothing is asked where nothing can be in the way",
	 nothing_is_asked_where_nothing_can_be_in_the_way},
	{"a machine that cannot be read is an error", a_machine_that_cannot_be_read_is_an_error},
};
TEST_MAIN(cases)
