/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Model Context Protocol: who speaks which version of it, and what a client may ask. Up to
 * 2025-11-25 a client begins with a handshake; since 2026-07-28 every request says for itself what
 * it speaks. Both are answered, even side by side.
 */
#include "clock.h"
#include "mcp/minder.h"
#include "mcp/rpc.h"
#include "mcp/session.h"
#include "text.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VERSION_MODERN "2026-07-28"
#define VERSION_WITH_BATCHES "2025-03-26"
#define META "io.modelcontextprotocol/"

/* The latest first. */
static const char *const versions[] = {VERSION_MODERN, "2025-11-25", "2025-06-18",
				       VERSION_WITH_BATCHES, "2024-11-05"};
enum { VERSIONS = sizeof versions / sizeof *versions, LIST_TTL_MS = 60 * 60 * 1000 };

static const char instructions[] =
	"GPUs here are shared. Before you use one, take it with lease or run, with a note that says "
	"what for; never set CUDA_VISIBLE_DEVICES yourself. What you hold ends with this session. "
	"If devices are busy, the answer says who has them and until when: wait, ask for fewer, or "
	"do something else, and never end what is not yours.";

/* ---- sending ---- */

void session_send(struct session *session, json_t *message)
{
	char *line = message ? json_dumps(message, JSON_COMPACT) : NULL;

	if (line) {
		ga_buffer_text(&session->out, line);
		ga_buffer_char(&session->out, '\n');
	}
	session->failed = session->failed || !line || session->out.failed;
	free(line);
	json_decref(message);
}

static json_t *server_info(void)
{
	return json_pack("{s:s, s:s, s:s}", "name", "gpualloc", "title", "GPUs of this machine",
			 "version", gpualloc_version());
}

static bool is_modern(const char *version)
{
	return strcmp(version, VERSION_MODERN) >= 0;
}

void session_send_result(struct session *session, json_t *id, const char *version, json_t *result)
{
	if (is_modern(version)) {
		(void)json_object_set_new(result, "resultType", json_string("complete"));
		(void)json_object_set_new(result, "_meta",
					  json_pack("{s:o}", META "serverInfo", server_info()));
	}
	session_send(session, rpc_result(id, result));
}

static void send_error(struct session *session, json_t *id, int code, const char *why)
{
	session_send(session, rpc_error(id, code, why, NULL));
}

/* ---- who is there ---- */

/* What its leases are called, unless whoever started the server has said it. */
static void note_client(struct session *session, const json_t *info)
{
	const json_t *name = json_object_get(info, "name");
	ga_auto_free char *clean = json_is_string(name) && json_string_length(name) > 0
					   ? ga_text_clean(json_string_value(name),
							   json_string_length(name) < AGENT_SIZE - 1
								   ? json_string_length(name)
								   : AGENT_SIZE - 1)
					   : NULL;

	if (clean && *clean)
		(void)snprintf(session->agent, sizeof session->agent, "%s", clean);
}

static const char *known_version(const char *version, bool with_handshake)
{
	for (size_t i = 0; version && i < VERSIONS; i++)
		if (strcmp(versions[i], version) == 0 &&
		    (!with_handshake || !is_modern(versions[i])))
			return versions[i];
	return NULL;
}

static json_t *known_versions(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < VERSIONS; i++)
		(void)json_array_append_new(list, json_string(versions[i]));
	return list;
}

static json_t *capabilities(void)
{
	return json_pack("{s:{}}", "tools");
}

static void initialize(struct session *session, const struct rpc_message *message)
{
	const json_t *asked = json_object_get(message->params, "protocolVersion");
	json_t *result;

	if (!json_is_string(asked)) {
		send_error(session, message->id, RPC_PARAMS, "initialize says a protocolVersion");
		return;
	}
	if (session->version) {
		send_error(session, message->id, RPC_INVALID, "this session has begun already");
		return;
	}
	/* Of those with a handshake the latest, if what the client speaks is not known here. */
	session->version = known_version(json_string_value(asked), true);
	if (!session->version)
		session->version = versions[1];
	note_client(session, json_object_get(message->params, "clientInfo"));
	result = json_pack("{s:s, s:o, s:o, s:s}", "protocolVersion", session->version,
			   "capabilities", capabilities(), "serverInfo", server_info(),
			   "instructions", instructions);
	session_send(session, rpc_result(message->id, result));
}

/* Which version a request speaks; NULL after an error. */
static const char *version_of(struct session *session, const struct rpc_message *message)
{
	const json_t *meta = json_object_get(message->params, "_meta");
	const json_t *said = json_object_get(meta, META "protocolVersion");
	const char *version = known_version(json_string_value(said), false);

	if (!said && session->version)
		return session->version;
	if (!said) {
		send_error(
			session, message->id, RPC_PARAMS,
			"begin with initialize, or say in params._meta which protocolVersion and "
			"clientCapabilities this request has");
	} else if (!version) {
		session_send(session,
			     rpc_error(message->id, RPC_VERSION, "Unsupported protocol version",
				       json_pack("{s:o, s:O}", "supported", known_versions(),
						 "requested", said)));
	} else if (!json_is_object(json_object_get(meta, META "clientCapabilities"))) {
		send_error(session, message->id, RPC_PARAMS,
			   "params._meta lacks " META "clientCapabilities");
	} else {
		note_client(session, json_object_get(meta, META "clientInfo"));
		return version;
	}
	return NULL;
}

