/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy answers, and the check that it is an answer to what was asked. */
#include "cleanup.h"
#include "policy.h"

#include <stdlib.h>

void ga_answer_free(struct ga_answer *answer)
{
	free(answer->chosen);
	*answer = (struct ga_answer){0};
}

int ga_answer_check(const char *name, const struct ga_question *question,
		    const struct ga_answer *answer, gpualloc_error *error)
{
	ga_auto_device_set struct ga_device_set seen = {0};

	if (answer->count != question->want)
		return ga_error_set(error, GPUALLOC_EDATA,
				    "policy %s: chose %zu devices, %zu were asked for", name,
				    answer->count, question->want);
	if (!ga_device_set_init(&seen, question->candidate_count))
		return ga_error_memory(error);
	for (size_t i = 0; i < answer->count; i++) {
		if (answer->chosen[i] >= question->candidate_count)
			return ga_error_set(error, GPUALLOC_EDATA,
					    "policy %s: chose a device that was not offered", name);
		if (ga_device_set_has(&seen, answer->chosen[i]))
			return ga_error_set(
				error, GPUALLOC_EDATA, "policy %s: chose device %lld twice", name,
				(long long)question->candidates[answer->chosen[i]].device->index);
		ga_device_set_add(&seen, answer->chosen[i]);
	}
	for (size_t i = 0; i < question->required_count; i++)
		if (!ga_device_set_has(&seen, question->required[i]))
			return ga_error_set(error, GPUALLOC_EDATA,
					    "policy %s: left out the required device %lld", name,
					    (long long)question->candidates[question->required[i]]
						    .device->index);
	return 0;
}
