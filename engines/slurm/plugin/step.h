/* SPDX-License-Identifier: Apache-2.0 */
/* What the plugin knows about the step that it works for; one in each process that loads it. */
#ifndef SLURM_STEP_H
#define SLURM_STEP_H

#include "asked.h"
#include "crew.h"
#include "given.h"
#include "settings.h"

#include <slurm/spank.h>

enum { SENTENCE = 4096 };

struct step {
	struct settings settings;
	char unsettled[SENTENCE]; /* what is wrong in plugstack.conf; "" if nothing is */
	struct asked asked;
	bool is_asked;
	bool is_bound;   /* Slurm has chosen the GPUs, we put them in order */
	char gpus[4096]; /* those of the step on this node as Slurm numbers them; "" for none */
	uint32_t job, number;
	/*
	 * What went wrong before there was a task; "" if nothing did. It must not fail there: Slurm
	 * would take the node out of service.
	 */
	char trouble[SENTENCE];
	struct crew crew;
	struct given given;
};

/* The batch script and other special steps have reserved numbers. */
bool step_is_counted(const struct step *step);
/* "python train.py" and "slurm job 12.0 training", as gpualloc leases shows them. */
void step_name(spank_t spank, const struct step *step, char *command, char *note, size_t size);

#endif
