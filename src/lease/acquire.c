/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt at a lease; see acquire.h. */
#include "acquire.h"

#include "allowed.h"
#include "clock.h"
#include "decide.h"
#include "leaf.h"
#include "log.h"
#include "order.h"
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { SNAPSHOT_MS = 1000, PATIENCE_MS = 2000, CONFLICTS_MS = 1000 };

/* ---- what an attempt knows ---- */

/* What the inherited CUDA_VISIBLE_DEVICES says does not always count. */
static void settle_request(struct ga_acquiring *acquiring, bool stale)
{
	gpualloc_request *request = &acquiring->request;

	request->alone = !request->share;
	if (request->visible && (!*request->visible || strcmp(request->visible, "-1") == 0))
		request->visible = NULL;
	if (stale) {
		ga_acquiring_note(
			acquiring,
			"this program is not inside the lease that GPUALLOC_LEASE names: it is "
			"ignored, and so is CUDA_VISIBLE_DEVICES");
		request->visible = NULL;
	}
	/* Processes on the devices of our own lease belong there. */
	if (acquiring->nest.rooms)
		request->tolerate = INT64_MAX;
}

struct place {
	const struct ga_store *store;
	int fd;
};

/* A description does not see its own locks. The order matters: others may end in between. */
static int find_own_id(void *context, struct ga_range id)
{
	const struct place *place = context;
	struct ga_range part;

	return ga_ledger_is_held(place->fd, id, &part) == 0 &&
	       ga_ledger_is_held(place->store->probe, id, &part) == 1;
}

/* A second lease on one description would not see the locks of the first. */
static int open_place(const struct ga_store *store, int fd, int *ret_ledger, gpualloc_error *error)
{
	struct place place = {store, fd};

	if (!ga_store_is_ledger(store, fd) ||
	    ga_ledger_probe(store->probe, ga_ledger_all_ids(), find_own_id, &place) != 0)
		return ga_error_set(
			error, GPUALLOC_EUSAGE,
			"descriptor %d is not a place for a lease in the store %s, or it already "
			"holds one",
			fd, store->path);
	*ret_ledger = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return *ret_ledger < 0 ? ga_error_errno(error, GPUALLOC_EIO, errno,
						"cannot use the place of a lease")
			       : 0;
}

int ga_acquiring_start(struct ga_acquiring *acquiring, const struct ga_store *store,
		       const gpualloc_request *request, const gpualloc_lease_wish *wish,
		       gpualloc_error *error)
{
	bool stale;
	int result;

	*acquiring = (struct ga_acquiring){.store = *store,
					   .wish = wish,
					   .request = *request,
					   .ledger = -1,
					   .view = {.store = &acquiring->store},
					   .notes = GA_BUFFER_INIT(1 << 14)};
	acquiring->store.names = &acquiring->names;
	result = ga_request_check(request, error);
	if (result == 0)
		result = ga_acquiring_look(acquiring, 0, error);
	if (result == 0)
		result = ga_nest_find(store, &acquiring->nest, &stale, error);
	if (result == 0)
		result = ga_allowed_time(acquiring, error);
	if (result == 0)
		result = wish->place < 0
				 ? ga_store_open_ledger(store, &acquiring->ledger, error)
				 : open_place(store, wish->place, &acquiring->ledger, error);
	if (result == 0)
		settle_request(acquiring, stale);
	return result;
}

void ga_acquiring_end(struct ga_acquiring *acquiring)
{
	ga_queue_leave(&acquiring->store, acquiring->ledger, acquiring->view.own);
	if (acquiring->ledger >= 0)
		close(acquiring->ledger);
	ga_view_free(&acquiring->view);
	ga_names_free(&acquiring->names);
	ga_nest_free(&acquiring->nest);
	ga_machine_free(acquiring->machine);
	ga_config_free(&acquiring->config);
	ga_buffer_free(&acquiring->notes);
}

void ga_acquiring_note(struct ga_acquiring *acquiring, const char *text)
{
	ga_buffer_append(&acquiring->notes, text, strlen(text) + 1);
}

int ga_acquiring_look(struct ga_acquiring *acquiring, int64_t max_age_ms, gpualloc_error *error)
{
	gpualloc_machine *machine = NULL;
	int result;

	if (acquiring->machine && ga_clock_ms() - acquiring->machine_at <= max_age_ms)
		return 0;
	if (acquiring->view.own)
		ga_ticket_set_looking(acquiring->ledger, acquiring->view.own, true);
	result = ga_source_open_telling(acquiring->wish->machine, acquiring->wish->deadline_ms,
					acquiring->wish->asking, acquiring->wish->asking_context,
					&machine, error);
	if (result < 0)
		return result;
	ga_machine_free(acquiring->machine);
	acquiring->machine = machine;
	acquiring->machine_at = ga_clock_ms();
	/*
	 * Read again each time: a device taken out of use in the meantime is not given to a waiter.
	 */
	ga_config_free(&acquiring->config);
	return ga_config_settle(machine, &acquiring->config, error);
}

