/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local search: partitions made in a few plain ways, each improved by exchanging two vertices of
 * different groups for as long as that helps. Nearly always the optimum; the proof is elsewhere.
 */
#include "cleanup.h"
#include "engine.h"

#include <string.h>

enum {
	STARTS = 8,
	STARTS_OF_MANY = 3,
	MANY = 256,
	PASSES_MAX = 200,
	KICKED_MIN = 2, /* exchanges of a kick, and how many more there may be */
	KICKED_MORE = 4,
};

struct swapper {
	const struct ga_part_problem *problem;
	size_t groups;
	uint16_t *group; /* of each vertex */
	int64_t *gain;   /* count × groups: a vertex's weight to all of a group */
	uint16_t *order; /* in which vertices are placed */
	bool *fixed;     /* the required: they stay in group 0 */
	uint64_t random;
	uint64_t tried;
};

static size_t draw(struct swapper *s, size_t below)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (size_t)(s->random % below);
}

static int64_t *gain_of(const struct swapper *s, size_t vertex, size_t group)
{
	return &s->gain[vertex * s->groups + group];
}

static void count_gains(struct swapper *s)
{
	const size_t count = s->problem->count;

	memset(s->gain, 0, count * s->groups * sizeof *s->gain);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++)
			*gain_of(s, i, s->group[j]) += ga_part_weight(s->problem, i, j);
}

static void exchange(struct swapper *s, size_t a, size_t b)
{
	const uint16_t from = s->group[a], to = s->group[b];

	for (size_t i = 0; i < s->problem->count; i++) {
		int64_t change =
			ga_part_weight(s->problem, i, b) - ga_part_weight(s->problem, i, a);

		*gain_of(s, i, from) += change;
		*gain_of(s, i, to) -= change;
	}
	s->group[a] = to;
	s->group[b] = from;
}

/* One look at all pairs; true where one was exchanged. */
static bool improve_once(struct swapper *s)
{
	bool improved = false;

	for (size_t a = 0; a < s->problem->count; a++) {
		if (s->fixed[a])
			continue;
		for (size_t b = a + 1; b < s->problem->count; b++) {
			const uint16_t from = s->group[a], to = s->group[b];

			if (from == to || s->fixed[b])
				continue;
			if (*gain_of(s, a, to) + *gain_of(s, b, from) -
				    2 * (int64_t)ga_part_weight(s->problem, a, b) >
			    *gain_of(s, a, from) + *gain_of(s, b, to)) {
				exchange(s, a, b);
				improved = true;
			}
		}
	}
	s->tried += s->problem->count * s->problem->count / 2;
	return improved;
}

/* The required into group 0, then one after the other in their order; the last group is short. */
static void place_in_order(struct swapper *s)
{
	size_t placed = 0;

	for (size_t i = 0; i < s->problem->required_count; i++, placed++)
		s->group[s->problem->required[i]] = 0;
	for (size_t i = 0; i < s->problem->count; i++)
		if (!s->fixed[s->order[i]])
			s->group[s->order[i]] = (uint16_t)(placed++ / s->problem->size);
}

/* The free vertex that goes best with what a group has, the first of its order on a tie. */
static size_t best_mate(const struct swapper *s, const int64_t *pull)
{
	size_t best = s->problem->count;

	for (size_t i = 0; i < s->problem->count; i++) {
		size_t vertex = s->order[i];

		if (s->group[vertex] == GA_PART_NO_GROUP &&
		    (best == s->problem->count || pull[vertex] > pull[best]))
			best = vertex;
	}
	return best;
}

static void join(struct swapper *s, int64_t *pull, size_t vertex, size_t group)
{
	s->group[vertex] = (uint16_t)group;
	for (size_t i = 0; i < s->problem->count; i++)
		pull[i] += ga_part_weight(s->problem, i, vertex);
}

/* Group by group, each vertex the one that goes best with those before it. */
static void place_greedily(struct swapper *s)
{
	int64_t *pull = s->gain; /* counted anew afterwards */
	size_t left = s->problem->count;

	memset(s->group, GA_PART_NO_GROUP_BYTE, s->problem->count * sizeof *s->group);
	for (size_t group = 0; group < s->groups; group++) {
		size_t size = s->problem->size < left ? s->problem->size : left, members = 0;

		memset(pull, 0, s->problem->count * sizeof *pull);
		for (; group == 0 && members < s->problem->required_count; members++)
			join(s, pull, s->problem->required[members], group);
		for (; members < size; members++)
			join(s, pull, best_mate(s, pull), group);
		left -= size;
	}
}

