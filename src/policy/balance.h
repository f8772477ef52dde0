/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What balanced weighs: how far this job lags behind the best that the machine could ever give a
 * job of its size, and how far future jobs would lag in their best places: jobs of 2 to 6 devices,
 * all equally likely. Lags add up, because what counts is the time spent on communication.
 */
#ifndef GA_POLICY_BALANCE_H
#define GA_POLICY_BALANCE_H

#include "field.h"
#include "set/within.h"

enum { GA_LATER_FIRST = 2, GA_LATER_LAST = 6 };
/*
 * A job that runs as fast as possible has this lag; a job with half the bandwidth has twice this
 * lag.
 */
enum { GA_LAG_NONE = 1 << 16, GA_LAG_MAX = 1 << 30 };
struct ga_balance {
	const struct ga_set_graph *graph;
	const bool *idle;
	size_t want;
	int64_t ideal_own; /* MB/s; 0: there is nothing to compare with */
	int64_t ideal[GA_LATER_LAST + 1];
	size_t later_last; /* larger sizes do not fit any more; less than GA_LATER_FIRST: none does
			    */
	uint32_t idle_mask;
	bool by_table; /* for every set that can remain */
	struct ga_set_within within;
	int32_t *lag[GA_LATER_LAST + 1]; /* by size, by rank within */
	int32_t *lags;
	size_t *rest; /* scratch space if there is no table */
	int64_t *links;
	bool *taken;
};

int ga_balance_init(const gpualloc_machine *machine, const struct ga_field *field,
		    const struct ga_question *question, struct ga_balance *ret_balance);
void ga_balance_free(struct ga_balance *balance);
#define ga_auto_balance ga_cleanup(ga_balance_free)

int32_t ga_balance_lag(int64_t ideal, int64_t bandwidth);

/* The lag of the best set of size among the idle vertices that are not in mask. */
static inline int32_t ga_balance_later(const struct ga_balance *balance, size_t size, uint32_t mask)
{
	return balance
		->lag[size][ga_set_within_rank(&balance->within, size, balance->idle_mask & ~mask)];
}

/* The lag of a size that does not fit: worse than the slowest path. */
int32_t ga_balance_lag_impossible(const struct ga_balance *balance, size_t size);

/* Also fills in the ideals that are still 0, with the best in the tables. */
int ga_balance_fill_table(struct ga_balance *balance);
/* Without a table: a good set by greedy growth; no more than the truth. Or GPUALLOC_ENOMEM. */
int64_t ga_balance_estimate(struct ga_balance *balance, const size_t *rest, size_t count,
			    size_t size);

#endif
