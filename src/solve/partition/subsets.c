/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dynamic programming over subsets. The best partition of a set is the best choice of a group for
 * its lowest vertex plus the best partition of the rest. So after t groups the first t vertices are
 * always gone, and only subsets of the others occur. Vertex 0 is the highest bit. Of two groups,
 * the one that comes first in lexicographic order is therefore the larger number.
 *
 * One table holds both weights and values. For sets of the size of a group it holds weights (the
 * value of a set that is one group is its weight). For larger sets it holds the values of
 * partitions.
 */
#include "engine.h"

#include "cleanup.h"

/* IMPOSSIBLE is further below 0 than any partition is above it, and twice IMPOSSIBLE still fits. */
enum { IMPOSSIBLE = -(1 << 28), HALF_BITS = GA_PART_SUBSETS_MAX / 2 };
enum { HALF_MAX = 1 << HALF_BITS, WORTH_SWAPS = 60000 /* transitions */ };

/*
 * The ways to choose which vertices of a set join its lowest vertex in a group. Bits count the
 * vertices of the set, and are not the numbers of the vertices.
 */
struct choices {
	uint32_t *list;
	size_t count;
};

struct subsets {
	unsigned count, size, rest;
	int32_t *best; /* the best value, by set */
	struct choices full, part;
	unsigned low_bits;
	/* these turn the two halves of a choice into vertices of a set */
	uint32_t low[HALF_MAX], high[HALF_MAX];
	uint64_t transitions;
	/*
	 * known is the value that a partition is known to reach. The mates tables hold twice the
	 * most that a set can be worth, by the two halves of the set.
	 */
	int32_t known;
	int32_t mates_low[HALF_MAX], mates_high[HALF_MAX];
	int32_t least_loss; /* the least that a vertex of the short group loses of the mates */
};

static unsigned top_bit(uint32_t set)
{
	return 31U - (unsigned)__builtin_clz(set);
}

/* The next larger number that has the same number of bits set. */
static uint32_t next_of_size(uint32_t set)
{
	uint32_t filled = set | (set - 1);

	return (filled + 1) | (((~filled & -~filled) - 1) >> ((unsigned)__builtin_ctz(set) + 1));
}

static uint64_t binomial(size_t n, size_t k)
{
	uint64_t result = 1;

	if (k > n)
		return 0;
	for (size_t i = 1; i <= k; i++)
		result = result * (n - k + i) / i;
	return result;
}

static void list_choices(struct choices *choices, unsigned places, unsigned size)
{
	choices->count = 0;
	if (size > places)
		return;
	if (size == 0) {
		choices->list[choices->count++] = 0;
		return;
	}
	for (uint32_t c = (1U << size) - 1; c < 1U << places; c = next_of_size(c))
		choices->list[choices->count++] = c;
}

/*
 * Fills table: table[x] becomes base together with the bits of *set that x selects, counted from
 * the lowest. Removes the bits used from *set.
 */
static void spread_bits(uint32_t *table, uint32_t base, uint32_t *set, unsigned bits)
{
	table[0] = base;
	for (unsigned i = 0; i < bits; i++) {
		uint32_t bit = *set & -*set;

		*set ^= bit;
		for (uint32_t x = 0; x < 1U << i; x++)
			table[(1U << i) + x] = table[x] | bit;
	}
}

/*
 * Sets low and high for a set. The group of a choice is then low[…] | high[…], and includes the
 * lowest vertex.
 */
static void open_set(struct subsets *s, uint32_t set, unsigned size)
{
	uint32_t head = 1U << top_bit(set);
	uint32_t others = set ^ head;

	s->low_bits = (size - 1) / 2;
	spread_bits(s->low, 0, &others, s->low_bits);
	spread_bits(s->high, head, &others, size - 1 - s->low_bits);
}

static int32_t best_choice(struct subsets *s, uint32_t set, const struct choices *choices,
			   int32_t best)
{
	const uint32_t mask = (1U << s->low_bits) - 1;
	const uint32_t *low = s->low, *high = s->high;
	const int32_t *table = s->best;

	for (size_t i = 0; i < choices->count; i++) {
		uint32_t choice = choices->list[i];
		uint32_t group = high[choice >> s->low_bits] | low[choice & mask];
		int32_t value = table[group] + table[set ^ group];

		best = value > best ? value : best;
	}
	s->transitions += choices->count;
	return best;
}

/*
 * Fills in all weights. Each block follows from three earlier ones:
 * w(abX) = w(aX) + w(bX) - w(X) + ab.
 */
