/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A grant is usable: after the claim the devices are looked at until the processes of the last
 * holder have gone from them, for ten seconds; then the sentence says who is there.
 */
#ifndef SLURM_SETTLE_H
#define SLURM_SETTLE_H

#include <gpualloc/gpualloc.h>
#include <stdbool.h>

/* spec: the machine as it was named, or NULL. On a simulated one there is nothing to wait for. */
bool settle(const gpualloc_lease *lease, const char *spec, char *sentence, size_t size);

#endif
