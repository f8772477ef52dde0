/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole GPUs are chosen by the library's policies, replicas and MIG instances by where there is
 * room; see choice.h.
 */
#include "choice.h"

#include "text.h"

#include <string.h>

/* ---- order ---- */

struct item {
	char *id;
	const struct unit *unit; /* NULL: of no device */
	int64_t replica;
	bool is_chosen;
};

static int64_t replica_of(const char *id)
{
	const char *text = strstr(id, "::");
	int64_t number;

	return text && ga_text_number(text + 2, strlen(text + 2), INT32_MAX, &number) ? number : 0;
}

static int by_device(const void *a, const void *b)
{
	const struct item *one = a, *other = b;

	if (!one->unit != !other->unit)
		return one->unit ? -1 : 1;
	/* Units lie in order. */
	if (one->unit != other->unit)
		return one->unit < other->unit ? -1 : 1;
	if (one->unit && one->replica != other->replica)
		return one->replica < other->replica ? -1 : 1;
	return strcmp(one->id, other->id);
}

static size_t sort_items(const struct inventory *inventory, char **ids, size_t count,
			 struct item *items)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		items[i] = (struct item){.id = ids[i],
					 .unit = inventory_find(inventory, ids[i]),
					 .replica = replica_of(ids[i])};
	if (count)
		qsort(items, count, sizeof *items, by_device);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || strcmp(items[kept - 1].id, items[i].id) != 0)
			items[kept++] = items[i];
	return kept;
}

size_t choice_sort(const struct inventory *inventory, char **ids, size_t count)
{
	ga_auto_free struct item *items = calloc(count + 1, sizeof *items);

	if (!items)
		return count;
	count = sort_items(inventory, ids, count, items);
	for (size_t i = 0; i < count; i++)
		ids[i] = items[i].id;
	return count;
}

/* ---- a list of what may be chosen ---- */

struct choosing {
	const struct choice_asked *asked;
	struct item *items; /* what is available, with what must be chosen */
	size_t count;
	char **chosen;
	size_t chosen_count;
};

static void choose(struct choosing *choosing, struct item *item)
{
	if (item->is_chosen)
		return;
	item->is_chosen = true;
	choosing->chosen[choosing->chosen_count++] = item->id;
}

static bool is_enough(const struct choosing *choosing)
{
	return choosing->chosen_count >= choosing->asked->wanted;
}

