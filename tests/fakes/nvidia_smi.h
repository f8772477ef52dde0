/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the nvidia-smi of our own; what it plays is settled in nvidia_smi.c. */
#ifndef FAKE_NVIDIA_SMI_H
#define FAKE_NVIDIA_SMI_H

#include "machine.h"

struct play {
	gpualloc_machine *machine;
	int driver;          /* FAKE_DRIVER: the branch, 450 or 580, by which outputs differ */
	int64_t needs_reset; /* FAKE_RESET */
	int64_t hangs;       /* FAKE_HANG */
	bool no_mig_permission;
	bool instances_vanish; /* the log lacks the last instance that the list has */
};

bool play_is_lost(const struct gpualloc_device *device);
/* Called before a GPU is written: blocks for ever where this is the one that hangs. */
void play_reach(const struct play *play, const struct gpualloc_device *device);

/* Used memory as this driver tells it: before 510 it holds what is reserved. */
int64_t play_used(const struct play *play, const struct gpualloc_device *device);

/* Each writes one output to stdout. */
void write_log(const struct play *play);
void write_matrix(const struct play *play);
void write_p2p(const struct play *play);

#endif
