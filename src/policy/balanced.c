/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balanced: the set that is best for this job and future ones together, as balance.h weighs them.
 * For one device only future jobs count, so it takes the one whose loss hurts least. Ties are
 * decided as by bandwidth: pair scores, NUMA nodes, what remains, the order offered.
 *
 * Its value is what is left of the ideal bandwidth, the harmonic mean over this job and those to
 * come, in millionths.
 */
#include "balance.h"
#include "cleanup.h"

/* This job counts as much as all future sizes together. */
enum { OWN_WEIGHT = GA_LATER_LAST - GA_LATER_FIRST + 1, MILLION = 1000000 };

/* A search maximises, so lags are subtracted from this. */
static const int64_t ceiling = INT64_C(1) << 40;

static bool own_counts(const struct ga_balance *balance)
{
	return balance->want >= 2 && balance->ideal_own > 0;
}

static bool all_idle(const struct ga_balance *balance, uint32_t mask)
{
	return (mask & ~balance->idle_mask) == 0;
}

/* The bandwidth with which a set lags no more than allowed. */
static int64_t bandwidth_for(const struct ga_balance *balance, int64_t allowed)
{
	return allowed < GA_LAG_MAX ? balance->ideal_own * GA_LAG_NONE / (allowed + 1) + 1 : 0;
}

/* Lag of the set itself; any value above allowed if it is certain to be above allowed. */
static int64_t own_lag(const struct ga_balance *balance, const size_t *set, int64_t allowed)
{
	int64_t floor, bandwidth;

	if (allowed < GA_LAG_NONE)
		return GA_LAG_NONE;
	floor = bandwidth_for(balance, allowed);
	bandwidth = ga_set_bandwidth(balance->graph, set, balance->want, floor);
	if (bandwidth < 0)
		return bandwidth;
	return bandwidth < floor ? allowed + 1 : ga_balance_lag(balance->ideal_own, bandwidth);
}

static int64_t value_by_table(void *context, const size_t *set, int64_t floor)
{
	const struct ga_balance *balance = context;
	uint32_t mask = 0;
	int64_t lags = 0, own = 0;

	for (size_t i = 0; i < balance->want; i++)
		mask |= 1U << set[i];
	for (size_t size = GA_LATER_FIRST; size <= balance->later_last; size++)
		lags += ga_balance_later(balance, size, mask);
	if (own_counts(balance) && ceiling - lags >= floor) {
		if (balance->want <= balance->later_last && all_idle(balance, mask))
			own = ga_balance_later(balance, balance->want, ~mask);
		else
			own = own_lag(balance, set, (ceiling - lags - floor) / OWN_WEIGHT);
	}
	return own < 0 ? own : ceiling - lags - OWN_WEIGHT * own;
}

static size_t list_rest(struct ga_balance *balance, const size_t *set)
{
	size_t rest = 0;

	for (size_t v = 0; v < balance->graph->count; v++)
		balance->taken[v] = !balance->idle[v];
	for (size_t i = 0; i < balance->want; i++)
		balance->taken[set[i]] = true;
	for (size_t v = 0; v < balance->graph->count; v++)
		if (!balance->taken[v])
			balance->rest[rest++] = v;
	return rest;
}

static int64_t value_by_growing(void *context, const size_t *set, int64_t floor)
{
	struct ga_balance *balance = context;
	size_t rest = list_rest(balance, set);
	int64_t lags = 0;

	if (own_counts(balance)) {
		lags = own_lag(balance, set, (ceiling - floor) / OWN_WEIGHT);
		if (lags < 0)
			return lags;
		lags *= OWN_WEIGHT;
	}
	for (size_t size = GA_LATER_FIRST; size <= balance->later_last && ceiling - lags >= floor;
	     size++) {
		int64_t bandwidth =
			size <= rest ? ga_balance_estimate(balance, balance->rest, rest, size) : 0;

		if (bandwidth < 0)
			return bandwidth;
		lags += bandwidth > 0 ? ga_balance_lag(balance->ideal[size], bandwidth)
				      : ga_balance_lag_impossible(balance, size);
	}
	return ceiling - lags;
}

