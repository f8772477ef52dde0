/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept for earlier tickets, and how long; see keep.h. */
#include "keep.h"

#include "clock.h"
#include "device_state.h"
#include "limit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { KEEP_S = 30 * 60 };

/* Whether a place that tickets name was found to fit; most tickets name the same ones. */
struct seen {
	struct ga_range range;
	int64_t mebibytes;
	int fits;
};

/* The processor time that a user's tickets have cost. */
struct cost {
	uid_t uid;
	int64_t us;
};

struct keeping {
	const struct ga_keep *asker;
	struct ga_records records; /* read only if the rules limit what a user may have */
	struct seen seen[128];
	size_t seen_count;
	struct cost costs[GA_TICKETS_MOST];
	size_t cost_count;
	struct ga_range *kept; /* for the tickets dealt with so far */
	size_t kept_count;
	gpualloc_leases *shown; /* where to list what is kept for whom, too; NULL: nowhere */
	gpualloc_error *error;
};

/* ---- those for whom nothing is kept ---- */

/* Kept for a while, then not kept for as long, and so on. */
static bool is_out_of_time(const struct ga_keep *asker, const struct ga_ticket *ticket)
{
	int64_t said = asker->config->keep_ms / 1000, asked = asker->keep_s;
	int64_t keep = said > 0 ? said : asked > 0 ? asked : KEEP_S;
	int64_t waited = (int64_t)time(NULL) - ticket->queued;

	return waited > 0 && waited / keep % 2 == 1;
}

/* A lease within a lease counts with the outer one. */
static bool is_at_limit(const struct keeping *keeping, const struct ga_ticket *ticket)
{
	const struct ga_config *config = keeping->asker->config;
	int64_t most = config->max_devices;
	int64_t most_of_agents = ticket->agent ? config->agent_max_devices : GA_UNKNOWN;

	if (ga_ledger_level(ticket->places[0]) != 0)
		return false;
	return (most >= 0 &&
		ga_limit_held(&keeping->records, ticket->uid, false) + ticket->count > most) ||
	       (most_of_agents >= 0 &&
		ga_limit_held(&keeping->records, ticket->uid, true) + ticket->count >
			most_of_agents);
}

/*
 * A stopped process does not take its turn. Neither does one that has gone while a stranger keeps
 * its ticket alive, or one that is not allowed more.
 */
static bool is_kept_nothing(const struct keeping *keeping, const struct ga_ticket *ticket)
{
	return ticket->place_count == 0 || ga_turn_is_stopped_or_gone(ticket) ||
	       is_out_of_time(keeping->asker, ticket) || is_at_limit(keeping, ticket);
}

static int read_records(struct keeping *keeping)
{
	const struct ga_config *config = keeping->asker->config;

	return config->max_devices < 0 && config->agent_max_devices < 0
		       ? 0
		       : ga_records_read(keeping->asker->view->store, &keeping->records,
					 keeping->error);
}

/* ---- what a place costs to look at ---- */

static struct cost *cost_of(struct keeping *keeping, uid_t uid)
{
	for (size_t i = 0; i < keeping->cost_count; i++)
		if (keeping->costs[i].uid == uid)
			return &keeping->costs[i];
	keeping->costs[keeping->cost_count] = (struct cost){uid, 0};
	return &keeping->costs[keeping->cost_count++];
}

/*
 * A user who fills the ledger with locks makes each look slow, and their tickets may name many
 * places. If their tickets cost more than an honest user's would, that is their loss: nothing is
 * kept for those tickets.
 */
static int place_fits(struct keeping *keeping, const struct ga_ticket *ticket, size_t place)
{
	enum { USERS_US = 30000 };
	struct ga_range range = ticket->places[place];
	struct cost *cost;
	int64_t start;
	int fits;

	for (size_t i = 0; i < keeping->seen_count; i++) {
		const struct seen *seen = &keeping->seen[i];

		if (seen->range.start == range.start && seen->range.length == range.length &&
		    seen->mebibytes == ticket->mebibytes)
			return seen->fits;
	}
	cost = cost_of(keeping, ticket->uid);
	if (cost->us > USERS_US)
		return -1;
	start = ga_clock_work_us();
	fits = ga_ticket_fits(keeping->asker->view->store, ticket, place);
	cost->us += ga_clock_work_us() - start;
	if (keeping->seen_count < sizeof keeping->seen / sizeof *keeping->seen)
		keeping->seen[keeping->seen_count++] =
			(struct seen){range, ticket->mebibytes, fits};
	return fits;
}

/* ---- what a ticket could have ---- */

static bool is_kept(const struct keeping *keeping, struct ga_range place)
{
	for (size_t i = 0; i < keeping->kept_count; i++)
		if (ga_range_meets(keeping->kept[i], place))
			return true;
	return false;
}