void ga_acquiring_arbitrate(struct ga_acquiring *acquiring, struct ga_arbiter *arbiter)
{
	ga_auto_buffer struct ga_buffer note = GA_BUFFER_INIT(1024);
	bool before = acquiring->arbiter_is_blocked;

	ga_arbiter_take(&acquiring->store, before ? 0 : PATIENCE_MS, arbiter, &note);
	acquiring->arbiter_is_blocked = arbiter->fd < 0;
	if (acquiring->arbiter_is_blocked && !before && note.data && !note.failed)
		ga_acquiring_note(acquiring, note.data);
}

/* ---- claiming what was chosen ---- */

static int rooms_of(const struct ga_acquiring *acquiring, const gpualloc_choice *choice,
		    struct ga_room *rooms, gpualloc_error *error)
{
	for (size_t i = 0; i < choice->count; i++)
		if (!ga_leases_room(choice->devices[i], &acquiring->nest, acquiring->request.share,
				    &rooms[i]))
			return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
					    "a device without a UUID cannot be leased");
	return 0;
}

/*
 * After taking our own locks: anybody who takes the outer lease's place looks for ours after taking
 * theirs.
 */
static int check_outer(const struct ga_acquiring *acquiring, gpualloc_error *error)
{
	return acquiring->nest.rooms ? ga_nest_check(&acquiring->store, &acquiring->nest, error)
				     : 0;
}

/* Ranges, outer lease, id: after this we have the lease. */
static int claim(const struct ga_acquiring *acquiring, gpualloc_lease *lease,
		 const struct ga_room *rooms, gpualloc_error *error)
{
	int64_t mebibytes = lease->memory > 0 ? (lease->memory + (1 << 20) - 1) >> 20 : 0;
	int result =
		ga_claim(acquiring->ledger, rooms, lease->count, mebibytes, &lease->pieces, error);

	if (result < 0)
		return result;
	result = check_outer(acquiring, error);
	/* Once our locks are on it nobody can remove it; before that somebody may have. */
	if (result == 0)
		result = ga_store_check_ledger(&acquiring->store, acquiring->ledger, error);
	if (result == 0)
		result = ga_claim_id(acquiring->ledger, &lease->number, error);
	if (result < 0) {
		(void)ga_claim_drop(acquiring->ledger, lease->pieces, lease->count);
		ga_pieces_free(lease->pieces, lease->count);
		lease->pieces = NULL;
	}
	return result;
}

static void free_choice(gpualloc_choice **choice)
{
	ga_choice_free(*choice);
}

static int select_free(struct ga_acquiring *acquiring, gpualloc_error *error)
{
	ga_auto_selection struct ga_selection selection = {0};

	return ga_select(acquiring->machine, &acquiring->request, &selection, error);
}

struct ga_keep ga_acquiring_keep(struct ga_acquiring *acquiring)
{
	return (struct ga_keep){.view = &acquiring->view,
				.machine = acquiring->machine,
				.config = &acquiring->config,
				.keep_s = acquiring->wish->keep_s};
}

static int keep_for_earlier(struct ga_acquiring *acquiring, gpualloc_error *error)
{
	struct ga_keep keep = ga_acquiring_keep(acquiring);

	return ga_keep_for_earlier(&keep, error);
}

/* The machine as it looks to us now, without what others have and what is kept for them. */
static int look_at_leases(struct ga_acquiring *acquiring, gpualloc_error *error)
{
	int result = ga_allowed_count(acquiring, acquiring->request.count, error);

	if (result == 0)
		result = ga_leases_note(&acquiring->store, acquiring->machine, &acquiring->nest,
					true, error);
	ga_view_begin(&acquiring->view);
	/*
	 * When too few are free, places in the queue do not matter, and a long queue need not be
	 * read.
	 */
	acquiring->has_too_few = false;
	if (result == 0) {
		result = select_free(acquiring, error);
		acquiring->has_too_few = result == GPUALLOC_EBUSY;
	}
	if (result == 0)
		result = keep_for_earlier(acquiring, error);
	return result;
}

void ga_acquiring_refuse(struct ga_acquiring *acquiring, gpualloc_error *error)
{
	gpualloc_error kept = {0};

	if (!acquiring->has_too_few)
		return;
	ga_view_begin(&acquiring->view);
	if (ga_leases_note(&acquiring->store, acquiring->machine, &acquiring->nest, true, &kept) ==
		    0 &&
	    keep_for_earlier(acquiring, &kept) == 0 &&
	    select_free(acquiring, &kept) == GPUALLOC_EBUSY)
		*error = kept;
}

