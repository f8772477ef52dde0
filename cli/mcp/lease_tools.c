/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease, extend, release. A lease that this session took is known by its tether, which the keeper
 * has the other end of: closing ours ends it, and reading the end of file says that it has ended,
 * whoever ended it. Of other leases only those may be touched that an agent of the same user kept.
 */
#include "clock.h"
#include "duration.h"
#include "keeper.h"
#include "mcp/session.h"
#include "owned.h"
#include "stores.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* ---- what this session has ---- */

struct lease *lease_by_id(struct session *session, const char *id)
{
	for (size_t i = 0; i < LEASES_MOST; i++)
		if (*session->leases[i].id && strcmp(session->leases[i].id, id) == 0)
			return &session->leases[i];
	return NULL;
}

static struct lease *place_for_lease(struct session *session)
{
	for (size_t i = 0; i < LEASES_MOST; i++) {
		struct lease *lease = &session->leases[i];

		/* Nobody says when one that was kept has ended, but it ended at its time. */
		if (lease->is_kept && *lease->id && lease->until < (int64_t)time(NULL))
			lease_has_ended(session, lease);
		if (!*lease->id)
			return lease;
	}
	return NULL;
}

void lease_has_ended(struct session *session, struct lease *lease)
{
	if (lease->tether >= 0)
		close(lease->tether);
	for (struct pending *pending = session->pending; pending; pending = pending->next)
		if (pending->lease == lease && pending->tool->finish) {
			pending->lease = NULL;
			if (!pending->process.pid)
				pending->tool->finish(session, pending);
		}
	keys_forget(session, lease, NULL);
	*lease = (struct lease){.tether = -1};
}

/* A hold that an agent of this user left behind on purpose, in an earlier session. */
static bool was_kept(const struct session *session, const char *id)
{
	auto_store gpualloc_store *store = store_quietly(session->call);
	auto_leases gpualloc_leases *leases = NULL;

	if (!store || gpualloc_leases_read(store, &leases, NULL) < 0)
		return false;
	for (size_t i = 0; i < gpualloc_leases_held_count(leases); i++) {
		const gpualloc_held *held = gpualloc_leases_held(leases, i);
		const char *name = gpualloc_held_id(held), *command = gpualloc_held_command(held);

		if (name && strcmp(name, id) == 0)
			return gpualloc_held_agent(held) && command &&
			       strcmp(command, HOLD_KEPT) == 0 &&
			       gpualloc_held_uid(held) == (int64_t)geteuid();
	}
	return false;
}

void lease_look_for(struct session *session, struct lease *lease)
{
	if (lease->is_kept && !was_kept(session, lease->id))
		lease_has_ended(session, lease);
}

/* Whether the lease that a call names may be used by it; the call is refused otherwise. */
static bool may_touch(struct session *session, struct pending *pending, const char *id)
{
	if (lease_by_id(session, id) || was_kept(session, id))
		return true;
	refuse(session, pending, NULL,
	       "this session has no lease \"%s\". Leases of people, and of other sessions, are not "
	       "yours to change: ask their owner, or wait for their end (list_gpus says when)",
	       id);
	return false;
}

static const char *text_of(const struct pending *pending, const char *name)
{
	return json_string_value(json_object_get(pending->arguments, name));
}

/* ---- lease ---- */

static const struct field lease_fields[] = {
	FIELDS_OF_CHOICE,
	{"for", FIELD_TEXT, true, "--for", "how long: \"30m\", \"2h\"; then it ends by itself"},
	{"note", FIELD_TEXT, true, "--note", "what for, in a few words that others will read"},
	{"wait", FIELD_TEXT, false, "--wait", "wait in the queue at most so long: \"10m\""},
	{"keep", FIELD_FLAG, false, NULL,
	 "keep it after this session has ended, until its time is up"},
	FIELD_KEY,
	FIELD_END};

static void begin_lease(struct session *session, struct pending *pending)
{
	bool stays = json_is_true(json_object_get(pending->arguments, "keep"));
	struct words words = {0};

	if (!read_for(session, pending, "for", &pending->for_ms))
		return;
	if (!place_for_lease(session)) {
		refuse(session, pending, NULL, "this session has %d leases: release some first",
		       LEASES_MOST);
		return;
	}
	words_add(&words, "hold");
	words_add(&words, "--json");
	add_machine_option(session, &words);
	words_add_options(&words, lease_fields, pending->arguments);
	begin_command(session, pending, &words, true, stays);
	words_free(&words);
}

