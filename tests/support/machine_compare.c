/* SPDX-License-Identifier: Apache-2.0 */
/* Compares two machines field by field; see machine_compare.h. */
#include "machine_compare.h"

#include "device_state.h"
#include "test.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct comparison {
	const char *about;
	unsigned gaps;
	char place[64]; /* devices[3].mig[0] */
};

static void say(const struct comparison *comparison, const char *field)
{
	test_about("%s: %s%s%s", comparison->about, comparison->place,
		   *comparison->place && *field ? "." : "", field);
}

static bool has_gap(const struct comparison *comparison, unsigned gap)
{
	return (comparison->gaps & gap) != 0;
}

static void same_text(const struct comparison *comparison, const char *field, unsigned gap,
		      const char *actual, const char *expected)
{
	if (has_gap(comparison, gap) && !actual)
		return;
	say(comparison, field);
	CHECK_TEXT(actual, expected);
}

static void same_number(const struct comparison *comparison, const char *field, unsigned gap,
			int64_t actual, int64_t expected)
{
	if (has_gap(comparison, gap) && actual == GA_UNKNOWN)
		return;
	say(comparison, field);
	CHECK_INT(actual, expected);
}

static void same_bytes(const struct comparison *comparison, const char *field, unsigned gap,
		       int64_t actual, int64_t expected)
{
	static const int64_t mib = INT64_C(1) << 20;
	bool rounded = has_gap(comparison, GAP_MIB) && actual >= 0 && expected >= 0 &&
		       actual % mib == 0 && llabs(actual - expected) < mib;

	if (!rounded)
		same_number(comparison, field, gap, actual, expected);
}

/* A source that does not report the reserve counts it as used, or not as memory at all. */
static void same_memory(struct comparison *comparison, const struct gpualloc_device *actual,
			const struct gpualloc_device *expected, unsigned gap)
{
	bool apart = !has_gap(comparison, GAP_RESERVED) || expected->memory.reserved < 0 ||
		     actual->memory.reserved >= 0;

	if (!apart) {
		same_bytes(comparison, "memory free", gap, ga_device_memory_free(actual),
			   ga_device_memory_free(expected));
		return;
	}
	same_bytes(comparison, "memory.total", gap, actual->memory.total, expected->memory.total);
	same_bytes(comparison, "memory.reserved", gap | GAP_RESERVED, actual->memory.reserved,
		   expected->memory.reserved);
	same_bytes(comparison, "memory.used", gap, actual->memory.used, expected->memory.used);
}

/* ---- processes, in any order ---- */

static const struct gpualloc_process *find_process(const struct gpualloc_device *device,
						   int64_t pid)
{
	for (size_t i = 0; i < device->process_count; i++)
		if (device->processes[i].pid == pid)
			return &device->processes[i];
	return NULL;
}

static bool is_listed(const struct comparison *comparison, const struct gpualloc_process *process)
{
	return !has_gap(comparison, GAP_GRAPHICS) || ga_process_computes(process);
}

static void same_process(struct comparison *comparison, const struct gpualloc_process *actual,
			 const struct gpualloc_process *expected)
{
	char field[64];

	(void)snprintf(field, sizeof field, "process %lld", (long long)expected->pid);
	say(comparison, field);
	CHECK(actual != NULL);
	if (has_gap(comparison, GAP_PROCESS_TYPE))
		CHECK_INT(ga_process_computes(actual), ga_process_computes(expected));
	else
		CHECK_TEXT(ga_process_type_name(actual->type),
			   ga_process_type_name(expected->type));
	same_bytes(comparison, field, GAP_PROCESS_MEMORY, actual->memory, expected->memory);
	same_text(comparison, field, GAP_PROCESS_NAME, actual->name, expected->name);
}

static void same_processes(struct comparison *comparison, const struct gpualloc_device *actual,
			   const struct gpualloc_device *expected, unsigned gap)
{
	size_t count = 0;

	if (has_gap(comparison, gap) && !actual->processes_known)
		return;
	/* The list of the whole GPU also shows what runs on its instances. */
	if (expected->parent && !expected->processes_known && expected->parent->processes_known)
		return;
	say(comparison, "processes");
	CHECK_INT(actual->processes_known, expected->processes_known);
	for (size_t i = 0; i < expected->process_count; i++) {
		const struct gpualloc_process *process = &expected->processes[i];

		if (!is_listed(comparison, process))
			continue;
		count++;
		same_process(comparison, find_process(actual, process->pid), process);
	}
	say(comparison, "process_count");
	CHECK_INT(actual->process_count, count);
}

/* ---- MIG ---- */

static void same_instance_uuid(struct comparison *comparison, const struct gpualloc_device *actual,
			       const struct gpualloc_device *expected)
{
	char old[256];

	if (!has_gap(comparison, GAP_MIG_UUID_OLD)) {
		same_text(comparison, "uuid", 0, actual->uuid, expected->uuid);
		return;
	}
	(void)snprintf(old, sizeof old, "MIG-%s/%lld/%lld", expected->parent->uuid,
		       (long long)expected->gi, (long long)expected->ci);
	same_text(comparison, "uuid", 0, actual->uuid, old);
}

static void same_instance(struct comparison *comparison, const struct gpualloc_device *actual,
			  const struct gpualloc_device *expected)
{
	same_instance_uuid(comparison, actual, expected);
	same_text(comparison, "profile", 0, actual->profile, expected->profile);
	same_number(comparison, "gi", 0, actual->gi, expected->gi);
	same_number(comparison, "ci", 0, actual->ci, expected->ci);
	same_memory(comparison, actual, expected, GAP_MIG_MEMORY);
	same_processes(comparison, actual, expected, GAP_MIG_PROCESSES);
}

