/* SPDX-License-Identifier: Apache-2.0 */
/* Peer-to-peer that was not read, inferred from the models. */
#ifndef GA_MACHINE_P2P_H
#define GA_MACHINE_P2P_H

#include "machine.h"

/* For every pair of the machine; 0 or GPUALLOC_ENOMEM. */
int ga_p2p_infer(gpualloc_machine *machine);

#endif
