/* SPDX-License-Identifier: Apache-2.0 */
/* The table of tools, those that only look, and what they all share. See session.h. */
#include "duration.h"
#include "mcp/session.h"

#include <string.h>

const struct tool *const tools[] = {
	&tool_list_gpus,  &tool_explain, &tool_lease,      &tool_extend, &tool_release, &tool_run,
	&tool_job_status, &tool_job_log, &tool_job_cancel, &tool_usage,  NULL};

/* ---- shared ---- */

void add_machine_option(const struct session *session, struct words *words)
{
	if (session->call->value[OPTION_MACHINE])
		words_add(words, "--machine=%s", session->call->value[OPTION_MACHINE]);
}

void begin_command(struct session *session, struct pending *pending, struct words *words,
		   bool has_tether, bool stays)
{
	if (words->failed || !session->start(session, &pending->process, words, has_tether, stays))
		refuse(session, pending, NULL,
		       "the server cannot start a process; try again later");
}

bool read_for(struct session *session, struct pending *pending, const char *name, int64_t *ret_ms)
{
	const char *word = json_string_value(json_object_get(pending->arguments, name));
	gpualloc_error why = {0};

	if (!word || ga_duration_parse(word, GA_DURATION_MAX, ret_ms, &why) == 0)
		return true;
	refuse(session, pending, NULL, "%s: %s", name, why.message);
	return false;
}

/* A number, a text or null, under a new name. */
static void copy(json_t *to, const char *name, const json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);

	if (value && !json_is_null(value))
		(void)json_object_set(to, name, value);
}

/* The document that the command of a call printed; NULL if the call was refused instead. */
static json_t *printed(struct session *session, struct pending *pending)
{
	const struct process *process = &pending->process;
	json_t *document = process->status == 0 ? answer_document(process) : NULL;

	if (!json_is_object(document)) {
		json_decref(document);
		refuse_as(session, pending, process->complained.data, process->complained.size,
			  process->status);
		return NULL;
	}
	return document;
}

/* ---- list_gpus ---- */

static const struct field list_fields[] = {
	{"free", FIELD_FLAG, false, "--free", "only those that are free"}, FIELD_END};

static json_t *device_of(const json_t *seen, const char *id, const json_t *gpu)
{
	const json_t *memory = json_object_get(seen, "memory");
	const json_t *lease = json_array_get(json_object_get(seen, "leases"), 0);
	json_t *device = json_pack("{s:s}", "id", id);

	copy(device, "uuid", seen, "uuid");
	copy(device, "model", gpu, "name");
	copy(device, "profile", seen, "profile");
	copy(device, "state", seen, "state");
	copy(device, "memory_total", memory, "total");
	copy(device, "memory_free", memory, "free");
	copy(device, "reason", seen, "reason");
	copy(device, "lease", lease, "id");
	copy(device, "user", lease, "user");
	copy(device, "agent", lease, "agent");
	copy(device, "until", lease, "until");
	copy(device, "note", lease, "note");
	return device;
}

static void add_line(struct ga_buffer *text, const json_t *device)
{
	const char *user = json_string_value(json_object_get(device, "user"));
	const json_t *until = json_object_get(device, "until");
	const json_t *memory = json_object_get(device, "memory_free");

	ga_buffer_format(text, "\n%s: %s", json_string_value(json_object_get(device, "id")),
			 json_string_value(json_object_get(device, "state")));
	if (user)
		ga_buffer_format(text, " by %s%s",
				 json_object_get(device, "agent") ? "an agent of " : "", user);
	if (until) {
		ga_buffer_text(text, " until ");
		answer_add_time(text, json_integer_value(until));
	}
	if (!user && memory)
		ga_buffer_format(text, ", %lld MiB free",
				 (long long)json_integer_value(memory) >> 20);
}

static void add_device(json_t *devices, struct ga_buffer *text, size_t *free_count, json_t *device)
{
	const char *state = json_string_value(json_object_get(device, "state"));

	*free_count += state && strcmp(state, "free") == 0;
	if (state)
		add_line(text, device);
	(void)json_array_append_new(devices, device);
}

