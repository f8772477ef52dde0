/* SPDX-License-Identifier: Apache-2.0 */
/* Taking, writing, reading and counting tickets; see queue.h. */
#include "queue.h"

#include "clock.h"
#include "gaps.h"
#include "leaf.h"
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* A stranger's lock on an absurd number is not a place in the queue. */
static const uint64_t absurd = UINT64_C(1) << (GA_TICKET_BITS - 1);

/*
 * Our own tickets never name more places than this, and we look at no more: each look costs time.
 */
enum {
	COUNT_MOST = 4096,
	PLACES_MOST = 256,
	REQUEST_MOST = 200,
	WORDS_MOST = 256,
	AGENT_MOST = 64
};

void ga_ticket_free(struct ga_ticket *ticket)
{
	free(ticket->user);
	free(ticket->request);
	free(ticket->command);
	free(ticket->note);
	free(ticket->agent);
	free(ticket->places);
	*ticket = (struct ga_ticket){0};
}

void ga_tickets_free(struct ga_tickets *tickets)
{
	for (size_t i = 0; i < tickets->count; i++)
		ga_ticket_free(&tickets->list[i]);
	free(tickets->list);
	*tickets = (struct ga_tickets){0};
}

bool ga_ticket_is_alive(const struct ga_store *store, uint64_t number)
{
	struct ga_range part;

	return ga_ledger_is_held(store->probe, ga_ledger_ticket(number), &part) == 1;
}

bool ga_ticket_is_looking(const struct ga_store *store, uint64_t number)
{
	struct ga_range part;

	return ga_ledger_is_held(store->probe, ga_ledger_looking(number), &part) == 1;
}

/* If this fails, others are less patient with us, no more. */
void ga_ticket_set_looking(int ledger, uint64_t number, bool is_looking)
{
	if (is_looking)
		(void)ga_ledger_lock(ledger, ga_ledger_looking(number), NULL);
	else
		(void)ga_ledger_unlock(ledger, ga_ledger_looking(number));
}

static void name_of(uint64_t number, char text[static GA_LEAF_NAME])
{
	(void)snprintf(text, GA_LEAF_NAME, "%llu",
		       (unsigned long long)(number & ((UINT64_C(1) << GA_TICKET_BITS) - 1)));
}

/* ---- the numbers that are there ---- */

struct numbers {
	uint64_t *list;
	size_t count;
	uint64_t before;
	bool all; /* every file with such a name, not only tickets that may count */
};

static int add_number(void *context, const char *name)
{
	struct numbers *numbers = context;
	int64_t number;
	uint64_t *list;

	if (*name == '0' || !ga_text_number(name, strlen(name), (int64_t)absurd, &number) ||
	    (numbers->before && (uint64_t)number >= numbers->before))
		return 0;
	if (numbers->count % 64 == 0) {
		list = reallocarray(numbers->list, numbers->count + 64, sizeof *list);
		if (!list)
			return GPUALLOC_ENOMEM;
		numbers->list = list;
	}
	numbers->list[numbers->count++] = (uint64_t)number;
	return 0;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t *one = a, *other = b;

	return *one < *other ? -1 : *one > *other;
}

/* Keeps the lowest numbers of each user, because the folder is in no order. */
static void keep_the_lowest(const struct ga_store *store, struct numbers *numbers)
{
	struct ga_crowd crowd = {0};
	char name[GA_LEAF_NAME];
	size_t left = 0;

	for (size_t i = 0; i < numbers->count; i++) {
		name_of(numbers->list[i], name);
		if (ga_crowd_admits(&crowd, store->queue, name))
			numbers->list[left++] = numbers->list[i];
	}
	numbers->count = left;
}

static int read_numbers(const struct ga_store *store, struct numbers *numbers)
{
	int result = ga_leaf_each(store->queue, add_number, numbers);

	if (result == 0 && numbers->count > 1)
		qsort(numbers->list, numbers->count, sizeof *numbers->list, compare_numbers);
	if (!numbers->all)
		keep_the_lowest(store, numbers);
	return result;
}