/*
 * A waiter that is probably not next checks without the arbiter: a thousand waiting for the arbiter
 * would hold up the one whose turn it is. Everybody else looks here too, because this look asks for
 * the names of users, and that must not happen while we have the arbiter.
 */
static int look_from_afar(struct ga_acquiring *acquiring, gpualloc_error *error)
{
	bool is_behind = acquiring->place > 1 || acquiring->view.waits_for_turn;
	int result = look_at_leases(acquiring, error);

	if (!is_behind && result != GPUALLOC_ENOMEM)
		return 0;
	return result == 0 ? select_free(acquiring, error) : result;
}

static int choose_and_claim(struct ga_acquiring *acquiring, gpualloc_lease *lease,
			    gpualloc_error *error)
{
	ga_cleanup(free_choice) gpualloc_choice *choice = NULL;
	ga_auto_free struct ga_room *rooms = NULL;
	int result = look_at_leases(acquiring, error);

	if (result == 0)
		result = ga_decide(acquiring->machine, &acquiring->request, &choice, error);
	if (result == 0)
		result = ga_allowed_now(acquiring, choice->count, error);
	if (result < 0)
		return result;
	free(lease->devices);
	lease->devices = calloc(choice->count + 1, sizeof *lease->devices);
	rooms = calloc(choice->count + 1, sizeof *rooms);
	if (!lease->devices || !rooms)
		return ga_error_memory(error);
	lease->count = choice->count;
	result = ga_order_devices(acquiring->machine, choice->devices, choice->count, error);
	if (result == 0)
		result = rooms_of(acquiring, choice, rooms, error);
	if (result < 0)
		return result;
	memcpy(lease->devices, choice->devices, choice->count * sizeof *lease->devices);
	/* Losing a device that seemed free differs from "all leased": trying again may help. */
	result = claim(acquiring, lease, rooms, error);
	return result == GPUALLOC_EBUSY ? 1 : result;
}

/* Without the arbiter, or against somebody who does not use it, chance settles a conflict. */
static int claim_within_a_second(struct ga_acquiring *acquiring, gpualloc_lease *lease,
				 gpualloc_error *error)
{
	int64_t until = ga_clock_ms() + CONFLICTS_MS, pause_us = 200;

	for (;;) {
		int result = choose_and_claim(acquiring, lease, error);

		if (result <= 0)
			return result;
		if (ga_clock_ms() >= until)
			return ga_error_set(
				error, GPUALLOC_EBUSY,
				"others kept taking the devices that seemed free; try again");
		ga_clock_sleep_us(pause_us + (ga_clock_ms() * 7919 + getpid()) % pause_us);
		pause_us = pause_us < 20000 ? pause_us * 2 : pause_us;
	}
}

/* ---- the lease ---- */

static int new_lease(const struct ga_acquiring *acquiring, gpualloc_lease **ret_lease,
		     gpualloc_error *error)
{
	gpualloc_lease *lease = calloc(1, sizeof *lease);
	int result;

	if (!lease)
		return ga_error_memory(error);
	lease->fd = -1;
	lease->owner = getpid();
	lease->memory = acquiring->request.share ? acquiring->request.memory : GA_UNKNOWN;
	lease->store = GA_STORE_CLOSED;
	result = ga_store_copy(&acquiring->store, &lease->store, error);
	if (result < 0)
		ga_lease_free(lease);
	else
		*ret_lease = lease;
	return result;
}

/*
 * Gives a lease of which nobody knows yet a new id, and writes its record first: until that is
 * there nobody can know the name. GPUALLOC_EBUSY if somebody was quicker all the same, or took the
 * record for a dead one and removed it; then it may be another user's by now, and is left to them.
 */
static int write_record_first(const struct ga_acquiring *acquiring, gpualloc_lease *lease,
			      struct ga_record *record, gpualloc_error *error)
{
	int records = acquiring->store.records, result;
	char name[GA_ID_TEXT];

	if (!ga_id_choose(&record->id))
		return GPUALLOC_EBUSY;
	result = ga_record_write(&acquiring->store, record, error);
	if (result < 0)
		return result;
	ga_id_text(record->id, name);
	result = ga_ledger_lock(lease->fd, ga_ledger_id(record->id), error);
	if (result == 0 && ga_leaf_is_ours(records, name)) {
		(void)ga_ledger_unlock(lease->fd, ga_ledger_id(lease->number));
		lease->number = record->id;
		return 0;
	}
	if (result == 0)
		(void)ga_ledger_unlock(lease->fd, ga_ledger_id(record->id));
	if (ga_leaf_is_ours(records, name))
		(void)ga_leaf_sweep(records, name);
	return result < 0 ? result : GPUALLOC_EBUSY;
}

/*
 * The lease is good even if we cannot say who we are. Anybody sees which ids are held, and may be
 * quick to write a record of that name: then the lease would be shown as theirs.
 */