static void discover(struct session *session, const struct rpc_message *message)
{
	const char *version = version_of(session, message);

	if (version)
		session_send_result(session, message->id, VERSION_MODERN,
				    json_pack("{s:o, s:o, s:s, s:i, s:s}", "supportedVersions",
					      known_versions(), "capabilities", capabilities(),
					      "instructions", instructions, "ttlMs", LIST_TTL_MS,
					      "cacheScope", "public"));
}

/* ---- tools ---- */

static json_t *tool_of(const struct tool *tool)
{
	json_t *annotations =
		json_pack("{s:s, s:b, s:b, s:b, s:b}", "title", tool->title, "readOnlyHint",
			  tool->reads_only, "destructiveHint", tool->is_destructive,
			  "idempotentHint", tool->is_idempotent, "openWorldHint", 0);

	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "name", tool->name, "title", tool->title,
			 "description", tool->description, "inputSchema",
			 fields_schema(tool->fields), "outputSchema",
			 json_loads(tool->output, 0, NULL), "annotations", annotations);
}

static void list_tools(struct session *session, const struct rpc_message *message,
		       const char *version)
{
	json_t *list = json_array(), *result;

	for (size_t i = 0; tools[i]; i++)
		(void)json_array_append_new(list, tool_of(tools[i]));
	result = json_pack("{s:o}", "tools", list);
	if (is_modern(version)) {
		(void)json_object_set_new(result, "ttlMs", json_integer(LIST_TTL_MS));
		(void)json_object_set_new(result, "cacheScope", json_string("public"));
	}
	session_send_result(session, message->id, version, result);
}

static const struct tool *find_tool(const char *name)
{
	for (size_t i = 0; name && tools[i]; i++)
		if (strcmp(tools[i]->name, name) == 0)
			return tools[i];
	return NULL;
}

static bool is_in_flight(const struct session *session, const json_t *id)
{
	for (const struct pending *pending = session->pending; pending; pending = pending->next)
		for (size_t i = 0; i < pending->caller_count; i++)
			if (json_equal(pending->callers[i].id, id))
				return true;
	return false;
}

static struct pending *new_pending(struct session *session, const struct tool *tool,
				   const struct rpc_message *message, const char *version)
{
	struct pending *pending = calloc(1, sizeof *pending);
	json_t *token = json_object_get(json_object_get(message->params, "_meta"), "progressToken");
	bool is_token = json_is_string(token) || json_is_integer(token);

	if (!pending)
		return NULL;
	pending->tool = tool;
	pending->arguments = json_object_get(message->params, "arguments");
	pending->arguments = pending->arguments ? json_incref(pending->arguments) : json_object();
	pending->key = json_string_value(json_object_get(pending->arguments, "idempotency_key"));
	pending->process = (struct process){.out = -1,
					    .err = -1,
					    .tether = -1,
					    .said = GA_BUFFER_INIT(RPC_LINE_MOST),
					    .complained = GA_BUFFER_INIT(RPC_LINE_MOST)};
	pending->since = pending->told_at = ga_clock_ms();
	pending->callers[0] = (struct caller){json_incref(message->id),
					      is_token ? json_incref(token) : NULL, version};
	pending->caller_count = 1;
	pending->next = session->pending;
	session->pending = pending;
	session->pending_count++;
	return pending;
}

static void begin_tool(struct session *session, struct pending *pending)
{
	ga_auto_buffer struct ga_buffer why = GA_BUFFER_INIT(4096);

	if (!json_is_object(pending->arguments))
		refuse(session, pending, NULL, "arguments must be an object");
	else if (!fields_check(pending->tool->fields, pending->arguments, &why))
		refuse(session, pending, NULL, "%s", why.failed ? "bad arguments" : why.data);
	else if (session->pending_count > PENDING_MOST)
		refuse(session, pending, NULL,
		       "%d calls are being done already: wait for some of them", PENDING_MOST);
	else if (keys_repeat(session, pending))
		return;
	else if (pending->key && !keys_have_room(session))
		refuse(session, pending, NULL,
		       "there is no room for another idempotency_key: release what you have");
	else
		pending->tool->begin(session, pending);
}

static void call_tool(struct session *session, const struct rpc_message *message,
		      const char *version)
{
	const char *name = json_string_value(json_object_get(message->params, "name"));
	const struct tool *tool = find_tool(name);
	struct pending *pending;

	if (!tool) {
		send_error(session, message->id, RPC_PARAMS,
			   "there is no such tool; tools/list has their names");
		return;
	}
	pending = new_pending(session, tool, message, version);
	if (!pending || !pending->arguments)
		session->failed = true;
	else
		begin_tool(session, pending);
}

/* ---- cancelling ---- */

