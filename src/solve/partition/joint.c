/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds prices for the last two levels together. If each level has its own prices, a tray of two
 * boards may be cut in one way for the level of trays and in another way for the level of boards.
 * With joint prices it is cut only once. A seller is a cluster of the level before the last. It is
 * described by a list of the counts in its clusters of the last level. This works only if such
 * lists are short, because the tables hold every possible list.
 */
#include "bound.h"
#include "dual.h"

#include <string.h>

enum { CUTS_MAX = 2100 };

/* A list of counts is stored as a number whose digits are the counts. */
struct joiner {
	struct ga_part_dual dual; /* first */
	const struct ga_part_joint *joint;
	size_t sellers_of[GA_PART_JOINT_LISTS_MAX]; /* how many sellers have a list */
	size_t vertices[GA_PART_JOINT_LISTS_MAX];   /* the vertices in a list */
	/* the value of a list that is sold as one piece */
	double value[GA_PART_JOINT_LISTS_MAX];
	size_t cut_count;
	struct {
		uint8_t list, piece;
	} cuts[CUTS_MAX]; /* all pieces of each list, in the order of the lists */
};

/*
 * Appends the count of one cluster of the last level to a list, or as many single vertices if
 * alone.
 */
static bool append(const struct ga_part_joint *joint, size_t count, bool alone, size_t *stride,
		   size_t *list)
{
	for (size_t times = alone ? count : count > 0; times > 0; times--) {
		size_t digit = alone ? 1 : count;

		if (*stride >= joint->lists || digit >= joint->radix)
			return false;
		*list += digit * *stride;
		*stride *= joint->radix;
	}
	return true;
}

/*
 * Calls visit for every seller's list. Returns false if a list is too large to be stored as a
 * number.
 */
static bool for_sellers(const struct ga_part_bound *bound, const uint8_t *counts,
			void (*visit)(void *context, size_t list, size_t times), void *context)
{
	const struct ga_part_level *outer = &bound->levels[bound->level_count - 2];
	const struct ga_part_level *inner = outer + 1;
	const size_t end = bound->classes->count;

	for (size_t i = 0; i < end;) {
		const size_t seller = outer->cluster[bound->order[i]];
		size_t list = 0, stride = 1;

		if (seller == GA_PART_ALONE) {
			visit(context, 1, counts[bound->order[i++]]);
			continue;
		}
		while (i < end && outer->cluster[bound->order[i]] == seller) {
			const size_t cluster = inner->cluster[bound->order[i]];
			size_t count = counts[bound->order[i++]];

			for (; cluster != GA_PART_ALONE && i < end &&
			       inner->cluster[bound->order[i]] == cluster;
			     i++)
				count += counts[bound->order[i]];
			if (!append(&bound->joint, count, cluster == GA_PART_ALONE, &stride, &list))
				return false;
		}
		visit(context, list, 1);
	}
	return true;
}

/* ---- finding prices ---- */

static double sell(struct ga_part_dual *dual)
{
	const struct joiner *j = (const struct joiner *)dual;
	double gain[GA_PART_JOINT_LISTS_MAX] = {0}, sum = 0;
	uint8_t best[GA_PART_JOINT_LISTS_MAX] = {0};

	for (size_t list = 1; list < j->joint->lists; list++)
		gain[list] = -GA_PART_INFINITE;
	for (size_t i = 0; i < j->cut_count; i++) {
		const size_t list = j->cuts[i].list, piece = j->cuts[i].piece;
		double value =
			j->value[piece] - dual->price[j->vertices[piece]] + gain[list - piece];

		if (value > gain[list]) {
			gain[list] = value;
			best[list] = (uint8_t)piece;
		}
	}
	for (size_t list = 1; list < j->joint->lists; list++) {
		if (j->sellers_of[list] == 0)
			continue;
		sum += (double)j->sellers_of[list] * gain[list];
		for (size_t left = list; left > 0; left -= best[left])
			dual->balance[j->vertices[best[left]]] -= (double)j->sellers_of[list];
	}
	return sum;
}

/*
 * Whether piece can be cut from list: no digit is larger than in list, and the piece fits in a
 * group.
 */
static bool is_piece(const struct joiner *j, size_t list, size_t piece)
{
	if (j->vertices[piece] > j->dual.most)
		return false;
	for (; piece > 0; list /= j->joint->radix, piece /= j->joint->radix)
		if (piece % j->joint->radix > list % j->joint->radix)
			return false;
	return true;
}

static bool list_cuts(struct joiner *j, const struct ga_part_level *outer)
{
	const struct ga_part_level *inner = outer + 1;

	for (size_t list = 0; list < j->joint->lists; list++) {
		j->vertices[list] = 0;
		j->value[list] = 0;
		for (size_t left = list; left > 0; left /= j->joint->radix) {
			j->vertices[list] += left % j->joint->radix;
			j->value[list] +=
				(double)(inner->step * ga_part_pairs(left % j->joint->radix));
		}
		j->value[list] += (double)(outer->step * ga_part_pairs(j->vertices[list]));
		for (size_t piece = 1; piece <= list; piece++) {
			if (!is_piece(j, list, piece))
				continue;
			if (j->cut_count == CUTS_MAX)
				return false;
			j->cuts[j->cut_count].list = (uint8_t)list;
			j->cuts[j->cut_count++].piece = (uint8_t)piece;
		}
	}
	return true;
}

