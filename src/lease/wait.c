/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting: a ticket, and then sleeping until a claim is worth trying. Nobody polls all the time,
 * and nobody blocks on a kernel lock. The foremost watch the ledger. Its close event comes before
 * its locks are gone, so they look again and again for a short while. The others look once a
 * second, and so does everybody in case an event was missed.
 */
#include "acquire.h"

#include "clock.h"
#include "device_state.h"
#include "select.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

enum {
	FOREMOST = 8, /* watch the ledger */
	/*
	 * Waiters up to here watch the queue, so that they become the foremost in time: more than
	 * can be served between two ticks, and few enough for a user's 128 watches.
	 */
	NEXT = 64,
	TICK_MS = 1000,
	BLIND_TICK_MS = 250,
	SAY_SO_MS = 1000, /* those who do not wait are told when they do */
	FIRST_LOOK_US = 200,
	LAST_LOOK_US = 51200,
	WATCHED_MOST = 16,
	/*
	 * Anybody may open and close the ledger, which wakes those who wait for leases to end. This
	 * many useless events are looked into at once, then one in each span.
	 */
	VAIN_MOST = 32,
	STORM_MS = 100,
};

struct waiting {
	struct ga_acquiring *acquiring;
	struct ga_ticket ticket;
	int64_t until; /* -1: no limit */
	int events;    /* inotify; -1: too far behind, or the kernel gave none */
	int watched;   /* the current watch; -1: none */
	bool is_foremost;
	bool is_blind;          /* the kernel gave no inotify */
	int64_t strangers_from; /* do not watch their pids before this time: one has just gone */
	bool queue_moved;       /* that is what woke us */
	int64_t tried_at;
	int64_t look_us; /* pause before the next look after an event; 0: no recent event */
	unsigned vain;   /* events after which nothing had changed, minus one for each calm span */
	int64_t vain_at;
	int64_t free_seen; /* how many of our places were free at the last look */
	char told[1024];   /* what we last told the caller */
	size_t told_place;
	gpualloc_error *error;
};

/* ---- the ticket ---- */

static int add_place(struct waiting *waiting, const gpualloc_device *device)
{
	struct ga_ticket *ticket = &waiting->ticket;
	const struct ga_acquiring *acquiring = waiting->acquiring;
	struct ga_range *places, last;
	struct ga_room room;

	if (!ga_leases_room(device, &acquiring->nest, acquiring->request.share, &room))
		return 0;
	places = reallocarray(ticket->places, ticket->place_count + 1, sizeof *places);
	if (!places)
		return ga_error_memory(waiting->error);
	ticket->places = places;
	/*
	 * If a budget has several ranges, take everything from the first to the last: this hopes
	 * for too much, not too little.
	 */
	last = ga_room_ranges(&room)[room.count - 1];
	room.range = *ga_room_ranges(&room);
	room.range.length = last.start + last.length - room.range.start;
	places[ticket->place_count++] = room.range;
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct ga_range *one = a, *other = b;

	return (one->start > other->start) - (one->start < other->start);
}

/*
 * Everything that could be ours once others have gone; in a fixed order, so that equal wishes look
 * equal.
 */
static int find_places(struct waiting *waiting)
{
	ga_auto_selection struct ga_selection selection = {0};
	struct ga_acquiring *acquiring = waiting->acquiring;
	int result = 0;

	(void)ga_select(acquiring->machine, &acquiring->request, &selection, NULL);
	for (size_t i = 0; result == 0 && i < selection.candidate_count; i++)
		result = add_place(waiting, selection.candidates[i].device);
	for (size_t i = 0; result == 0 && i < selection.rejection_count; i++)
		if (selection.rejections[i].for_now)
			result = add_place(waiting, selection.rejections[i].device);
	if (waiting->ticket.place_count > 1)
		qsort(waiting->ticket.places, waiting->ticket.place_count,
		      sizeof *waiting->ticket.places, by_start);
	waiting->ticket.count = (int64_t)selection.want;
	return result;
}