static void drop_caller(struct pending *pending, size_t i)
{
	json_decref(pending->callers[i].id);
	json_decref(pending->callers[i].token);
	pending->callers[i] = pending->callers[--pending->caller_count];
}

/*
 * Nothing is answered to it any more. If nobody else waits for the same, what it would have got is
 * given up: the end of the tether ends the waiting, and a hold that has just begun.
 */
static void cancel(struct session *session, const json_t *id)
{
	for (struct pending *pending = session->pending; pending; pending = pending->next)
		for (size_t i = 0; i < pending->caller_count; i++) {
			if (!json_equal(pending->callers[i].id, id))
				continue;
			drop_caller(pending, i);
			if (pending->caller_count == 0)
				pending_give_up(session, pending);
			return;
		}
}

void pending_give_up(struct session *session, struct pending *pending)
{
	struct job *job = pending->job;
	const char word = MINDER_END;

	(void)session;
	pending->is_answered = true;
	pending->lease = NULL;
	pending->job = NULL;
	if (pending->process.tether >= 0)
		close(pending->process.tether);
	pending->process.tether = -1;
	if (pending->process.pid > 0 && pending->tool->reads_only)
		(void)kill(pending->process.pid, SIGKILL); /* it may be stopped */
	if (job) {
		job->is_cancelled = true;
		(void)send(job->tether, &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

static void pending_free(struct pending *pending)
{
	while (pending->caller_count > 0)
		drop_caller(pending, 0);
	if (pending->process.tether >= 0)
		close(pending->process.tether);
	ga_buffer_free(&pending->process.said);
	ga_buffer_free(&pending->process.complained);
	json_decref(pending->arguments);
	free(pending);
}

void session_sweep(struct session *session)
{
	struct pending **at = &session->pending;

	while (*at) {
		struct pending *pending = *at;

		if (!pending->is_answered || pending->process.pid) {
			at = &pending->next;
			continue;
		}
		*at = pending->next;
		session->pending_count--;
		pending_free(pending);
	}
}

void session_free(struct session *session)
{
	for (struct pending *pending = session->pending, *next; pending; pending = next) {
		next = pending->next;
		pending_free(pending);
	}
	for (size_t i = 0; i < JOBS_MOST; i++) {
		json_decref(session->jobs[i].devices);
		free(session->jobs[i].command);
		log_free(&session->jobs[i].log);
		ga_buffer_free(&session->jobs[i].complained);
	}
	keys_free(session);
	ga_buffer_free(&session->out);
}

/* ---- one message ---- */

static void take_request(struct session *session, const struct rpc_message *message)
{
	const char *version;

	if (strcmp(message->method, "initialize") == 0) {
		initialize(session, message);
		return;
	}
	if (strcmp(message->method, "ping") == 0) {
		session_send(session, rpc_result(message->id, json_object()));
		return;
	}
	if (strcmp(message->method, "server/discover") == 0) {
		discover(session, message);
		return;
	}
	if (is_in_flight(session, message->id)) {
		send_error(session, message->id, RPC_INVALID,
			   "a request with this id is not answered yet");
		return;
	}
	version = version_of(session, message);
	if (!version)
		return;
	if (strcmp(message->method, "tools/list") == 0)
		list_tools(session, message, version);
	else if (strcmp(message->method, "tools/call") == 0)
		call_tool(session, message, version);
	else
		send_error(session, message->id, RPC_NO_METHOD, "there is no such method here");
}

static void take_message(struct session *session, json_t *document)
{
	struct rpc_message message;

	rpc_read(document, &message);
	if (message.kind == RPC_WRONG)
		send_error(session, message.id, message.code, message.why);
	else if (message.kind == RPC_REQUEST)
		take_request(session, &message);
	else if (message.kind == RPC_NOTIFICATION &&
		 strcmp(message.method, "notifications/cancelled") == 0)
		cancel(session, json_object_get(message.params, "requestId"));
	/* What is answered already is no call that is being done, however many come at once. */
	session_sweep(session);
}

/* Only one version has them. Each part is answered by itself, which JSON-RPC allows. */
static void take_batch(struct session *session, json_t *batch)
{
	if (!session->version || strcmp(session->version, VERSION_WITH_BATCHES) != 0 ||
	    json_array_size(batch) == 0 || json_array_size(batch) > RPC_BATCH_MOST) {
		send_error(session, NULL, RPC_INVALID,
			   "batches are not taken, or not of so many messages");
		return;
	}
	for (size_t i = 0; i < json_array_size(batch); i++)
		take_message(session, json_array_get(batch, i));
}

void session_take(struct session *session, const char *line, size_t size)
{
	struct rpc_message wrong;
	struct ga_view rest = ga_view_trim(line, size);
	json_t *document;

	if (rest.size == 0)
		return;
	document = rpc_parse(rest.text, rest.size, &wrong);
	if (!document)
		send_error(session, NULL, wrong.code, wrong.why);
	else if (json_is_array(document))
		take_batch(session, document);
	else
		take_message(session, document);
	json_decref(document);
}

void session_take_too_long(struct session *session)
{
	send_error(session, NULL, RPC_INVALID, "a message may have 1 MiB at most");
}
