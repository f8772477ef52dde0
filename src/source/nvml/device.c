/* SPDX-License-Identifier: Apache-2.0 */
/* One GPU: its identity and place, its memory, its use and its health; see gpu.h. */
#include "gpu.h"

#include "cleanup.h"
#include "text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum {
	WORD_BITS = sizeof(unsigned long) * CHAR_BIT,
	CPU_WORDS = 8192 / WORD_BITS, /* the most that the kernel counts to */
	NODE_WORDS = 1024 / WORD_BITS,
};

/* The most bytes that the machine file accepts. */
static const uint64_t bytes_max = UINT64_C(1) << 56;

bool ga_nvml_worked(struct ga_nvml_gpu *gpu, int result, const char *doing)
{
	char reason[256];

	if (result == GA_NVML_SUCCESS)
		return true;
	if (gpu->sick || (result != GA_NVML_GPU_IS_LOST && result != GA_NVML_RESET_REQUIRED))
		return false;
	gpu->sick = result;
	gpu->device->health =
		result == GA_NVML_GPU_IS_LOST ? GPUALLOC_HEALTH_LOST : GPUALLOC_HEALTH_NEEDS_RESET;
	(void)snprintf(reason, sizeof reason, "NVML says \"%s\" when asked for %s",
		       ga_nvml_text(gpu->nvml, result), doing);
	/* Without memory only the sentence is lost, not the health. */
	(void)ga_set_text(&gpu->device->reason, reason);
	return false;
}

/* Why the driver does not answer; only "GPU is lost" means a lost GPU. */
static enum gpualloc_health health_by(int result)
{
	switch (result) {
	case GA_NVML_NO_PERMISSION: return GPUALLOC_HEALTH_NO_PERMISSION;
	case GA_NVML_INSUFFICIENT_POWER: return GPUALLOC_HEALTH_NO_POWER;
	case GA_NVML_TIMEOUT: return GPUALLOC_HEALTH_UNRESPONSIVE;
	case GA_NVML_IRQ_ISSUE: return GPUALLOC_HEALTH_INTERRUPT;
	case GA_NVML_OPERATING_SYSTEM: return GPUALLOC_HEALTH_BLOCKED;
	default: return GPUALLOC_HEALTH_FAILED;
	}
}

int ga_nvml_unusable(struct ga_nvml_gpu *gpu, int result, const char *doing)
{
	char reason[256];

	if (ga_nvml_worked(gpu, result, doing) || gpu->sick)
		return 0;
	gpu->sick = result;
	gpu->device->health = health_by(result);
	(void)snprintf(reason, sizeof reason, "NVML says \"%s\" when asked for %s",
		       ga_nvml_text(gpu->nvml, result), doing);
	return ga_set_text(&gpu->device->reason, reason);
}

bool ga_nvml_ask_text(struct ga_nvml_gpu *gpu, ga_nvml_text_call *call, ga_nvml_handle handle,
		      const char *doing, char *ret_text)
{
	memset(ret_text, 0, GA_NVML_NAME_SIZE);
	if (!call || !ga_nvml_worked(gpu, call(handle, ret_text, GA_NVML_NAME_SIZE - 1), doing))
		ret_text[0] = '\0';
	return ret_text[0] != '\0';
}

int64_t ga_nvml_ask_number(struct ga_nvml_gpu *gpu, ga_nvml_number_call *call,
			   ga_nvml_handle handle, const char *doing, int64_t most)
{
	unsigned number = 0;

	if (!call || !ga_nvml_worked(gpu, call(handle, &number), doing) || number > most)
		return GA_UNKNOWN;
	return number;
}

/* ---- identity and place ---- */

static int set_text(struct ga_nvml_gpu *gpu, ga_nvml_text_call *call, const char *doing,
		    char **field)
{
	char text[GA_NVML_NAME_SIZE];

	return ga_nvml_ask_text(gpu, call, gpu->handle, doing, text) ? ga_set_text(field, text) : 0;
}

/* A driver may lack this call; one that has it but cannot answer has no GPU behind the handle. */
static bool is_no_answer(int result)
{
	return result != GA_NVML_SUCCESS && result != GA_NVML_NOT_SUPPORTED &&
	       result != GA_NVML_FUNCTION_NOT_FOUND && result != GA_NVML_ARGUMENT_VERSION_MISMATCH;
}

static int read_uuid(struct ga_nvml_gpu *gpu)
{
	char text[GA_NVML_NAME_SIZE] = "";
	int result = gpu->nvml->uuid(gpu->handle, text, sizeof text - 1);

	if (is_no_answer(result))
		return ga_nvml_unusable(gpu, result, "its UUID");
	return result == GA_NVML_SUCCESS && *text ? ga_set_text(&gpu->device->uuid, text) : 0;
}

