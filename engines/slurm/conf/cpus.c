/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From CPUs to sockets and cores; see cpus.h.
 *
 * If the machine's kernel can be asked, its physical_package_id says which socket a CPU is in. If a
 * machine is only described, the numbers themselves must do: firmware numbers CPUs in two ways.
 * Nearly always all first threads come first, socket by socket, and the second threads follow in
 * the same order, so that id % (sockets * cores) is the core. Some firmware takes the sockets in
 * turn, so that id % sockets is the socket. The CPUs near a device lie within one socket or fill
 * several. A list that does neither, in both ways of counting, was numbered in a third way; then it
 * is better to say nothing than something wrong.
 */
#include "cpus.h"

#include "file.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

/* No core has more; used if the number is not known. */
enum { THREADS_MOST = 8 };

/* Reads a file below the root with one short line; false if there is none. */
static bool read_line(const char *root, const char *path, char *line, size_t size)
{
	long length = ga_file_peek(root, path, line, size);

	if (length <= 0 || (size_t)length == size - 1)
		return false;
	line[strcspn(line, "\r\n")] = '\0';
	return true;
}

static bool read_package(const char *root, int64_t cpu, int64_t *ret_package)
{
	char path[96], line[32];

	(void)snprintf(path, sizeof path,
		       "/sys/devices/system/cpu/cpu%lld/topology/physical_package_id",
		       (long long)cpu);
	return read_line(root, path, line, sizeof line) &&
	       ga_text_number(line, strlen(line), INT32_MAX, ret_package);
}

/* The place of a package among the known ones, or their number if it is new. */
static size_t find_package(const struct slurm_cpus *cpus, int64_t package)
{
	size_t i = 0;

	while (i < cpus->package_count && cpus->packages[i] != package)
		i++;
	return i;
}

/* Slurm counts sockets in the order of hwloc: by the first CPU of each. */
static void ask_kernel(struct slurm_cpus *cpus)
{
	struct numbers online;
	char list[4096];
	int64_t package;

	if (!read_line(cpus->root, "/sys/devices/system/cpu/online", list, sizeof list) ||
	    !numbers_read(list, &online))
		return;
	for (int64_t cpu = 0; cpu <= online.highest; cpu++) {
		if (!numbers_has(&online, cpu))
			continue;
		if (!read_package(cpus->root, cpu, &package) ||
		    cpus->package_count == SOCKETS_MOST) {
			cpus->package_count = 0;
			return;
		}
		if (find_package(cpus, package) == cpus->package_count)
			cpus->packages[cpus->package_count++] = package;
	}
}

void slurm_cpus_read(const gpualloc_machine *machine, const char *root, struct slurm_cpus *cpus)
{
	*cpus = (struct slurm_cpus){
		.sockets = gpualloc_machine_sockets(machine),
		.cores_per_socket = gpualloc_machine_cores_per_socket(machine),
		.threads_per_core = gpualloc_machine_threads_per_core(machine),
		.root = root,
	};
	if (root && slurm_cpus_known(cpus))
		ask_kernel(cpus);
	/* Some CPUs are offline, or belong to another machine: Slurm would count differently. */
	if ((int64_t)cpus->package_count != cpus->sockets)
		cpus->package_count = 0;
}

bool slurm_cpus_known(const struct slurm_cpus *cpus)
{
	return cpus->sockets > 0 && cpus->sockets <= SOCKETS_MOST && cpus->cores_per_socket > 0 &&
	       cpus->sockets * cpus->cores_per_socket <= NUMBERS_MOST + 1;
}

static uint64_t sockets_by_kernel(const struct slurm_cpus *cpus, const struct numbers *near)
{
	uint64_t sockets = 0;
	int64_t package;

	for (int64_t cpu = 0; cpu <= near->highest; cpu++) {
		size_t at;

		if (!numbers_has(near, cpu))
			continue;
		if (!read_package(cpus->root, cpu, &package))
			return 0;
		at = find_package(cpus, package);
		if (at == cpus->package_count)
			return 0;
		sockets |= UINT64_C(1) << at;
	}
	return sockets;
}

/* How CPUs may be numbered: which core, socket after socket, a CPU belongs to. */
typedef int64_t core_of_cpu(const struct slurm_cpus *cpus, int64_t cpu);

static int64_t core_socket_by_socket(const struct slurm_cpus *cpus, int64_t cpu)
{
	return cpu % (cpus->sockets * cpus->cores_per_socket);
}

static int64_t core_sockets_in_turn(const struct slurm_cpus *cpus, int64_t cpu)
{
	int64_t core = cpu % (cpus->sockets * cpus->cores_per_socket);

	return core % cpus->sockets * cpus->cores_per_socket + core / cpus->sockets;
}

/* 0 if these CPUs, numbered this way, neither lie within one socket nor fill several. */
static uint64_t sockets_by_number(const struct slurm_cpus *cpus, const struct numbers *near,
				  core_of_cpu *core_of)
{
	struct numbers cores;
	uint64_t sockets = 0, whole = 0;

	numbers_empty(&cores);
	for (int64_t cpu = 0; cpu <= near->highest; cpu++)
		if (numbers_has(near, cpu))
			numbers_add(&cores, core_of(cpus, cpu), core_of(cpus, cpu));
	for (int64_t socket = 0; socket < cpus->sockets; socket++) {
		int64_t first = socket * cpus->cores_per_socket;
		size_t count = numbers_between(&cores, first, first + cpus->cores_per_socket - 1);

		sockets |= (uint64_t)(count > 0) << socket;
		whole |= (uint64_t)(count == (size_t)cpus->cores_per_socket) << socket;
	}
	return (sockets & (sockets - 1)) == 0 || sockets == whole ? sockets : 0;
}

uint64_t slurm_cpus_sockets(const struct slurm_cpus *cpus, const char *list)
{
	struct numbers near;
	uint64_t sockets = 0;
	int64_t threads = cpus->threads_per_core > 0 ? cpus->threads_per_core : THREADS_MOST;

	if (!slurm_cpus_known(cpus))
		return 0;
	if (cpus->sockets == 1)
		return 1;
	if (!list || !numbers_read(list, &near))
		return 0;
	if (cpus->package_count > 0)
		return sockets_by_kernel(cpus, &near);
	if (near.highest >= cpus->sockets * cpus->cores_per_socket * threads)
		return 0;
	sockets = sockets_by_number(cpus, &near, core_socket_by_socket);
	return sockets ? sockets : sockets_by_number(cpus, &near, core_sockets_in_turn);
}

void slurm_cpus_text(struct ga_buffer *text, const struct slurm_cpus *cpus, uint64_t sockets)
{
	struct numbers cores;

	numbers_empty(&cores);
	for (int64_t socket = 0; socket < cpus->sockets; socket++)
		if (sockets >> socket & 1)
			numbers_add(&cores, socket * cpus->cores_per_socket,
				    (socket + 1) * cpus->cores_per_socket - 1);
	numbers_text(text, &cores);
}