static void start(struct swapper *s, size_t number)
{
	for (size_t i = s->problem->count; number >= 2 && i > 1; i--) {
		size_t j = draw(s, i);
		uint16_t kept = s->order[i - 1];

		s->order[i - 1] = s->order[j];
		s->order[j] = kept;
	}
	if (number % 2 == 0)
		place_greedily(s);
	else
		place_in_order(s);
}

static int64_t improve(struct swapper *s)
{
	for (size_t pass = 0; pass < PASSES_MAX && improve_once(s); pass++)
		;
	return ga_part_value(s->problem, s->group);
}

/* The vertex of its group, not fixed, that goes best with a vertex; itself if there is none. */
static size_t best_partner(const struct swapper *s, size_t vertex)
{
	size_t best = vertex;

	for (size_t i = 0; i < s->problem->count; i++)
		if (i != vertex && s->group[i] == s->group[vertex] && !s->fixed[i] &&
		    (best == vertex || ga_part_weight(s->problem, vertex, i) >
					       ga_part_weight(s->problem, vertex, best)))
			best = i;
	return best;
}

/* Exchanges two vertices, and in every other case their best partners too: pairs move as pairs. */
static void kick(struct swapper *s)
{
	for (size_t times = KICKED_MIN + draw(s, KICKED_MORE); times > 0; times--) {
		size_t a = draw(s, s->problem->count), b = draw(s, s->problem->count);
		size_t a_partner = a, b_partner = b;

		if (s->group[a] == s->group[b] || s->fixed[a] || s->fixed[b])
			continue;
		if (draw(s, 2)) {
			a_partner = best_partner(s, a);
			b_partner = best_partner(s, b);
		}
		exchange(s, a, b);
		if (a_partner != a && b_partner != b)
			exchange(s, a_partner, b_partner);
	}
}

/*
 * Makes a few random exchanges in the best partition, and continues from there if it is no worse.
 */
static void search_around(struct swapper *s, int64_t bound, uint64_t looks,
			  struct ga_part_result *partition)
{
	const size_t size = s->problem->count * sizeof *s->group;
	const uint64_t end = s->tried + looks;

	memcpy(s->group, partition->group, size);
	count_gains(s);
	while (partition->value < bound && s->tried < end) {
		kick(s);

		int64_t value = improve(s);

		if (value >= partition->value) {
			partition->value = value;
			memcpy(partition->group, s->group, size);
		} else {
			memcpy(s->group, partition->group, size);
			count_gains(s);
		}
	}
}

static void search(struct swapper *s, int64_t bound, uint64_t looks,
		   struct ga_part_result *partition)
{
	const size_t count = s->problem->count;
	const size_t starts = count > MANY ? STARTS_OF_MANY : STARTS;

	partition->value = -1;
	for (size_t number = 0; number < starts && partition->value < bound; number++) {
		start(s, number);
		count_gains(s);

		int64_t value = improve(s);

		if (value > partition->value) {
			partition->value = value;
			memcpy(partition->group, s->group, count * sizeof *s->group);
		}
	}
	search_around(s, bound, looks, partition);
	ga_part_number(s->problem, partition->group);
	partition->transitions = s->tried;
}

bool ga_part_by_swaps(const struct ga_part_problem *problem, int64_t bound, uint64_t looks,
		      struct ga_part_result *partition)
{
	const size_t count = problem->count;
	const size_t groups = (count + problem->size - 1) / problem->size;
	ga_auto_free uint16_t *group = calloc(count, sizeof *group);
	ga_auto_free uint16_t *order = calloc(count, sizeof *order);
	ga_auto_free int64_t *gain = calloc(count, groups * sizeof *gain);
	ga_auto_free bool *fixed = calloc(count, sizeof *fixed);
	struct swapper swapper = {.problem = problem,
				  .groups = groups,
				  .group = group,
				  .order = order,
				  .gain = gain,
				  .fixed = fixed,
				  .random = 88172645463325252U};

	if (!group || !order || !gain || !fixed)
		return false;
	for (size_t i = 0; i < count; i++)
		order[i] = (uint16_t)i;
	for (size_t i = 0; i < problem->required_count; i++)
		fixed[problem->required[i]] = true;
	search(&swapper, bound, looks, partition);
	return true;
}