static char *words_of(const gpualloc_request *request, int64_t count)
{
	char memory[64] = "", *text;
	int length;

	if (request->memory > 0)
		(void)snprintf(memory, sizeof memory, ", %lld MiB of each%s",
			       (long long)(request->memory >> 20),
			       request->share ? ", shared" : "");
	length =
		asprintf(&text, "%lld %s%s%s%s%s%s%s%s", (long long)count,
			 request->mig ? "MIG instance" : "GPU", count == 1 ? "" : "s",
			 request->profile ? " " : "", request->profile ? request->profile : "",
			 memory, request->only ? ", only " : "", request->only ? request->only : "",
			 request->require ? ", some required" : "");
	return length < 0 ? NULL : text;
}

/* If we cannot leave a ticket we still wait, without a place in the queue. */
static int join(struct waiting *waiting)
{
	ga_auto_arbiter struct ga_arbiter arbiter = GA_ARBITER_NONE;
	struct ga_acquiring *acquiring = waiting->acquiring;
	struct ga_ticket *ticket = &waiting->ticket;
	gpualloc_error error = {0};
	struct stat space;
	size_t places;
	int result = find_places(waiting);

	if (result < 0)
		return result;
	ticket->pid = getpid();
	ticket->pidns = stat("/proc/self/ns/pid", &space) == 0 ? (int64_t)space.st_ino : GA_UNKNOWN;
	ticket->since = (int64_t)time(NULL);
	ticket->mebibytes =
		acquiring->request.share ? (acquiring->request.memory + (1 << 20) - 1) >> 20 : 0;
	ticket->request = words_of(&acquiring->request, ticket->count);
	if (!ticket->request ||
	    ga_record_words(acquiring->wish->command, acquiring->wish->note, &ticket->command,
			    &ticket->note) < 0 ||
	    ga_agent_set(&ticket->agent) < 0)
		return ga_error_memory(waiting->error);
	ga_acquiring_arbitrate(acquiring, &arbiter);
	/* For a ticket that names no places nothing is kept; this process still knows them. */
	places = ticket->place_count;
	if (acquiring->wish->keep_s < 0)
		ticket->place_count = 0;
	result = ga_queue_join(&acquiring->store, acquiring->ledger, ticket, &error);
	ticket->place_count = places;
	if (result < 0)
		ga_acquiring_note(acquiring, error.message);
	ga_arbiter_drop(&arbiter);
	ga_view_join(&acquiring->view, ticket->number);
	return ga_view_refresh(&acquiring->view, waiting->error);
}

/* ---- whether a try is worth it ---- */

/* A cheap look at the ledger alone: how many of our places have no lease in the way. */
static bool may_fit(struct waiting *waiting)
{
	int64_t free_now = 0;

	for (size_t i = 0; i < waiting->ticket.place_count; i++)
		free_now += ga_ticket_fits(&waiting->acquiring->store, &waiting->ticket, i) != 0;
	if (free_now != waiting->free_seen)
		waiting->vain = 0;
	waiting->free_seen = free_now;
	return free_now >= waiting->ticket.count || waiting->ticket.place_count == 0;
}

/* ---- sleeping ---- */

static bool start_watching(struct waiting *waiting)
{
	const struct ga_acquiring *acquiring = waiting->acquiring;
	bool foremost = acquiring->place <= FOREMOST;
	char path[64];
	int before = waiting->watched;

	if (waiting->events < 0)
		waiting->events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (waiting->events < 0)
		return false;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d",
		       foremost ? acquiring->ledger : acquiring->store.queue);
	waiting->watched =
		inotify_add_watch(waiting->events, path, foremost ? IN_CLOSE_WRITE : IN_DELETE);
	if (before >= 0)
		(void)inotify_rm_watch(waiting->events, before);
	waiting->is_foremost = foremost;
	return waiting->watched >= 0;
}

/* A place in the queue only ever gets better. */
static void watch(struct waiting *waiting)
{
	struct ga_acquiring *acquiring = waiting->acquiring;
	size_t before = acquiring->place;

	acquiring->place = ga_ahead_place(&acquiring->store, &acquiring->view.ahead);
	if (acquiring->place != before)
		waiting->vain = 0;
	if (waiting->is_blind || acquiring->place > NEXT ||
	    (waiting->watched >= 0 && waiting->is_foremost == (acquiring->place <= FOREMOST)) ||
	    start_watching(waiting))
		return;
	if (waiting->events >= 0)
		close(waiting->events);
	waiting->events = -1;
	waiting->is_blind = true;
	ga_acquiring_note(
		acquiring,
		"waited by looking four times a second, because the kernel would not watch "
		"any more files");
}