void ga_ahead_free(struct ga_ahead *ahead)
{
	free(ahead->list);
	*ahead = (struct ga_ahead){0};
}

static int unreadable(const struct ga_store *store, int result, gpualloc_error *error)
{
	return result == GPUALLOC_ENOMEM
		       ? ga_error_memory(error)
		       : ga_error_set(error, result, "cannot read the queue of %s", store->path);
}

int ga_ahead_read(const struct ga_store *store, uint64_t number, struct ga_ahead *ret_ahead,
		  gpualloc_error *error)
{
	struct numbers numbers = {.before = number};
	int result = read_numbers(store, &numbers);

	if (result < 0) {
		free(numbers.list);
		return unreadable(store, result, error);
	}
	*ret_ahead = (struct ga_ahead){numbers.list, numbers.count};
	return 0;
}

size_t ga_ahead_place(const struct ga_store *store, struct ga_ahead *ahead)
{
	enum { SURE = 16 };
	size_t left = 0;

	for (size_t i = 0; i < ahead->count; i++)
		if (left >= SURE || ga_ticket_is_alive(store, ahead->list[i]))
			ahead->list[left++] = ahead->list[i];
	ahead->count = left;
	return left + 1;
}

/* ---- joining and leaving ---- */

/*
 * Honest numbers are low, because they start at 1 when nobody waits. A number above this was made
 * by hand and is ignored, so there is always room behind the others: the limit grows faster than
 * any queue.
 */
static uint64_t highest_honest(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (UINT64_C(1) << 32) + (uint64_t)(now.tv_sec > 0 ? now.tv_sec : 0) * 100;
}

static uint64_t highest_alive(const struct ga_store *store)
{
	struct numbers numbers = {.before = highest_honest() + 1};
	uint64_t highest = 0;

	(void)read_numbers(store, &numbers);
	for (size_t i = numbers.count; highest == 0 && i > 0; i--)
		if (ga_ticket_is_alive(store, numbers.list[i - 1]))
			highest = numbers.list[i - 1];
	free(numbers.list);
	return highest;
}

/*
 * The first number above it that no file is named after and nobody has locked; when the time is up
 * a number that may be locked, or absurd. One lock of a stranger may cover all numbers, and many of
 * them make each look slow.
 */
static uint64_t next_free(const struct ga_store *store, const struct numbers *numbers,
			  uint64_t number, int64_t until_us)
{
	struct ga_range part;
	size_t i = 0;

	do {
		number++;
		while (i < numbers->count && numbers->list[i] < number)
			i++;
		for (; i < numbers->count && numbers->list[i] == number; i++)
			number++;
	} while (number < absurd && ga_clock_work_us() < until_us &&
		 ga_ledger_is_held(store->probe, ga_ledger_ticket(number), &part) == 1);
	return number;
}

/* The places come last: if there are too many to fit, the waiter has fewer kept for it. */
static void write_text(const struct ga_ticket *ticket, struct ga_buffer *text)
{
	enum { A_PLACE = 40 };

	ga_buffer_format(text, "number %llu\npid %lld\n", (unsigned long long)ticket->number,
			 (long long)ticket->pid);
	if (ticket->pidns >= 0)
		ga_buffer_format(text, "pidns %lld\n", (long long)ticket->pidns);
	ga_buffer_format(text, "since %lld\ncount %lld\nmemory %lld\n", (long long)ticket->since,
			 (long long)ticket->count, (long long)ticket->mebibytes);
	ga_leaf_add(text, "request", ticket->request, REQUEST_MOST);
	ga_leaf_add(text, "command", ticket->command, WORDS_MOST);
	ga_leaf_add(text, "note", ticket->note, WORDS_MOST);
	ga_leaf_add(text, "agent", ticket->agent, AGENT_MOST);
	ga_buffer_text(text, "places");
	for (size_t i = 0; i < ticket->place_count && text->size + A_PLACE < GA_LEAF_MAX; i++)
		ga_buffer_format(text, " %llx:%llx", (unsigned long long)ticket->places[i].start,
				 (unsigned long long)ticket->places[i].length);
	ga_buffer_char(text, '\n');
}