static void fill_weights(struct subsets *s, const struct ga_part_problem *problem)
{
	s->best[0] = 0;
	for (unsigned a = 0; a < s->count; a++) {
		int32_t *with_a = s->best + (1U << a);

		with_a[0] = 0;
		for (unsigned b = 0; b < a; b++) {
			const uint32_t block = 1U << b;
			int32_t *restrict both = with_a + block;
			int32_t pair = ga_part_weight(problem, s->count - 1 - a, s->count - 1 - b);

			for (uint32_t x = 0; x < block; x++)
				both[x] = with_a[x] + s->best[block + x] - s->best[x] + pair;
		}
	}
}

/*
 * Forbids full groups that hold some but not all of the required vertices, and short groups that
 * hold any.
 */
static void forbid_groups(struct subsets *s, uint32_t required)
{
	const uint32_t end = 1U << s->count;

	for (uint32_t set = (1U << s->size) - 1; set < end; set = next_of_size(set))
		if ((set & required) && (set & required) != required)
			s->best[set] = IMPOSSIBLE;
	if (s->rest == 0)
		return;
	for (uint32_t set = (1U << s->rest) - 1; set < end; set = next_of_size(set))
		if (set & required)
			s->best[set] = IMPOSSIBLE;
}

/* Lists the groups that the lowest vertex may be in, for all sets of one size. */
static void list_for_size(struct subsets *s, unsigned size)
{
	list_choices(&s->full, size - 1, s->size - 1);
	s->part.count = 0;
	if (s->rest > 0 && size % s->size != 0)
		list_choices(&s->part, size - 1, s->rest - 1);
}

/* Whether a set that lacks one group can be part of a best partition. */
static bool is_promising(const struct subsets *s, uint32_t set, bool part)
{
	const uint32_t gone = ((1U << s->count) - 1) ^ set;
	int32_t mates = s->mates_low[set & (HALF_MAX - 1)] + s->mates_high[set >> HALF_BITS];

	if (part)
		mates -= (int32_t)s->rest * s->least_loss;
	return s->best[gone] + mates / 2 >= s->known;
}

static void solve_size(struct subsets *s, unsigned size)
{
	/*
	 * The number of groups that are gone. At least as many of the first vertices are gone with
	 * them.
	 */
	unsigned gone = (s->count - size + s->size - 1) / s->size;
	uint32_t end = 1U << (s->count - gone);

	list_for_size(s, size);
	for (uint32_t set = (1U << size) - 1; set < end; set = next_of_size(set)) {
		if (gone == 1 && s->known > 0 && !is_promising(s, set, s->part.count > 0)) {
			s->best[set] = IMPOSSIBLE;
			continue;
		}
		open_set(s, set, size);

		int32_t best = best_choice(s, set, &s->full, IMPOSSIBLE);

		s->best[set] = best_choice(s, set, &s->part, best);
	}
}

/*
 * Returns the sum of a vertex's best weights in a full group, which is twice the most that it adds.
 * ret_loss is how much less this would be in the short group.
 */