/* When a stranger's process ends there is no event on the ledger, but its pid can be watched. */
static nfds_t watch_strangers(const struct waiting *waiting, struct pollfd *fds, nfds_t count)
{
	const gpualloc_machine *machine = waiting->acquiring->machine;
	nfds_t most = count + WATCHED_MOST;

	for (size_t i = 0; machine && i < machine->device_count; i++) {
		const struct gpualloc_device *device = &machine->devices[i];

		for (size_t p = 0; p < device->process_count && count < most; p++) {
			int64_t pid = device->processes[p].pid;
			int fd = !ga_process_computes(&device->processes[p]) || pid <= 0
					 ? -1
					 : (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);

			if (fd >= 0)
				fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
		}
	}
	return count;
}

/*
 * Look at the machine again at once, then at most once a second: the driver may go on showing a
 * process that has gone.
 */
static void stranger_gone(struct waiting *waiting)
{
	waiting->acquiring->machine_at = INT64_MIN / 2;
	waiting->strangers_from = ga_clock_ms() + TICK_MS;
}

static void drain(int events)
{
	char bytes[4096];

	while (read(events, bytes, sizeof bytes) > 0)
		;
}

static bool is_stormy(struct waiting *waiting)
{
	int64_t now = ga_clock_ms(), calm = (now - waiting->vain_at) / STORM_MS;

	if (calm > 0) {
		waiting->vain -= calm < waiting->vain ? (unsigned)calm : waiting->vain;
		waiting->vain_at = now;
	}
	return waiting->vain >= VAIN_MOST;
}

static int64_t sleep_us(const struct waiting *waiting)
{
	bool is_blind = waiting->is_blind && waiting->acquiring->place <= NEXT;
	int64_t tick = is_blind ? BLIND_TICK_MS : TICK_MS;
	int64_t now = ga_clock_ms(), left = waiting->until < 0 ? tick : waiting->until - now;
	const struct ga_view_of_queue *view = &waiting->acquiring->view;

	/* Until our patience ends with those who could be served before us. */
	if (view->waits_for_turn && (left <= 0 || view->turn_ends - now < left))
		left = view->turn_ends - now;
	if (waiting->look_us > 0 && waiting->look_us < left * 1000)
		return waiting->look_us;
	return left < 0 ? 0 : left < tick ? left * 1000 : tick * 1000;
}

/*
 * The first looks at once. The others give it time to take what it can: each try takes the arbiter,
 * and the first would have to queue for that too.
 */
static int64_t first_look_us(size_t place)
{
	return place <= 1 ? FIRST_LOOK_US : FIRST_LOOK_US * 16 * (int64_t)place;
}

/*
 * An event on the ledger comes before the locks are gone, so look again; after one on the queue
 * nothing follows.
 */
static void take_event(struct waiting *waiting, bool is_alone)
{
	drain(waiting->events);
	waiting->vain++;
	waiting->queue_moved = !waiting->is_foremost && is_alone;
	waiting->look_us = waiting->is_foremost ? first_look_us(waiting->acquiring->place) : 0;
}

/* Ignores events for a moment, and drops those that came during it. */
static bool sit_out_storm(struct waiting *waiting)
{
	int64_t us = sleep_us(waiting);
	struct timespec pause = {0, (us < STORM_MS * 1000 ? us : STORM_MS * 1000) * 1000};
	bool undisturbed = ppoll(NULL, 0, &pause, NULL) == 0;

	drain(waiting->events);
	waiting->look_us = 0;
	waiting->queue_moved = false;
	return undisturbed;
}

