/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's devices, processes and notes: made, filled in, checked, released; see machine.h. */
#include "machine.h"

#include "cleanup.h"
#include "p2p.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const compute_modes[] = {"default", "exclusive-thread", "prohibited",
					    "exclusive-process"};
static const char *const process_types[] = {"C", "G", "C+G", "M+C"};
static const char *const healths[] = {"ok",
				      "lost",
				      "needs-reset",
				      "row-remap-failed",
				      "retired-pending",
				      "unresponsive",
				      "no-permission",
				      "blocked",
				      "no-power",
				      "interrupt",
				      "fabric-not-ready",
				      "failed"};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct ga_memory unknown_memory = {GA_UNKNOWN, GA_UNKNOWN, GA_UNKNOWN};

static struct gpualloc_device unknown_device(void)
{
	return (struct gpualloc_device){
		.index = GA_UNKNOWN,
		.minor = GA_UNKNOWN,
		.numa = GA_UNKNOWN,
		.gi = GA_UNKNOWN,
		.ci = GA_UNKNOWN,
		.nvlink_version = GA_UNKNOWN,
		.display = GA_UNKNOWN,
		.memory = unknown_memory,
		.utilization = GA_UNKNOWN,
		.compute_mode = GA_COMPUTE_UNKNOWN,
		.lease = {.left = GA_UNKNOWN, .most = GA_UNKNOWN},
	};
}

static void forget_lease(struct gpualloc_device *device)
{
	free(device->lease.user);
	free(device->lease.holders);
	free(device->lease.barred);
	device->lease = (struct ga_device_lease){.left = GA_UNKNOWN, .most = GA_UNKNOWN};
}

bool ga_device_is_placed(const struct gpualloc_device *device)
{
	return !device->parent || (device->gi >= 0 && device->gi <= GA_GI_MOST && device->ci >= 0 &&
				   device->ci <= GA_CI_MOST);
}

static void free_device(struct gpualloc_device *device)
{
	for (size_t i = 0; i < device->process_count; i++) {
		free(device->processes[i].user);
		free(device->processes[i].name);
	}
	for (size_t i = 0; i < device->mig_count; i++)
		free_device(&device->mig[i]);
	free(device->processes);
	free(device->mig);
	free(device->uuid);
	free(device->serial);
	free(device->name);
	free(device->pci);
	free(device->cpus);
	free(device->reason);
	free(device->profile);
	forget_lease(device);
	free(device->excluded);
}

/* ---- leases and waiters ---- */

static void free_held(gpualloc_machine *machine)
{
	for (size_t i = 0; i < machine->held_count; i++) {
		ga_held_clear(machine->held[i]);
		free(machine->held[i]);
	}
	for (size_t i = 0; i < machine->waiter_count; i++) {
		ga_waiter_clear(machine->waiters[i]);
		free(machine->waiters[i]);
	}
	free(machine->held);
	free(machine->waiters);
	machine->held = NULL;
	machine->waiters = NULL;
	machine->held_count = machine->waiter_count = 0;
}

void ga_machine_forget_leases(gpualloc_machine *machine)
{
	for (size_t i = 0; i < machine->device_count; i++) {
		forget_lease(&machine->devices[i]);
		for (size_t m = 0; m < machine->devices[i].mig_count; m++)
			forget_lease(&machine->devices[i].mig[m]);
	}
	free_held(machine);
}

struct gpualloc_held *ga_machine_add_held(gpualloc_machine *machine)
{
	struct gpualloc_held **list =
		reallocarray(machine->held, machine->held_count + 1, sizeof *list);
	struct gpualloc_held *held = list ? malloc(sizeof *held) : NULL;

	if (list)
		machine->held = list;
	if (!held)
		return NULL;
	ga_held_init(held);
	list[machine->held_count++] = held;
	return held;
}

struct gpualloc_waiter *ga_machine_add_waiter(gpualloc_machine *machine)
{
	struct gpualloc_waiter **list =
		reallocarray(machine->waiters, machine->waiter_count + 1, sizeof *list);
	struct gpualloc_waiter *waiter = list ? calloc(1, sizeof *waiter) : NULL;

	if (list)
		machine->waiters = list;
	if (!waiter)
		return NULL;
	waiter->pid = waiter->since = GA_UNKNOWN;
	list[machine->waiter_count++] = waiter;
	return waiter;
}

void ga_machine_free(gpualloc_machine *machine)
{
	if (!machine)
		return;
	for (size_t i = 0; i < machine->device_count; i++)
		free_device(&machine->devices[i]);
	for (size_t i = 0; i < machine->note_count; i++)
		free(machine->notes[i]);
	ga_links_free(&machine->links);
	free_held(machine);
	free(machine->devices);
	free(machine->notes);
	free(machine->name);
	free(machine->source);
	free(machine->driver);
	free(machine);
}

void ga_machine_free_pointer(gpualloc_machine **machine)
{
	ga_machine_free(*machine);
}

