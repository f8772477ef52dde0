/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How CUDA numbers GPUs under CUDA_DEVICE_ORDER=PCI_BUS_ID: by PCI address, and only those that it
 * can use. A wrong number is another person's GPU, so we give certain numbers or none.
 */
#ifndef GA_MACHINE_CUDA_ORDER_H
#define GA_MACHINE_CUDA_ORDER_H

#include "machine.h"

/*
 * All GPUs in order of PCI address, then those without a known address in order of index. ret_gpus
 * has room for all GPUs of the machine.
 */
void ga_pci_order(const gpualloc_machine *machine, const gpualloc_device **ret_gpus);

/*
 * The same, but each GPU at its CUDA number. GPUALLOC_EIMPOSSIBLE if the numbers are not certain,
 * because an address is unknown or CUDA may leave a GPU out, as it does behind a fence; ret_gpus is
 * then meaningless.
 */
int ga_cuda_order(const gpualloc_machine *machine, const gpualloc_device **ret_gpus,
		  gpualloc_error *error);

#endif
