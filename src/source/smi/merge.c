/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes one machine out of several outputs. What one output said is never replaced by another's. A
 * GPU is recognised by its PCI address, or else its UUID, or else its place.
 */
#include "smi.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

/* ---- merging ---- */

static bool same_gpu(const struct gpualloc_device *a, const struct gpualloc_device *b)
{
	if (a->pci && b->pci)
		return strcmp(a->pci, b->pci) == 0;
	if (a->uuid && b->uuid)
		return strcmp(a->uuid, b->uuid) == 0;
	return a->index >= 0 && a->index == b->index;
}

static bool comparable(const struct gpualloc_device *a, const struct gpualloc_device *b)
{
	return (a->pci && b->pci) || (a->uuid && b->uuid) || (a->index >= 0 && b->index >= 0);
}

/*
 * The machine's device that is part's i-th, or NULL. Masked UUIDs may all be the same: if several
 * fit, the index decides, and then the place in the output, which is the same everywhere.
 */
static struct gpualloc_device *counterpart(gpualloc_machine *machine, const gpualloc_machine *part,
					   size_t i)
{
	const struct gpualloc_device *wanted = &part->devices[i];
	struct gpualloc_device *first = NULL, *there = NULL;

	for (size_t d = 0; d < machine->device_count; d++) {
		struct gpualloc_device *device = &machine->devices[d];

		if (!same_gpu(device, wanted))
			continue;
		if (device->index >= 0 && device->index == wanted->index)
			return device;
		first = first ? first : device;
	}
	if (machine->device_count == part->device_count)
		there = &machine->devices[i];
	if (first)
		return there && same_gpu(there, wanted) ? there : first;
	/* If one of them says nothing that can be compared with the other. */
	return there && !comparable(there, wanted) ? there : NULL;
}

static void move_text(char **to, char **from)
{
	if (!*to)
		*to = ga_steal(from);
}

static void move_number(int64_t *to, int64_t from)
{
	if (*to < 0)
		*to = from;
}

static void move_processes(struct gpualloc_device *to, struct gpualloc_device *from)
{
	if (to->process_count > 0 || to->processes_known)
		return;
	to->processes_known = from->processes_known;
	to->processes_hidden = from->processes_hidden;
	to->processes = ga_steal(&from->processes);
	to->process_count = from->process_count;
	from->process_count = 0;
}

static void move_instances(struct gpualloc_device *to, struct gpualloc_device *from)
{
	to->mig_enabled = to->mig_enabled || from->mig_enabled;
	if (to->mig_count > 0)
		return;
	to->mig = ga_steal(&from->mig);
	to->mig_count = from->mig_count;
	from->mig_count = 0;
}

static int move_device(struct gpualloc_device *to, struct gpualloc_device *from)
{
	move_number(&to->index, from->index);
	move_text(&to->uuid, &from->uuid);
	move_text(&to->serial, &from->serial);
	move_text(&to->name, &from->name);
	move_text(&to->pci, &from->pci);
	move_number(&to->minor, from->minor);
	move_number(&to->memory.total, from->memory.total);
	move_number(&to->memory.reserved, from->memory.reserved);
	move_number(&to->memory.used, from->memory.used);
	move_number(&to->utilization, from->utilization);
	if (to->display < 0)
		to->display = from->display;
	if (to->compute_mode == GA_COMPUTE_UNKNOWN)
		to->compute_mode = from->compute_mode;
	move_processes(to, from);
	move_instances(to, from);
	return from->health == GPUALLOC_HEALTH_OK ? 0 : ga_smi_ail(to, from->health, from->reason);
}

int ga_smi_merge(gpualloc_machine *machine, gpualloc_machine *part)
{
	move_text(&machine->driver, &part->driver);
	for (size_t i = 0; i < part->note_count; i++)
		if (ga_machine_note(machine, "%s", part->notes[i]) < 0)
			return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < part->device_count; i++) {
		struct gpualloc_device *device = counterpart(machine, part, i);

		if (!device && machine->device_count == GA_DEVICES_MAX)
			continue;
		if (!device)
			device = ga_machine_add_device(machine);
		if (!device || move_device(device, &part->devices[i]) < 0)
			return GPUALLOC_ENOMEM;
	}
	return 0;
}

/* ---- MIG instances ---- */

