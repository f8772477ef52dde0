/* SPDX-License-Identifier: Apache-2.0 */
/* Lease mode, in a task: the first leases for all tasks of the step and tells the others. */
#ifndef SLURM_LEASE_H
#define SLURM_LEASE_H

#include "step.h"

/* Sets the task's variables; -1 with a sentence in step->trouble. */
int lease_enter(spank_t spank, struct step *step, int task);

#endif
