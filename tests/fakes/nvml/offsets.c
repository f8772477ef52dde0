/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake shares its declarations with the source that it tests, so a wrong one would agree with
 * itself. These are the layouts of NVIDIA's header, written down a second time.
 */
#include "nvml/abi.h"

#include <stddef.h>

#define AT(type, field, offset) \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)

AT(ga_nvml_pci, domain, 16);
AT(ga_nvml_pci, subsystem_id, 32);
AT(ga_nvml_pci, bus_id, 36);
AT(ga_nvml_memory_v1, free, 8);
AT(ga_nvml_memory_v1, used, 16);
AT(ga_nvml_memory_v2, total, 8);
AT(ga_nvml_memory_v2, reserved, 16);
AT(ga_nvml_memory_v2, free, 24);
AT(ga_nvml_memory_v2, used, 32);
AT(ga_nvml_process_v1, memory, 8);
AT(ga_nvml_process_v2, memory, 8);
AT(ga_nvml_process_v2, gi, 16);
AT(ga_nvml_process_v2, ci, 20);
AT(ga_nvml_process_535, gi, 16);
AT(ga_nvml_process_535, protected_memory, 24);
AT(ga_nvml_attributes, gpu_slices, 24);
AT(ga_nvml_attributes, compute_slices, 28);
AT(ga_nvml_attributes, memory_mb, 32);
AT(ga_nvml_field, scope, 4);
AT(ga_nvml_field, timestamp, 8);
AT(ga_nvml_field, value_type, 24);
AT(ga_nvml_field, result, 28);
AT(ga_nvml_field, value, 32);
AT(ga_nvml_fabric_v1, status, 16);
AT(ga_nvml_fabric_v1, clique, 20);
AT(ga_nvml_fabric_v1, state, 24);
AT(ga_nvml_fabric_v2, cluster, 4);
AT(ga_nvml_fabric_v2, status, 20);
AT(ga_nvml_fabric_v2, clique, 24);
AT(ga_nvml_fabric_v2, state, 28);
AT(ga_nvml_fabric_v2, health, 32);
AT(ga_nvml_fabric_v3, state, 28);
AT(ga_nvml_fabric_v3, summary, 36);
AT(ga_nvml_fabric_v4, status, 16);
AT(ga_nvml_fabric_v4, cliques, 20);
AT(ga_nvml_fabric_v4, clique_count, 532);
AT(ga_nvml_fabric_v4, state, 536);
AT(ga_nvml_fabric_v4, health, 540);
AT(ga_nvml_fabric_v4, summary, 544);
AT(ga_nvml_clique, id, 4);
_Static_assert(GA_NVML_VERSION(struct ga_nvml_memory_v2, 2) == 0x02000028, "version word");
_Static_assert(GA_NVML_VERSION(struct ga_nvml_fabric_v2, 2) == 0x02000024, "version word");
_Static_assert(GA_NVML_VERSION(struct ga_nvml_fabric_v3, 3) == 0x03000028, "version word");
