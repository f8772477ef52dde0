/* SPDX-License-Identifier: Apache-2.0 */
/* Which Slurm reads a site's files. */
#ifndef SLURM_VERSION_H
#define SLURM_VERSION_H

/* Slurm 24.05 to 26.05 sort Links the wrong way round for --gres=gpu:N and --gpus-per-node: see
 * docs; these are the releases, as year * 100 + month. */
enum { SLURM_INVERTS_FROM = 2405, SLURM_INVERTS_TO = 2605 };

/* "24.05.8", "slurm-wlm 22.05.8" as 2405, 2205; -1 where it is no version. */
int slurm_version_read(const char *text);
/* Asks the Slurm on this machine: 0, *ret_version -1 where none answers; or GPUALLOC_ENOMEM. */
int slurm_version_ask(int *ret_version);

#endif
