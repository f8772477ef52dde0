/* SPDX-License-Identifier: Apache-2.0 */
/* Finds devices by the names people give them; see device_id.h. */
#include "device_id.h"

#include "cleanup.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void ga_device_list_free(struct ga_device_list *list)
{
	free(list->devices);
	*list = (struct ga_device_list){0};
}

static bool has_exactly(const struct ga_device_list *list, const gpualloc_device *device)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->devices[i] == device)
			return true;
	return false;
}

bool ga_device_list_has(const struct ga_device_list *list, const gpualloc_device *device)
{
	return has_exactly(list, device) || (device->parent && has_exactly(list, device->parent));
}

int ga_device_list_add(struct ga_device_list *list, const gpualloc_device *device)
{
	const gpualloc_device **devices;

	if (has_exactly(list, device))
		return 0;
	devices = realloc(list->devices, (list->count + 1) * sizeof *devices);
	if (!devices)
		return GPUALLOC_ENOMEM;
	list->devices = devices;
	devices[list->count++] = device;
	return 0;
}

const char *ga_device_id(const gpualloc_device *device, char text[static GA_DEVICE_ID_SIZE])
{
	if (!device->parent)
		(void)snprintf(text, GA_DEVICE_ID_SIZE, "%lld", (long long)device->index);
	else if (device->gi >= 0 && device->ci >= 0)
		(void)snprintf(text, GA_DEVICE_ID_SIZE, "%lld:%lld:%lld",
			       (long long)device->parent->index, (long long)device->gi,
			       (long long)device->ci);
	else
		(void)snprintf(text, GA_DEVICE_ID_SIZE, "MIG device %lld of GPU %lld",
			       (long long)device->index, (long long)device->parent->index);
	return text;
}

/* How many devices, starting with the first, are GPUs with consecutive indices. */
static size_t run_length(const gpualloc_device *const *devices, size_t count)
{
	size_t length = 1;

	while (length < count && !devices[0]->parent && !devices[length]->parent &&
	       devices[length]->index == devices[0]->index + (int64_t)length)
		length++;
	return length;
}

size_t ga_device_ids(const gpualloc_device *const *devices, size_t count, char *text, size_t size)
{
	size_t length = 0;

	if (size > 0)
		*text = '\0';
	for (size_t i = 0; i < count;) {
		size_t run = run_length(devices + i, count - i);
		char first[GA_DEVICE_ID_SIZE], last[GA_DEVICE_ID_SIZE];
		bool fits = length < size;

		if (run < 3)
			run = 1;
		length += (size_t)snprintf(fits ? text + length : NULL, fits ? size - length : 0,
					   "%s%s%s%s", i > 0 ? "," : "",
					   ga_device_id(devices[i], first), run > 1 ? "-" : "",
					   run > 1 ? ga_device_id(devices[i + run - 1], last) : "");
		i += run;
	}
	return length;
}

struct search {
	const gpualloc_machine *machine;
	struct ga_device_list *list;
	gpualloc_error *error;
};

static int found(struct search *search, const gpualloc_device *device)
{
	return ga_device_list_add(search->list, device) < 0 ? ga_error_memory(search->error) : 0;
}

static int no_such(struct search *search, struct ga_view word)
{
	return ga_error_remedy(search->error,
			       ga_error_set(search->error, GPUALLOC_EUSAGE,
					    "there is no device \"%.*s\" on this machine",
					    (int)word.size, word.text),
			       GPUALLOC_REMEDY_SHOW_DEVICES);
}

static const gpualloc_device *by_index(const gpualloc_machine *machine, int64_t index)
{
	for (size_t i = 0; i < machine->device_count; i++)
		if (machine->devices[i].index == index)
			return &machine->devices[i];
	return NULL;
}

/* A range may span gaps in the numbering, but it must contain a device. */
static int add_range(struct search *search, struct ga_view word, int64_t first, int64_t last)
{
	size_t before = search->list->count;
	bool any = false;

	if (first > last)
		return ga_error_set(search->error, GPUALLOC_EUSAGE,
				    "\"%.*s\": a range must go from low to high", (int)word.size,
				    word.text);
	for (size_t i = 0; i < search->machine->device_count; i++) {
		const gpualloc_device *device = &search->machine->devices[i];

		if (device->index < first || device->index > last)
			continue;
		any = true;
		if (found(search, device) < 0)
			return GPUALLOC_ENOMEM;
	}
	return any || search->list->count > before ? 0 : no_such(search, word);
}

