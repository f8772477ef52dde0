/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idempotency keys; see session.h. A key stands for what was got by it. Calls that failed got
 * nothing, so they may be tried again. What has ended keeps its key, for it must not be got twice
 * either, until the room is needed.
 */
#include "mcp/session.h"

#include <string.h>

static char *words_of(const json_t *arguments)
{
	return json_dumps(arguments, JSON_COMPACT | JSON_SORT_KEYS);
}

static struct pending *in_flight(struct session *session, const struct pending *asked)
{
	for (struct pending *pending = session->pending; pending; pending = pending->next)
		if (pending != asked && pending->key && pending->caller_count > 0 &&
		    strcmp(pending->key, asked->key) == 0)
			return pending;
	return NULL;
}

static struct key *remembered(struct session *session, const char *name)
{
	for (size_t i = 0; i < session->key_count; i++)
		if (strcmp(session->keys[i].name, name) == 0)
			return &session->keys[i];
	return NULL;
}

static void other_call(struct session *session, struct pending *pending)
{
	refuse(session, pending, NULL,
	       "this idempotency_key was used for another call; give each call its own");
}

/* It is answered together with the one before it. */
static void join(struct session *session, struct pending *first, struct pending *pending)
{
	if (first->tool != pending->tool || !json_equal(first->arguments, pending->arguments)) {
		other_call(session, pending);
	} else if (first->caller_count == CALLERS_MOST) {
		refuse(session, pending, NULL,
		       "this call is being done already; wait for its answer");
	} else {
		first->callers[first->caller_count++] = pending->callers[0];
		pending->caller_count = 0;
		pending->is_answered = true;
	}
}

static void answer_again(struct session *session, struct pending *pending, const struct key *key)
{
	ga_auto_free char *arguments = words_of(pending->arguments);

	if (key->tool != pending->tool || !arguments || strcmp(key->arguments, arguments) != 0) {
		other_call(session, pending);
	} else if (!key->answer) {
		refuse(session, pending, NULL,
		       "what this idempotency_key stands for has ended; for another one, use a new "
		       "key");
	} else if (key->job) {
		job_answer(session, pending, key->job);
	} else {
		answer(session, pending, json_incref(key->answer), key->text);
	}
}

bool keys_repeat(struct session *session, struct pending *pending)
{
	struct pending *first = pending->key ? in_flight(session, pending) : NULL;
	const struct key *key = pending->key ? remembered(session, pending->key) : NULL;

	if (key && key->lease)
		lease_look_for(session, key->lease);
	if (first)
		join(session, first, pending);
	else if (key)
		answer_again(session, pending, key);
	return first || key;
}

static void key_clear(struct key *key)
{
	free(key->name);
	free(key->arguments);
	free(key->text);
	json_decref(key->answer);
}

void keys_free(struct session *session)
{
	while (session->key_count > 0)
		key_clear(&session->keys[--session->key_count]);
}

/* The oldest of those that stand for nothing any more. */
static bool make_room(struct session *session)
{
	for (size_t i = 0; i < session->key_count; i++) {
		if (session->keys[i].answer)
			continue;
		key_clear(&session->keys[i]);
		memmove(&session->keys[i], &session->keys[i + 1],
			(session->key_count - i - 1) * sizeof *session->keys);
		session->key_count--;
		return true;
	}
	return false;
}

bool keys_have_room(const struct session *session)
{
	if (session->key_count + session->pending_count < KEYS_MOST)
		return true;
	for (size_t i = 0; i < session->key_count; i++)
		if (!session->keys[i].answer)
			return true;
	return false;
}

void keys_remember(struct session *session, const struct pending *pending, struct lease *lease,
		   struct job *job, json_t *structured, const char *text)
{
	struct key *key;

	if (!pending->key || (session->key_count == KEYS_MOST && !make_room(session)))
		return;
	key = &session->keys[session->key_count];
	*key = (struct key){.name = strdup(pending->key),
			    .arguments = words_of(pending->arguments),
			    .tool = pending->tool,
			    .lease = lease,
			    .job = job,
			    .answer = json_incref(structured),
			    .text = strdup(text)};
	if (key->name && key->arguments && key->text) {
		session->key_count++;
		return;
	}
	key_clear(key);
	session->failed = true;
}

void keys_forget(struct session *session, const struct lease *lease, const struct job *job)
{
	for (size_t i = 0; i < session->key_count; i++) {
		struct key *key = &session->keys[i];

		if ((!lease || key->lease != lease) && (!job || key->job != job))
			continue;
		json_decref(key->answer);
		key->answer = NULL;
		key->lease = NULL;
		key->job = NULL;
	}
}
