/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exported face of policies, requests and choices: the calls pass on what they are given and
 * decide nothing.
 */
#include "cleanup.h"
#include "decide.h"
#include "describe.h"
#include "order.h"
#include "size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- policies ---- */

size_t gpualloc_policy_count(void)
{
	size_t count = 0;

	while (ga_policy_at(count))
		count++;
	return count;
}

const char *gpualloc_policy_name(size_t i)
{
	const struct ga_policy *policy = ga_policy_at(i);

	return policy ? policy->name : NULL;
}

const char *gpualloc_policy_description(size_t i)
{
	const struct ga_policy *policy = ga_policy_at(i);

	return policy ? policy->description : NULL;
}

int gpualloc_policy_open(const char *name, gpualloc_policy **ret_policy, gpualloc_error *error)
{
	const struct ga_policy *built_in = name ? ga_policy_find(name) : NULL;
	gpualloc_policy *policy;

	if (!name)
		return ga_error_missing(error, "the name of the policy");
	if (!built_in)
		return ga_policy_unknown(name, error);
	policy = calloc(1, sizeof *policy);
	if (!policy)
		return ga_error_memory(error);
	policy->built_in = built_in;
	*ret_policy = policy;
	return 0;
}

int gpualloc_policy_new(const char *name, gpualloc_policy_function *function, void *context,
			gpualloc_policy **ret_policy, gpualloc_error *error)
{
	gpualloc_policy *policy;

	if (!name || !function)
		return ga_error_missing(error,
					name ? "the policy's function" : "the name of the policy");
	policy = calloc(1, sizeof *policy);
	if (!policy || ga_set_text(&policy->own.name, name) < 0) {
		free(policy);
		return ga_error_memory(error);
	}
	policy->own.choose = function;
	policy->own.context = context;
	*ret_policy = policy;
	return 0;
}

void gpualloc_policy_free(gpualloc_policy *policy)
{
	if (!policy)
		return;
	free(policy->own.name);
	free(policy);
}

/* ---- requests ---- */

int gpualloc_size_parse(const char *text, int64_t *ret_bytes, gpualloc_error *error)
{
	return text ? ga_size_parse(text, ret_bytes, error) : ga_error_missing(error, "the size");
}

gpualloc_request *gpualloc_request_new(void)
{
	return ga_request_new();
}

void gpualloc_request_free(gpualloc_request *request)
{
	ga_request_free(request);
}

void gpualloc_request_set_count(gpualloc_request *request, int64_t count)
{
	if (!request)
		return;
	request->count = count;
}

void gpualloc_request_set_policy(gpualloc_request *request, const gpualloc_policy *policy)
{
	if (!request)
		return;
	request->policy = policy;
}

void gpualloc_request_set_memory(gpualloc_request *request, int64_t bytes, int share)
{
	if (!request)
		return;
	request->memory = bytes;
	request->share = share != 0;
}

void gpualloc_request_set_seed(gpualloc_request *request, uint64_t seed)
{
	if (!request)
		return;
	request->seed = seed;
	request->seeded = true;
}

void gpualloc_request_set_ignore_processes(gpualloc_request *request, int64_t bytes)
{
	if (!request)
		return;
	request->tolerate = bytes < 0 ? INT64_MAX : bytes;
}

void gpualloc_request_set_mixed(gpualloc_request *request, int mixed)
{
	if (!request)
		return;
	request->mixed = mixed != 0;
}

void gpualloc_request_set_alone(gpualloc_request *request, int alone)
{
	if (!request)
		return;
	request->alone = alone != 0;
}

void gpualloc_request_set_alternatives(gpualloc_request *request, int wanted)
{
	if (!request)
		return;
	request->alternatives = wanted != 0;
}

int gpualloc_request_set_mig(gpualloc_request *request, const char *profile)
{
	if (!request)
		return GPUALLOC_EUSAGE;
	request->mig = true;
	return ga_set_text(&request->profile, profile);
}

