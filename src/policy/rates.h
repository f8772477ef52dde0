/* SPDX-License-Identifier: Apache-2.0 */
/* How fast links are, in MB/s one way: the one table of constants behind predicted bandwidth. */
#ifndef GA_POLICY_RATES_H
#define GA_POLICY_RATES_H

#include "machine.h"

/* No PCIe path is faster than this, and no NVLink is slower. */
enum { GA_RATE_PCIE_MAX = 12000 };
/*
 * Without peer-to-peer, through host memory: of one GPU, and what the GPUs below a switch, or in a
 * socket, have together.
 */
enum { GA_RATE_HOST = 10900, GA_RATE_SWITCH = 16000, GA_RATE_SOCKET = 32000 };

/* Of one NVLink of the device, by its generation or its name; the slowest where neither tells. */
int32_t ga_rate_nvlink(const struct gpualloc_device *device);
/* Of a path of this level; one that is not known counts as the slowest. */
int32_t ga_rate_pcie(enum gpualloc_level level);

#endif
