/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the policy answered, by what it was asked, for as long as a snapshot lasts. Sets of GPUs are
 * bits by their number in the machine, so it does not matter in which order they came.
 */
#ifndef DEVICEPLUGIN_ANSWERS_H
#define DEVICEPLUGIN_ANSWERS_H

#include <gpualloc/gpualloc.h>

#include <stdbool.h>
#include <stdint.h>

enum { ANSWER_GPUS = 256, ANSWER_WORDS = ANSWER_GPUS / 64, ANSWERS_MOST = 128 };

struct gpu_set {
	uint64_t bits[ANSWER_WORDS];
};

static inline void gpu_set_add(struct gpu_set *set, size_t number)
{
	set->bits[number / 64] |= UINT64_C(1) << number % 64;
}

static inline bool gpu_set_has(const struct gpu_set *set, size_t number)
{
	return number < ANSWER_GPUS && (set->bits[number / 64] >> number % 64 & 1);
}

bool gpu_set_same(const struct gpu_set *set, const struct gpu_set *other);
size_t gpu_set_count(const struct gpu_set *set);

struct answer {
	struct gpu_set offered, required;
	size_t wanted;
	struct gpu_set chosen;
};

/* The latest, each once; a new one takes the place of the oldest. */
struct answers {
	struct answer list[ANSWERS_MOST];
	size_t count, next;
};

/* Puts the question to the policy (NULL: the default) and fills in what it chooses. */
int answer_ask(struct answer *answer, const gpualloc_machine *machine,
	       const gpualloc_policy *policy);
/* NULL: that was not asked lately. */
const struct answer *answers_find(const struct answers *answers, const struct answer *asked);
void answers_add(struct answers *answers, const struct answer *answer);
void answers_forget(struct answers *answers);

#endif