static void add_gpu(json_t *devices, struct ga_buffer *text, size_t *free_count, const json_t *gpu)
{
	const json_t *instances = json_object_get(gpu, "mig");
	long long index = (long long)json_integer_value(json_object_get(gpu, "index"));
	char id[96];

	for (size_t i = 0; i < json_array_size(instances); i++) {
		const json_t *seen = json_array_get(instances, i);

		(void)snprintf(id, sizeof id, "%lld:%lld:%lld", index,
			       (long long)json_integer_value(json_object_get(seen, "gi")),
			       (long long)json_integer_value(json_object_get(seen, "ci")));
		add_device(devices, text, free_count, device_of(seen, id, gpu));
	}
	(void)snprintf(id, sizeof id, "%lld", index);
	if (json_array_size(instances) == 0)
		add_device(devices, text, free_count, device_of(gpu, id, gpu));
}

/* What the command says of the machine. */
static void begin_question(struct session *session, struct pending *pending, const char *command,
			   const struct field *fields)
{
	struct words words = {0};

	words_add(&words, "%s", command);
	words_add(&words, "--json");
	add_machine_option(session, &words);
	words_add_options(&words, fields, pending->arguments);
	begin_command(session, pending, &words, false, false);
	words_free(&words);
}

static void begin_list(struct session *session, struct pending *pending)
{
	begin_question(session, pending, "list", list_fields);
}

static void finish_list(struct session *session, struct pending *pending)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT, lines = GA_BUFFER_OUTPUT;
	json_t *document = printed(session, pending), *devices = json_array();
	const json_t *seen = json_object_get(document, "devices");
	size_t free_count = 0;

	if (!document) {
		json_decref(devices);
		return;
	}
	for (size_t i = 0; i < json_array_size(seen); i++)
		add_gpu(devices, &lines, &free_count, json_array_get(seen, i));
	ga_buffer_format(&text, "%zu of %zu free%s", free_count, json_array_size(devices),
			 lines.data ? lines.data : "");
	answer(session, pending, json_pack("{s:o}", "devices", devices),
	       text.failed ? "" : text.data);
	json_decref(document);
}

const struct tool tool_list_gpus = {
	.name = "list_gpus",
	.title = "List GPUs",
	.description = "The GPUs and MIG instances of this machine: which are free, who has the "
		       "others, and until when. Look here before you ask for any.",
	.fields = list_fields,
	.output = "{\"type\":\"object\",\"required\":[\"devices\"],\"properties\":{\"devices\":{"
		  "\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"id\"],"
		  "\"properties\":{\"id\":{\"type\":\"string\"},\"uuid\":{\"type\":\"string\"},"
		  "\"model\":{\"type\":\"string\"},\"profile\":{\"type\":\"string\"},"
		  "\"state\":{\"type\":\"string\"},\"memory_total\":{\"type\":\"integer\"},"
		  "\"memory_free\":{\"type\":\"integer\"},\"reason\":{\"type\":\"string\"},"
		  "\"lease\":{\"type\":\"string\"},\"user\":{\"type\":\"string\"},"
		  "\"agent\":{\"type\":\"string\"},\"until\":{\"type\":\"integer\"},"
		  "\"note\":{\"type\":\"string\"}}}}}}",
	.reads_only = true,
	.is_idempotent = true,
	.begin = begin_list,
	.finish = finish_list,
};

/* ---- explain ---- */

static const struct field explain_fields[] = {FIELDS_OF_CHOICE, FIELD_END};

static void begin_explain(struct session *session, struct pending *pending)
{
	begin_question(session, pending, "explain", explain_fields);
}

