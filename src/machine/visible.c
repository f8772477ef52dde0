/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA_VISIBLE_DEVICES as the driver reads it; see visible.h. */
#include "visible.h"

#include "cleanup.h"
#include "cuda_order.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "Fastest first" is also the order of PCI addresses if all GPUs are of one model. */
static int check_models(const gpualloc_machine *machine, const struct ga_environment *environment,
			gpualloc_error *error)
{
	const char *order = environment->device_order;

	if (order && strcmp(order, "PCI_BUS_ID") == 0)
		return 0;
	for (size_t i = 0; i < machine->device_count; i++)
		if (!ga_text_same(machine->devices[i].name, machine->devices[0].name))
			return ga_error_set(
				error, GPUALLOC_EUSAGE,
				environment->visible_devices
					? "CUDA_VISIBLE_DEVICES has indices, which are ambiguous "
					  "on a machine with several models: set "
					  "CUDA_DEVICE_ORDER=PCI_BUS_ID, or use UUIDs"
					: "a framework's numbers are ambiguous on a machine with "
					  "several models: set CUDA_DEVICE_ORDER=PCI_BUS_ID");
	return 0;
}

/* GPUs in the order in which CUDA counts them. */
static int by_cuda_order(const gpualloc_machine *machine, const struct ga_environment *environment,
			 struct ga_device_list *gpus, gpualloc_error *error)
{
	int result = check_models(machine, environment, error);

	if (result < 0)
		return result;
	gpus->devices = malloc((machine->device_count + 1) * sizeof(void *));
	if (!gpus->devices)
		return ga_error_memory(error);
	result = ga_cuda_order(machine, gpus->devices, error);
	if (result < 0)
		return environment->visible_devices
			       ? ga_error_prefix(error, GPUALLOC_EUSAGE,
						 "CUDA_VISIBLE_DEVICES has indices; use UUIDs: ")
			       : result;
	gpus->count = machine->device_count;
	return 0;
}

static const gpualloc_device *shown_as(const gpualloc_device *gpu)
{
	return gpu->mig_enabled && gpu->mig_count > 0 ? &gpu->mig[0] : gpu;
}

/* As strtol() does: reads a number at the start and ignores what follows. */
static bool leading_number(struct ga_view word, int64_t *ret_number)
{
	size_t sign = word.size > 0 && (word.text[0] == '+' || word.text[0] == '-');
	size_t digits = sign;
	bool negative = sign && word.text[0] == '-';

	while (digits < word.size && word.text[digits] >= '0' && word.text[digits] <= '9')
		digits++;
	if (!ga_text_number(word.text + sign, digits - sign, INT32_MAX, ret_number))
		return false;
	return !negative || *ret_number == 0;
}

static void find_uuid(const gpualloc_device *device, struct ga_view word,
		      const gpualloc_device **found, size_t *count)
{
	if (device->uuid && strncasecmp(device->uuid, word.text, word.size) == 0) {
		*found = device;
		(*count)++;
	}
}

static const gpualloc_device *by_uuid(const gpualloc_machine *machine, struct ga_view word)
{
	const gpualloc_device *found = NULL;
	size_t count = 0;

	for (size_t i = 0; i < machine->device_count; i++) {
		const gpualloc_device *gpu = &machine->devices[i];

		find_uuid(gpu, word, &found, &count);
		for (size_t m = 0; m < gpu->mig_count; m++)
			find_uuid(&gpu->mig[m], word, &found, &count);
	}
	return count == 1 ? found : NULL;
}

static bool is_uuid(struct ga_view word)
{
	if (ga_text_is_bare_uuid(word.text, word.size))
		return true;
	return word.size >= 4 &&
	       (strncmp(word.text, "GPU-", 4) == 0 || strncmp(word.text, "MIG-", 4) == 0);
}

static const gpualloc_device *by_word(const gpualloc_machine *machine,
				      const struct ga_device_list *gpus, struct ga_view word,
				      bool uuids)
{
	int64_t number;

	if (is_uuid(word) != uuids)
		return NULL;
	if (uuids)
		return by_uuid(machine, word);
	if (!leading_number(word, &number) || (size_t)number >= gpus->count)
		return NULL;
	return shown_as(gpus->devices[number]);
}

static int read_list(const gpualloc_machine *machine, const char *text,
		     const struct ga_device_list *gpus, struct ga_device_list *list,
		     gpualloc_error *error)
{
	bool uuids = is_uuid(ga_view_trim(text, strcspn(text, ",")));

	for (;;) {
		size_t length = strcspn(text, ","), before = list->count;
		const gpualloc_device *device =
			by_word(machine, gpus, ga_view_trim(text, length), uuids);

		if (!device)
			return 0;
		if (ga_device_list_add(list, device) < 0)
			return ga_error_memory(error);
		if (list->count == before) {
			list->count = 0;
			return 0;
		}
		if (!text[length])
			return 0;
		text += length + 1;
	}
}

/* A list that starts with neither a UUID nor an index ("", "-1", "NoDevFiles") shows nothing. */
static bool shows_nothing(const char *text)
{
	struct ga_view first = ga_view_trim(text, strcspn(text, ","));
	int64_t number;

	return !is_uuid(first) && !leading_number(first, &number);
}

int ga_visible_devices(const gpualloc_machine *machine, const struct ga_environment *environment,
		       struct ga_device_list *ret_list, gpualloc_error *error)
{
	ga_auto_device_list struct ga_device_list gpus = {0}, list = {0};
	const char *text = environment->visible_devices;
	bool nothing = text && shows_nothing(text);
	bool uuids = text && is_uuid(ga_view_trim(text, strcspn(text, ",")));
	int result = nothing || uuids ? 0 : by_cuda_order(machine, environment, &gpus, error);

	if (result == GPUALLOC_EUSAGE && text)
		(void)ga_error_remedy(error, result, GPUALLOC_REMEDY_IGNORE_VISIBLE);
	for (size_t i = 0; result == 0 && !text && i < gpus.count; i++)
		if (ga_device_list_add(&list, shown_as(gpus.devices[i])) < 0)
			result = ga_error_memory(error);
	if (result == 0 && text && !nothing)
		result = read_list(machine, text, &gpus, &list, error);
	if (result < 0)
		return result;
	*ret_list = list;
	list = (struct ga_device_list){0};
	return 0;
}