static struct gpualloc_device *instance_at(struct gpualloc_device *device, int64_t gi, int64_t ci)
{
	for (size_t i = 0; gi >= 0 && ci >= 0 && i < device->mig_count; i++)
		if (device->mig[i].gi == gi && device->mig[i].ci == ci)
			return &device->mig[i];
	return NULL;
}

/* Whether the list's UUIDs (in the old form) say which instance each of them is. */
static bool tells_places(const struct gpualloc_device *listed)
{
	for (size_t i = 0; i < listed->mig_count; i++)
		if (listed->mig[i].gi < 0 || listed->mig[i].ci < 0)
			return false;
	return true;
}

static bool same_ordinals(const struct gpualloc_device *a, const struct gpualloc_device *b)
{
	if (a->mig_count != b->mig_count)
		return false;
	for (size_t i = 0; i < a->mig_count; i++)
		if (a->mig[i].index != b->mig[i].index)
			return false;
	return true;
}

static int move_instance_names(struct gpualloc_device *device, struct gpualloc_device *listed)
{
	bool by_place = tells_places(listed);
	int unmatched = 0;

	for (size_t i = 0; i < listed->mig_count; i++) {
		struct gpualloc_device *from = &listed->mig[i];
		struct gpualloc_device *to =
			by_place ? instance_at(device, from->gi, from->ci) : &device->mig[i];

		unmatched += to == NULL;
		if (!to)
			continue;
		move_text(&to->uuid, &from->uuid);
		move_text(&to->profile, &from->profile);
	}
	return unmatched;
}

static int note_difference(gpualloc_machine *machine, const struct gpualloc_device *device,
			   const struct gpualloc_device *listed)
{
	return ga_machine_note(machine,
			       "GPU %lld: nvidia-smi -L lists %zu MIG devices but -q -x has %zu; "
			       "they changed between the two calls, so some cannot be matched",
			       (long long)listed->index, listed->mig_count, device->mig_count);
}

int ga_smi_merge_instances(gpualloc_machine *machine, gpualloc_machine *list, bool *ret_differ)
{
	if (ret_differ)
		*ret_differ = false;
	for (size_t i = 0; i < list->device_count; i++) {
		struct gpualloc_device *listed = &list->devices[i];
		struct gpualloc_device *device = counterpart(machine, list, i);
		bool agree;

		if (device)
			move_number(&device->index, listed->index);
		if (!device || (listed->mig_count == 0 && device->mig_count == 0))
			continue;
		agree = listed->mig_count > 0 && tells_places(listed)
				? device->mig_count == listed->mig_count
				: same_ordinals(device, listed);
		if (!agree && ret_differ) {
			*ret_differ = true;
			return 0;
		}
		if (agree || tells_places(listed))
			agree = move_instance_names(device, listed) == 0 && agree;
		if (!agree && note_difference(machine, device, listed) < 0)
			return GPUALLOC_ENOMEM;
	}
	return 0;
}

/* ---- settling ---- */

static int by_pci(const void *a, const void *b)
{
	return strcmp(((const struct gpualloc_device *)a)->pci,
		      ((const struct gpualloc_device *)b)->pci);
}

static int by_index(const void *a, const void *b)
{
	int64_t one = ((const struct gpualloc_device *)a)->index;
	int64_t other = ((const struct gpualloc_device *)b)->index;

	/* Those without an index come after all others. */
	if ((one < 0) != (other < 0))
		return one < 0 ? 1 : -1;
	if (one == other && ((const struct gpualloc_device *)a)->pci &&
	    ((const struct gpualloc_device *)b)->pci)
		return by_pci(a, b);
	return one < other ? -1 : one > other;
}

static void sort(gpualloc_machine *machine, int (*compare)(const void *, const void *))
{
	if (machine->device_count > 1)
		qsort(machine->devices, machine->device_count, sizeof *machine->devices, compare);
}

/* The log alone has no index: the driver counts GPUs in the order of their PCI addresses. */
static void number_by_address(gpualloc_machine *machine)
{
	for (size_t i = 0; i < machine->device_count; i++)
		if (machine->devices[i].index >= 0)
			return;
	for (size_t i = 0; i < machine->device_count; i++)
		if (!machine->devices[i].pci)
			break;
		else if (i + 1 == machine->device_count)
			sort(machine, by_pci);
	for (size_t i = 0; i < machine->device_count; i++)
		machine->devices[i].index = (int64_t)i;
}