static void add_ids(struct ga_buffer *text, const json_t *ids)
{
	for (size_t i = 0; i < json_array_size(ids); i++) {
		const char *id = json_string_value(json_array_get(ids, i));

		ga_buffer_format(text, "%s%s", i ? "," : "", id ? id : "?");
	}
}

/* The keeper runs. From here on the tether is the lease's. */
static void got_lease(struct session *session, struct pending *pending, const json_t *document)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const char *id = json_string_value(json_object_get(document, "lease"));
	json_t *devices = json_object_get(document, "devices");
	json_t *ids = json_object_get(document, "ids"), *shown;
	struct lease *lease = place_for_lease(session);

	/* Every other call for one was given a place before; the tether ends what has none. */
	if (!id || strlen(id) >= sizeof lease->id || !lease) {
		refuse(session, pending, NULL,
		       "this session has too many leases: release some first");
		return;
	}
	lease->is_kept = json_is_true(json_object_get(pending->arguments, "keep"));
	lease->until = (int64_t)time(NULL) + pending->for_ms / 1000;
	lease->tether = -1;
	(void)snprintf(lease->id, sizeof lease->id, "%s", id);
	if (!lease->is_kept) {
		lease->tether = pending->process.tether;
		pending->process.tether = -1;
	}
	ga_buffer_format(&text, "lease %s: devices ", id);
	add_ids(&text, ids);
	ga_buffer_text(&text, " until ");
	answer_add_time(&text, lease->until);
	ga_buffer_format(
		&text,
		". Use it with run (lease: \"%s\") or in a shell with `gpualloc run --in %s "
		"COMMAND`, and release it as soon as you are done%s.",
		id, id, lease->is_kept ? "; it outlives this session" : "");
	shown = json_pack("{s:s, s:O?, s:O?, s:I, s:b}", "lease", id, "devices", ids, "uuids",
			  devices, "until", (json_int_t)lease->until, "keep", lease->is_kept);
	keys_remember(session, pending, lease, NULL, shown, text.failed ? "" : text.data);
	answer(session, pending, shown, text.failed ? "" : text.data);
}

/* Nobody waits for it any more, and nobody else knows of it. */
static void end_keeper(struct session *session, const json_t *document)
{
	const json_t *pid = json_object_get(document, "pid");

	if (json_is_integer(pid) && json_integer_value(pid) > 1)
		session->end((pid_t)json_integer_value(pid));
}

static void finish_lease(struct session *session, struct pending *pending)
{
	struct process *process = &pending->process;
	json_t *document = process->status == 0 ? answer_document(process) : NULL;

	if (document && pending->caller_count > 0)
		got_lease(session, pending, document);
	else if (pending->caller_count > 0)
		refuse_as(session, pending, process->complained.data, process->complained.size,
			  process->status);
	else if (document && json_is_true(json_object_get(pending->arguments, "keep")))
		end_keeper(session, document);
	json_decref(document);
}

const struct tool tool_lease = {
	.name = "lease",
	.title = "Lease GPUs",
	.description =
		"Leases devices for a time: all that you ask for or none. If they are busy the "
		"answer says who has them and until when. The lease ends at its time, when "
		"released, or with this session. Prefer run for a single command.",
	.fields = lease_fields,
	.output =
		"{\"type\":\"object\",\"required\":[\"lease\",\"until\"],\"properties\":{\"lease\":"
		"{\"type\":\"string\"},\"devices\":{\"type\":\"array\",\"items\":{\"type\":"
		"\"string\"}},\"uuids\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
		"\"until\":{\"type\":\"integer\"},\"keep\":{\"type\":\"boolean\"}}}",
	.begin = begin_lease,
	.finish = finish_lease,
};

/* ---- extend ---- */

static const struct field extend_fields[] = {
	{"lease", FIELD_TEXT, true, "--extend", "the lease"},
	{"for", FIELD_TEXT, true, "--for", "how much longer: \"30m\""},
	FIELD_KEY,
	FIELD_END};

