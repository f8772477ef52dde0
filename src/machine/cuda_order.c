/* SPDX-License-Identifier: Apache-2.0 */
/* How CUDA numbers GPUs; see cuda_order.h. */
#include "cuda_order.h"

#include <stdlib.h>
#include <string.h>

/* No two GPUs have one index, so this is a total order. */
static int by_address(const void *left, const void *right)
{
	const gpualloc_device *a = *(const gpualloc_device *const *)left;
	const gpualloc_device *b = *(const gpualloc_device *const *)right;
	int order = a->pci && b->pci ? strcmp(a->pci, b->pci) : (b->pci != NULL) - (a->pci != NULL);

	return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

void ga_pci_order(const gpualloc_machine *machine, const gpualloc_device **ret_gpus)
{
	for (size_t i = 0; i < machine->device_count; i++)
		ret_gpus[i] = &machine->devices[i];
	qsort(ret_gpus, machine->device_count, sizeof *ret_gpus, by_address);
}

/* These faults do not keep CUDA from using a GPU. */
static bool is_counted(const gpualloc_device *gpu)
{
	return gpu->health == GPUALLOC_HEALTH_OK ||
	       gpu->health == GPUALLOC_HEALTH_ROW_REMAP_FAILED ||
	       gpu->health == GPUALLOC_HEALTH_RETIRED_PENDING;
}

static int check_counted(const gpualloc_machine *machine, gpualloc_error *error)
{
	for (size_t i = 0; i < machine->device_count; i++) {
		const gpualloc_device *gpu = &machine->devices[i];

		if (!is_counted(gpu))
			return ga_error_set(
				error, GPUALLOC_EIMPOSSIBLE,
				"CUDA's numbering is not certain: CUDA may leave out GPU %lld, "
				"whose health is \"%s\"",
				(long long)gpu->index, ga_health_name(gpu->health));
		if (!gpu->pci && machine->device_count > 1)
			return ga_error_set(
				error, GPUALLOC_EIMPOSSIBLE,
				"CUDA's numbering is not certain: the PCI address of GPU %lld is "
				"not known",
				(long long)gpu->index);
	}
	return 0;
}

/* Two GPUs in one place, which only a file can claim. */
static const gpualloc_device *first_twin(const gpualloc_machine *machine,
					 const gpualloc_device **gpus)
{
	for (size_t i = 1; i < machine->device_count; i++)
		if (strcmp(gpus[i - 1]->pci, gpus[i]->pci) == 0)
			return gpus[i];
	return NULL;
}

int ga_cuda_order(const gpualloc_machine *machine, const gpualloc_device **ret_gpus,
		  gpualloc_error *error)
{
	const gpualloc_device *twin;
	int result = check_counted(machine, error);

	if (result < 0)
		return result;
	if (machine->fenced && machine->device_count > 1)
		return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				    "CUDA's numbering is not certain: behind the administrator's "
				    "fence CUDA may leave out GPUs that a program cannot open");
	ga_pci_order(machine, ret_gpus);
	twin = first_twin(machine, ret_gpus);
	if (twin)
		return ga_error_set(
			error, GPUALLOC_EIMPOSSIBLE,
			"CUDA's numbering is not certain: two GPUs have the PCI address %s",
			twin->pci);
	return 0;
}