static int read_name(struct ga_nvml_gpu *gpu)
{
	return set_text(gpu, gpu->nvml->name, "its name", &gpu->device->name);
}

static int read_serial(struct ga_nvml_gpu *gpu)
{
	return set_text(gpu, gpu->nvml->serial, "its serial number", &gpu->device->serial);
}

static int read_minor(struct ga_nvml_gpu *gpu)
{
	gpu->device->minor = ga_nvml_ask_number(gpu, gpu->nvml->minor, gpu->handle,
						"its minor number", INT32_MAX);
	return 0;
}

static int read_pci(struct ga_nvml_gpu *gpu)
{
	const struct ga_nvml *nvml = gpu->nvml;
	struct ga_nvml_pci pci = {0};
	const char *address = pci.bus_id;
	size_t most = sizeof pci.bus_id;
	char normal[20];

	if (!nvml->pci_v3) {
		address = pci.bus_id_legacy;
		most = sizeof pci.bus_id_legacy;
	}
	if (!nvml->pci_v3 && !nvml->pci_v2)
		return 0;
	if (!ga_nvml_worked(gpu, (nvml->pci_v3 ? nvml->pci_v3 : nvml->pci_v2)(gpu->handle, &pci),
			    "its PCI address") ||
	    !ga_pci_normalise(address, strnlen(address, most), normal))
		return 0;
	return ga_set_text(&gpu->device->pci, normal);
}

static bool has_bit(const unsigned long *mask, size_t bit)
{
	return mask[bit / WORD_BITS] >> bit % WORD_BITS & 1;
}

/* The mask as "0-15,32-47"; false if it is empty or would not fit. */
static bool list_bits(const unsigned long *mask, size_t bits, char *text, size_t size)
{
	size_t length = 0;

	for (size_t first = 0, end; first < bits && length < size; first = end + 1) {
		for (end = first; end < bits && has_bit(mask, end);)
			end++;
		if (end == first)
			continue;
		length += (size_t)snprintf(text + length, size - length,
					   end - first > 1 ? "%s%zu-%zu" : "%s%zu",
					   length ? "," : "", first, end - 1);
	}
	return length > 0 && length < size;
}

static int read_cpus(struct ga_nvml_gpu *gpu)
{
	unsigned long mask[CPU_WORDS] = {0};
	char text[GA_TEXT_MAX + 1];

	if (!gpu->nvml->cpu_affinity ||
	    !ga_nvml_worked(gpu, gpu->nvml->cpu_affinity(gpu->handle, CPU_WORDS, mask),
			    "its CPUs") ||
	    !list_bits(mask, CPU_WORDS * WORD_BITS, text, sizeof text))
		return 0;
	return ga_set_text(&gpu->device->cpus, text);
}

/* Only if the driver names exactly one node; otherwise the host may know. */
static int read_numa(struct ga_nvml_gpu *gpu)
{
	unsigned long mask[NODE_WORDS] = {0};
	int64_t node = GA_UNKNOWN;

	if (!gpu->nvml->memory_affinity ||
	    !ga_nvml_worked(
		    gpu,
		    gpu->nvml->memory_affinity(gpu->handle, NODE_WORDS, mask, GA_NVML_SCOPE_NODE),
		    "its NUMA node"))
		return 0;
	for (size_t bit = 0; bit < NODE_WORDS * WORD_BITS; bit++) {
		if (!has_bit(mask, bit))
			continue;
		if (node != GA_UNKNOWN)
			return 0;
		node = (int64_t)bit;
	}
	gpu->device->numa = node;
	return 0;
}

/* ---- memory and use ---- */

static int64_t bytes(uint64_t number)
{
	return number <= bytes_max ? (int64_t)number : GA_UNKNOWN;
}

int ga_nvml_read_memory(struct ga_nvml_gpu *gpu, ga_nvml_handle handle,
			struct ga_memory *ret_memory)
{
	const struct ga_nvml *nvml = gpu->nvml;
	struct ga_nvml_memory_v2 new = {.version = GA_NVML_VERSION(new, 2)};
	struct ga_nvml_memory_v1 old = {0};
	int result;