static void begin_extend(struct session *session, struct pending *pending)
{
	struct words words = {0};

	if (!may_touch(session, pending, text_of(pending, "lease")) ||
	    !read_for(session, pending, "for", &pending->for_ms))
		return;
	words_add(&words, "hold");
	words_add(&words, "--json");
	words_add_options(&words, extend_fields, pending->arguments);
	begin_command(session, pending, &words, false, false);
	words_free(&words);
}

static void finish_extend(struct session *session, struct pending *pending)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const struct process *process = &pending->process;
	json_t *document = process->status == 0 ? answer_document(process) : NULL, *shown;
	json_t *until = json_object_get(document, "until");
	struct lease *lease = lease_by_id(session, text_of(pending, "lease"));

	if (!json_is_integer(until)) {
		refuse_as(session, pending, process->complained.data, process->complained.size,
			  process->status);
		json_decref(document);
		return;
	}
	if (lease)
		lease->until = json_integer_value(until);
	ga_buffer_format(&text, "lease %s lasts until ", text_of(pending, "lease"));
	answer_add_time(&text, json_integer_value(until));
	shown = json_pack("{s:s, s:O}", "lease", text_of(pending, "lease"), "until", until);
	keys_remember(session, pending, lease, NULL, shown, text.failed ? "" : text.data);
	answer(session, pending, shown, text.failed ? "" : text.data);
	json_decref(document);
}

const struct tool tool_extend = {
	.name = "extend",
	.title = "Extend a lease",
	.description = "Gives a lease of this session more time, within what the administrator "
		       "allows.",
	.fields = extend_fields,
	.output =
		"{\"type\":\"object\",\"required\":[\"lease\",\"until\"],\"properties\":{\"lease\":"
		"{\"type\":\"string\"},\"until\":{\"type\":\"integer\"}}}",
	.begin = begin_extend,
	.finish = finish_extend,
};

/* ---- release ---- */

static const struct field release_fields[] = {{"lease", FIELD_TEXT, true, NULL, "the lease"},
					      FIELD_END};

static bool is_used(const struct session *session, const char *id)
{
	for (size_t i = 0; i < JOBS_MOST; i++)
		if (*session->jobs[i].id && session->jobs[i].state != JOB_ENDED &&
		    strcmp(session->jobs[i].lease, id) == 0)
			return true;
	return false;
}

/* A kept one is asked for by name; one with a tether by its end. */
static void begin_release(struct session *session, struct pending *pending)
{
	const char *id = text_of(pending, "lease");
	struct lease *lease = lease_by_id(session, id);
	struct words words = {0};

	if (is_used(session, id)) {
		refuse(session, pending, NULL,
		       "a job of yours runs in lease %s, and it ends with that job: see job_status, and "
		       "job_cancel if it should end now",
		       id);
		return;
	}
	if (lease && lease->tether >= 0) {
		pending->lease = lease;
		(void)shutdown(lease->tether, SHUT_WR);
		return;
	}
	if (!may_touch(session, pending, id))
		return;
	words_add(&words, "release");
	words_add(&words, "--quiet");
	words_add(&words, "--");
	words_add(&words, "%s", id);
	begin_command(session, pending, &words, false, false);
	words_free(&words);
}

static void finish_release(struct session *session, struct pending *pending)
{
	const char *id = text_of(pending, "lease");
	const struct process *process = &pending->process;
	char words[LEASE_ID_SIZE + 32];
	struct lease *lease = lease_by_id(session, id);

	if (process->has_ended && process->status != 0) {
		refuse_as(session, pending, process->complained.data, process->complained.size,
			  process->status);
		return;
	}
	(void)snprintf(words, sizeof words, "lease %.20s has ended", id);
	answer(session, pending, json_pack("{s:s, s:b}", "lease", id, "released", 1), words);
	if (lease && lease->tether < 0)
		lease_has_ended(session, lease);
}

const struct tool tool_release = {
	.name = "release",
	.title = "Release a lease",
	.description = "Ends a lease of this session before its time, so that others can have the "
		       "devices. Do it as soon as you are done.",
	.fields = release_fields,
	.output =
		"{\"type\":\"object\",\"required\":[\"lease\"],\"properties\":{\"lease\":{\"type\":"
		"\"string\"},\"released\":{\"type\":\"boolean\"}}}",
	.is_destructive = true,
	.is_idempotent = true,
	.begin = begin_release,
	.finish = finish_release,
};