int ga_machine_new(size_t count, gpualloc_machine **ret_machine, gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *machine = NULL;

	if (count > GA_DEVICES_MAX)
		return ga_error_set(error, GPUALLOC_EDATA, "%zu devices, more than the %d that fit",
				    count, GA_DEVICES_MAX);
	machine = calloc(1, sizeof *machine);
	if (!machine)
		return ga_error_memory(error);
	machine->sockets = GA_UNKNOWN;
	machine->cores_per_socket = GA_UNKNOWN;
	machine->threads_per_core = GA_UNKNOWN;
	machine->devices = calloc(count ? count : 1, sizeof *machine->devices);
	if (!machine->devices || !ga_links_init(&machine->links, count))
		return ga_error_memory(error);
	machine->device_count = count;
	for (size_t i = 0; i < count; i++) {
		machine->devices[i] = unknown_device();
		machine->devices[i].index = (int64_t)i;
	}
	*ret_machine = ga_steal(&machine);
	return 0;
}

/*
 * Makes room for one more element of size bytes after the count in *array, which doubles at powers
 * of two.
 */
static void *grow(void *array_pointer, size_t count, size_t size)
{
	void **array = array_pointer;
	void *larger;

	if (count > 0 && (count & (count - 1)) != 0)
		return (char *)*array + count * size;
	larger = realloc(*array, (count ? count * 2 : 1) * size);
	if (!larger)
		return NULL;
	*array = larger;
	return (char *)larger + count * size;
}

struct gpualloc_device *ga_machine_add_device(gpualloc_machine *machine)
{
	struct gpualloc_device *device =
		grow(&machine->devices, machine->device_count, sizeof *device);

	if (!device)
		return NULL;
	*device = unknown_device();
	machine->device_count++;
	return device;
}

int ga_machine_link(gpualloc_machine *machine, gpualloc_error *error)
{
	ga_links_free(&machine->links);
	return ga_links_init(&machine->links, machine->device_count) ? 0 : ga_error_memory(error);
}

struct gpualloc_process *ga_device_add_process(struct gpualloc_device *device)
{
	struct gpualloc_process *process =
		grow(&device->processes, device->process_count, sizeof *process);

	if (!process)
		return NULL;
	*process = (struct gpualloc_process){.pid = GA_UNKNOWN, .memory = GA_UNKNOWN};
	device->process_count++;
	return process;
}

struct gpualloc_device *ga_device_add_mig(struct gpualloc_device *device)
{
	struct gpualloc_device *instance = grow(&device->mig, device->mig_count, sizeof *instance);

	if (!instance)
		return NULL;
	*instance = unknown_device();
	instance->index = (int64_t)device->mig_count++;
	return instance;
}

void ga_device_remove_mig(struct gpualloc_device *device, size_t i)
{
	free_device(&device->mig[i]);
	device->mig_count--;
	memmove(&device->mig[i], &device->mig[i + 1],
		(device->mig_count - i) * sizeof *device->mig);
	for (; i < device->mig_count; i++)
		device->mig[i].index = (int64_t)i;
	/* The array is full at a power of two, which grow() takes from the count. */
	if (device->mig_count > 0 && (device->mig_count & (device->mig_count - 1)) == 0) {
		void *smaller = realloc(device->mig, device->mig_count * sizeof *device->mig);

		if (smaller)
			device->mig = smaller;
	}
}

int ga_set_text_sized(char **field, const char *text, size_t size)
{
	char *copy = text ? ga_text_clean(text, size) : NULL;

	if (text && !copy)
		return GPUALLOC_ENOMEM;
	if (copy && !*copy) {
		free(copy);
		copy = NULL;
	}
	free(*field);
	*field = copy;
	return 0;
}

int ga_set_text(char **field, const char *text)
{
	return ga_set_text_sized(field, text, text ? strlen(text) : 0);
}

static bool hex_until(const char **text, const char *end, char stop, unsigned most,
		      unsigned *ret_number)
{
	unsigned number = 0;
	const char *start = *text;

	for (; *text < end && **text != stop; (*text)++) {
		char c = **text;
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
							: 16;

		if (digit > 15 || number > (most - digit) / 16)
			return false;
		number = number * 16 + digit;
	}
	*ret_number = number;
	return *text > start;
}