static int write_ticket(const struct ga_store *store, const struct ga_ticket *ticket)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(GA_LEAF_MAX);
	char name[GA_LEAF_NAME];

	name_of(ticket->number, name);
	write_text(ticket, &text);
	return text.failed ? -ENOMEM : ga_leaf_write(store->queue, name, &text);
}

/* 1 if somebody else has just taken the number. */
static int take_number(const struct ga_store *store, int ledger, struct ga_ticket *ticket,
		       gpualloc_error *error)
{
	int result = ga_ledger_lock(ledger, ga_ledger_ticket(ticket->number), error);

	if (result == GPUALLOC_EBUSY)
		return 1;
	if (result < 0)
		return result;
	result = write_ticket(store, ticket);
	if (result == -EEXIST) {
		(void)ga_ledger_unlock(ledger, ga_ledger_ticket(ticket->number));
		return 1;
	}
	return result == 0
		       ? 0
		       : ga_error_errno(
				 error, GPUALLOC_EIO, -result,
				 "waiting without a place in the queue, because the ticket could not be "
				 "written");
}

int ga_queue_join(const struct ga_store *store, int ledger, struct ga_ticket *ticket,
		  gpualloc_error *error)
{
	enum { TRIES = 1000, WORK_US = 20000 };
	struct numbers numbers = {.all = true};
	int64_t until_us;
	int result = 1;

	/* If this fails, trying each number shows whether it is taken. */
	(void)read_numbers(store, &numbers);
	ticket->number = highest_alive(store);
	/* Others wait for the arbiter meanwhile. */
	until_us = ga_clock_work_us() + WORK_US;
	for (int i = 0; i < TRIES && result == 1 && (i == 0 || ga_clock_work_us() < until_us);
	     i++) {
		ticket->number = next_free(store, &numbers, ticket->number, until_us);
		if (ticket->number >= absurd)
			break;
		result = take_number(store, ledger, ticket, error);
	}
	free(numbers.list);
	if (result <= 0)
		return result;
	ticket->number = 0;
	return ga_error_set(error, GPUALLOC_EIO,
			    "waiting without a place in the queue: all numbers are taken");
}

void ga_queue_leave(const struct ga_store *store, int ledger, uint64_t number)
{
	char name[GA_LEAF_NAME];

	if (!number)
		return;
	name_of(number, name);
	ga_leaf_sweep(store->queue, name);
	if (ledger < 0)
		return;
	ga_ticket_set_looking(ledger, number, false);
	(void)ga_ledger_unlock(ledger, ga_ledger_ticket(number));
}

/* ---- reading ---- */

static bool read_place(struct ga_ticket *ticket, const char *text, size_t size)
{
	const char *colon = memchr(text, ':', size);
	size_t first = colon ? (size_t)(colon - text) : 0;
	uint64_t start, length;

	if (!colon || ticket->place_count >= PLACES_MOST || !ga_leaf_hex(text, first, &start) ||
	    !ga_leaf_hex(colon + 1, size - first - 1, &length))
		return false;
	if (start >> 62 || length == 0 || length >> 32)
		return false;
	ticket->places[ticket->place_count++] = (struct ga_range){(off_t)start, (off_t)length};
	return true;
}

/* These return 1 if it was read, 0 if none of our tickets would say it, or GPUALLOC_ENOMEM. */
static int read_places(struct ga_ticket *ticket, struct ga_view value)
{
	if (ticket->places)
		return 0;
	ticket->places = calloc(PLACES_MOST, sizeof *ticket->places);
	if (!ticket->places)
		return GPUALLOC_ENOMEM;
	for (;;) {
		size_t length = 0;

		value = ga_view_trim(value.text, value.size);
		if (value.size == 0)
			return 1;
		while (length < value.size && value.text[length] != ' ')
			length++;
		if (!read_place(ticket, value.text, length))
			return 0;
		value.text += length;
		value.size -= length;
	}
}

