/* SPDX-License-Identifier: Apache-2.0 */
/* The version of Slurm that reads a site's files. */
#ifndef SLURM_VERSION_H
#define SLURM_VERSION_H

/* Slurm 24.05 to 26.05 sort Links the wrong way round for --gres=gpu:N and --gpus-per-node: see
 * docs; these are the releases, as year * 100 + month. */
enum { SLURM_INVERTS_FROM = 2405, SLURM_INVERTS_TO = 2605 };

/* "24.05.8", "slurm-wlm 22.05.8" as 2405, 2205; -1 if it is not a version. */
int slurm_version_read(const char *text);
/* Asks the Slurm on this machine. Returns 0, with *ret_version -1 if none answers, or
 * GPUALLOC_ENOMEM. */
int slurm_version_ask(int *ret_version);

#endif
