/* SPDX-License-Identifier: Apache-2.0 */
/* The variables that tell a task its devices: ours, set exactly once, in every step. */
#ifndef SLURM_VARIABLES_H
#define SLURM_VARIABLES_H

#include <slurm/spank.h>
#include <stdbool.h>
#include <stddef.h>

/* The job of a lease, so that a step takes only from its own job's lease. */
#define VARIABLE_JOB "GPUALLOC_SLURM_JOB"

/* Removes what was inherited from the submitting shell or from another step. */
void variables_clear(spank_t spank);
/* NAME=VALUE, each ended by NUL. */
bool variables_set(spank_t spank, const char *text, size_t size);
bool variables_set_one(spank_t spank, const char *name, const char *value);

#endif
