/* SPDX-License-Identifier: Apache-2.0 */
/* What decide measures: one policy, on questions from vectors, machines and shapes. */
#ifndef DECIDE_H
#define DECIDE_H

#include "partition_shapes.h"
#include "policy.h"

/* What decisions cost: the slowest of those added. */
struct cost {
	uint64_t nanoseconds; /* median of many runs */
	uint64_t transitions;
	size_t cases, unproven, refused;
	char slowest[64];
};

/* Asks until the median is steady and adds what it took. */
void decide_measure(const struct ga_policy *policy, const struct ga_question *question,
		    const char *name, struct cost *cost);

/* A row of the table of bars: shapes that are asked, each for every number of devices. */
struct bar {
	const char *title;
	uint64_t partition; /* what best-effort may take, in nanoseconds; 0: no bar */
	uint64_t bandwidth; /* what bandwidth and balanced may take */
	void (*ask)(const struct ga_policy *policy, struct cost *cost);
};

extern const struct bar decide_bars[];
extern const size_t decide_bar_count;

#endif
