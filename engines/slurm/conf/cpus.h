/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the CPUs near a device, as Linux numbers them, to the sockets and cores that Slurm counts.
 * Slurm's core indices are abstract: the cores of the first socket, then those of the second, and
 * no threads; a device belongs to whole sockets.
 */
#ifndef SLURM_CPUS_H
#define SLURM_CPUS_H

#include "numbers.h"

#include <gpualloc/gpualloc.h>

enum { SOCKETS_MOST = 64 };

struct slurm_cpus {
	int64_t sockets, cores_per_socket, threads_per_core; /* -1 if not known */
	/* The kernel's names of the sockets in their order; none if it was not asked. */
	const char *root;
	int64_t packages[SOCKETS_MOST];
	size_t package_count;
};

/* root is where the /sys of that machine is, "" for this one, NULL if there is none. */
void slurm_cpus_read(const gpualloc_machine *machine, const char *root, struct slurm_cpus *cpus);
bool slurm_cpus_known(const struct slurm_cpus *cpus);
/* The sockets of a list of CPUs, one bit each; 0 if that is not known. */
uint64_t slurm_cpus_sockets(const struct slurm_cpus *cpus, const char *list);
/* "0-19,40-59": all cores of these sockets. */
void slurm_cpus_text(struct ga_buffer *text, const struct slurm_cpus *cpus, uint64_t sockets);

#endif