/* False if a signal came. */
static bool sleep_a_while(struct waiting *waiting)
{
	struct pollfd fds[WATCHED_MOST + 2];
	nfds_t strangers, count = 0;
	int64_t us = sleep_us(waiting);
	struct timespec pause = {us / 1000000, us % 1000000 * 1000};
	int ready, failure;

	if (waiting->events >= 0 && is_stormy(waiting))
		return sit_out_storm(waiting);
	/* poll() passes over negative ones. */
	fds[count++] = (struct pollfd){.fd = waiting->events, .events = POLLIN};
	fds[count++] = (struct pollfd){.fd = waiting->acquiring->wish->stop, .events = POLLIN};
	strangers = count;
	/* Not between two looks at the ledger: those do not wait for strangers. */
	if (waiting->look_us == 0 && ga_clock_ms() >= waiting->strangers_from)
		count = watch_strangers(waiting, fds, count);
	waiting->queue_moved = false;
	ready = ppoll(fds, count, &pause, NULL);
	failure = errno;
	for (nfds_t i = strangers; i < count; i++) {
		if (ready > 0 && fds[i].revents)
			stranger_gone(waiting);
		close(fds[i].fd);
	}
	if (ready > 0 && fds[0].revents)
		take_event(waiting, ready == 1);
	else if (waiting->look_us > 0)
		waiting->look_us = waiting->look_us >= LAST_LOOK_US ? 0 : waiting->look_us * 2;
	return !(ready < 0 && failure == EINTR);
}

/* ---- the caller is told, and may stop us ---- */

static bool is_stopped(const gpualloc_lease_wish *wish)
{
	struct pollfd stop = {.fd = wish->stop, .events = POLLIN};

	return poll(&stop, 1, 0) > 0;
}

static int stopped(gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_ETIMEOUT, "stopped waiting");
}

/*
 * Tells the caller at once and at every change. After a signal also if nothing changed, because the
 * caller may want to give up.
 */
static int tell(struct waiting *waiting, bool always)
{
	const gpualloc_lease_wish *wish = waiting->acquiring->wish;
	const char *sentence = waiting->error ? waiting->error->message : "";
	bool same = strncmp(sentence, waiting->told, sizeof waiting->told - 1) == 0 &&
		    waiting->acquiring->place == waiting->told_place;

	if (!wish->function || (same && !always))
		return 0;
	(void)snprintf(waiting->told, sizeof waiting->told, "%.*s", (int)sizeof waiting->told - 1,
		       sentence);
	waiting->told_place = waiting->acquiring->place;
	if (wish->function(wish->context, waiting->acquiring->place, waiting->told) == 0)
		return 0;
	return stopped(waiting->error);
}

/* First the cheap looks at the ledger and the queue. */
static int try(struct waiting *waiting, gpualloc_lease **ret_lease)
{
	struct ga_acquiring *acquiring = waiting->acquiring;
	struct ga_view_of_queue *view = &acquiring->view;
	struct ga_keep keep;

	/*
	 * A change in the queue says something about leases only to those who are now among the
	 * foremost.
	 */
	if (waiting->queue_moved && !waiting->is_foremost && !view->waits_for_turn &&
	    ga_clock_ms() - waiting->tried_at < TICK_MS)
		return GPUALLOC_EBUSY;
	waiting->tried_at = ga_clock_ms();
	ga_view_begin(view);
	if (!may_fit(waiting)) {
		ga_view_forget_turns(view);
		return GPUALLOC_EBUSY;
	}
	/* Without a place in the queue we let everybody in it go first. */
	view->is_read = view->is_read && view->own;
	keep = ga_acquiring_keep(acquiring);
	if (acquiring->place > 1 && ga_keep_is_behind(&keep, &waiting->ticket))
		return GPUALLOC_EBUSY;
	return ga_acquiring_try(acquiring, ret_lease, waiting->error);
}

/*
 * Idle devices are not refused because of others who do not take them: then the caller waits until
 * our patience with those ends.
 */
static bool is_time_up(const struct waiting *waiting)
{
	int64_t late = waiting->until < 0 ? -1 : ga_clock_ms() - waiting->until;

	return late >= 0 && (late >= GA_TURNS_MS || !waiting->acquiring->view.waits_for_turn);
}

static int time_is_up(struct waiting *waiting)
{
	ga_acquiring_refuse(waiting->acquiring, waiting->error);
	return ga_error_prefix(waiting->error, GPUALLOC_ETIMEOUT, "waited %lld s without success: ",
			       (long long)(waiting->acquiring->wish->wait_ms / 1000));
}

