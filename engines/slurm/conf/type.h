/* SPDX-License-Identifier: Apache-2.0 */
/* The name that Slurm uses for a model of GPU. */
#ifndef SLURM_TYPE_H
#define SLURM_TYPE_H

#include <stdbool.h>
#include <stddef.h>

enum { TYPE_SIZE = 64 };

/*
 * "NVIDIA A100-SXM4-40GB" is a100, "Quadro RTX 8000" rtx_8000; whole: nvidia_a100_sxm4_40gb, for a
 * machine on which the short name would mean two models. "" if nothing is left.
 */
void slurm_type(const char *model, bool whole, char type[static TYPE_SIZE]);
/* A MIG profile as Slurm accepts it: "1g.5gb" stays, "1g.5gb+me" becomes 1g.5gb_me. */
void slurm_profile_type(const char *profile, char type[static TYPE_SIZE]);

#endif
