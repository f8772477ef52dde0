/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of jobs through one machine, first come, first served, each placed by a policy on what
 * is free at that time. It shows what a policy is worth in the long run. The same seed gives the
 * same jobs.
 */
#ifndef STREAM_H
#define STREAM_H

#include "policy.h"

struct stream {
	const gpualloc_machine *machine;
	size_t least, most; /* devices a job wants, all numbers equally likely */
	size_t jobs;
	unsigned load; /* percent of the machine that the jobs would keep busy */
	uint64_t seed;
};

/*
 * Harmonic mean, in thousandths, of what share of the best bandwidth for its size on the empty
 * machine each job of two or more got: what counts is the time spent on communication.
 */
int64_t stream_quality(const struct stream *stream, const struct ga_policy *policy);

#endif
