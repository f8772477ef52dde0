/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies: pure functions from devices, links and a request to a set of devices. No I/O, no clock,
 * no state; each is one const descriptor in the table of policy.c.
 */
#ifndef GA_POLICY_POLICY_H
#define GA_POLICY_POLICY_H

#include "device_set.h"
#include "machine.h"
#include "policies.h"

/* A device that may be chosen. Two candidates may be MIG instances of one GPU. */
struct ga_candidate {
	const gpualloc_device *device;
	size_t place; /* of its GPU in the machine: row and column of the links */
	int64_t free; /* bytes of it that a request may have; GA_UNKNOWN if unknown */
};

/*
 * What a policy is asked. The candidates are already limited to what the request allows; their
 * order counts.
 */
struct ga_question {
	const gpualloc_machine *machine;
	const struct ga_candidate *candidates;
	size_t candidate_count;
	const size_t *required; /* numbers of candidates, each once, at most want */
	size_t required_count;
	size_t want; /* 1 or more, at most candidate_count */
	/*
	 * GPUs that others could still ask for later, by place; balanced needs this. NULL: the
	 * candidates themselves.
	 */
	const struct ga_device_set *idle;
	uint64_t seed;   /* of random */
	uint64_t budget; /* steps of a search before it answers without a proof; 0: the default */
};

struct ga_answer {
	size_t *chosen; /* numbers of candidates, want of them, in the policy's order */
	size_t count;
	int64_t value;        /* of what the policy maximises; GA_UNKNOWN if it maximises nothing */
	int64_t bound;        /* no answer is better than this */
	bool proven;          /* value is the best there is */
	uint64_t transitions; /* steps that the search took */
};

void ga_answer_free(struct ga_answer *answer);
#define ga_auto_answer ga_cleanup(ga_answer_free)

/* How a policy prefers one model to another, if several have an answer. */
enum ga_memory_wish { GA_MEMORY_ANY, GA_MEMORY_LEAST, GA_MEMORY_MOST };

/* Everything that other code knows about a policy; no code asks which policy it is. */
struct ga_policy {
	const char *name;
	const char *description; /* a line for --help */
	bool by_topology;        /* refused for MIG instances and shares */
	bool by_memory;          /* only free memory counts, processes do not */
	bool by_chance;          /* all answers are equally likely, and so are all models */
	bool by_partition;       /* every answer is a search over all candidates */
	enum ga_memory_wish memory;
	/*
	 * GPUALLOC_EIMPOSSIBLE if this policy has no such set on any machine like this,
	 * GPUALLOC_EBUSY if it has one, but not among these candidates.
	 */
	int (*choose)(const struct ga_question *question, struct ga_answer *ret_answer,
		      gpualloc_error *error);
};

/* In alphabetical order; NULL past the end. */
const struct ga_policy *ga_policy_at(size_t i);
const struct ga_policy *ga_policy_find(const char *name);
/* GPUALLOC_EUSAGE, with the names of all policies. */
int ga_policy_unknown(const char *name, gpualloc_error *error);

/*
 * Asks a policy and checks what it answers: as many as wanted, of the candidates, the required
 * among them, none twice. A question that makes no sense is refused before the policy sees it.
 */
int ga_policy_choose(const struct ga_policy *policy, const struct ga_question *question,
		     struct ga_answer *ret_answer, gpualloc_error *error);
/* The same check for an answer from outside (a caller's own policy); name is in messages. */
int ga_answer_check(const char *name, const struct ga_question *question,
		    const struct ga_answer *answer, gpualloc_error *error);

/* Each policy is one file, and one line in meson.build, from which policies.h is made. */
#define GA_POLICY_DECLARE(name) extern const struct ga_policy ga_policy_##name;
GA_POLICIES(GA_POLICY_DECLARE)

/* ---- what sets are worth; places are GPUs of the machine ---- */

enum { GA_SCORE_A_LEVEL = 10, GA_SCORE_A_LINK = 100 };
/* 10 × level (SYS 1 … BOARD 6) + 100 × NVLinks; an unknown level is 0. */
int64_t ga_pair_score(const gpualloc_machine *machine, size_t a, size_t b);
int64_t ga_places_score(const gpualloc_machine *machine, const size_t *places, size_t count);

struct ga_worth {
	int64_t bandwidth; /* predicted, of a collective, in MB/s; GA_UNKNOWN for fewer than two */
	int64_t score;     /* the sum of pair scores */
	int64_t fit;       /* the same, but without peer-to-peer distant GPUs go well together */
};
/* GPUALLOC_ENOMEM or 0. */
int ga_places_measure(const gpualloc_machine *machine, const size_t *places, size_t count,
		      struct ga_worth *ret_worth);
/* Its bandwidth, or GPUALLOC_ENOMEM. */
int64_t ga_places_bandwidth(const gpualloc_machine *machine, const size_t *places, size_t count);

#endif