static void write_record(struct ga_acquiring *acquiring, gpualloc_lease *lease,
			 struct ga_record *ret_record)
{
	enum { NAMES = 16 };
	gpualloc_error error = {0};
	int result = ga_record_of_self(ret_record, acquiring->wish->command, acquiring->wish->note,
				       &error);

	ret_record->id = lease->number;
	ret_record->memory = lease->memory;
	if (acquiring->wish->hold_ms > 0 || acquiring->wish->limit_ms > 0)
		ret_record->until =
			ret_record->since +
			(acquiring->wish->hold_ms + acquiring->wish->limit_ms + 999) / 1000;
	ret_record->logged = ga_log_socket(&acquiring->config, lease->machine->is_here) != NULL;
	ret_record->pieces = lease->pieces;
	ret_record->piece_count = lease->count;
	if (result == 0)
		result = ga_record_write(&acquiring->store, ret_record, &error);
	for (int i = 0; result == GPUALLOC_EBUSY && i < NAMES; i++)
		result = write_record_first(acquiring, lease, ret_record, &error);
	ret_record->id = lease->number;
	if (result < 0)
		ga_acquiring_note(acquiring, error.message);
}

/* The slow part; nobody waits for it. */
static void announce(const struct ga_acquiring *acquiring, gpualloc_lease *lease,
		     const struct ga_record *record)
{
	const char *log = ga_log_socket(&acquiring->config, lease->machine->is_here);

	/* A program that just exits leaves its record behind, so everybody removes older ones. */
	ga_log_sweep(&lease->store);
	if (log)
		ga_log_grant(log, record);
}

static int take_notes(const struct ga_acquiring *acquiring, gpualloc_lease *lease,
		      gpualloc_error *error)
{
	const struct ga_buffer *notes = &acquiring->notes;

	for (size_t at = 0; at < notes->size; at += strlen(notes->data + at) + 1)
		if (ga_lease_add_note(lease, notes->data + at) < 0)
			return ga_error_memory(error);
	return 0;
}

static void drop_arbiter(struct ga_acquiring *acquiring, struct ga_arbiter *arbiter)
{
	ga_arbiter_drop(arbiter);
	acquiring->names.is_hurried = false;
}

/* The description and the machine become the lease's. */
static int complete(struct ga_acquiring *acquiring, gpualloc_lease *lease,
		    struct ga_arbiter *arbiter, gpualloc_error *error)
{
	ga_auto_record struct ga_record record = {0};

	lease->fd = acquiring->ledger;
	/* The place in the queue goes; it was on the same description. */
	if (acquiring->view.own) {
		ga_queue_leave(&acquiring->store, lease->fd, acquiring->view.own);
		acquiring->view.own = 0;
		ga_store_nudge(&acquiring->store);
	}
	acquiring->ledger = -1;
	lease->machine = acquiring->machine;
	acquiring->machine = NULL;
	write_record(acquiring, lease, &record);
	ga_id_text(lease->number, lease->id);
	/* Counting a user's devices reads records: two claims at once must see each other's. */
	drop_arbiter(acquiring, arbiter);
	announce(acquiring, lease, &record);
	record.pieces = NULL;
	record.piece_count = 0;
	return take_notes(acquiring, lease, error);
}

static int attempt(struct ga_acquiring *acquiring, gpualloc_lease **ret_lease,
		   gpualloc_error *error)
{
	ga_auto_arbiter struct ga_arbiter arbiter = GA_ARBITER_NONE;
	gpualloc_lease *lease = NULL;
	int result = ga_acquiring_look(acquiring, SNAPSHOT_MS, error);

	if (result == 0)
		result = look_from_afar(acquiring, error);
	if (result == 0)
		result = new_lease(acquiring, &lease, error);
	if (result < 0)
		return result;
	ga_acquiring_arbitrate(acquiring, &arbiter);
	acquiring->names.is_hurried = true;
	result = claim_within_a_second(acquiring, lease, error);
	if (result < 0 || !ga_allowed_is_limited(acquiring))
		drop_arbiter(acquiring, &arbiter);
	if (result == 0)
		result = complete(acquiring, lease, &arbiter, error);
	if (result < 0) {
		lease->count = lease->pieces ? lease->count : 0;
		ga_lease_free(lease);
	} else {
		*ret_lease = lease;
	}
	return result;
}

int ga_acquiring_try(struct ga_acquiring *acquiring, gpualloc_lease **ret_lease,
		     gpualloc_error *error)
{
	int result = attempt(acquiring, ret_lease, error);

	/* Not earlier: a waiter that has looked keeps its turn until it has taken it. */
	if (acquiring->view.own)
		ga_ticket_set_looking(acquiring->ledger, acquiring->view.own, false);
	return result;
}