static int add_index(struct search *search, struct ga_view word)
{
	const char *dash = memchr(word.text, '-', word.size);
	size_t head = dash ? (size_t)(dash - word.text) : word.size;
	const gpualloc_device *device;
	int64_t first, last;

	if (!ga_text_number(word.text, head, INT32_MAX, &first))
		return no_such(search, word);
	if (dash) {
		if (!ga_text_number(dash + 1, word.size - head - 1, INT32_MAX, &last))
			return no_such(search, word);
		return add_range(search, word, first, last);
	}
	device = by_index(search->machine, first);
	return device ? found(search, device) : no_such(search, word);
}

static int add_pci(struct search *search, struct ga_view word)
{
	char pci[20];

	if (ga_pci_normalise(word.text, word.size, pci))
		for (size_t i = 0; i < search->machine->device_count; i++)
			if (ga_text_same(search->machine->devices[i].pci, pci))
				return found(search, &search->machine->devices[i]);
	return no_such(search, word);
}

/* parent:gi takes every compute instance of that GPU instance. */
static int add_instances(struct search *search, struct ga_view word)
{
	const char *first = memchr(word.text, ':', word.size);
	const char *end = word.text + word.size;
	const char *second = memchr(first + 1, ':', (size_t)(end - first - 1));
	const char *gi_end = second ? second : end;
	const gpualloc_device *gpu;
	int64_t index, gi, ci = GA_UNKNOWN;
	bool any = false;

	if (!ga_text_number(word.text, (size_t)(first - word.text), INT32_MAX, &index) ||
	    !ga_text_number(first + 1, (size_t)(gi_end - first - 1), INT32_MAX, &gi) ||
	    (second && !ga_text_number(second + 1, (size_t)(end - second - 1), INT32_MAX, &ci)))
		return no_such(search, word);
	gpu = by_index(search->machine, index);
	for (size_t i = 0; gpu && i < gpu->mig_count; i++) {
		const gpualloc_device *instance = &gpu->mig[i];

		if (instance->gi != gi || (second && instance->ci != ci))
			continue;
		any = true;
		if (found(search, instance) < 0)
			return GPUALLOC_ENOMEM;
	}
	return any ? 0 : no_such(search, word);
}

struct match {
	const gpualloc_device *device;
	size_t count;
	bool whole;
};

static void match_uuid(struct match *match, const gpualloc_device *device, struct ga_view word)
{
	bool whole;

	if (!device->uuid || match->whole || strncasecmp(device->uuid, word.text, word.size) != 0)
		return;
	whole = device->uuid[word.size] == '\0';
	match->count = whole ? 1 : match->count + 1;
	match->whole = whole;
	match->device = device;
}

static int add_uuid(struct search *search, struct ga_view word)
{
	struct match match = {0};

	for (size_t i = 0; i < search->machine->device_count; i++) {
		const gpualloc_device *device = &search->machine->devices[i];

		match_uuid(&match, device, word);
		for (size_t m = 0; m < device->mig_count; m++)
			match_uuid(&match, &device->mig[m], word);
	}
	if (match.count > 1)
		return ga_error_set(search->error, GPUALLOC_EUSAGE,
				    "\"%.*s\" is the start of %zu UUIDs; give more of it",
				    (int)word.size, word.text, match.count);
	return match.count == 1 ? found(search, match.device) : no_such(search, word);
}

static int add_word(struct search *search, struct ga_view word)
{
	if (word.size == 0)
		return ga_error_set(search->error, GPUALLOC_EUSAGE,
				    "the list of devices has an empty entry");
	if (memchr(word.text, '.', word.size))
		return add_pci(search, word);
	if (memchr(word.text, ':', word.size))
		return add_instances(search, word);
	if (word.text[0] >= '0' && word.text[0] <= '9' &&
	    !ga_text_is_bare_uuid(word.text, word.size))
		return add_index(search, word);
	return add_uuid(search, word);
}

int ga_device_list_parse(const gpualloc_machine *machine, const char *text,
			 struct ga_device_list *ret_list, gpualloc_error *error)
{
	ga_auto_device_list struct ga_device_list list = {0};
	struct search search = {machine, &list, error};

	if (ga_view_trim(text, strlen(text)).size == 0)
		return ga_error_set(error, GPUALLOC_EUSAGE, "the list of devices is empty");
	for (;;) {
		size_t length = strcspn(text, ",");
		int result = add_word(&search, ga_view_trim(text, length));

		if (result < 0)
			return result;
		if (!text[length])
			break;
		text += length + 1;
	}
	*ret_list = list;
	list = (struct ga_device_list){0};
	return 0;
}