static void same_instances(struct comparison *comparison, const struct gpualloc_device *actual,
			   const struct gpualloc_device *expected)
{
	say(comparison, "mig");
	CHECK_INT(actual->mig_enabled, expected->mig_enabled);
	CHECK_INT(actual->mig_count, expected->mig_count);
	for (size_t i = 0; i < expected->mig_count; i++) {
		(void)snprintf(comparison->place, sizeof comparison->place,
			       "devices[%lld].mig[%zu]", (long long)expected->index, i);
		same_instance(comparison, &actual->mig[i], &expected->mig[i]);
	}
}

/* ---- GPUs ---- */

static bool is_silent(const struct gpualloc_device *device)
{
	return device->health == GPUALLOC_HEALTH_LOST ||
	       device->health == GPUALLOC_HEALTH_NEEDS_RESET;
}

static void same_health(struct comparison *comparison, const struct gpualloc_device *actual,
			const struct gpualloc_device *expected)
{
	if (has_gap(comparison, GAP_HEALTH) && actual->health == GPUALLOC_HEALTH_OK)
		return;
	same_text(comparison, "health", 0, ga_health_name(actual->health),
		  ga_health_name(expected->health));
}

static void same_facts(struct comparison *comparison, const struct gpualloc_device *actual,
		       const struct gpualloc_device *expected)
{
	/* Everything may be missing for a GPU that does not answer. */
	unsigned silent = is_silent(expected) ? ~0u : 0;
	unsigned parent = silent | (expected->mig_enabled ? (unsigned)GAP_MIG_PARENT : 0);

	comparison->gaps |= silent ? 1u << 31 : 0;
	same_text(comparison, "uuid", silent, actual->uuid, expected->uuid);
	same_text(comparison, "serial", silent | GAP_SERIAL, actual->serial, expected->serial);
	same_text(comparison, "name", silent, actual->name, expected->name);
	same_text(comparison, "pci", silent, actual->pci, expected->pci);
	same_text(comparison, "cpus", silent | GAP_CPUS, actual->cpus, expected->cpus);
	same_number(comparison, "minor", silent | GAP_MINOR, actual->minor, expected->minor);
	same_number(comparison, "numa", silent | GAP_NUMA, actual->numa, expected->numa);
	same_number(comparison, "nvlink_version", silent | GAP_NVLINK_VERSION,
		    actual->nvlink_version, expected->nvlink_version);
	same_number(comparison, "display", silent | GAP_DISPLAY, actual->display,
		    expected->display);
	/* NVML has no utilization for a GPU in MIG mode, and wants the instance for the mode. */
	if (!expected->mig_enabled || actual->utilization >= 0)
		same_number(comparison, "utilization", silent | GAP_UTILIZATION,
			    actual->utilization, expected->utilization);
	if (!expected->mig_enabled || actual->compute_mode != GA_COMPUTE_UNKNOWN)
		same_text(comparison, "compute_mode", silent | GAP_COMPUTE_MODE,
			  ga_compute_mode_name(actual->compute_mode),
			  ga_compute_mode_name(expected->compute_mode));
	same_memory(comparison, actual, expected, parent);
	same_processes(comparison, actual, expected, parent | GAP_PROCESSES);
}

static void same_device(struct comparison comparison, const struct gpualloc_device *actual,
			const struct gpualloc_device *expected)
{
	(void)snprintf(comparison.place, sizeof comparison.place, "devices[%lld]",
		       (long long)expected->index);
	same_number(&comparison, "index", 0, actual->index, expected->index);
	same_health(&comparison, actual, expected);
	same_facts(&comparison, actual, expected);
	if (!is_silent(expected) || actual->mig_enabled)
		same_instances(&comparison, actual, expected);
}

static void same_link(struct comparison *comparison, const gpualloc_machine *actual,
		      const gpualloc_machine *expected, size_t i, size_t j)
{
	enum gpualloc_level level = ga_links_level(&actual->links, i, j);
	int nvlinks = ga_links_nvlinks(&actual->links, i, j);
	bool silent = is_silent(&expected->devices[i]) || is_silent(&expected->devices[j]);

	(void)snprintf(comparison->place, sizeof comparison->place, "pcie[%zu][%zu]", i, j);
	if (level != GPUALLOC_LEVEL_UNKNOWN || (!silent && !has_gap(comparison, GAP_LEVELS)))
		same_text(comparison, "", 0, ga_level_name(level),
			  ga_level_name(ga_links_level(&expected->links, i, j)));
	(void)snprintf(comparison->place, sizeof comparison->place, "nvlink[%zu][%zu]", i, j);
	if (nvlinks != GA_UNKNOWN || (!silent && !has_gap(comparison, GAP_NVLINKS)))
		same_number(comparison, "", 0, nvlinks, ga_links_nvlinks(&expected->links, i, j));
}

void check_same_machine(const char *about, const gpualloc_machine *actual,
			const gpualloc_machine *expected, unsigned gaps)
{
	struct comparison comparison = {.about = about, .gaps = gaps};

	if (!(gaps & GAP_DRIVER))
		same_text(&comparison, "driver", 0, actual->driver, expected->driver);
	say(&comparison, "device_count");
	CHECK_INT(actual->device_count, expected->device_count);
	for (size_t i = 0; i < expected->device_count; i++)
		same_device(comparison, &actual->devices[i], &expected->devices[i]);
	for (size_t i = 0; i < expected->device_count; i++)
		for (size_t j = i + 1; j < expected->device_count; j++)
			same_link(&comparison, actual, expected, i, j);
	test_about("%s", "");
}
