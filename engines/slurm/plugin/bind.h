/* SPDX-License-Identifier: Apache-2.0 */
/* Bind mode, in a task: Slurm has chosen the GPUs, and only their order is left to decide. */
#ifndef SLURM_BIND_H
#define SLURM_BIND_H

#include "step.h"

/* Sets the task's variables; -1 with a sentence in step->trouble. */
int bind_enter(spank_t spank, struct step *step, int task);

#endif