int gpualloc_request_set_model(gpualloc_request *request, const char *text)
{
	return request ? ga_set_text(&request->model, text) : GPUALLOC_EUSAGE;
}

/* An empty list is kept: it is not the same as no list, and the choice reports it as a mistake. */
static int set_list(char **field, const char *list)
{
	char *copy = list ? strdup(list) : NULL;

	if (list && !copy)
		return GPUALLOC_ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

int gpualloc_request_set_only(gpualloc_request *request, const char *list)
{
	return request ? set_list(&request->only, list) : GPUALLOC_EUSAGE;
}

int gpualloc_request_set_exclude(gpualloc_request *request, const char *list)
{
	return request ? set_list(&request->exclude, list) : GPUALLOC_EUSAGE;
}

int gpualloc_request_set_require(gpualloc_request *request, const char *list)
{
	return request ? set_list(&request->require, list) : GPUALLOC_EUSAGE;
}

int gpualloc_request_set_environment(gpualloc_request *request, const char *visible_devices,
				     const char *device_order)
{
	int result = request ? set_list(&request->visible, visible_devices) : GPUALLOC_EUSAGE;

	return result < 0 ? result : set_list(&request->device_order, device_order);
}

/* ---- choices ---- */

int gpualloc_choose(const gpualloc_machine *machine, const gpualloc_request *request,
		    gpualloc_choice **ret_choice, gpualloc_error *error)
{
	if (!machine || !request)
		return ga_error_missing(error, machine ? "the request" : "the machine");
	return ga_decide(machine, request, ret_choice, error);
}

static int check_places(const gpualloc_machine *machine, const size_t *places, size_t count,
			gpualloc_error *error)
{
	if (!machine || (!places && count > 0))
		return ga_error_missing(error, machine ? "the list of devices" : "the machine");
	for (size_t i = 0; i < count; i++)
		if (places[i] >= machine->device_count)
			return ga_error_set(error, GPUALLOC_EUSAGE,
					    "device %zu of %zu does not exist", places[i],
					    machine->device_count);
	return 0;
}

void gpualloc_choice_free(gpualloc_choice *choice)
{
	ga_choice_free(choice);
}

const char *gpualloc_choice_policy(const gpualloc_choice *choice)
{
	return choice ? choice->policy : NULL;
}

size_t gpualloc_choice_device_count(const gpualloc_choice *choice)
{
	return choice ? choice->count : 0;
}

const gpualloc_device *gpualloc_choice_device(const gpualloc_choice *choice, size_t i)
{
	return choice && i < choice->count ? choice->devices[i] : NULL;
}

int64_t gpualloc_choice_value(const gpualloc_choice *choice)
{
	return choice ? choice->answer.value : GA_UNKNOWN;
}

int64_t gpualloc_choice_bound(const gpualloc_choice *choice)
{
	return choice ? choice->answer.bound : GA_UNKNOWN;
}

int gpualloc_choice_proven(const gpualloc_choice *choice)
{
	return choice ? choice->answer.proven : 0;
}

int64_t gpualloc_choice_score(const gpualloc_choice *choice)
{
	return choice ? choice->score : GA_UNKNOWN;
}

int64_t gpualloc_choice_bandwidth(const gpualloc_choice *choice)
{
	return choice ? choice->bandwidth : GA_UNKNOWN;
}

/* ---- what was not chosen ---- */

size_t gpualloc_choice_rejection_count(const gpualloc_choice *choice)
{
	return choice ? choice->selection.rejection_count : 0;
}

const gpualloc_rejection *gpualloc_choice_rejection(const gpualloc_choice *choice, size_t i)
{
	return choice && i < choice->selection.rejection_count ? &choice->selection.rejections[i]
							       : NULL;
}

const gpualloc_device *gpualloc_rejection_device(const gpualloc_rejection *rejection)
{
	return rejection ? rejection->device : NULL;
}

const char *gpualloc_rejection_reason(const gpualloc_rejection *rejection)
{
	return rejection ? rejection->reason : NULL;
}

unsigned gpualloc_rejection_remedies(const gpualloc_rejection *rejection)
{
	return rejection ? rejection->remedies : GPUALLOC_REMEDY_NONE;
}

size_t gpualloc_choice_alternative_count(const gpualloc_choice *choice)
{
	return choice ? choice->alternative_count : 0;
}

const gpualloc_alternative *gpualloc_choice_alternative(const gpualloc_choice *choice, size_t i)
{
	return choice && i < choice->alternative_count ? &choice->alternatives[i] : NULL;
}

size_t gpualloc_alternative_device_count(const gpualloc_alternative *alternative)
{
	return alternative ? alternative->count : 0;
}

const gpualloc_device *gpualloc_alternative_device(const gpualloc_alternative *alternative,
						   size_t i)
{
	return alternative && i < alternative->count ? alternative->devices[i] : NULL;
}

int64_t gpualloc_alternative_value(const gpualloc_alternative *alternative)
{
	return alternative ? alternative->value : GA_UNKNOWN;
}

int64_t gpualloc_alternative_score(const gpualloc_alternative *alternative)
{
	return alternative ? alternative->score : GA_UNKNOWN;
}

int64_t gpualloc_alternative_bandwidth(const gpualloc_alternative *alternative)
{
	return alternative ? alternative->bandwidth : GA_UNKNOWN;
}

int gpualloc_machine_score(const gpualloc_machine *machine, const size_t *devices, size_t count,
			   int64_t *ret_score, int64_t *ret_bandwidth, gpualloc_error *error)
{
	int result = check_places(machine, devices, count, error);
	int64_t bandwidth;

	if (result < 0)
		return result;
	bandwidth = ga_places_bandwidth(machine, devices, count);
	if (bandwidth == GPUALLOC_ENOMEM)
		return ga_error_memory(error);
	*ret_score = ga_places_score(machine, devices, count);
	*ret_bandwidth = bandwidth;
	return 0;
}

/* ---- a device's other names ---- */

size_t gpualloc_device_ids(const gpualloc_device *const *devices, size_t count, char *text,
			   size_t size)
{
	return ga_device_ids(devices, devices ? count : 0, text, size);
}

int gpualloc_device_framework_name(const gpualloc_machine *machine, const gpualloc_device *device,
				   const char *visible_devices, const char *device_order,
				   char **ret_name, gpualloc_error *error)
{
	struct ga_environment environment = {visible_devices, device_order};
	ga_auto_device_list struct ga_device_list visible = {0};
	int result = machine && device ? ga_visible_devices(machine, &environment, &visible, error)
				       : ga_error_missing(error, "the device");
	char id[GA_DEVICE_ID_SIZE];

	if (result < 0)
		return result;
	for (size_t i = 0; i < visible.count; i++) {
		if (visible.devices[i] != device)
			continue;
		return asprintf(ret_name, "cuda:%zu", i) < 0 ? ga_error_memory(error) : 0;
	}
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "device %s is not visible to a framework here: %s",
			    ga_device_id(device, id),
			    visible_devices ? "CUDA_VISIBLE_DEVICES leaves it out"
					    : "name it in CUDA_VISIBLE_DEVICES");
}

int gpualloc_device_describe(const gpualloc_machine *machine, const gpualloc_device *device,
			     char **ret_text, gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer out = GA_BUFFER_INIT(1 << 20);
	char *text;

	if (!machine || !device)
		return ga_error_missing(error, "the device");
	ga_describe_device(machine, device, &out);
	text = ga_buffer_take(&out, NULL);
	if (!text)
		return ga_error_memory(error);
	*ret_text = text;
	return 0;
}

int gpualloc_devices_order(const gpualloc_machine *machine, const gpualloc_device **devices,
			   size_t count, gpualloc_error *error)
{
	if (!machine || (!devices && count > 0))
		return ga_error_missing(error, machine ? "the list of devices" : "the machine");
	return count < 2 ? 0 : ga_order_devices(machine, devices, count, error);
}
