/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table says which function fills which pointer, newest name first. An unversioned name is
 * always the oldest form of a call, so two names share a row only if both write the same.
 */
#include "library.h"

#include <dlfcn.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

enum { NAMES_MAX = 3 };

struct symbol {
	size_t place; /* in struct ga_nvml */
	const char *names[NAMES_MAX];
	bool required;
};

#define REQUIRED(field, ...)                                         \
	{                                                            \
		offsetof(struct ga_nvml, field), {__VA_ARGS__}, true \
	}
#define OPTIONAL(field, ...)                                          \
	{                                                             \
		offsetof(struct ga_nvml, field), {__VA_ARGS__}, false \
	}

static const struct symbol symbols[] = {
	REQUIRED(init, "nvmlInit_v2", "nvmlInit"),
	REQUIRED(shutdown, "nvmlShutdown"),
	REQUIRED(error_string, "nvmlErrorString"),
	REQUIRED(count, "nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"),
	REQUIRED(handle_by_index, "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"),
	REQUIRED(uuid, "nvmlDeviceGetUUID"),

	OPTIONAL(driver_version, "nvmlSystemGetDriverVersion"),
	OPTIONAL(process_name, "nvmlSystemGetProcessName"),
	OPTIONAL(name, "nvmlDeviceGetName"),
	OPTIONAL(serial, "nvmlDeviceGetSerial"),
	OPTIONAL(minor, "nvmlDeviceGetMinorNumber"),
	OPTIONAL(pci_v3, "nvmlDeviceGetPciInfo_v3"),
	OPTIONAL(pci_v2, "nvmlDeviceGetPciInfo_v2"),
	OPTIONAL(memory_v2, "nvmlDeviceGetMemoryInfo_v2"),
	OPTIONAL(memory_v1, "nvmlDeviceGetMemoryInfo"),
	OPTIONAL(utilization, "nvmlDeviceGetUtilizationRates"),
	OPTIONAL(compute_mode, "nvmlDeviceGetComputeMode"),
	OPTIONAL(display_active, "nvmlDeviceGetDisplayActive"),
	OPTIONAL(compute_capability, "nvmlDeviceGetCudaComputeCapability"),
	OPTIONAL(cpu_affinity, "nvmlDeviceGetCpuAffinity"),
	OPTIONAL(memory_affinity, "nvmlDeviceGetMemoryAffinity"),
	OPTIONAL(retired_pending, "nvmlDeviceGetRetiredPagesPendingStatus"),
	OPTIONAL(remapped_rows, "nvmlDeviceGetRemappedRows"),

	OPTIONAL(compute_processes, "nvmlDeviceGetComputeRunningProcesses_v3",
		 "nvmlDeviceGetComputeRunningProcesses_v2"),
	OPTIONAL(graphics_processes, "nvmlDeviceGetGraphicsRunningProcesses_v3",
		 "nvmlDeviceGetGraphicsRunningProcesses_v2"),
	OPTIONAL(mps_processes, "nvmlDeviceGetMPSComputeRunningProcesses_v3",
		 "nvmlDeviceGetMPSComputeRunningProcesses_v2"),
	OPTIONAL(compute_processes_v1, "nvmlDeviceGetComputeRunningProcesses"),
	OPTIONAL(graphics_processes_v1, "nvmlDeviceGetGraphicsRunningProcesses"),
	OPTIONAL(mps_processes_v1, "nvmlDeviceGetMPSComputeRunningProcesses"),
	OPTIONAL(compute_processes_v3, "nvmlDeviceGetComputeRunningProcesses_v3"),
	OPTIONAL(confidential_memory, "nvmlDeviceGetConfComputeMemSizeInfo"),
	OPTIONAL(process_detail_list, "nvmlDeviceGetRunningProcessDetailList"),

	OPTIONAL(common_ancestor, "nvmlDeviceGetTopologyCommonAncestor"),
	OPTIONAL(link_state, "nvmlDeviceGetNvLinkState"),
	OPTIONAL(link_version, "nvmlDeviceGetNvLinkVersion"),
	OPTIONAL(link_remote_pci, "nvmlDeviceGetNvLinkRemotePciInfo_v2"),
	OPTIONAL(link_remote_type, "nvmlDeviceGetNvLinkRemoteDeviceType"),
	OPTIONAL(fields, "nvmlDeviceGetFieldValues"),
	OPTIONAL(p2p_status, "nvmlDeviceGetP2PStatus"),
	OPTIONAL(virtualization, "nvmlDeviceGetVirtualizationMode"),
	OPTIONAL(fabric_v4, "nvmlDeviceGetGpuFabricInfo_v4"),
	OPTIONAL(fabric_v, "nvmlDeviceGetGpuFabricInfoV"),
	OPTIONAL(fabric_v1, "nvmlDeviceGetGpuFabricInfo"),

	OPTIONAL(mig_mode, "nvmlDeviceGetMigMode"),
	OPTIONAL(mig_count, "nvmlDeviceGetMaxMigDeviceCount"),
	OPTIONAL(mig_handle, "nvmlDeviceGetMigDeviceHandleByIndex"),
	OPTIONAL(gi, "nvmlDeviceGetGpuInstanceId"),
	OPTIONAL(ci, "nvmlDeviceGetComputeInstanceId"),
	OPTIONAL(attributes, "nvmlDeviceGetAttributes_v2"),
};

