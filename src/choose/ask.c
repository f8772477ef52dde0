/* SPDX-License-Identifier: Apache-2.0 */
/* One door to both kinds of policy; see ask.h. */
#include "ask.h"

#include "cleanup.h"
#include "question.h"

#include <stdlib.h>

static int ask_own(const struct ga_own_policy *own, const struct ga_question *question,
		   struct ga_answer *ret_answer, gpualloc_error *error)
{
	ga_auto_answer struct ga_answer answer = {.value = GA_UNKNOWN, .bound = GA_UNKNOWN};
	gpualloc_question shown = {.asked = *question};
	int count, result;

	answer.chosen = calloc(question->candidate_count + 1, sizeof *answer.chosen);
	if (!answer.chosen)
		return ga_error_memory(error);
	count = own->choose(own->context, &shown, answer.chosen);
	if (count < 0)
		return ga_error_set(error, count, "policy %s failed with status %d", own->name,
				    count);
	answer.count = (size_t)count;
	result = ga_answer_check(own->name, question, &answer, error);
	if (result < 0)
		return result;
	*ret_answer = answer;
	answer = (struct ga_answer){0};
	return 0;
}

struct ga_asked ga_asked_of(const struct gpualloc_policy *policy, const struct ga_policy *built_in)
{
	return (struct ga_asked){built_in, policy && !policy->built_in ? &policy->own : NULL};
}

const char *ga_asked_name(const struct ga_asked *asked)
{
	return asked->own ? asked->own->name : asked->built_in->name;
}

bool ga_asked_by_topology(const struct ga_asked *asked)
{
	return asked->own || asked->built_in->by_topology;
}

int ga_ask(const struct ga_asked *asked, const struct ga_question *question,
	   struct ga_answer *ret_answer, gpualloc_error *error)
{
	return asked->own ? ask_own(asked->own, question, ret_answer, error)
			  : ga_policy_choose(asked->built_in, question, ret_answer, error);
}
