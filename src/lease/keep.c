/* SPDX-License-Identifier: Apache-2.0 */
/* What earlier tickets are kept, and how long; see keep.h. */
#include "keep.h"

#include "clock.h"
#include "device_state.h"
#include "file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { TURN_MS = 1500, KEEP_S = 30 * 60 };

struct keeping {
	struct ga_acquiring *acquiring;
	struct ga_range *kept; /* for the tickets dealt with so far */
	size_t kept_count;
	gpualloc_leases *shown; /* where it is written down for whom; NULL: nowhere */
	gpualloc_error *error;
};

/* ---- those for whom nothing is kept ---- */

/* A stopped process does not take its turn, nor does one that has gone and whose ticket a stranger
   keeps alive. Of one in another pid namespace nothing is known. */
static bool is_stopped_or_gone(const struct ga_ticket *ticket)
{
	char path[64], text[512];
	const char *state;
	struct stat space;

	if (ticket->pid <= 0 || stat("/proc/self/ns/pid", &space) < 0 ||
	    ticket->pidns != (int64_t)space.st_ino)
		return false;
	if (kill((pid_t)ticket->pid, 0) < 0 && errno == ESRCH)
		return true;
	(void)snprintf(path, sizeof path, "/proc/%lld/stat", (long long)ticket->pid);
	if (ga_file_peek("", path, text, sizeof text) < 0)
		return false;
	state = strrchr(text, ')');
	return state && state[1] == ' ' && (state[2] == 'T' || state[2] == 't');
}

/* Kept for so long, then not for as long, and again. */
static bool is_out_of_time(const struct ga_acquiring *acquiring, const struct ga_ticket *ticket)
{
	int64_t said = acquiring->config.keep_ms / 1000, asked = acquiring->wish->keep_s;
	int64_t keep = said > 0 ? said : asked > 0 ? asked : KEEP_S;
	int64_t waited = (int64_t)time(NULL) - ticket->queued;

	return waited > 0 && waited / keep % 2 == 1;
}

/*
 * Since when, by our own clock, a ticket could have had what it wants. Whoever can and does not is
 * frozen, or wants more than its ticket says.
 */