static void finish_explain(struct session *session, struct pending *pending)
{
	enum { REJECTED_SHOWN = 8 };
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	json_t *document = printed(session, pending), *ids = json_array(), *shown;
	const json_t *devices = json_object_get(document, "devices");
	const json_t *rejected = json_object_get(document, "rejected");

	if (!document) {
		json_decref(ids);
		return;
	}
	ga_buffer_text(&text, "it would be ");
	for (size_t i = 0; i < json_array_size(devices); i++) {
		json_t *id = json_object_get(json_array_get(devices, i), "id");

		(void)json_array_append(ids, id);
		ga_buffer_format(&text, "%s%s", i ? "," : "",
				 json_string_value(id) ? json_string_value(id) : "?");
	}
	for (size_t i = 0; i < json_array_size(rejected) && i < REJECTED_SHOWN; i++) {
		const json_t *one = json_array_get(rejected, i);
		const char *reason = json_string_value(json_object_get(one, "reason"));
		const char *id = json_string_value(json_object_get(one, "device"));

		ga_buffer_format(&text, "\nnot %s: %s", id ? id : "?", reason ? reason : "?");
	}
	shown = json_pack("{s:o}", "devices", ids);
	copy(shown, "policy", document, "policy");
	copy(shown, "bandwidth", document, "bandwidth");
	copy(shown, "rejected", document, "rejected");
	answer(session, pending, shown, text.failed ? "" : text.data);
	json_decref(document);
}

const struct tool tool_explain = {
	.name = "explain",
	.title = "Explain a choice of GPUs",
	.description = "Which devices a request would get now and why not the others. Takes "
		       "nothing.",
	.fields = explain_fields,
	.output = "{\"type\":\"object\",\"required\":[\"devices\"],\"properties\":{\"devices\":{"
		  "\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"policy\":{\"type\":"
		  "\"string\"},\"bandwidth\":{\"type\":\"number\"},\"rejected\":{\"type\":"
		  "\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"device\":{\"type\":"
		  "\"string\"},\"reason\":{\"type\":\"string\"}}}}}}",
	.reads_only = true,
	.is_idempotent = true,
	.begin = begin_explain,
	.finish = finish_explain,
};

/* ---- usage ---- */

static const struct field usage_fields[] = {
	{"since", FIELD_TEXT, false, "--since",
	 "how far to look back: \"12h\", \"7d\"; default 30d"},
	{"by", FIELD_TEXT, false, "--by", "user, group or gpu; default user"},
	FIELD_END};

static void begin_usage(struct session *session, struct pending *pending)
{
	struct words words = {0};

	words_add(&words, "usage");
	words_add(&words, "--json");
	words_add_options(&words, usage_fields, pending->arguments);
	begin_command(session, pending, &words, false, false);
	words_free(&words);
}

static void finish_usage(struct session *session, struct pending *pending)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	json_t *document = printed(session, pending), *shown = json_object();
	const json_t *rows = json_object_get(document, "rows");

	if (!document) {
		json_decref(shown);
		return;
	}
	copy(shown, "since", document, "since");
	copy(shown, "sampling", document, "sampling");
	copy(shown, "by", document, "by");
	copy(shown, "rows", document, "rows");
	copy(shown, "idle", document, "idle");
	if (json_array_size(rows) == 0)
		ga_buffer_text(&text, "nothing was sampled in that time");
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		const char *name = json_string_value(json_object_get(row, "name"));

		ga_buffer_format(
			&text, "%s%s: %.1f GPU-hours leased, %.1f used", i ? "\n" : "",
			name ? name : "?",
			(double)json_integer_value(json_object_get(row, "leased_seconds")) / 3600,
			(double)json_integer_value(json_object_get(row, "used_seconds")) / 3600);
	}
	answer(session, pending, shown, text.failed ? "" : text.data);
	json_decref(document);
}

const struct tool tool_usage = {
	.name = "usage",
	.title = "GPU usage",
	.description = "GPU-hours that were leased and used, by user, and leases that are idle.",
	.fields = usage_fields,
	.output =
		"{\"type\":\"object\",\"required\":[\"rows\"],\"properties\":{\"since\":{\"type\":"
		"\"integer\"},\"sampling\":{\"type\":\"boolean\"},\"by\":{\"type\":\"string\"},"
		"\"rows\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"idle\":{\"type\":"
		"\"array\",\"items\":{\"type\":\"object\"}}}}",
	.reads_only = true,
	.is_idempotent = true,
	.begin = begin_usage,
	.finish = finish_usage,
};
