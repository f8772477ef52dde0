/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Slurm gave a task, as devices of the machine: never more than that. Slurm counts the lines
 * of its gres.conf, which are in the order of PCI addresses, with MIG instances in the order of
 * their GPUs. If a cgroup keeps devices from a task, the task has those that it can open, and its
 * variables count among them. Slurm's own numbers are then wrong if each task has its own GPUs.
 */
#ifndef SLURM_GIVEN_H
#define SLURM_GIVEN_H

#include <gpualloc/gpualloc.h>
#include <stdbool.h>

enum { GIVEN_MOST = 1024 };

/* The machine, and the devices of it that can be given, in the order of Slurm's numbers. */
struct given {
	gpualloc_machine *machine;
	const gpualloc_device *units[GIVEN_MOST];
	size_t count;
	bool has_mig;
	bool has_numbers; /* the driver's numbers are certain */
};

/* Called in the step daemon, which sees the whole machine. */
int given_open(const char *spec, struct given *given, gpualloc_error *error);
void given_close(struct given *given);

/* A choice among them: places in units, in order. */
struct places {
	size_t at[GIVEN_MOST];
	size_t count;
};

/* Reads "0,3" or "2-5"; false if it names no device, or one that does not exist. */
bool given_read(const char *text, size_t limit, struct places *ret_places);
/* Called in the task: the devices that it can open. *ret_is_fenced: some are kept from it. */
void given_reachable(const struct given *given, const char *root, struct places *ret_places,
		     bool *ret_is_fenced);

#endif