static int read_line(struct ga_ticket *ticket, struct ga_view key, struct ga_view value)
{
	struct {
		const char *key;
		int64_t *number;
		int64_t most;
	} numbers[] = {
		{"pid", &ticket->pid, INT32_MAX},
		{"pidns", &ticket->pidns, INT64_MAX},
		{"since", &ticket->since, INT64_MAX},
		{"count", &ticket->count, COUNT_MOST},
		{"memory", &ticket->mebibytes, INT64_C(1) << 32},
	};
	struct {
		const char *key;
		char **text;
	} texts[] = {
		{"request", &ticket->request},
		{"command", &ticket->command},
		{"note", &ticket->note},
		{"agent", &ticket->agent},
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (ga_text_equal(key.text, key.size, numbers[i].key))
			return ga_text_number(value.text, value.size, numbers[i].most,
					      numbers[i].number);
	if (ga_text_equal(key.text, key.size, "places"))
		return read_places(ticket, value);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (ga_text_equal(key.text, key.size, texts[i].key))
			return ga_set_text_sized(texts[i].text, value.text, value.size) < 0
				       ? GPUALLOC_ENOMEM
				       : 1;
	return 1;
}

/*
 * When the file was created. A ticket is written once, but its owner can make it look changed at
 * any time. A file system that does not record creation (tmpfs before Linux 6.0) gives the last
 * change.
 */
static int64_t born(const struct ga_store *store, const char *name, const struct stat *status)
{
	struct statx more;

	if (statx(store->queue, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_INO, &more) < 0 ||
	    !(more.stx_mask & STATX_BTIME) || more.stx_ino != status->st_ino)
		return (int64_t)status->st_ctime;
	return more.stx_btime.tv_sec;
}

/* 1 if it reads like the ticket of this name, 0 if not, or GPUALLOC_ENOMEM. */
static int parse_ticket(struct ga_ticket *ticket, struct ga_view rest, const char *name,
			const struct stat *status)
{
	struct ga_view key, value;
	bool is_named = false;

	while (ga_leaf_line(&rest, &key, &value)) {
		int result = read_line(ticket, key, value);

		if (result <= 0)
			return result;
		if (!ga_text_equal(key.text, key.size, "number"))
			continue;
		if (!ga_text_equal(value.text, value.size, name))
			return 0;
		is_named = true;
	}
	/* If a user gave the file another name, its writer did not say this about that number. */
	return ticket->count >= 1 && (is_named || status->st_nlink == 1);
}

static int read_ticket(const struct ga_store *store, uint64_t number, struct ga_ticket *ret_ticket)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(GA_LEAF_MAX);
	ga_auto_ticket struct ga_ticket ticket = {
		.number = number, .pid = GA_UNKNOWN, .pidns = GA_UNKNOWN, .since = GA_UNKNOWN};
	struct stat status;
	char name[GA_LEAF_NAME];
	int result;

	name_of(number, name);
	if (!ga_leaf_read(store->queue, name, &text, &status))
		return text.failed ? GPUALLOC_ENOMEM : 0;
	result = parse_ticket(&ticket, (struct ga_view){text.data, text.size}, name, &status);
	if (result <= 0)
		return result;
	ticket.uid = status.st_uid;
	ticket.queued = born(store, name, &status);
	*ret_ticket = ticket;
	ticket = (struct ga_ticket){0};
	return 1;
}

