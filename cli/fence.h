/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fence around a job: it can open the device nodes of its own devices and those that all share,
 * and no other GPU's. The kernel (Landlock) enforces that, for all that the job becomes or starts.
 */
#ifndef CLI_FENCE_H
#define CLI_FENCE_H

#include "command.h"

/*
 * Whether the job gets one, by --fence or by `fence = job` in the configuration, and whether this
 * machine can. If so, *form becomes UUIDs: behind it CUDA may number GPUs differently. Returns 0,
 * or after a message the exit status of the failure.
 */
int fence_check(const struct call *call, enum gpualloc_form *form, bool *ret_wanted);

/* Goes behind it. What this process starts later is behind it too. Returns as above. */
int fence_to_lease(const struct call *call, const gpualloc_lease *lease);
int fence_to_choice(const struct call *call, const gpualloc_choice *choice);
/* The devices are those that the environment names, as GPUALLOC_DEVICES. */
int fence_to_environment(const struct call *call);

#endif