/* An index that another GPU already has does not count; the first GPU keeps it. */
static int drop_repeated_indices(gpualloc_machine *machine)
{
	int64_t last = GA_UNKNOWN;

	for (size_t i = 0; i < machine->device_count; i++) {
		struct gpualloc_device *device = &machine->devices[i];

		if (device->index >= 0 && device->index == last) {
			if (ga_machine_note(machine,
					    "several GPUs have the index %lld; all but one are "
					    "shown with another index",
					    (long long)last) < 0)
				return GPUALLOC_ENOMEM;
			device->index = GA_UNKNOWN;
		} else if (device->index >= 0) {
			last = device->index;
		}
	}
	return 0;
}

/* GPUs without an index fill the gaps between the others (where a lost one was), or come last. */
static void fill_holes(gpualloc_machine *machine)
{
	size_t known = 0;
	int64_t next = 0;

	while (known < machine->device_count && machine->devices[known].index >= 0)
		known++;
	for (size_t i = known, taken = 0; i < machine->device_count; i++, next++) {
		for (; taken < known && machine->devices[taken].index == next; taken++)
			next++;
		machine->devices[i].index = next;
	}
}

static int settle_indices(gpualloc_machine *machine)
{
	number_by_address(machine);
	sort(machine, by_index);
	if (drop_repeated_indices(machine) < 0)
		return GPUALLOC_ENOMEM;
	sort(machine, by_index);
	fill_holes(machine);
	sort(machine, by_index);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(**(char **const *)a, **(char **const *)b);
}

static size_t gather_uuids(gpualloc_machine *machine, char ***places)
{
	size_t count = 0;

	for (size_t i = 0; i < machine->device_count; i++) {
		struct gpualloc_device *device = &machine->devices[i];

		if (device->uuid)
			places[count++] = &device->uuid;
		for (size_t m = 0; m < device->mig_count; m++)
			if (device->mig[m].uuid)
				places[count++] = &device->mig[m].uuid;
	}
	return count;
}

/* People who publish an output often mask its UUIDs: one that several devices share names none of
 * them. */
static size_t drop_repeated_uuids(char ***places, size_t count)
{
	size_t dropped = 0;

	qsort(places, count, sizeof *places, by_text);
	for (size_t i = 0, end; i < count; i = end) {
		for (end = i + 1; end < count && strcmp(*places[i], *places[end]) == 0;)
			end++;
		for (size_t again = i; end > i + 1 && again < end; again++, dropped++) {
			free(*places[again]);
			*places[again] = NULL;
		}
	}
	return dropped;
}

static int settle_uuids(gpualloc_machine *machine)
{
	size_t all = machine->device_count, dropped;
	ga_auto_free char ***places = NULL;

	for (size_t i = 0; i < machine->device_count; i++)
		all += machine->devices[i].mig_count;
	places = calloc(all + 1, sizeof *places);
	if (!places)
		return GPUALLOC_ENOMEM;
	dropped = drop_repeated_uuids(places, gather_uuids(machine, places));
	if (dropped == 0)
		return 0;
	return ga_machine_note(machine, "%zu devices share their UUID with another; it is left out",
			       dropped);
}

/* These use the machine's memory, and their memory cells are all [N/A]. */
static void find_unified_memory(gpualloc_machine *machine)
{
	static const char *const models[] = {"GB10", "Jetson", "Orin", "Tegra",
					     "Thor", "Xavier", "nvgpu"};

	for (size_t i = 0; i < machine->device_count; i++) {
		struct gpualloc_device *device = &machine->devices[i];

		for (size_t m = 0; m < sizeof models / sizeof *models; m++)
			if (device->memory.total < 0 && device->name &&
			    strstr(device->name, models[m]))
				device->memory_unified = true;
	}
}

int ga_smi_settle(gpualloc_machine *machine, gpualloc_error *error)
{
	int result;

	find_unified_memory(machine);
	if (settle_indices(machine) < 0 || settle_uuids(machine) < 0 ||
	    ga_set_text(&machine->source, "nvidia-smi") < 0)
		return ga_error_memory(error);
	for (size_t i = 0; i < machine->device_count; i++)
		for (size_t m = 0; m < machine->devices[i].mig_count; m++)
			machine->devices[i].mig[m].index = (int64_t)m;
	result = ga_machine_link(machine, error);
	return result < 0 ? result : ga_machine_finish(machine, error);
}
