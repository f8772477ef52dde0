/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of balanced's values that are the same for every set; see balance.h. */
#include "balance.h"

#include "cleanup.h"
#include "rates.h"

void ga_balance_free(struct ga_balance *balance)
{
	ga_set_within_free(&balance->within);
	free(balance->lags);
	free(balance->rest);
	free(balance->links);
	free(balance->taken);
	*balance = (struct ga_balance){0};
}

int32_t ga_balance_lag(int64_t ideal, int64_t bandwidth)
{
	int64_t lag;

	if (ideal <= bandwidth)
		return GA_LAG_NONE;
	lag = ideal * GA_LAG_NONE / bandwidth;
	return lag < GA_LAG_MAX ? (int32_t)lag : GA_LAG_MAX;
}

int32_t ga_balance_lag_impossible(const struct ga_balance *balance, size_t size)
{
	int32_t slowest = ga_rate_pcie(GPUALLOC_LEVEL_UNKNOWN);

	for (size_t kind = 0; balance->graph->shared && kind < GA_SET_UPLINK_KINDS; kind++)
		if (balance->graph->uplink[kind] / (int32_t)size < slowest)
			slowest = balance->graph->uplink[kind] / (int32_t)size;
	return ga_balance_lag(balance->ideal[size], slowest / 2);
}

/* The most bandwidth of any set of this size on the machine, whoever holds what. */
static int find_ideal(const struct ga_field *whole, size_t size, uint64_t budget,
		      int64_t *ret_ideal)
{
	ga_auto_set_found struct ga_set_found found = {0};
	ga_auto_free bool *none = calloc(whole->graph.count + 1, sizeof *none);
	struct ga_bandwidth_value value;
	struct ga_set_search search = {
		.graph = &whole->graph,
		.vertices = whole->vertices,
		.count = whole->graph.count,
		.want = size,
		.required = none,
		.idle = whole->idle,
		.loss = whole->loss,
		.budget = budget,
		.value_alone = true,
	};

	*ret_ideal = 0;
	if (size < 2 || size > whole->graph.count)
		return 0;
	if (!none || ga_bandwidth_search(&search, &value) < 0 ||
	    ga_set_search_run(&search, &found) < 0)
		return GPUALLOC_ENOMEM;
	*ret_ideal = found.rank.value;
	return 0;
}

/* The field of a question in which everything is on offer. */
static int whole_machine(const gpualloc_machine *machine, struct ga_field *ret_whole)
{
	ga_auto_free struct ga_candidate *all = calloc(machine->device_count + 1, sizeof *all);
	struct ga_question question = {
		.machine = machine,
		.candidates = all,
		.candidate_count = machine->device_count,
	};

	if (!all)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < machine->device_count; i++)
		all[i].place = i;
	return ga_field_init(&question, ret_whole);
}

/* For later jobs, only if the table does not show it anyway. */
static int find_ideals(const gpualloc_machine *machine, const struct ga_field *field,
		       uint64_t budget, struct ga_balance *balance)
{
	ga_auto_field struct ga_field whole = {0};
	bool by_table = field->whole && field->graph.count <= GA_SET_WITHIN_MAX;

	if (!field->whole && whole_machine(machine, &whole) < 0)
		return GPUALLOC_ENOMEM;
	if (!field->whole)
		field = &whole;
	for (size_t size = GA_LATER_FIRST; size <= balance->later_last && !by_table; size++)
		if (find_ideal(field, size, budget, &balance->ideal[size]) < 0)
			return GPUALLOC_ENOMEM;
	if (balance->want >= GA_LATER_FIRST && balance->want <= balance->later_last)
		return 0;
	return find_ideal(field, balance->want, budget, &balance->ideal_own);
}

/* How many can be left idle at most: devices that are not idle may be taken first. */
static size_t most_left(const struct ga_field *field, const struct ga_question *question)
{
	size_t idle = 0, taken = question->want;

	for (size_t i = 0; i < field->graph.count; i++)
		idle += field->idle[i];
	for (size_t i = 0; i < question->candidate_count && taken > 0; i++)
		taken -= !field->idle[i];
	return idle > taken ? idle - taken : 0;
}

static int allocate(struct ga_balance *balance)
{
	size_t count = balance->graph->count;

	if (count <= GA_SET_WITHIN_MAX)
		return ga_balance_fill_table(balance);
	balance->rest = calloc(2 * count, sizeof *balance->rest);
	balance->links = calloc(count, sizeof *balance->links);
	balance->taken = calloc(count, sizeof *balance->taken);
	return balance->rest && balance->links && balance->taken ? 0 : GPUALLOC_ENOMEM;
}

int ga_balance_init(const gpualloc_machine *machine, const struct ga_field *field,
		    const struct ga_question *question, struct ga_balance *ret_balance)
{
	size_t left = most_left(field, question);
	ga_auto_balance struct ga_balance balance = {
		.graph = &field->graph,
		.idle = field->idle,
		.want = question->want,
		.later_last = left < GA_LATER_LAST ? left : GA_LATER_LAST,
	};

	if (balance.later_last > machine->device_count)
		balance.later_last = machine->device_count;
	for (size_t i = 0; i < field->graph.count && i < GA_SET_WITHIN_MAX; i++)
		balance.idle_mask |= (uint32_t)field->idle[i] << i;
	if (find_ideals(machine, field, question->budget, &balance) < 0 || allocate(&balance) < 0)
		return GPUALLOC_ENOMEM;
	if (balance.want >= GA_LATER_FIRST && balance.want <= balance.later_last)
		balance.ideal_own = balance.ideal[balance.want];
	*ret_balance = balance;
	balance = (struct ga_balance){0};
	return 0;
}
