/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake exports, with the names and types that programs expect of the real library. */
#ifndef FAKE_NVML_PROTOTYPES_H
#define FAKE_NVML_PROTOTYPES_H

#include "nvml/abi.h"

int nvmlInit(void);
int nvmlInit_v2(void);
int nvmlInitWithFlags(unsigned flags);
int nvmlShutdown(void);
const char *nvmlErrorString(int result);
int nvmlSystemGetDriverVersion(char *text, unsigned size);
int nvmlSystemGetNVMLVersion(char *text, unsigned size);
int nvmlSystemGetCudaDriverVersion_v2(int *version);
int nvmlSystemGetProcessName(unsigned pid, char *text, unsigned size);

int nvmlDeviceGetCount(unsigned *count);
int nvmlDeviceGetCount_v2(unsigned *count);
int nvmlDeviceGetHandleByIndex(unsigned index, ga_nvml_handle *handle);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, ga_nvml_handle *handle);
int nvmlDeviceGetHandleByUUID(const char *uuid, ga_nvml_handle *handle);
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, ga_nvml_handle *handle);
int nvmlDeviceGetIndex(ga_nvml_handle handle, unsigned *index);
int nvmlDeviceGetVirtualizationMode(ga_nvml_handle handle, unsigned *mode);
int nvmlDeviceGetUUID(ga_nvml_handle handle, char *text, unsigned size);
int nvmlDeviceGetName(ga_nvml_handle handle, char *text, unsigned size);
int nvmlDeviceGetSerial(ga_nvml_handle handle, char *text, unsigned size);
int nvmlDeviceGetMinorNumber(ga_nvml_handle handle, unsigned *number);
int nvmlDeviceGetPciInfo_v2(ga_nvml_handle handle, struct ga_nvml_pci *pci);
int nvmlDeviceGetPciInfo_v3(ga_nvml_handle handle, struct ga_nvml_pci *pci);
int nvmlDeviceGetMemoryInfo(ga_nvml_handle handle, struct ga_nvml_memory_v1 *memory);
int nvmlDeviceGetMemoryInfo_v2(ga_nvml_handle handle, struct ga_nvml_memory_v2 *memory);
int nvmlDeviceGetUtilizationRates(ga_nvml_handle handle, struct ga_nvml_utilization *utilization);
int nvmlDeviceGetComputeMode(ga_nvml_handle handle, unsigned *mode);
int nvmlDeviceGetDisplayActive(ga_nvml_handle handle, unsigned *active);
int nvmlDeviceGetCudaComputeCapability(ga_nvml_handle handle, int *major, int *minor);
int nvmlDeviceGetCpuAffinity(ga_nvml_handle handle, unsigned words, unsigned long *mask);
int nvmlDeviceGetMemoryAffinity(ga_nvml_handle handle, unsigned words, unsigned long *mask,
				unsigned scope);
int nvmlDeviceGetRetiredPagesPendingStatus(ga_nvml_handle handle, unsigned *pending);
int nvmlDeviceGetRemappedRows(ga_nvml_handle handle, unsigned *correctable, unsigned *uncorrectable,
			      unsigned *pending, unsigned *failed);

int nvmlDeviceGetComputeRunningProcesses(ga_nvml_handle handle, unsigned *count, void *records);
int nvmlDeviceGetComputeRunningProcesses_v2(ga_nvml_handle handle, unsigned *count, void *records);
int nvmlDeviceGetComputeRunningProcesses_v3(ga_nvml_handle handle, unsigned *count, void *records);
int nvmlDeviceGetGraphicsRunningProcesses(ga_nvml_handle handle, unsigned *count, void *records);
int nvmlDeviceGetGraphicsRunningProcesses_v2(ga_nvml_handle handle, unsigned *count, void *records);
int nvmlDeviceGetGraphicsRunningProcesses_v3(ga_nvml_handle handle, unsigned *count, void *records);
int nvmlDeviceGetMPSComputeRunningProcesses(ga_nvml_handle handle, unsigned *count, void *records);
int nvmlDeviceGetMPSComputeRunningProcesses_v2(ga_nvml_handle handle, unsigned *count,
					       void *records);
int nvmlDeviceGetMPSComputeRunningProcesses_v3(ga_nvml_handle handle, unsigned *count,
					       void *records);
int nvmlDeviceGetConfComputeMemSizeInfo(ga_nvml_handle handle, void *info);
int nvmlDeviceGetRunningProcessDetailList(ga_nvml_handle handle, void *list);

int nvmlDeviceGetTopologyCommonAncestor(ga_nvml_handle one, ga_nvml_handle other, int *ancestor);
int nvmlDeviceGetP2PStatus(ga_nvml_handle one, ga_nvml_handle other, int index, int *status);
int nvmlDeviceGetNvLinkState(ga_nvml_handle handle, unsigned link, unsigned *active);
int nvmlDeviceGetNvLinkVersion(ga_nvml_handle handle, unsigned link, unsigned *version);
int nvmlDeviceGetNvLinkRemotePciInfo_v2(ga_nvml_handle handle, unsigned link,
					struct ga_nvml_pci *pci);
int nvmlDeviceGetNvLinkRemoteDeviceType(ga_nvml_handle handle, unsigned link, int *type);
int nvmlDeviceGetFieldValues(ga_nvml_handle handle, int count, struct ga_nvml_field *fields);
int nvmlDeviceGetGpuFabricInfo(ga_nvml_handle handle, struct ga_nvml_fabric_v1 *fabric);
int nvmlDeviceGetGpuFabricInfoV(ga_nvml_handle handle, void *fabric);
int nvmlDeviceGetGpuFabricInfo_v4(ga_nvml_handle handle, struct ga_nvml_fabric_v4 *fabric);

int nvmlDeviceGetMigMode(ga_nvml_handle handle, unsigned *current, unsigned *pending);
int nvmlDeviceGetMaxMigDeviceCount(ga_nvml_handle handle, unsigned *count);
int nvmlDeviceGetMigDeviceHandleByIndex(ga_nvml_handle handle, unsigned index,
					ga_nvml_handle *instance);
int nvmlDeviceGetGpuInstanceId(ga_nvml_handle handle, unsigned *number);
int nvmlDeviceGetComputeInstanceId(ga_nvml_handle handle, unsigned *number);
int nvmlDeviceGetAttributes_v2(ga_nvml_handle handle, struct ga_nvml_attributes *attributes);

#endif