/* What must be chosen is first, whether it was said to be available or not. */
static int gather(struct choosing *choosing)
{
	const struct choice_asked *asked = choosing->asked;
	size_t most = asked->available_count + asked->must_count, size = 0;
	ga_auto_free char **all = calloc(most + 1, sizeof *all);

	choosing->items = calloc(most + 1, sizeof *choosing->items);
	if (!all || !choosing->items)
		return -1;
	for (size_t i = 0; i < asked->available_count; i++)
		all[size++] = asked->available[i];
	for (size_t i = 0; i < asked->must_count; i++)
		all[size++] = asked->must[i];
	choosing->count = sort_items(asked->inventory, all, size, choosing->items);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void choose_required(struct choosing *choosing)
{
	const struct choice_asked *asked = choosing->asked;

	if (asked->must_count)
		qsort(asked->must, asked->must_count, sizeof *asked->must, by_text);
	for (size_t i = 0; i < choosing->count && asked->must_count; i++)
		if (bsearch(&choosing->items[i].id, asked->must, asked->must_count,
			    sizeof *asked->must, by_text) &&
		    !is_enough(choosing))
			choose(choosing, &choosing->items[i]);
}

/* ---- whole GPUs, each once ---- */

static bool are_whole_gpus(const struct choosing *choosing)
{
	for (size_t i = 0; i < choosing->count; i++)
		if (choosing->items[i].unit &&
		    (choosing->items[i].unit->instance >= 0 ||
		     (i > 0 && choosing->items[i - 1].unit == choosing->items[i].unit)))
			return false;
	return choosing->asked->settings->replicas <= 1;
}

/* False: there is no such question. */
static bool make_question(const struct choosing *choosing, struct answer *ret_asked)
{
	size_t required = 0;

	*ret_asked = (struct answer){.wanted = choosing->asked->wanted};
	for (size_t i = 0; i < choosing->count; i++) {
		const struct item *item = &choosing->items[i];

		if (!item->unit || item->unit->number < 0 || item->unit->number >= ANSWER_GPUS)
			continue;
		gpu_set_add(&ret_asked->offered, (size_t)item->unit->number);
		if (!item->is_chosen)
			continue;
		gpu_set_add(&ret_asked->required, (size_t)item->unit->number);
		required++;
	}
	return required == choosing->chosen_count;
}

static void choose_gpus(struct choosing *choosing)
{
	const struct choice_asked *asked = choosing->asked;
	struct answer question;
	const struct answer *answer;

	if (!make_question(choosing, &question))
		return;
	answer = answers_find(asked->answers, &question);
	if (!answer) {
		if (answer_ask(&question, asked->inventory->machine, asked->policy) < 0)
			return;
		answers_add(asked->answers, &question);
		answer = &question;
	}
	for (size_t i = 0; i < choosing->count && !is_enough(choosing); i++) {
		const struct unit *unit = choosing->items[i].unit;

		if (unit && unit->number >= 0 && gpu_set_has(&answer->chosen, (size_t)unit->number))
			choose(choosing, &choosing->items[i]);
	}
}

/* ---- replicas and MIG instances: where there is room ---- */

/* The items of one GPU lie one after the other. */
struct room {
	size_t first, count; /* items */
	size_t left, taken;  /* not chosen, and chosen for this container */
};

static void measure(const struct choosing *choosing, struct room *room)
{
	room->left = room->taken = 0;
	for (size_t i = room->first; i < room->first + room->count; i++)
		if (choosing->items[i].is_chosen)
			room->taken++;
		else
			room->left++;
}

static size_t divide(const struct choosing *choosing, struct room *rooms)
{
	size_t count = 0;

	for (size_t i = 0; i < choosing->count && choosing->items[i].unit; i++) {
		if (count == 0 || choosing->items[i].unit->gpu != choosing->items[i - 1].unit->gpu)
			rooms[count++] = (struct room){.first = i};
		rooms[count - 1].count++;
	}
	return count;
}

/*
 * Spread: a GPU this container has least of, then the emptiest. Pack: a GPU that has room for all
 * that is missing, the fullest of these; else the emptiest, so that they lie on few GPUs.
 */
static bool is_better(const struct room *room, const struct room *best, size_t missing, bool spread)
{
	bool fits = room->left >= missing, best_fits = best->left >= missing;

	if (spread)
		return room->taken != best->taken ? room->taken < best->taken
						  : room->left > best->left;
	if (fits != best_fits)
		return fits;
	if (!room->taken != !best->taken)
		return room->taken > 0;
	return fits ? room->left < best->left : room->left > best->left;
}

static struct room *find_room(const struct choosing *choosing, struct room *rooms, size_t count)
{
	size_t missing = choosing->asked->wanted - choosing->chosen_count;
	struct room *best = NULL;

	for (size_t i = 0; i < count; i++) {
		measure(choosing, &rooms[i]);
		if (rooms[i].left > 0 && (!best || is_better(&rooms[i], best, missing,
							     choosing->asked->settings->spread)))
			best = &rooms[i];
	}
	return best;
}

/* The items of one unit lie one after the other, too. */
static const struct unit *unit_taken_least(const struct choosing *choosing, const struct room *room)
{
	const struct item *items = choosing->items;
	const struct unit *best = NULL;
	size_t best_taken = 0, end = room->first + room->count, next;

	for (size_t i = room->first; i < end; i = next) {
		size_t taken = 0;

		for (next = i; next < end && items[next].unit == items[i].unit; next++)
			taken += items[next].is_chosen;
		if (taken < next - i && (!best || taken < best_taken)) {
			best = items[i].unit;
			best_taken = taken;
		}
	}
	return best;
}

/* Of replicas of MIG instances, spreading means different instances too. */
static void choose_in(struct choosing *choosing, const struct room *room)
{
	const struct unit *unit =
		choosing->asked->settings->spread ? unit_taken_least(choosing, room) : NULL;

	for (size_t i = room->first; i < room->first + room->count; i++)
		if (!choosing->items[i].is_chosen && (!unit || choosing->items[i].unit == unit)) {
			choose(choosing, &choosing->items[i]);
			return;
		}
}

static void choose_parts(struct choosing *choosing)
{
	ga_auto_free struct room *rooms = calloc(choosing->count + 1, sizeof *rooms);
	size_t count = rooms ? divide(choosing, rooms) : 0;
	struct room *room;

	while (!is_enough(choosing) && (room = find_room(choosing, rooms, count)))
		choose_in(choosing, room);
}

/* ---- the choice ---- */

size_t choice_make(const struct choice_asked *asked, char **ret_chosen)
{
	struct choosing choosing = {.asked = asked, .chosen = ret_chosen};
	ga_auto_free struct item *items = NULL;

	if (gather(&choosing) < 0) {
		free(choosing.items);
		return 0;
	}
	items = choosing.items;
	choose_required(&choosing);
	if (!is_enough(&choosing) && asked->inventory->machine) {
		if (are_whole_gpus(&choosing))
			choose_gpus(&choosing);
		else
			choose_parts(&choosing);
	}
	/* Any valid set is better than an error, which would fail the pod. */
	for (size_t i = 0; i < choosing.count && !is_enough(&choosing); i++)
		choose(&choosing, &items[i]);
	return choice_sort(asked->inventory, ret_chosen, choosing.chosen_count);
}