static bool has_place(const struct gpualloc_device *device, struct ga_range place)
{
	return device->uuid && (!device->parent || device->parent->uuid) &&
	       ga_range_meets(ga_ledger_deeper(ga_ledger_device(device, 0), ga_ledger_level(place)),
			      place);
}

/* In use by strangers, sick or excluded, as far as we see: no lease's end would free it. */
static bool is_out_of_reach(const gpualloc_machine *machine, struct ga_range place, bool share)
{

	for (size_t i = 0; i < machine->device_count; i++) {
		const struct gpualloc_device *gpu = &machine->devices[i];

		for (size_t m = 0; m <= gpu->mig_count; m++) {
			const struct gpualloc_device *device = m ? &gpu->mig[m - 1] : gpu;
			enum gpualloc_state state = ga_device_state(device);

			if (device->mig_enabled || !has_place(device, place))
				continue;
			return state == GPUALLOC_STATE_UNHEALTHY ||
			       (ga_state_is_excluded(state) && !device->lease.barred &&
				!device->is_for_others) ||
			       (state == GPUALLOC_STATE_IN_USE && !share);
		}
	}
	return false;
}

/* Fills in which places are free now; returns how many could be free once leases end. */
static int64_t prospects(struct keeping *keeping, const struct ga_ticket *ticket, bool *is_free,
			 int64_t *ret_free)
{
	int64_t reachable = 0;

	*ret_free = 0;
	for (size_t i = 0; i < ticket->place_count; i++) {
		is_free[i] = false;
		if (is_out_of_reach(keeping->asker->machine, ticket->places[i],
				    ticket->mebibytes > 0))
			continue;
		reachable++;
		is_free[i] =
			!is_kept(keeping, ticket->places[i]) && place_fits(keeping, ticket, i) == 1;
		*ret_free += is_free[i];
	}
	return reachable;
}

/* ---- keeping ---- */

static int show(struct keeping *keeping, uint64_t number, const char *uuid)
{
	struct gpualloc_waiter *waiting = keeping->shown->waiting;

	for (size_t i = 0; i < keeping->shown->waiting_count; i++)
		if (waiting[i].number == number)
			return ga_add_text(&waiting[i].keeps, &waiting[i].keep_count, uuid);
	return 0; /* it came after we looked */
}

/* The machine's own copy of a ticket for which something is kept; NULL when out of memory. */
static const struct gpualloc_waiter *waiter_of(gpualloc_machine *machine,
					       const struct ga_ticket *ticket)
{
	struct gpualloc_waiter *waiter;

	for (size_t i = machine->waiter_count; i > 0; i--)
		if (machine->waiters[i - 1]->number == ticket->number)
			return machine->waiters[i - 1];
	waiter = ga_machine_add_waiter(machine);
	return waiter && ga_waiter_of_ticket(ticket, waiter) == 0 ? waiter : NULL;
}

static int mark(struct keeping *keeping, struct gpualloc_device *device,
		const struct ga_ticket *ticket, size_t place)
{
	struct ga_device_lease *lease = &device->lease;
	const struct gpualloc_waiter *waiter;

	if (device->mig_enabled || !has_place(device, ticket->places[place]))
		return 0;
	waiter = waiter_of(keeping->asker->machine, ticket);
	if (!waiter || (keeping->shown && show(keeping, ticket->number, device->uuid) < 0))
		return ga_error_memory(keeping->error);
	if (ticket->mebibytes == 0) {
		lease->kept = waiter;
		return 0;
	}
	lease->promised += ticket->mebibytes << 20;
	if (!lease->promised_to)
		lease->promised_to = waiter;
	return 0;
}

static int mark_all(struct keeping *keeping, const struct ga_ticket *ticket, size_t place)
{
	gpualloc_machine *machine = keeping->asker->machine;
	int result = 0;

	for (size_t i = 0; result == 0 && i < machine->device_count; i++) {
		struct gpualloc_device *gpu = &machine->devices[i];

		result = mark(keeping, gpu, ticket, place);
		for (size_t m = 0; result == 0 && m < gpu->mig_count; m++)
			result = mark(keeping, &gpu->mig[m], ticket, place);
	}
	return result;
}

static int keep(struct keeping *keeping, const struct ga_ticket *ticket, const bool *is_free)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < ticket->place_count; i++) {
		struct ga_range *kept;

		if (!is_free[i])
			continue;
		kept = reallocarray(keeping->kept, keeping->kept_count + 1, sizeof *kept);
		if (!kept)
			return ga_error_memory(keeping->error);
		keeping->kept = kept;
		kept[keeping->kept_count++] = ticket->places[i];
		result = mark_all(keeping, ticket, i);
	}
	return result;
}