	if (nvml->memory_v2 && ga_nvml_worked(gpu, nvml->memory_v2(handle, &new), "its memory") &&
	    new.total > 0) {
		ret_memory->total = bytes(new.total);
		ret_memory->reserved = bytes(new.reserved);
		ret_memory->used = bytes(new.used);
		return GA_NVML_SUCCESS;
	}
	/* A driver may have the newer call but refuse it. In the old one the reserve may count as
	 * used. */
	if (gpu->sick || !nvml->memory_v1)
		return GA_NVML_FUNCTION_NOT_FOUND;
	result = nvml->memory_v1(handle, &old);
	if (!ga_nvml_worked(gpu, result, "its memory") || old.total == 0)
		return result == GA_NVML_SUCCESS ? GA_NVML_NOT_SUPPORTED : result;
	ret_memory->total = bytes(old.total);
	ret_memory->used = bytes(old.used);
	return GA_NVML_SUCCESS;
}

/* Then only root is told about the whole GPU; its instances report for themselves. */
static bool is_in_mig_mode(const struct ga_nvml_gpu *gpu)
{
	unsigned current = 0, pending = 0;

	return gpu->nvml->mig_mode &&
	       gpu->nvml->mig_mode(gpu->handle, &current, &pending) == GA_NVML_SUCCESS &&
	       current == 1;
}

static int read_memory(struct ga_nvml_gpu *gpu)
{
	int result = ga_nvml_read_memory(gpu, gpu->handle, &gpu->device->memory);

	gpu->device->memory_unified = result == GA_NVML_NOT_SUPPORTED;
	if (gpu->sick || !is_no_answer(result) || result == GA_NVML_NO_PERMISSION ||
	    is_in_mig_mode(gpu))
		return 0;
	return ga_nvml_unusable(gpu, result, "its memory");
}

static int read_use(struct ga_nvml_gpu *gpu)
{
	const struct ga_nvml *nvml = gpu->nvml;
	struct gpualloc_device *device = gpu->device;
	struct ga_nvml_utilization utilization = {0};

	if (nvml->utilization &&
	    ga_nvml_worked(gpu, nvml->utilization(gpu->handle, &utilization), "its utilization") &&
	    utilization.gpu <= 100)
		device->utilization = utilization.gpu;
	/* The numbers of the modes are those of enum ga_compute_mode. */
	device->compute_mode = (enum ga_compute_mode)ga_nvml_ask_number(
		gpu, nvml->compute_mode, gpu->handle, "its compute mode",
		GA_COMPUTE_EXCLUSIVE_PROCESS);
	device->display =
		(int)ga_nvml_ask_number(gpu, nvml->display_active, gpu->handle, "its display", 1);
	return 0;
}

/* ---- health ---- */

static int read_health(struct ga_nvml_gpu *gpu)
{
	const struct ga_nvml *nvml = gpu->nvml;
	struct gpualloc_device *device = gpu->device;
	unsigned correctable = 0, uncorrectable = 0, pending = 0, failed = 0;

	if (ga_nvml_ask_number(gpu, nvml->retired_pending, gpu->handle, "its retired pages", 1) ==
	    1)
		device->health = GPUALLOC_HEALTH_RETIRED_PENDING;
	if (!gpu->sick && nvml->remapped_rows &&
	    ga_nvml_worked(gpu,
			   nvml->remapped_rows(gpu->handle, &correctable, &uncorrectable, &pending,
					       &failed),
			   "its remapped rows") &&
	    failed)
		device->health = GPUALLOC_HEALTH_ROW_REMAP_FAILED;
	return 0;
}

/* A guest's share of a GPU: inside the guest nobody can tell who else computes on it. */
static int read_virtualization(struct ga_nvml_gpu *gpu)
{
	if (ga_nvml_ask_number(gpu, gpu->nvml->virtualization, gpu->handle, "its virtualization",
			       INT32_MAX) == GA_NVML_VIRTUAL_GPU)
		gpu->device->processes_hidden = true;
	return 0;
}

static int read_parts(struct ga_nvml_gpu *gpu, int (*const parts[])(struct ga_nvml_gpu *gpu),
		      size_t count)
{
	int result = 0;

	for (size_t i = 0; result == 0 && !gpu->sick && i < count; i++)
		result = parts[i](gpu);
	return result;
}

int ga_nvml_read_identity(struct ga_nvml_gpu *gpu)
{
	static int (*const parts[])(struct ga_nvml_gpu * gpu) = {read_uuid, read_name, read_pci,
								 read_serial, read_minor};

	return read_parts(gpu, parts, sizeof parts / sizeof *parts);
}

int ga_nvml_read_state(struct ga_nvml_gpu *gpu)
{
	static int (*const parts[])(struct ga_nvml_gpu * gpu) = {
		read_cpus, read_numa, read_health, read_memory, read_use, read_virtualization};

	return read_parts(gpu, parts, sizeof parts / sizeof *parts);
}
