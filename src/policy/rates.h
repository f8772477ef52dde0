/* SPDX-License-Identifier: Apache-2.0 */
/* How fast links are, in MB/s one way: the one table of constants behind predicted bandwidth. */
#ifndef GA_POLICY_RATES_H
#define GA_POLICY_RATES_H

#include "machine.h"

/* No PCIe path is faster, and no NVLink is slower. */
enum { GA_RATE_PCIE_MAX = 12000 };

/* Of one NVLink of the device, by its generation or its name; the slowest where neither tells. */
int32_t ga_rate_nvlink(const struct gpualloc_device *device);
/* Of a path of this level; one that is not known counts as the slowest. */
int32_t ga_rate_pcie(enum gpualloc_level level);

#endif
