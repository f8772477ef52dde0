/* SPDX-License-Identifier: Apache-2.0 */
/* Taking and giving back within one program; see allocator.h. */
#include "allocator.h"

#include <stdio.h>
#include <stdlib.h>

void ga_allocator_free(gpualloc_allocator *allocator)
{
	if (!allocator)
		return;
	ga_device_set_free(&allocator->taken);
	ga_machine_free(allocator->own_machine);
	free(allocator->own_policy);
	free(allocator);
}

int ga_allocator_new(const gpualloc_machine *machine, const struct gpualloc_policy *policy,
		     gpualloc_allocator **ret_allocator, gpualloc_error *error)
{
	gpualloc_allocator *allocator = calloc(1, sizeof *allocator);

	if (!allocator || !ga_device_set_init(&allocator->taken, machine->device_count)) {
		free(allocator);
		return ga_error_memory(error);
	}
	allocator->machine = machine;
	allocator->policy = policy;
	*ret_allocator = allocator;
	return 0;
}

/* Healthy GPUs that are not in MIG mode, without those already taken. */
static bool can_be_taken(const gpualloc_allocator *allocator, size_t place)
{
	const gpualloc_device *device = &allocator->machine->devices[place];

	return device->health == GPUALLOC_HEALTH_OK && !device->mig_enabled &&
	       !ga_device_set_has(&allocator->taken, place);
}

const gpualloc_device *ga_allocator_device(const gpualloc_allocator *allocator, bool taken,
					   size_t i)
{
	for (size_t place = 0; place < allocator->machine->device_count; place++)
		if ((taken ? ga_device_set_has(&allocator->taken, place)
			   : can_be_taken(allocator, place)) &&
		    i-- == 0)
			return &allocator->machine->devices[place];
	return NULL;
}

size_t ga_allocator_device_count(const gpualloc_allocator *allocator, bool taken)
{
	size_t count = 0;

	while (ga_allocator_device(allocator, taken, count))
		count++;
	return count;
}

/* The device's place; device_count if it is not a GPU of this machine. */
static size_t place_of(const gpualloc_allocator *allocator, const gpualloc_device *device)
{
	for (size_t place = 0; place < allocator->machine->device_count; place++)
		if (&allocator->machine->devices[place] == device)
			return place;
	return allocator->machine->device_count;
}

int ga_allocator_take(gpualloc_allocator *allocator, size_t count,
		      const gpualloc_device **ret_devices, gpualloc_error *error)
{
	size_t all = allocator->machine->device_count;
	ga_auto_free struct ga_candidate *candidates = calloc(all + 1, sizeof *candidates);
	struct ga_question question = {
		.machine = allocator->machine, .candidates = candidates, .want = count};
	gpualloc_choice *choice = NULL;
	int result;

	if (!candidates)
		return ga_error_memory(error);
	for (size_t place = 0; place < all; place++)
		if (can_be_taken(allocator, place))
			candidates[question.candidate_count++] =
				ga_candidate_of(allocator->machine, place);
	if (count > all)
		return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				    "%zu devices asked for, but this machine has %zu", count, all);
	result = ga_decide_among(allocator->machine, &question, allocator->policy, &choice, error);
	if (result < 0)
		return result;
	for (size_t i = 0; i < choice->count; i++) {
		ret_devices[i] = choice->devices[i];
		ga_device_set_add(&allocator->taken, place_of(allocator, choice->devices[i]));
	}
	ga_choice_free(choice);
	return 0;
}

/* Names every device of the list in the wrong state: not free, or not taken. */
static int check_each(const gpualloc_allocator *allocator, const gpualloc_device *const *devices,
		      size_t count, bool taken, gpualloc_error *error)
{
	ga_auto_device_set struct ga_device_set seen = {0};
	char wrong[512] = "", id[GA_DEVICE_ID_SIZE];
	size_t length = 0, faults = 0;

	if (!ga_device_set_init(&seen, allocator->machine->device_count))
		return ga_error_memory(error);
	for (size_t i = 0; i < count; i++) {
		size_t place = place_of(allocator, devices[i]);
		bool known = place < allocator->machine->device_count;
		bool right = known && !ga_device_set_has(&seen, place) &&
			     (taken ? ga_device_set_has(&allocator->taken, place)
				    : can_be_taken(allocator, place));

		if (known)
			ga_device_set_add(&seen, place);
		if (right)
			continue;
		if (length < sizeof wrong)
			length +=
				(size_t)snprintf(wrong + length, sizeof wrong - length, "%s%s",
						 faults ? ", " : "", ga_device_id(devices[i], id));
		faults++;
	}
	if (faults == 0)
		return 0;
	return ga_error_set(error, taken ? GPUALLOC_EUSAGE : GPUALLOC_EBUSY,
			    taken ? "not taken, so not given back: %s" : "not available: %s",
			    wrong);
}

int ga_allocator_take_these(gpualloc_allocator *allocator, const gpualloc_device *const *devices,
			    size_t count, gpualloc_error *error)
{
	int result = check_each(allocator, devices, count, false, error);

	for (size_t i = 0; result == 0 && i < count; i++)
		ga_device_set_add(&allocator->taken, place_of(allocator, devices[i]));
	return result;
}

int ga_allocator_give_back(gpualloc_allocator *allocator, const gpualloc_device *const *devices,
			   size_t count, gpualloc_error *error)
{
	int result = check_each(allocator, devices, count, true, error);

	for (size_t i = 0; result == 0 && i < count; i++)
		ga_device_set_remove(&allocator->taken, place_of(allocator, devices[i]));
	return result;
}
