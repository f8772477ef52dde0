/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local search. It makes partitions in a few plain ways, and improves each by exchanging two
 * vertices of different groups for as long as that helps. The result is nearly always the optimum,
 * but other engines have to prove it.
 */
#include "cleanup.h"
#include "engine.h"

#include <string.h>

enum {
	STARTS = 8,
	STARTS_OF_MANY = 3,
	MANY = 256,
	PASSES_MAX = 200,
	KICKED_MIN = 2, /* the fewest exchanges of a kick, and how many more it may make */
	KICKED_MORE = 4,
};

struct swapper {
	const struct ga_part_problem *problem;
	size_t groups;
	uint16_t *group; /* the group of each vertex */
	int64_t *gain;   /* count × groups: a vertex's total weight to a group */
	uint16_t *order; /* the order in which vertices are placed */
	bool *fixed;     /* the required vertices, which stay in group 0 */
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

/* Looks once at all pairs. Returns true if it exchanged one. */
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

/*
 * Puts the required vertices into group 0, and then fills one group after another in the given
 * order. The last group is the short one.
 */
static void place_in_order(struct swapper *s)
{
	size_t placed = 0;

	for (size_t i = 0; i < s->problem->required_count; i++, placed++)
		s->group[s->problem->required[i]] = 0;
	for (size_t i = 0; i < s->problem->count; i++)
		if (!s->fixed[s->order[i]])
			s->group[s->order[i]] = (uint16_t)(placed++ / s->problem->size);
}

/*
 * The free vertex that fits best with the vertices of a group. On a tie it is the first in the
 * order.
 */
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

/*
 * Fills one group after another. Each next vertex is the one that fits best with those already in
 * the group.
 */
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

/*
 * The vertex of the same group that fits best with a vertex and is not fixed. If there is none, the
 * vertex itself.
 */
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

/*
 * Makes a few random exchanges of two vertices. In about half of them, chosen at random, their best
 * partners are exchanged too, so that pairs can move together.
 */
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
 * Makes a few random exchanges in the best partition and improves the result. It continues from the
 * result if that is no worse.
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
