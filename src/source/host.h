/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host says about itself and its processes, from /proc and /sys below a root. All of it
 * only fills in what a live source could not know, and never overwrites anything.
 */
#ifndef GA_SOURCE_HOST_H
#define GA_SOURCE_HOST_H

#include "machine.h"

/* The host's name, its sockets, cores and threads. */
int ga_host_describe(const char *root, gpualloc_machine *machine);
/* NUMA node and CPUs of each GPU, by PCI address. */
int ga_host_places(const char *root, gpualloc_machine *machine);
/* Gives GPUs without memory of their own the system's memory, with a note. */
int ga_host_unified_memory(const char *root, gpualloc_machine *machine);
/* In a child: takes NVML_… out of the environment. */
void ga_host_forget_nvml_settings(void);
/* What Linux says about a PCI device, for example its "class"; false if it says nothing. */
bool ga_host_pci_attribute(const char *root, const char *pci, const char *attribute, char *text,
			   size_t size);
/*
 * Whether our pids are those of the kernel's first namespace, as the driver's are, and the driver
 * lists everybody's processes; it does not under WSL 2.
 */
bool ga_host_sees_all_processes(const char *root);
/*
 * Users and names of the processes on every device. In another pid namespace the driver's pids mean
 * other processes: then nothing is looked up, and the lists are marked as hidden.
 */
int ga_host_processes(const char *root, gpualloc_machine *machine);

#endif
