/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that leases for as long as it lives, in one process: each line of its input is a round
 * of leases of every kind, after which it says how many it had. Anything that the library does not
 * give back adds up here. With LEAKS, "memory" or "descriptors", the program itself leaks that, and
 * the test must notice.
 *   soak_one MACHINE STORE
 */
#include <gpualloc/gpualloc.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CYCLES = 25, LEAK = 8192 };

struct soak {
	const char *machine, *leaks;
	gpualloc_store *store;
	gpualloc_error *error;
	long granted;
};

struct kind {
	int64_t count, memory;
	bool mig;
	int64_t wait_ms;
};

static const struct kind kinds[] = {
	{1, 0, false, 0}, {2, 0, false, -1},       {1, 1 << 30, false, 0},
	{1, 0, true, 0},  {3, 1 << 28, true, 100}, {99, 0, false, 0}, /* impossible */
	{6, 0, false, 1},                                             /* mostly not now */
};

static void leak(const struct soak *soak)
{
	if (!soak->leaks)
		return;
	if (strcmp(soak->leaks, "memory") == 0) {
		volatile char *lost = malloc(LEAK);

		for (size_t i = 0; lost && i < LEAK; i += 64)
			lost[i] = 1;
	}
	if (strcmp(soak->leaks, "descriptors") == 0)
		(void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Another process has the lease for a moment, and one within it. */
static void share_with_child(struct soak *soak, gpualloc_lease *lease,
			     const gpualloc_request *request, const gpualloc_lease_wish *wish)
{
	gpualloc_lease *within = NULL;
	int fd;
	pid_t pid;

	if (gpualloc_lease_hand_on(lease, &fd, soak->error) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		char number[16];

		(void)snprintf(number, sizeof number, "%d", fd);
		(void)setenv("GPUALLOC_FD", number, 1);
		(void)setenv("GPUALLOC_LEASE", gpualloc_lease_id(lease), 1);
		(void)gpualloc_lease_acquire(soak->store, request, wish, &within, soak->error);
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
}

static void lease_once(struct soak *soak, const struct kind *kind, int cycle)
{
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	gpualloc_lease *lease = NULL;

	gpualloc_request_set_count(request, kind->count);
	if (kind->memory)
		gpualloc_request_set_memory(request, kind->memory, 1);
	if (kind->mig)
		(void)gpualloc_request_set_mig(request, NULL);
	(void)gpualloc_lease_wish_set_machine(wish, soak->machine, 10000);
	(void)gpualloc_lease_wish_set_note(wish, "soaking");
	gpualloc_lease_wish_set_wait(wish, kind->wait_ms, NULL, NULL);
	if (gpualloc_lease_acquire(soak->store, request, wish, &lease, soak->error) == 0) {
		soak->granted++;
		if (cycle % 8 == 0)
			share_with_child(soak, lease, request, wish);
		if (cycle % 2 == 0)
			(void)gpualloc_lease_release(lease, soak->error);
	}
	gpualloc_lease_free(lease);
	gpualloc_lease_wish_free(wish);
	gpualloc_request_free(request);
}

static void look(struct soak *soak)
{
	gpualloc_leases *leases = NULL;
	gpualloc_machine *machine = NULL;

	if (gpualloc_machine_open(soak->machine, 0, &machine, soak->error) == 0 &&
	    gpualloc_machine_add_leases(machine, soak->store, soak->error) == 0 &&
	    gpualloc_leases_read(soak->store, &leases, soak->error) == 0)
		(void)gpualloc_leases_add_machine(leases, soak->store, machine, soak->error);
	gpualloc_leases_free(leases);
	gpualloc_machine_free(machine);
}

int main(int argc, char **argv)
{
	struct soak soak = {.error = gpualloc_error_new(), .leaks = getenv("LEAKS")};
	char line[16];

	if (argc != 3)
		return 2;
	soak.machine = argv[1];
	if (gpualloc_store_open(argv[2], 0, &soak.store, soak.error) < 0) {
		(void)fprintf(stderr, "soak_one: %s\n", gpualloc_error_message(soak.error));
		return 1;
	}
	while (fgets(line, sizeof line, stdin)) {
		for (int cycle = 0; cycle < CYCLES; cycle++) {
			for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
				lease_once(&soak, &kinds[i], cycle);
			look(&soak);
			leak(&soak);
		}
		printf("%ld\n", soak.granted);
		(void)fflush(stdout);
	}
	gpualloc_store_free(soak.store);
	gpualloc_error_free(soak.error);
	return 0;
}
