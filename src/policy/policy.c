/* SPDX-License-Identifier: Apache-2.0 */
/* The table of policies, made from the list in meson.build, and asking one of them. */
#include "policy.h"

#include "cleanup.h"

#include <stdio.h>
#include <string.h>

#define ENTRY(name) &ga_policy_##name,
static const struct ga_policy *const policies[] = {GA_POLICIES(ENTRY)};
enum { POLICY_COUNT = sizeof policies / sizeof *policies };

const struct ga_policy *ga_policy_at(size_t i)
{
	return i < POLICY_COUNT ? policies[i] : NULL;
}

const struct ga_policy *ga_policy_find(const char *name)
{
	for (size_t i = 0; i < POLICY_COUNT; i++)
		if (strcmp(policies[i]->name, name) == 0)
			return policies[i];
	return NULL;
}

int ga_policy_unknown(const char *name, gpualloc_error *error)
{
	char known[512] = "";
	size_t length = 0;

	for (size_t i = 0; i < POLICY_COUNT && length < sizeof known; i++)
		length += (size_t)snprintf(known + length, sizeof known - length, "%s%s",
					   i ? ", " : "", policies[i]->name);
	return ga_error_set(error, GPUALLOC_EUSAGE,
			    "there is no policy \"%.80s\"; the policies are %s", name, known);
}

static int check_question(const struct ga_question *question, gpualloc_error *error)
{
	ga_auto_device_set struct ga_device_set seen = {0};

	if (question->want == 0)
		return ga_error_set(error, GPUALLOC_EUSAGE, "0 devices were asked for");
	if (question->want > question->candidate_count)
		return ga_error_set(error, GPUALLOC_EBUSY,
				    "%zu devices were asked for, but there are %zu", question->want,
				    question->candidate_count);
	if (question->required_count > question->want)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "%zu devices are required, but only %zu were asked for",
				    question->required_count, question->want);
	if (question->required_count == 0)
		return 0;
	if (!ga_device_set_init(&seen, question->candidate_count))
		return ga_error_memory(error);
	for (size_t i = 0; i < question->required_count; i++) {
		if (question->required[i] >= question->candidate_count)
			return ga_error_set(error, GPUALLOC_EUSAGE,
					    "a required device is not among those offered");
		if (ga_device_set_has(&seen, question->required[i]))
			return ga_error_set(error, GPUALLOC_EUSAGE, "a device is required twice");
		ga_device_set_add(&seen, question->required[i]);
	}
	return 0;
}

int ga_policy_choose(const struct ga_policy *policy, const struct ga_question *question,
		     struct ga_answer *ret_answer, gpualloc_error *error)
{
	ga_auto_answer struct ga_answer answer = {0};
	int result = check_question(question, error);

	if (result == 0)
		result = policy->choose(question, &answer, error);
	if (result == 0)
		result = ga_answer_check(policy->name, question, &answer, error);
	if (result < 0)
		return result;
	*ret_answer = answer;
	answer = (struct ga_answer){0};
	return 0;
}