static int keep_for(struct keeping *keeping, const struct ga_ticket *ticket)
{
	ga_auto_free bool *is_free = NULL;
	int64_t free_now, reachable;
	bool can;

	if (is_kept_nothing(keeping, ticket))
		return 0;
	is_free = calloc(ticket->place_count, sizeof *is_free);
	if (!is_free)
		return ga_error_memory(keeping->error);
	reachable = prospects(keeping, ticket, is_free, &free_now);
	can = free_now >= ticket->count;
	if (ga_turn_is_missed(keeping->asker->view, ticket->number, can))
		return 0;
	/*
	 * Only leases may be in its way: no device stays idle for a waiter that no lease's end can
	 * help.
	 */
	return can || reachable >= ticket->count ? keep(keeping, ticket, is_free) : 0;
}

static int keep_for_all(struct keeping *keeping)
{
	struct ga_view_of_queue *view = keeping->asker->view;
	int result = ga_view_refresh(view, keeping->error);

	ga_view_begin(view);
	if (result == 0 && view->tickets.count > 0)
		result = read_records(keeping);
	for (size_t i = 0; result == 0 && i < view->tickets.count; i++)
		result = keep_for(keeping, &view->tickets.list[i]);
	free(keeping->kept);
	ga_records_free(&keeping->records);
	return result;
}

int ga_keep_for_earlier(const struct ga_keep *keep, gpualloc_error *error)
{
	return keep_for_all(&(struct keeping){.asker = keep, .error = error});
}

static int keep_for_newcomer(const struct ga_store *store, gpualloc_machine *machine,
			     const struct ga_config *config, gpualloc_leases *shown,
			     gpualloc_error *error)
{
	struct ga_view_of_queue view = {.store = store};
	struct ga_keep asker = {.view = &view, .machine = machine, .config = config};
	int result =
		keep_for_all(&(struct keeping){.asker = &asker, .shown = shown, .error = error});

	ga_view_free(&view);
	return result;
}

int ga_keep_for_newcomer(const struct ga_store *store, gpualloc_machine *machine,
			 const struct ga_config *config, gpualloc_error *error)
{
	return keep_for_newcomer(store, machine, config, NULL, error);
}

int ga_leases_add_keeps(gpualloc_leases *leases, const struct ga_store *store,
			gpualloc_machine *machine, gpualloc_error *error)
{
	static const struct ga_nest outside;
	ga_auto_config struct ga_config config = {0};
	/* Mistakes in the rules are reported when leasing, not when listing. */
	int result = ga_config_settle(machine, &config, NULL);

	if (result == GPUALLOC_ENOMEM)
		ga_error_memory(error);
	else
		result = ga_leases_note(store, machine, &outside, false, error);
	if (result == 0 && leases->waiting_count > 0)
		result = keep_for_newcomer(store, machine, &config, leases, error);
	return result;
}

/* ---- those who want the same ---- */

static bool is_twin(const struct ga_ticket *one, const struct ga_ticket *other)
{
	return one->count == other->count && one->mebibytes == other->mebibytes &&
	       one->place_count == other->place_count &&
	       memcmp(one->places, other->places, one->place_count * sizeof *one->places) == 0;
}

static bool all_are_twins(const struct ga_tickets *tickets, const struct ga_ticket *own)
{
	for (size_t i = 0; i < tickets->count; i++)
		if (!is_twin(&tickets->list[i], own))
			return false;
	return true;
}

static bool is_behind_any(struct keeping *keeping)
{
	struct ga_view_of_queue *view = keeping->asker->view;

	for (size_t i = 0; i < view->tickets.count; i++) {
		const struct ga_ticket *twin = &view->tickets.list[i];

		if (ga_ticket_is_alive(view->store, twin->number) &&
		    !is_kept_nothing(keeping, twin) && !ga_turn_is_missed(view, twin->number, true))
			return true;
	}
	return false;
}

/*
 * If somebody ahead of us wants something else, what is kept for them may not be there for a twin,
 * and only the closer look can tell.
 */
bool ga_keep_is_behind(const struct ga_keep *keep, const struct ga_ticket *own)
{
	struct keeping keeping = {.asker = keep};
	bool is_behind = false;

	if (read_records(&keeping) < 0)
		return false;
	/* Only so many tickets count at once: the next ones do when the first have gone. */
	for (int look = 0; look < 2 && !is_behind; look++) {
		if (look > 0 && ga_view_refresh(keep->view, NULL) < 0)
			break;
		if (own->place_count > 0 && all_are_twins(&keep->view->tickets, own))
			is_behind = is_behind_any(&keeping);
	}
	ga_records_free(&keeping.records);
	return is_behind;
}
