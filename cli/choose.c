/* SPDX-License-Identifier: Apache-2.0 */
/* From the options of choice to a choice; see choose.h. */
#include "choose.h"

#include "message.h"
#include "open.h"
#include "owned.h"
#include "stores.h"
#include "suggest.h"
#include "text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

void chosen_free(struct chosen *chosen)
{
	gpualloc_choice_free(chosen->choice);
	gpualloc_request_free(chosen->request);
	gpualloc_policy_free(chosen->policy);
	gpualloc_machine_free(chosen->machine);
}

static int read_count(const struct call *call, gpualloc_request *request)
{
	const char *word = call->value[OPTION_COUNT];
	int64_t count;

	if (!word)
		return 0;
	if (!ga_text_number(word, strlen(word), INT64_MAX, &count) || count == 0)
		return fail_usage(call->command,
				  "--count: \"%s\" is not a number of devices; give a whole number "
				  "from 1",
				  word);
	gpualloc_request_set_count(request, count);
	return 0;
}

static int read_seed(const struct call *call, gpualloc_request *request)
{
	const char *word = call->value[OPTION_SEED];
	uint64_t seed;

	if (!word)
		return 0;
	if (!ga_text_unsigned(word, strlen(word), UINT64_MAX, &seed))
		return fail_usage(call->command,
				  "--seed: \"%s\" is not a seed; give a whole number from 0", word);
	gpualloc_request_set_seed(request, seed);
	return 0;
}

static int read_size(const struct call *call, enum option_id id, const char *name,
		     int64_t *ret_bytes)
{
	auto_error gpualloc_error *error = gpualloc_error_new();

	if (gpualloc_size_parse(call->value[id], ret_bytes, error) == 0)
		return 0;
	if (!error)
		return fail_memory();
	return fail_usage(call->command, "--%s: %s", name, gpualloc_error_message(error));
}

static int read_memory(const struct call *call, gpualloc_request *request)
{
	int64_t bytes = -1;
	int result = 0;

	if (call->value[OPTION_MEMORY])
		result = read_size(call, OPTION_MEMORY, "memory", &bytes);
	if (result)
		return result;
	if (call->value[OPTION_MEMORY] || call->value[OPTION_SHARE])
		gpualloc_request_set_memory(request, bytes, call->value[OPTION_SHARE] != NULL);
	if (!call->value[OPTION_IGNORE_PROCESSES])
		return 0;
	bytes = -1;
	if (*call->value[OPTION_IGNORE_PROCESSES])
		result = read_size(call, OPTION_IGNORE_PROCESSES, "ignore-processes", &bytes);
	if (result == 0)
		gpualloc_request_set_ignore_processes(request, bytes);
	return result;
}

static int read_policy(const struct call *call, struct chosen *chosen)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	const char *word = call->value[OPTION_POLICY], *name;
	struct suggestion near = {0};
	int result = 0;

	if (word)
		result = gpualloc_policy_open(word, &chosen->policy, error);
	gpualloc_request_set_policy(chosen->request, chosen->policy);
	if (result != GPUALLOC_EUSAGE || !error)
		return result < 0 ? fail_memory() : 0;
	for (size_t i = 0; (name = gpualloc_policy_name(i)); i++)
		suggest_offer(&near, word, name);
	if (near.word)
		return fail_usage(call->command, "%s; did you mean --policy %s?",
				  gpualloc_error_message(error), near.word);
	return fail_usage(call->command, "%s", gpualloc_error_message(error));
}

static int read_model(const struct call *call, gpualloc_request *request)
{
	const char *word = call->value[OPTION_MODEL];

	if (word && !*word)
		return fail_usage(call->command, "--model: give part of a GPU's name");
	return gpualloc_request_set_model(request, word) < 0 ? fail_memory() : 0;
}

/* A program that will be given devices may well be started where it can see none. */
static bool environment_restricts(const struct call *call)
{
	const char *visible = getenv("CUDA_VISIBLE_DEVICES");

	if (call->value[OPTION_IGNORE_ENV])
		return false;
	if (!call->command->gives)
		return true;
	return visible && *visible && strcmp(visible, "-1") != 0;
}

static int read_texts(const struct call *call, gpualloc_request *request)
{
	bool environment = environment_restricts(call);
	const char *mig = call->value[OPTION_MIG];
	int result = gpualloc_request_set_only(request, call->value[OPTION_ONLY]);

	if (result == 0)
		result = gpualloc_request_set_exclude(request, call->value[OPTION_EXCLUDE]);
	if (result == 0)
		result = gpualloc_request_set_require(request, call->value[OPTION_REQUIRE]);
	if (result == 0 && mig)
		result = gpualloc_request_set_mig(request, *mig ? mig : NULL);
	if (result == 0 && environment)
		result = gpualloc_request_set_environment(request, getenv("CUDA_VISIBLE_DEVICES"),
							  getenv("CUDA_DEVICE_ORDER"));
	gpualloc_request_set_mixed(request, call->value[OPTION_MIXED] != NULL);
	return result < 0 ? fail_memory() : 0;
}

int request_read(const struct call *call, struct chosen *ret_chosen)
{
	int result;

	ret_chosen->request = gpualloc_request_new();
	if (!ret_chosen->request)
		return fail_memory();
	result = read_count(call, ret_chosen->request);
	if (result == 0)
		result = read_seed(call, ret_chosen->request);
	if (result == 0)
		result = read_memory(call, ret_chosen->request);
	if (result == 0)
		result = read_policy(call, ret_chosen);
	if (result == 0)
		result = read_model(call, ret_chosen->request);
	if (result == 0)
		result = read_texts(call, ret_chosen->request);
	return result;
}

int choose(const struct call *call, bool alternatives, struct chosen *ret_chosen)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = request_read(call, ret_chosen);

	if (result == 0)
		result = open_machine(call, &ret_chosen->machine);
	if (result == 0)
		result = add_config(call, ret_chosen->machine, call->command->goes_on);
	if (result == 0 && !call->value[OPTION_IGNORE_LEASES])
		result = add_leases(call, ret_chosen->machine);
	if (result)
		return result;
	gpualloc_request_set_alternatives(ret_chosen->request, alternatives);
	result = gpualloc_choose(ret_chosen->machine, ret_chosen->request, &ret_chosen->choice,
				 error);
	return result < 0 ? fail_error(result, error) : 0;
}
