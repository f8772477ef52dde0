/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Slurm gave a task, as devices of the machine: never more than that. Slurm counts the lines
 * of its gres.conf, which are in the order of PCI addresses, MIG instances in that of their GPU.
 * Where a cgroup keeps devices from a task, it has those that it can open, and its variables count
 * among them; Slurm's own numbers are wrong then where each task has GPUs of its own.
 */
#ifndef SLURM_GIVEN_H
#define SLURM_GIVEN_H

#include <gpualloc/gpualloc.h>
#include <stdbool.h>

enum { GIVEN_MOST = 1024 };

/* The machine, and in the order of Slurm's numbers what of it can be given. */
struct given {
	gpualloc_machine *machine;
	const gpualloc_device *units[GIVEN_MOST];
	size_t count;
	bool has_mig;
	bool has_numbers; /* the driver's numbers are certain */
};

/* In the step daemon, which sees all of the machine. */
int given_open(const char *spec, struct given *given, gpualloc_error *error);
void given_close(struct given *given);

/* A choice among them: places in units, in order. */
struct places {
	size_t at[GIVEN_MOST];
	size_t count;
};

/* Reads "0,3" or "2-5": false where it names none, or one that is not there. */
bool given_read(const char *text, size_t limit, struct places *ret_places);
/* In the task: which it can open. *ret_is_fenced: some are kept from it. */
void given_reachable(const struct given *given, const char *root, struct places *ret_places,
		     bool *ret_is_fenced);

#endif