static int32_t best_mates(const struct subsets *s, const struct ga_part_problem *problem,
			  size_t vertex, int32_t *ret_loss)
{
	int32_t sorted[GA_PART_SUBSETS_MAX], full = 0, part = 0;
	unsigned count = 0;

	for (size_t other = 0; other < problem->count; other++) {
		const int32_t weight = ga_part_weight(problem, vertex, other);
		unsigned at = count;

		if (other == vertex)
			continue;
		for (; at > 0 && sorted[at - 1] < weight; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = weight;
		count++;
	}
	for (unsigned i = 0; i < s->size - 1; i++) {
		full += sorted[i];
		part += i + 1 < s->rest ? sorted[i] : 0;
	}
	*ret_loss = full - part;
	return full;
}

/* Prepares is_promising(), for problems that take long enough to be worth it. */
static bool find_promise(struct subsets *s, const struct ga_part_problem *problem)
{
	uint16_t group[GA_PART_SUBSETS_MAX];
	struct ga_part_result partition = {.group = group};

	s->least_loss = INT32_MAX;
	s->mates_low[0] = s->mates_high[0] = 0;
	for (unsigned bit = 0; bit < s->count; bit++) {
		int32_t *half = bit < HALF_BITS ? s->mates_low : s->mates_high;
		const uint32_t block = 1U << (bit < HALF_BITS ? bit : bit - HALF_BITS);
		int32_t loss, mates = best_mates(s, problem, s->count - 1 - bit, &loss);

		s->least_loss = loss < s->least_loss ? loss : s->least_loss;
		for (uint32_t x = 0; x < block; x++)
			half[block + x] = half[x] + mates;
	}
	if (!ga_part_by_swaps(problem, GA_PART_UNBOUNDED, 0, &partition))
		return false;
	s->known = (int32_t)partition.value;
	return true;
}

static void solve_all(struct subsets *s)
{
	for (unsigned size = s->size; size <= s->count; size += s->size) {
		if (size > s->size)
			solve_size(s, size);
		if (s->rest > 0 && size + s->rest <= s->count)
			solve_size(s, size + s->rest);
	}
}

/* Of the groups that lead to the value of a set, the largest number, which comes first in order. */
static uint32_t first_choice(const struct subsets *s, uint32_t set, const struct choices *choices,
			     uint32_t first)
{
	const uint32_t mask = (1U << s->low_bits) - 1;

	for (size_t i = 0; i < choices->count; i++) {
		uint32_t choice = choices->list[i];
		uint32_t group = s->high[choice >> s->low_bits] | s->low[choice & mask];

		if (group > first && s->best[group] + s->best[set ^ group] == s->best[set])
			first = group;
	}
	return first;
}

static void walk(struct subsets *s, uint16_t *groups)
{
	uint32_t set = (1U << s->count) - 1;

	for (uint16_t number = 0; set != 0; number++) {
		unsigned size = (unsigned)__builtin_popcount(set);
		uint32_t group = set;

		if (size > s->size) {
			list_for_size(s, size);
			open_set(s, set, size);
			group = first_choice(s, set, &s->full, 0);
			group = first_choice(s, set, &s->part, group);
		}
		set ^= group;
		for (; group != 0; group &= group - 1)
			groups[s->count - 1 - (unsigned)__builtin_ctz(group)] = number;
	}
}

static void solve(struct subsets *s, const struct ga_part_problem *problem,
		  struct ga_part_result *partition)
{
	uint32_t required = 0;

	for (size_t i = 0; i < problem->required_count; i++)
		required |= 1U << (s->count - 1 - problem->required[i]);
	fill_weights(s, problem);
	if (required)
		forbid_groups(s, required);
	solve_all(s);
	walk(s, partition->group);
	partition->value = s->best[(1U << s->count) - 1];
	partition->bound = partition->value;
	partition->proven = true;
	partition->transitions = s->transitions;
}

uint64_t ga_part_subsets_cost(size_t count, size_t size)
{
	size_t rest = count % size;
	uint64_t cost = 0;

	if (count > GA_PART_SUBSETS_MAX)
		return GA_PART_TOO_MANY;
	for (size_t gone = 0, left = count; left > size; gone++, left -= size) {
		uint64_t choices = binomial(left - 1, size - 1);

		if (rest > 0)
			choices += binomial(left - 1, rest - 1);
		cost += binomial(count - gone, left) * choices;
		if (rest > 0 && left - rest > size)
			cost += binomial(count - gone - 1, left - rest) *
				binomial(left - rest - 1, size - 1);
	}
	return cost;
}

/*
 * Solves problems with so few vertices that the tables fit on the stack. It allocates nothing, so
 * it cannot fail.
 */
static void solve_tiny(const struct ga_part_problem *problem, struct ga_part_result *partition)
{
	enum { CHOICES = 35 }; /* the ways to choose 3 of 7 */
	int32_t best[1 << GA_PART_SUBSETS_TINY];
	uint32_t full[CHOICES], part[CHOICES];
	struct subsets s;

	s.count = (unsigned)problem->count;
	s.size = (unsigned)problem->size;
	s.rest = s.count % s.size;
	s.best = best;
	s.full.list = full;
	s.part.list = part;
	s.transitions = 0;
	s.known = 0;
	solve(&s, problem, partition);
}

bool ga_part_by_subsets(const struct ga_part_problem *problem, struct ga_part_result *partition)
{
	if (problem->count <= GA_PART_SUBSETS_TINY) {
		solve_tiny(problem, partition);
		return true;
	}

	const size_t rest = problem->count % problem->size;
	const size_t part_count = rest > 0 ? binomial(problem->count - 1, rest - 1) : 1;
	ga_auto_free int32_t *best = malloc(sizeof *best << problem->count);
	ga_auto_free uint32_t *full =
		calloc(binomial(problem->count - 1, problem->size - 1), sizeof *full);
	ga_auto_free uint32_t *part = calloc(part_count, sizeof *part);
	struct subsets s;

	if (!best || !full || !part)
		return false;
	s.count = (unsigned)problem->count;
	s.size = (unsigned)problem->size;
	s.rest = (unsigned)rest;
	s.best = best;
	s.full.list = full;
	s.part.list = part;
	s.transitions = 0;
	s.known = 0;
	if (ga_part_subsets_cost(s.count, s.size) > WORTH_SWAPS && !find_promise(&s, problem))
		return false;
	solve(&s, problem, partition);
	return true;
}
