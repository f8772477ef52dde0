/* SPDX-License-Identifier: Apache-2.0 */
/* Leasing; see leasing.h. */
#include "leasing.h"

#include "agent.h"
#include "asking.h"
#include "duration.h"
#include "message.h"
#include "open.h"
#include "options.h"
#include "owned.h"
#include "waiting.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Shells overwrite low numbers, and at exit the highest is closed first. */
enum { FD_OF_LEASES = 512 };

static int read_wait(const struct call *call, int64_t *ret_ms)
{
	const char *word = call->value[OPTION_WAIT];

	*ret_ms = word ? -1 : 0;
	return word && *word ? duration_read(call, "--wait", word, GA_DURATION_MAX, ret_ms) : 0;
}

int check_wait(const struct call *call)
{
	int64_t ms;

	return read_wait(call, &ms);
}

static bool join_words(struct ga_buffer *text, char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		ga_buffer_format(text, "%s%s", i ? " " : "", words[i]);
	return !text->failed;
}

static int fill_wish(const struct call *call, char *const *words, struct waiting *waiting,
		     gpualloc_lease_wish *wish)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	int64_t wait_ms = 0, hold_ms = 0;
	int result;

	if (!wish || !join_words(&text, words))
		return fail_memory();
	(void)read_wait(call, &wait_ms);
	if (call->value[OPTION_FOR] &&
	    ga_duration_parse(call->value[OPTION_FOR], GA_DURATION_MAX, &hold_ms, NULL) == 0)
		gpualloc_lease_wish_set_hold(wish, hold_ms);
	if (call->value[OPTION_TIME_LIMIT] &&
	    ga_duration_parse(call->value[OPTION_TIME_LIMIT], GA_DURATION_MAX, &hold_ms, NULL) == 0)
		gpualloc_lease_wish_set_time_limit(wish, hold_ms);
	result = gpualloc_lease_wish_set_machine(wish, call->value[OPTION_MACHINE],
						 call->deadline_ms);
	if (result == 0)
		result = gpualloc_lease_wish_set_command(wish, text.data);
	if (result == 0 && call->value[OPTION_NOTE])
		result = gpualloc_lease_wish_set_note(wish, call->value[OPTION_NOTE]);
	gpualloc_lease_wish_set_wait(wish, wait_ms, waiting_tell, waiting);
	gpualloc_lease_wish_set_asking(wish, asking_teller(call), NULL);
	return result < 0 ? fail_memory() : 0;
}

static void say_notes(const struct call *call, const gpualloc_lease *lease)
{
	const gpualloc_machine *machine = gpualloc_lease_machine(lease);
	const char *note;

	if (call->value[OPTION_QUIET])
		return;
	for (size_t i = 0; (note = gpualloc_machine_note(machine, i)); i++)
		say("note: %s", note);
	for (size_t i = 0; (note = gpualloc_lease_note(lease, i)); i++)
		say("note: %s", note);
}

/* What the user could do about it, besides what the library says about each device. */
static int refused(const struct call *call, int result, const gpualloc_error *error)
{
	bool may_wait =
		result == GPUALLOC_EBUSY && !call->value[OPTION_WAIT] && !call->value[OPTION_QUIET];

	return fail_error_with(result, error,
			       may_wait ? "use --wait to wait in the queue until they are free"
					: NULL);
}

/* What ends the waiting, and what does not happen meanwhile. */
struct terms {
	int stop; /* -1: nothing */
	bool unkept;
};