static int wait_for_turn(struct waiting *waiting, gpualloc_lease **ret_lease)
{
	int result;

	for (bool undisturbed = true;;) {
		watch(waiting);
		result = try(waiting, ret_lease);
		if (result != GPUALLOC_EBUSY)
			return result;
		result = tell(waiting, !undisturbed);
		if (result < 0)
			return result;
		if (is_stopped(waiting->acquiring->wish))
			return stopped(waiting->error);
		if (is_time_up(waiting))
			return time_is_up(waiting);
		undisturbed = sleep_a_while(waiting);
	}
}

static int wait_in_queue(struct ga_acquiring *acquiring, gpualloc_lease **ret_lease,
			 gpualloc_error *error)
{
	int64_t wait_ms = acquiring->wish->wait_ms;
	struct waiting waiting = {.acquiring = acquiring,
				  .until = wait_ms < 0 ? -1 : ga_clock_ms() + wait_ms,
				  .events = -1,
				  .watched = -1,
				  .error = error};
	int result = join(&waiting);

	if (result == 0)
		result = wait_for_turn(&waiting, ret_lease);
	if (waiting.events >= 0)
		close(waiting.events);
	ga_ticket_free(&waiting.ticket);
	return result;
}

/* Between two tries. Like waiting, this can be ended, and the caller is told if it takes long. */
static int pause_for_turns(struct ga_acquiring *acquiring, int64_t us, bool is_long,
			   gpualloc_error *error)
{
	const gpualloc_lease_wish *wish = acquiring->wish;
	struct pollfd stop = {.fd = wish->stop, .events = POLLIN};
	struct timespec pause = {0, us * 1000};
	int ready = ppoll(&stop, 1, &pause, NULL);

	if (ready > 0 || ((ready < 0 || is_long) && wish->function &&
			  wish->function(wish->context, 1, error->message) != 0))
		return stopped(error);
	return 0;
}

/*
 * Even if we do not wait, we let those go first who could take their devices at any moment. Only
 * time shows whether they do, and it ends even if they could at one look and not at the next.
 */
static int try_now(struct ga_acquiring *acquiring, gpualloc_lease **ret_lease,
		   gpualloc_error *error)
{
	int64_t since = -1, told = 0, waited, pause_us = 1000;

	for (;;) {
		int result = ga_acquiring_try(acquiring, ret_lease, error);

		since = since < 0 ? ga_clock_ms() : since;
		waited = ga_clock_ms() - since;
		if (result != GPUALLOC_EBUSY || !acquiring->view.waits_for_turn ||
		    acquiring->wish->wait_ms != 0 || waited >= GA_TURNS_MS)
			return result;
		result = pause_for_turns(acquiring, pause_us, waited - told >= SAY_SO_MS, error);
		if (result < 0)
			return result;
		told = waited - told >= SAY_SO_MS ? waited : told;
		pause_us = pause_us < 50000 ? pause_us * 2 : pause_us;
	}
}

/* There is no lease to carry the notes, so they go with the refusal. */
static void add_notes(const struct ga_acquiring *acquiring, int status, gpualloc_error *error)
{
	const struct ga_buffer *notes = &acquiring->notes;

	for (size_t at = 0; at < notes->size; at += strlen(notes->data + at) + 1) {
		gpualloc_error before = *error;

		ga_error_set(error, status, "%s\n  %s", before.message, notes->data + at);
	}
}

int ga_lease_acquire(const struct ga_store *store, const gpualloc_request *request,
		     const gpualloc_lease_wish *wish, gpualloc_lease **ret_lease,
		     gpualloc_error *error)
{
	ga_auto_acquiring struct ga_acquiring acquiring;
	gpualloc_error own = {0}; /* waiting needs somewhere for its sentences */
	int result;

	if (!error)
		error = &own;
	result = ga_acquiring_start(&acquiring, store, request, wish, error);
	if (result == 0)
		result = try_now(&acquiring, ret_lease, error);
	if (result == GPUALLOC_EBUSY && wish->wait_ms != 0)
		result = wait_in_queue(&acquiring, ret_lease, error);
	else if (result == GPUALLOC_EBUSY)
		ga_acquiring_refuse(&acquiring, error);
	if (result == GPUALLOC_EBUSY || result == GPUALLOC_ETIMEOUT)
		add_notes(&acquiring, result, error);
	return result;
}