/* The least lag of all future jobs: as if nothing had been taken. */
static int64_t later_lags(const struct ga_balance *balance)
{
	int64_t lags = 0;

	for (size_t size = GA_LATER_FIRST; size <= balance->later_last; size++)
		lags += balance->by_table ? ga_balance_later(balance, size, 0) : GA_LAG_NONE;
	return lags;
}

/* The least total lag: this set at its own bound, the others as if nothing had been taken. */
static int64_t least_lags(const struct ga_balance *balance, int64_t most_bandwidth)
{
	int64_t lags = later_lags(balance);

	if (own_counts(balance))
		lags += OWN_WEIGHT * (int64_t)ga_balance_lag(balance->ideal_own, most_bandwidth);
	return lags;
}

/* At best, future jobs lag as if this set had not been taken. */
static int64_t links_for(void *context, int64_t floor)
{
	const struct ga_balance *balance = context;
	int64_t allowed = (ceiling - later_lags(balance) - floor) / OWN_WEIGHT;

	return own_counts(balance) && allowed >= GA_LAG_NONE ? bandwidth_for(balance, allowed) : 0;
}

/* The mean that the lags stand for; unknown if there is neither a set nor any future job. */
static int64_t share_of_ideal(const struct ga_balance *balance, int64_t value)
{
	int64_t weights = own_counts(balance) ? OWN_WEIGHT : 0;

	if (balance->later_last >= GA_LATER_FIRST)
		weights += (int64_t)balance->later_last - GA_LATER_FIRST + 1;
	return weights > 0 ? MILLION * weights * GA_LAG_NONE / (ceiling - value) : GA_UNKNOWN;
}

static int search_for(const struct ga_question *question, const struct ga_field *field,
		      struct ga_balance *balance, struct ga_set_found *ret_found)
{
	struct ga_set_search search = {
		.graph = &field->graph,
		.vertices = field->vertices,
		.count = question->candidate_count,
		.want = question->want,
		.required = field->required,
		.idle = field->idle,
		.loss = field->loss,
		.value = balance->by_table ? value_by_table : value_by_growing,
		.links_for = links_for,
		.context = balance,
		.cost = (uint64_t)question->want * question->want +
			(balance->by_table ? GA_LATER_LAST : 128 * field->graph.count),
		.budget = question->budget,
	};
	int64_t bandwidth;

	if (ga_set_bandwidth_bound(search.graph, search.vertices, search.count, search.required,
				   search.want, &bandwidth) < 0)
		return GPUALLOC_ENOMEM;
	search.bound = ceiling - least_lags(balance, bandwidth);
	return ga_set_search_run(&search, ret_found);
}

static int choose(const struct ga_question *question, struct ga_answer *ret_answer,
		  gpualloc_error *error)
{
	ga_auto_field struct ga_field field = {0};
	ga_auto_balance struct ga_balance balance = {0};
	ga_auto_set_found struct ga_set_found found = {0};

	if (ga_field_init(question, &field) < 0 ||
	    ga_balance_init(question->machine, &field, question, &balance) < 0 ||
	    search_for(question, &field, &balance, &found) < 0)
		return ga_error_memory(error);
	*ret_answer = (struct ga_answer){
		.chosen = ga_steal(&found.set),
		.count = question->want,
		.value = share_of_ideal(&balance, found.rank.value),
		.bound = share_of_ideal(&balance, found.bound),
		.proven = found.proven,
		.transitions = found.steps,
	};
	return 0;
}

const struct ga_policy ga_policy_balanced = {
	.name = "balanced",
	.description = "good for this job and for later ones",
	.by_topology = true,
	.choose = choose,
};