/* The wish is freed when this returns, so that a signal may end the process then. */
static int acquire_or_signal(const struct call *call, const gpualloc_store *store,
			     const gpualloc_request *request, char *const *words,
			     const struct terms *terms, gpualloc_lease **ret_lease, int *ret_signal)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_wish gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	struct waiting waiting = {0};
	int result = fill_wish(call, words, &waiting, wish);

	if (result)
		return result;
	gpualloc_lease_wish_set_stop(wish, terms->stop);
	if (terms->unkept)
		gpualloc_lease_wish_set_keep(wish, -1);
	waiting_begin(&waiting, call->value[OPTION_QUIET] != NULL,
		      call->value[OPTION_WAIT] != NULL);
	result = gpualloc_lease_acquire(store, request, wish, ret_lease, error);
	*ret_signal = waiting_end(&waiting);
	if (*ret_signal && result == 0)
		(void)gpualloc_lease_release(*ret_lease, NULL);
	return result < 0 && !*ret_signal ? refused(call, result, error) : 0;
}

int acquire(const struct call *call, const gpualloc_store *store, const gpualloc_request *request,
	    char *const *words, gpualloc_lease **ret_lease)
{
	/* An agent that gives up closes its end. */
	const struct terms usual = {.stop = agent_tether()};
	int signal = 0;
	int result = acquire_or_signal(call, store, request, words, &usual, ret_lease, &signal);

	if (signal) {
		die_by(signal);
		return 128 + signal;
	}
	if (result == 0)
		say_notes(call, *ret_lease);
	return result;
}

int acquire_until(const struct call *call, const gpualloc_store *store,
		  const gpualloc_request *request, char *const *words, int stop, bool unkept,
		  gpualloc_lease **ret_lease)
{
	struct terms terms = {stop, unkept};
	int signal = 0;
	int result = acquire_or_signal(call, store, request, words, &terms, ret_lease, &signal);

	if (signal)
		return 128 + signal;
	if (result == 0)
		say_notes(call, *ret_lease);
	return result;
}

void add_device_ids(struct ga_buffer *text, const gpualloc_device *const *devices, size_t count)
{
	ga_buffer_text(text, gpualloc_device_parent(devices[0]) ? "MIG " : "GPU ");
	for (size_t i = 0; i < count; i++) {
		char id[96];

		(void)gpualloc_device_ids(&devices[i], 1, id, sizeof id);
		ga_buffer_format(text, "%s%s", i ? "," : "", id);
	}
}

static void add_lease_ids(struct ga_buffer *text, const gpualloc_lease *lease)
{
	size_t count = gpualloc_lease_device_count(lease);
	ga_auto_free const gpualloc_device **devices = calloc(count + 1, sizeof(void *));

	text->failed = text->failed || !devices;
	for (size_t i = 0; devices && i < count; i++)
		devices[i] = gpualloc_lease_device(lease, i);
	if (devices && count > 0)
		add_device_ids(text, devices, count);
}

void leasing_line(struct ga_buffer *text, const gpualloc_lease *lease)
{
	const gpualloc_device *first = gpualloc_lease_device(lease, 0);
	const gpualloc_device *parent = gpualloc_device_parent(first);
	const char *name = gpualloc_device_name(parent ? parent : first);
	int64_t memory = gpualloc_lease_memory(lease);

	add_machine_name(text, gpualloc_lease_machine(lease));
	ga_buffer_text(text, ": ");
	add_lease_ids(text, lease);
	if (name)
		ga_buffer_format(text, " (%s)", name);
	if (memory >= 0)
		ga_buffer_format(text, ", %lld MiB of each", (long long)(memory >> 20));
	ga_buffer_format(text, ", lease %s", gpualloc_lease_id(lease));
}

void say_lease(const gpualloc_lease *lease)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	leasing_line(&text, lease);
	if (!text.failed)
		say("%s", text.data);
}

int leasing_hand_on(int fd)
{
	int high = fcntl(fd, F_DUPFD, FD_OF_LEASES);
	char number[16];

	if (high < 0)
		high = fcntl(fd, F_DUPFD, 0);
	close(fd);
	(void)snprintf(number, sizeof number, "%d", high);
	return high >= 0 && setenv("GPUALLOC_FD", number, 1) == 0 ? 0 : fail_memory();
}
