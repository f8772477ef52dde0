/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How CUDA numbers GPUs where CUDA_DEVICE_ORDER=PCI_BUS_ID says how: by PCI address, and only those
 * that it can use. A wrong number is another person's GPU, so a number is either certain or there
 * is none.
 */
#ifndef GA_MACHINE_CUDA_ORDER_H
#define GA_MACHINE_CUDA_ORDER_H

#include "machine.h"

/*
 * All GPUs by PCI address; behind them, by index, those whose address is not known. ret_gpus has
 * room for as many as the machine has.
 */
void ga_pci_order(const gpualloc_machine *machine, const gpualloc_device **ret_gpus);

/*
 * The same, each GPU at its number. GPUALLOC_EIMPOSSIBLE says why no number is certain: an address
 * is not known, or CUDA may leave a GPU out. Then what ret_gpus holds means nothing.
 */
int ga_cuda_order(const gpualloc_machine *machine, const gpualloc_device **ret_gpus,
		  gpualloc_error *error);

#endif