static void count_seller(void *context, size_t list, size_t times)
{
	struct joiner *j = context;

	j->sellers_of[list] += times;
}

static void settle(const struct joiner *j, struct ga_part_joint *joint)
{
	int64_t price[GA_PART_SEARCH_MAX + 1] = {0};

	for (size_t i = 1; i <= j->dual.most; i++) {
		double scaled = j->dual.price[i] * GA_PART_PRICE_SCALE;

		price[i] = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
	}
	ga_part_dual_buy(&j->dual, price, joint->group);
	joint->seller[0] = 0;
	for (size_t list = 1; list < joint->lists; list++)
		joint->seller[list] = INT64_MIN;
	for (size_t i = 0; i < j->cut_count; i++) {
		const size_t list = j->cuts[i].list, piece = j->cuts[i].piece;
		int64_t value = GA_PART_PRICE_SCALE * (int64_t)j->value[piece] -
				price[j->vertices[piece]] + joint->seller[list - piece];

		if (value > joint->seller[list])
			joint->seller[list] = value;
	}
}

/* Finds out from the whole problem how long lists can be, and how large their counts. */
static bool measure(struct ga_part_bound *bound)
{
	const struct ga_part_level *outer = &bound->levels[bound->level_count - 2];
	const struct ga_part_level *inner = outer + 1;
	size_t digits[GA_PART_SEARCH_MAX + 1] = {0}, most = 1;
	struct ga_part_joint *joint = &bound->joint;

	for (size_t c = 0; c < bound->classes->count; c++) {
		const size_t seller = outer->cluster[c];
		bool first = true;

		for (size_t other = 0; other < c; other++)
			first = first && (inner->cluster[c] == GA_PART_ALONE ||
					  inner->cluster[other] != inner->cluster[c]);
		if (seller == GA_PART_ALONE || !first)
			continue;
		digits[seller] += inner->cluster[c] == GA_PART_ALONE ? bound->classes->size[c] : 1;
		most = digits[seller] > most ? digits[seller] : most;
	}
	joint->radix = inner->largest + 1;
	joint->lists = 1;
	for (; most > 0; most--) {
		joint->lists *= joint->radix;
		if (joint->lists > GA_PART_JOINT_LISTS_MAX)
			return false;
	}
	return true;
}

static double worth_within(const struct ga_part_bound *bound, const struct ga_part_problem *problem,
			   const uint16_t *group)
{
	const struct ga_part_level *outer = &bound->levels[bound->level_count - 2];
	const struct ga_part_level *inner = outer + 1;
	const uint8_t *of = bound->classes->of;
	int64_t worth = 0;

	for (size_t i = 0; i < problem->count; i++)
		for (size_t j = 0; j < i; j++) {
			size_t a = of[i], b = of[j];

			if (group[i] != group[j])
				continue;
			if (outer->cluster[a] != GA_PART_ALONE &&
			    outer->cluster[a] == outer->cluster[b])
				worth += outer->step;
			if (inner->cluster[a] != GA_PART_ALONE &&
			    inner->cluster[a] == inner->cluster[b])
				worth += inner->step;
		}
	return (double)worth;
}

void ga_part_bound_join_levels(struct ga_part_bound *bound, const struct ga_part_problem *problem,
			       const uint16_t *group)
{
	struct joiner joiner = {.joint = &bound->joint};
	const struct ga_part_level *outer;

	if (bound->level_count < 2 || !measure(bound))
		return;
	outer = &bound->levels[bound->level_count - 2];
	joiner.dual = (struct ga_part_dual){
		.most = bound->size < outer->largest ? bound->size : outer->largest,
		.size = bound->size,
		.full = problem->count / bound->size,
		.rest = problem->count % bound->size,
		.sell = sell,
	};
	if (!list_cuts(&joiner, outer) ||
	    !for_sellers(bound, bound->classes->size, count_seller, &joiner))
		return;
	/* The sum of the two levels' own prices is a good start. */
	for (size_t i = 1; i <= joiner.dual.most; i++)
		joiner.dual.price[i] =
			(double)outer[0].step * outer[0].price[i] +
			(i <= outer[1].largest ? (double)outer[1].step * outer[1].price[i] : 0);
	ga_part_dual_descend(&joiner.dual, worth_within(bound, problem, group));
	settle(&joiner, &bound->joint);
	bound->joint.of_use = true;
}

/* ---- states ---- */

struct sum {
	const struct ga_part_joint *joint;
	int64_t value;
};

static void add_seller(void *context, size_t list, size_t times)
{
	struct sum *sum = context;

	sum->value += (int64_t)times * sum->joint->seller[list];
}

int64_t ga_part_bound_by_joint(const struct ga_part_bound *bound, const uint8_t *counts,
			       size_t total)
{
	const struct ga_part_joint *joint = &bound->joint;
	struct sum sum = {joint, (int64_t)(total / bound->size) * joint->group[bound->size] +
					 joint->group[total % bound->size]};
	int64_t value;

	if (!for_sellers(bound, counts, add_seller, &sum))
		return GA_PART_UNBOUNDED;
	value = sum.value / GA_PART_PRICE_SCALE;
	return value / bound->unit * bound->unit;
}