static bool misses_its_turn(struct ga_acquiring *acquiring, uint64_t number, bool can)
{
	int64_t now = ga_clock_ms();
	size_t i = 0;

	while (i < acquiring->turn_count && acquiring->turns[i].number != number)
		i++;
	if (!can) {
		if (i < acquiring->turn_count)
			acquiring->turns[i] = acquiring->turns[--acquiring->turn_count];
		return false;
	}
	if (i == acquiring->turn_count) {
		if (i == GA_TICKETS_MOST)
			return true;
		acquiring->turns[acquiring->turn_count++] = (struct ga_turn){number, now};
	}
	if (now - acquiring->turns[i].since >= TURN_MS)
		return true;
	acquiring->waits_for_turn = true;
	return false;
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

/* In use by strangers, sick or excluded, as far as we see: no lease's end would give it. */
static bool is_out_of_reach(const struct ga_acquiring *acquiring, struct ga_range place, bool share)
{
	const gpualloc_machine *machine = acquiring->machine;

	for (size_t i = 0; i < machine->device_count; i++) {
		const struct gpualloc_device *gpu = &machine->devices[i];

		for (size_t m = 0; m <= gpu->mig_count; m++) {
			const struct gpualloc_device *device = m ? &gpu->mig[m - 1] : gpu;
			enum gpualloc_state state = ga_device_state(device);

			if (device->mig_enabled || !has_place(device, place))
				continue;
			return state == GPUALLOC_STATE_UNHEALTHY ||
			       (state == GPUALLOC_STATE_EXCLUDED && !device->lease.barred &&
				!device->is_for_others) ||
			       (state == GPUALLOC_STATE_IN_USE && !share);
		}
	}
	return false;
}

/* Fills in which places are free now; returns how many could be once leases end. */
static int64_t prospects(const struct keeping *keeping, const struct ga_ticket *ticket,
			 bool *is_free, int64_t *ret_free)
{
	int64_t reachable = 0;

	*ret_free = 0;
	for (size_t i = 0; i < ticket->place_count; i++) {
		is_free[i] = false;
		if (is_out_of_reach(keeping->acquiring, ticket->places[i], ticket->mebibytes > 0))
			continue;
		reachable++;
		is_free[i] = !is_kept(keeping, ticket->places[i]) &&
			     ga_ticket_fits(keeping->acquiring->store, ticket, i) == 1;
		*ret_free += is_free[i];
	}
	return reachable;
}

/* ---- keeping ---- */

static int show(struct keeping *keeping, uint64_t number, const char *uuid)
{
	struct ga_waiting *waiting = keeping->shown->waiting;
	char **keeps;

	while (waiting->number != number)
		if (++waiting == keeping->shown->waiting + keeping->shown->waiting_count)
			return 0; /* it came after we looked */
	keeps = reallocarray(waiting->keeps, waiting->keep_count + 1, sizeof *keeps);
	if (!keeps)
		return ga_error_memory(keeping->error);
	waiting->keeps = keeps;
	keeps[waiting->keep_count] = strdup(uuid);
	if (!keeps[waiting->keep_count])
		return ga_error_memory(keeping->error);
	waiting->keep_count++;
	return 0;
}

static int mark(struct keeping *keeping, struct gpualloc_device *device,
		const struct ga_ticket *ticket, size_t place)
{
	char text[256];

	if (device->mig_enabled || !has_place(device, ticket->places[place]))
		return 0;
	if (keeping->shown)
		return show(keeping, ticket->number, device->uuid);
	/* Budgets go beside each other. */
	if (keeping->acquiring->request.share && ticket->mebibytes > 0) {
		device->lease.promised += ticket->mebibytes << 20;
		return 0;
	}
	(void)snprintf(text, sizeof text, "for %s (process %lld), who has waited longer",
		       ticket->user, (long long)ticket->pid);
	return ga_set_text(&device->lease.kept, text) < 0 ? ga_error_memory(keeping->error) : 0;
}

static int mark_all(struct keeping *keeping, const struct ga_ticket *ticket, size_t place)
{
	gpualloc_machine *machine = keeping->acquiring->machine;
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

	if (ticket->place_count == 0 || is_stopped_or_gone(ticket) ||
	    is_out_of_time(keeping->acquiring, ticket))
		return 0;
	is_free = calloc(ticket->place_count, sizeof *is_free);
	if (!is_free)
		return ga_error_memory(keeping->error);
	reachable = prospects(keeping, ticket, is_free, &free_now);
	can = free_now >= ticket->count;
	if (misses_its_turn(keeping->acquiring, ticket->number, can))
		return 0;
	/* What it lacks must be leases: nobody idles for what no lease's end can give. */
	return can || reachable >= ticket->count ? keep(keeping, ticket, is_free) : 0;
}

static int keep_for_all(struct keeping *keeping)
{
	ga_auto_tickets struct ga_tickets tickets = {0};
	struct ga_acquiring *acquiring = keeping->acquiring;
	int result =
		ga_queue_read(acquiring->store, acquiring->ticket, false, &tickets, keeping->error);

	acquiring->waits_for_turn = false;
	for (size_t i = 0; result == 0 && i < tickets.count; i++)
		result = keep_for(keeping, &tickets.list[i]);
	free(keeping->kept);
	return result;
}

int ga_keep_for_earlier(struct ga_acquiring *acquiring, gpualloc_error *error)
{
	return keep_for_all(&(struct keeping){.acquiring = acquiring, .error = error});
}

int ga_leases_add_keeps(gpualloc_leases *leases, const struct ga_store *store,
			gpualloc_machine *machine, gpualloc_error *error)
{
	static const gpualloc_lease_wish plain;
	struct ga_acquiring looking = {.store = store, .wish = &plain, .machine = machine};
	struct keeping keeping = {.acquiring = &looking, .shown = leases, .error = error};
	/* A mistake in the rules is told by who gives, not by who shows. */
	int result = ga_config_settle(machine, &looking.config, NULL);

	if (result == GPUALLOC_ENOMEM)
		ga_error_memory(error);
	else
		result = ga_leases_note(store, machine, &looking.nest, false, error);
	if (result == 0 && leases->waiting_count > 0)
		result = keep_for_all(&keeping);
	ga_config_free(&looking.config);
	return result;
}

/* ---- those who want the same ---- */

static bool is_twin(const struct ga_ticket *one, const struct ga_ticket *other)
{
	return one->count == other->count && one->mebibytes == other->mebibytes &&
	       one->place_count == other->place_count &&
	       memcmp(one->places, other->places, one->place_count * sizeof *one->places) == 0;
}

/*
 * None where anybody before us wants something else: what is kept for that one, a twin cannot have
 * either, and only the closer look knows.
 */
static void read_twins(struct ga_acquiring *acquiring, const struct ga_ticket *own)
{
	struct ga_tickets *twins = &acquiring->twins;

	ga_tickets_free(twins);
	if (own->place_count == 0 ||
	    ga_queue_read(acquiring->store, own->number, false, twins, NULL) < 0)
		return;
	for (size_t i = 0; i < twins->count; i++) {
		if (!is_twin(&twins->list[i], own)) {
			ga_tickets_free(twins);
			return;
		}
	}
}

static bool takes_its_turn(struct ga_acquiring *acquiring, const struct ga_ticket *twin)
{
	return !is_stopped_or_gone(twin) && !is_out_of_time(acquiring, twin) &&
	       !misses_its_turn(acquiring, twin->number, true);
}

static bool is_behind_twin(struct ga_acquiring *acquiring)
{
	struct ga_tickets *twins = &acquiring->twins;

	for (size_t i = 0; i < twins->count;) {
		if (!ga_ticket_is_alive(acquiring->store, twins->list[i].number)) {
			ga_ticket_free(&twins->list[i]);
			twins->count--;
			memmove(&twins->list[i], &twins->list[i + 1],
				(twins->count - i) * sizeof *twins->list);
		} else if (takes_its_turn(acquiring, &twins->list[i])) {
			return true;
		} else {
			i++;
		}
	}
	return false;
}

bool ga_keep_is_behind(struct ga_acquiring *acquiring, const struct ga_ticket *own)
{
	if (acquiring->place <= 1)
		return false;
	if (is_behind_twin(acquiring))
		return true;
	/* The list of those who count is limited: the next are on it when the first have gone. */
	if (acquiring->twins.count > 0)
		return false;
	read_twins(acquiring, own);
	return is_behind_twin(acquiring);
}