/* Places where the loader does not look: WSL 2, NixOS, Container-Optimized OS, GKE, containers. */
static const char *const folders[] = {
	"/usr/lib/wsl/lib",        "/run/opengl-driver/lib",
	"/var/lib/nvidia/lib64",   "/home/kubernetes/bin/nvidia/lib64",
	"/usr/local/nvidia/lib64", "/usr/local/nvidia/lib",
};

/*
 * If nothing is found, the user sees what the loader said about its own search. A program with more
 * rights than its caller leaves it at what root's loader knows: some of the folders may be a
 * user's.
 */
static void *open_library(const char *path, const char *root, char *why, size_t size)
{
	static const char soname[] = "libnvidia-ml.so.1";
	void *library = dlopen(path ? path : soname, RTLD_LAZY | RTLD_LOCAL);
	const char *reason = library ? NULL : dlerror();
	bool may_look = !path && getauxval(AT_SECURE) == 0;

	(void)snprintf(why, size, "%s", reason ? reason : "no reason was given");
	for (size_t i = 0; may_look && !library && i < sizeof folders / sizeof *folders; i++) {
		char file[PATH_MAX];

		if ((size_t)snprintf(file, sizeof file, "%s%s/%s", root, folders[i], soname) <
		    sizeof file)
			library = dlopen(file, RTLD_LAZY | RTLD_LOCAL);
	}
	return library;
}

int ga_nvml_load(const char *path, const char *root, struct ga_nvml *ret_nvml,
		 gpualloc_error *error)
{
	char why[512];
	struct ga_nvml nvml = {.library = open_library(path, root, why, sizeof why)};

	if (!nvml.library)
		return ga_error_set(error, GPUALLOC_ENOSOURCE,
				    "NVML: the driver's library cannot be loaded (%s); install the "
				    "driver's version of it, or name it in GPUALLOC_NVML",
				    why);
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		void *address = NULL;

		for (size_t n = 0; !address && n < NAMES_MAX && symbols[i].names[n]; n++)
			address = dlsym(nvml.library, symbols[i].names[n]);
		if (!address && symbols[i].required) {
			ga_nvml_unload(&nvml);
			return ga_error_set(error, GPUALLOC_ENOSOURCE,
					    "NVML: the library%s%s has no %s, so it is not NVML",
					    path ? " " : "", path ? path : "", symbols[i].names[0]);
		}
		/* dlsym() gives a function's address as a void *; C allows only its bytes to be
		 * copied. */
		memcpy((char *)&nvml + symbols[i].place, &address, sizeof address);
	}
	*ret_nvml = nvml;
	return 0;
}

void ga_nvml_unload(struct ga_nvml *nvml)
{
	if (nvml->library)
		(void)dlclose(nvml->library);
	nvml->library = NULL;
}

const char *ga_nvml_text(const struct ga_nvml *nvml, int result)
{
	const char *text = nvml->error_string(result);

	return text && *text ? text : "Unknown Error";
}

size_t ga_nvml_process_stride(const struct ga_nvml *nvml)
{
	/*
	 * 535 appended a word under an unchanged name and removed it again within its own branch;
	 * functions that came and went with it tell the two apart.
	 */
	bool wide = nvml->compute_processes_v3 && nvml->confidential_memory &&
		    !nvml->process_detail_list;

	return wide ? sizeof(struct ga_nvml_process_535) : sizeof(struct ga_nvml_process_v2);
}