bool ga_pci_normalise(const char *text, size_t size, char ret_pci[static 20])
{
	const char *end = text + size;
	unsigned domain = 0, bus, device, function;
	const char *first = memchr(text, ':', size);

	if (size > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	if (first && memchr(first + 1, ':', (size_t)(end - first - 1))) {
		if (!hex_until(&text, end, ':', 0xffffffffu, &domain))
			return false;
		text++;
	}
	if (!hex_until(&text, end, ':', 0xff, &bus) || text == end)
		return false;
	text++;
	if (!hex_until(&text, end, '.', 0x1f, &device) || text == end)
		return false;
	text++;
	if (!hex_until(&text, end, '\0', 7, &function) || text != end)
		return false;
	(void)snprintf(ret_pci, 20, "%08X:%02X:%02X.%X", domain, bus, device, function);
	return true;
}

int ga_machine_note(gpualloc_machine *machine, const char *format, ...)
{
	char text[GA_TEXT_MAX + 1];
	va_list arguments;
	char **note = grow(&machine->notes, machine->note_count, sizeof *note);

	if (!note)
		return GPUALLOC_ENOMEM;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	*note = ga_text_clean(text, strlen(text));
	if (!*note)
		return GPUALLOC_ENOMEM;
	machine->note_count++;
	return 0;
}

/* ---- checks for every machine, whoever made it ---- */

struct place {
	const char *uuid;
	size_t device;
	size_t mig; /* counted from 1; 0 is the GPU itself */
};

static int by_uuid(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->uuid, ((const struct place *)b)->uuid);
}

static int describe(char *text, size_t size, const struct place *place)
{
	return place->mig ? snprintf(text, size, "devices[%zu].mig[%zu].uuid", place->device,
				     place->mig - 1)
			  : snprintf(text, size, "devices[%zu].uuid", place->device);
}

static int check_uuids(struct place *places, size_t count, gpualloc_error *error)
{
	char one[64], other[64];

	qsort(places, count, sizeof *places, by_uuid);
	for (size_t i = 1; i < count; i++) {
		const struct place *a = &places[i - 1], *b = &places[i];
		bool in_order =
			a->device < b->device || (a->device == b->device && a->mig < b->mig);

		if (strcmp(a->uuid, b->uuid) != 0)
			continue;
		(void)describe(one, sizeof one, in_order ? a : b);
		(void)describe(other, sizeof other, in_order ? b : a);
		return ga_error_set(error, GPUALLOC_EDATA, "%s: the UUID %s is already that of %s",
				    other, a->uuid, one);
	}
	return 0;
}

static size_t gather_uuids(const gpualloc_machine *machine, struct place *places)
{
	size_t count = 0;

	for (size_t i = 0; i < machine->device_count; i++) {
		const struct gpualloc_device *device = &machine->devices[i];

		if (device->uuid)
			places[count++] = (struct place){device->uuid, i, 0};
		for (size_t m = 0; m < device->mig_count; m++)
			if (device->mig[m].uuid)
				places[count++] = (struct place){device->mig[m].uuid, i, m + 1};
	}
	return count;
}

int ga_machine_finish(gpualloc_machine *machine, gpualloc_error *error)
{
	ga_auto_free struct place *places = NULL;
	size_t uuids = machine->device_count;

	for (size_t i = 0; i < machine->device_count; i++) {
		struct gpualloc_device *device = &machine->devices[i];

		if (i > 0 && device->index <= machine->devices[i - 1].index)
			return ga_error_set(error, GPUALLOC_EDATA, "devices[%zu].index: %lld %s", i,
					    (long long)device->index,
					    device->index == machine->devices[i - 1].index
						    ? "again"
						    : "is out of order");
		for (size_t m = 0; m < device->mig_count; m++)
			device->mig[m].parent = device;
		uuids += device->mig_count;
	}
	if (ga_p2p_infer(machine) < 0)
		return ga_error_memory(error);
	if (uuids == 0)
		return 0;
	places = calloc(uuids, sizeof *places);
	if (!places)
		return ga_error_memory(error);
	return check_uuids(places, gather_uuids(machine, places), error);
}

bool ga_machine_is_simulated(const gpualloc_machine *machine)
{
	return ga_text_same(machine->source, "builtin");
}

/* ---- words ---- */

static bool find(const char *const *words, size_t count, const char *word, int *ret_number)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i], word) == 0) {
			*ret_number = (int)i;
			return true;
		}
	return false;
}

const char *ga_compute_mode_name(enum ga_compute_mode mode)
{
	return mode == GA_COMPUTE_UNKNOWN ? NULL : compute_modes[mode];
}

const char *ga_process_type_name(enum ga_process_type type)
{
	return process_types[type];
}

const char *ga_health_name(enum gpualloc_health health)
{
	return (size_t)health < COUNT(healths) ? healths[health] : "?";
}

bool ga_compute_mode_find(const char *name, enum ga_compute_mode *ret_mode)
{
	int number;

	if (!find(compute_modes, COUNT(compute_modes), name, &number))
		return false;
	*ret_mode = (enum ga_compute_mode)number;
	return true;
}

bool ga_process_type_find(const char *name, enum ga_process_type *ret_type)
{
	int number;

	if (!find(process_types, COUNT(process_types), name, &number))
		return false;
	*ret_type = (enum ga_process_type)number;
	return true;
}

bool ga_health_find(const char *name, enum gpualloc_health *ret_health)
{
	int number;

	if (!find(healths, COUNT(healths), name, &number))
		return false;
	*ret_health = (enum gpualloc_health)number;
	return true;
}

bool ga_process_computes(const struct gpualloc_process *process)
{
	return process->type != GA_PROCESS_GRAPHICS && !process->ignored;
}
