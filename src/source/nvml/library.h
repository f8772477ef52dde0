/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVML's library, opened at run time and never linked: a pointer for each function that we use,
 * NULL if this driver lacks it. Everything but the six required ones may be missing.
 */
#ifndef GA_SOURCE_NVML_LIBRARY_H
#define GA_SOURCE_NVML_LIBRARY_H

#include "abi.h"
#include "error.h"

#include <stdbool.h>

typedef int ga_nvml_number_call(ga_nvml_handle handle, unsigned *ret_number);
typedef int ga_nvml_text_call(ga_nvml_handle handle, char *text, unsigned size);
typedef int ga_nvml_processes_call(ga_nvml_handle handle, unsigned *count, void *records);

struct ga_nvml {
	void *library;

	int (*init)(void);
	int (*shutdown)(void);
	const char *(*error_string)(int result);
	int (*driver_version)(char *text, unsigned size);
	int (*process_name)(unsigned pid, char *text, unsigned size);

	int (*count)(unsigned *ret_count);
	int (*handle_by_index)(unsigned index, ga_nvml_handle *ret_handle);
	ga_nvml_text_call *uuid;
	ga_nvml_text_call *name;
	ga_nvml_text_call *serial;
	ga_nvml_number_call *minor;
	int (*pci_v3)(ga_nvml_handle handle, struct ga_nvml_pci *ret_pci);
	int (*pci_v2)(ga_nvml_handle handle, struct ga_nvml_pci *ret_pci);
	int (*memory_v2)(ga_nvml_handle handle, struct ga_nvml_memory_v2 *ret_memory);
	int (*memory_v1)(ga_nvml_handle handle, struct ga_nvml_memory_v1 *ret_memory);
	int (*utilization)(ga_nvml_handle handle, struct ga_nvml_utilization *ret_utilization);
	ga_nvml_number_call *compute_mode;
	ga_nvml_number_call *display_active;
	int (*compute_capability)(ga_nvml_handle handle, int *ret_major, int *ret_minor);
	int (*cpu_affinity)(ga_nvml_handle handle, unsigned words, unsigned long *ret_mask);
	int (*memory_affinity)(ga_nvml_handle handle, unsigned words, unsigned long *ret_mask,
			       unsigned scope);

	ga_nvml_number_call *retired_pending;
	int (*remapped_rows)(ga_nvml_handle handle, unsigned *ret_correctable,
			     unsigned *ret_uncorrectable, unsigned *ret_pending,
			     unsigned *ret_failed);

	/* Versions 3 or 2; ga_nvml_process_stride() says how wide their records are. */
	ga_nvml_processes_call *compute_processes;
	ga_nvml_processes_call *graphics_processes;
	ga_nvml_processes_call *mps_processes;
	ga_nvml_processes_call *compute_processes_v1;
	ga_nvml_processes_call *graphics_processes_v1;
	ga_nvml_processes_call *mps_processes_v1;
	void *compute_processes_v3; /* all that matters is whether they exist */
	void *confidential_memory;
	void *process_detail_list;

	int (*common_ancestor)(ga_nvml_handle one, ga_nvml_handle other, int *ret_ancestor);
	int (*link_state)(ga_nvml_handle handle, unsigned link, unsigned *ret_active);
	int (*link_version)(ga_nvml_handle handle, unsigned link, unsigned *ret_version);
	int (*link_remote_pci)(ga_nvml_handle handle, unsigned link, struct ga_nvml_pci *ret_pci);
	int (*link_remote_type)(ga_nvml_handle handle, unsigned link, int *ret_type);
	int (*fields)(ga_nvml_handle handle, int count, struct ga_nvml_field *fields);
	int (*p2p_status)(ga_nvml_handle one, ga_nvml_handle other, int index, int *ret_status);
	ga_nvml_number_call *virtualization;
	int (*fabric_v4)(ga_nvml_handle handle, struct ga_nvml_fabric_v4 *ret_fabric);
	int (*fabric_v)(ga_nvml_handle handle, void *ret_fabric);
	int (*fabric_v1)(ga_nvml_handle handle, struct ga_nvml_fabric_v1 *ret_fabric);

	int (*mig_mode)(ga_nvml_handle handle, unsigned *ret_current, unsigned *ret_pending);
	ga_nvml_number_call *mig_count;
	int (*mig_handle)(ga_nvml_handle handle, unsigned index, ga_nvml_handle *ret_handle);
	ga_nvml_number_call *gi;
	ga_nvml_number_call *ci;
	int (*attributes)(ga_nvml_handle handle, struct ga_nvml_attributes *ret_attributes);
};

/*
 * Opens the library: path if given, otherwise the usual soname, and then, below root, the places
 * that some systems do not tell the loader. GPUALLOC_ENOSOURCE if there is none, or it lacks a
 * required function.
 */
int ga_nvml_load(const char *path, const char *root, struct ga_nvml *ret_nvml,
		 gpualloc_error *error);
void ga_nvml_unload(struct ga_nvml *nvml);
#define ga_auto_nvml ga_cleanup(ga_nvml_unload)

/* What the library calls a result: "GPU is lost". Never NULL. */
const char *ga_nvml_text(const struct ga_nvml *nvml, int result);

/* The bytes in a record of compute_processes and its like: 24, or 32 in the first 535. */
size_t ga_nvml_process_stride(const struct ga_nvml *nvml);

#endif