/* Checked before reading: thousands would be costly for everybody. */
static bool is_one_too_many(const struct ga_store *store, const struct ga_tickets *tickets,
			    const char *name)
{
	struct stat status;
	size_t count = 0;

	if (fstatat(store->queue, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return true;
	for (size_t i = 0; i < tickets->count; i++)
		count += tickets->list[i].uid == status.st_uid;
	return count >= GA_TICKETS_OF_A_USER;
}

/*
 * Most tickets belong to a few users, and each name costs a look into a file or a question to a
 * server.
 */
static int name_user(const struct ga_store *store, const struct ga_tickets *tickets,
		     struct ga_ticket *ticket)
{
	char user[256];

	for (size_t i = tickets->count; i > 0; i--)
		if (tickets->list[i - 1].uid == ticket->uid)
			return ga_set_text(&ticket->user, tickets->list[i - 1].user);
	ga_names_user(store->names, ticket->uid, user, sizeof user);
	return ga_set_text(&ticket->user, user);
}

/* Leaves the source empty. */
static int take_ticket(struct ga_ticket *ticket, struct ga_tickets *tickets)
{
	struct ga_ticket *list = reallocarray(tickets->list, tickets->count + 1, sizeof *list);

	if (!list)
		return GPUALLOC_ENOMEM;
	tickets->list = list;
	list[tickets->count++] = *ticket;
	*ticket = (struct ga_ticket){0};
	return 0;
}

static int add_ticket(const struct ga_store *store, uint64_t number, bool all,
		      struct ga_tickets *tickets)
{
	struct ga_ticket ticket;
	char name[GA_LEAF_NAME];
	int result;

	name_of(number, name);
	if (!ga_ticket_is_alive(store, number)) {
		struct ga_range byte = ga_ledger_ticket(number);

		(void)ga_store_sweep(store, store->queue, name, &byte);
		return 0;
	}
	if (!all && is_one_too_many(store, tickets, name))
		return 0;
	result = read_ticket(store, number, &ticket);
	if (result <= 0)
		return result;
	if (name_user(store, tickets, &ticket) < 0 || take_ticket(&ticket, tickets) < 0) {
		ga_ticket_free(&ticket);
		return GPUALLOC_ENOMEM;
	}
	return 0;
}

int ga_queue_read(const struct ga_store *store, uint64_t before, bool all,
		  struct ga_tickets *ret_tickets, gpualloc_error *error)
{
	ga_auto_tickets struct ga_tickets tickets = {0};
	/* A full listing also tidies up, and is in no hurry. */
	struct numbers numbers = {.before = before, .all = all};
	int result = read_numbers(store, &numbers);

	for (size_t i = 0; result == 0 && i < numbers.count; i++)
		if (all || tickets.count < GA_TICKETS_MOST)
			result = add_ticket(store, numbers.list[i], all, &tickets);
	free(numbers.list);
	if (result < 0)
		return unreadable(store, result, error);
	*ret_tickets = tickets;
	tickets = (struct ga_tickets){0};
	return 0;
}

static int follow(const struct ga_store *store, struct ga_ahead *ahead, struct ga_tickets *tickets,
		  struct ga_tickets *next)
{
	size_t known = 0, left = 0;
	int result = 0;

	next->list = calloc(tickets->count + 1, sizeof *next->list);
	if (!next->list)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < ahead->count; i++) {
		uint64_t number = ahead->list[i];

		while (known < tickets->count && tickets->list[known].number < number)
			known++;
		if (next->count < GA_TICKETS_MOST && !ga_ticket_is_alive(store, number))
			continue;
		ahead->list[left++] = number;
		if (result < 0 || next->count >= GA_TICKETS_MOST)
			continue;
		if (known < tickets->count && tickets->list[known].number == number)
			result = take_ticket(&tickets->list[known], next);
		else
			result = add_ticket(store, number, false, next);
	}
	ahead->count = left;
	return result;
}

int ga_queue_follow(const struct ga_store *store, struct ga_ahead *ahead,
		    struct ga_tickets *tickets, gpualloc_error *error)
{
	struct ga_tickets next = {0};
	int result = follow(store, ahead, tickets, &next);

	ga_tickets_free(tickets);
	*tickets = next;
	return result < 0 ? ga_error_memory(error) : 0;
}

/* ---- what it could have ---- */

int ga_ticket_fits(const struct ga_store *store, const struct ga_ticket *ticket, size_t place)
{
	ga_auto_gaps struct ga_gaps gaps = {0};
	struct ga_range range = ticket->places[place];
	int held = ticket->mebibytes > 0 ? ga_ledger_has_rival(store->probe, range)
					 : ga_ledger_is_taken(store->probe, range);

	if (held != 0 || ticket->mebibytes == 0)
		return held < 0 ? held : held == 0;
	if (ga_gaps_add(store->probe, range, &gaps, NULL) < 0)
		return -1;
	return gaps.sum >= ticket->mebibytes;
}
