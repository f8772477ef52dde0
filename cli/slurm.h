/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of gpualloc slurm; both return the exit status. */
#ifndef CLI_SLURM_H
#define CLI_SLURM_H

#include "command.h"

int slurm_gres_conf(const struct call *call);
int slurm_check(const struct call *call);

/* Where files about a machine are: below --root, on this machine when it is this one, or NULL. */
const char *slurm_root(const struct call *call, const gpualloc_machine *machine);

/* Slurm 24.05 to 26.05 sort Links the wrong way round for --gres=gpu:N and --gpus-per-node: see
 * docs; these are the releases, as year * 100 + month. */
enum { SLURM_INVERTS_FROM = 2405, SLURM_INVERTS_TO = 2605 };

/* "24.05.8", "slurm-wlm 22.05.8" as 2405, 2205; -1 where it is no version. */
int slurm_version_read(const char *text);
/* The version that --slurm-version names, else that of the Slurm on this machine; -1: not known. 0,
 * or the exit status of a mistake in the option. */
int slurm_version_find(const struct call *call, bool ask, int *ret_version);

#endif
