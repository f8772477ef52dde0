/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc doctor: what is wrong with this machine, a line each; see doctor.h. */
#include "columns.h"
#include "doctor.h"
#include "file.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"
#include "terminal.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4096, VERDICT_WIDTH = 7, SUBJECT_WIDTH = 15 };

/* In the order in which somebody would look. The driver first: others need the machine. */
static void (*const checks[])(struct doctor *doctor) = {
	doctor_driver,      doctor_persistence, doctor_mps,    doctor_store,
	doctor_file_system, doctor_fence,       doctor_kernel, doctor_configuration,
	doctor_time_limits, doctor_environment, doctor_tmux,   doctor_containers,
	doctor_cgroups,     doctor_user_limits,
};

static const char *const verdict_names[] = {"ok", "note", "fault"};

/* ---- findings ---- */

__attribute__((format(printf, 6, 0))) static void add(struct doctor *doctor, const char *subject,
						      enum verdict verdict, int status,
						      const char *advice, const char *format,
						      va_list arguments)
{
	struct finding *longer = reallocarray(doctor->findings, doctor->count + 1, sizeof *longer);
	struct finding *finding;
	char text[TEXT_MAX];

	if (!longer) {
		doctor->no_memory = true;
		return;
	}
	(void)vsnprintf(text, sizeof text, format, arguments);
	ga_text_disarm(text);
	for (char *end = text; (end = strchr(end, '\n'));)
		*end = ' ';
	doctor->findings = longer;
	finding = &longer[doctor->count++];
	*finding = (struct finding){.subject = subject, .verdict = verdict, .status = status};
	finding->says = strdup(text);
	finding->advice = advice ? strdup(advice) : NULL;
	if (!finding->says || (advice && !finding->advice))
		doctor->no_memory = true;
}

void doctor_ok(struct doctor *doctor, const char *subject, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(doctor, subject, VERDICT_OK, 0, NULL, format, arguments);
	va_end(arguments);
}

void doctor_note(struct doctor *doctor, const char *subject, const char *advice, const char *format,
		 ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(doctor, subject, VERDICT_NOTE, 0, advice, format, arguments);
	va_end(arguments);
}

void doctor_fault(struct doctor *doctor, const char *subject, int status, const char *advice,
		  const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(doctor, subject, VERDICT_FAULT, status, advice, format, arguments);
	va_end(arguments);
}

bool doctor_is_here(const struct doctor *doctor)
{
	return !*doctor->root;
}

/* A copy of another machine may have anything there, even a pipe that nobody writes to. */
bool doctor_read(struct doctor *doctor, const char *path, struct ga_buffer *content)
{
	char *room = ga_buffer_room(content, content->limit);
	long length = room ? ga_file_peek(doctor->root, path, room, content->limit) : -1;

	doctor->no_memory = doctor->no_memory || !room;
	if (length < 0)
		return false;
	ga_buffer_grew(content, (size_t)length);
	ga_buffer_append(content, "", 0);
	return true;
}

static void doctor_free(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->count; i++) {
		free(doctor->findings[i].says);
		free(doctor->findings[i].advice);
	}
	free(doctor->findings);
	gpualloc_machine_free(doctor->machine);
}

static size_t count_verdict(const struct doctor *doctor, enum verdict verdict)
{
	size_t count = 0;

	for (size_t i = 0; i < doctor->count; i++)
		count += doctor->findings[i].verdict == verdict;
	return count;
}

/* ---- forms ---- */

/* What the library says in several lines, as one. */
static void add_joined(struct ga_buffer *text, const char *lines)
{
	for (const char *at = lines; *at; at++)
		if (*at == '\n') {
			ga_buffer_char(text, ';');
			at += strspn(at + 1, " ");
			ga_buffer_char(text, ' ');
		} else {
			ga_buffer_char(text, *at);
		}
}

static void add_finding(struct ga_buffer *text, const struct finding *finding, size_t width)
{
	ga_auto_buffer struct ga_buffer whole = GA_BUFFER_OUTPUT, block = GA_BUFFER_OUTPUT;
	size_t indent = VERDICT_WIDTH + SUBJECT_WIDTH;

	columns_left(text, verdict_names[finding->verdict], VERDICT_WIDTH);
	columns_left(text, finding->subject, SUBJECT_WIDTH);
	add_joined(&whole, finding->says);
	ga_buffer_format(&whole, "%s%s", finding->advice ? "; " : "",
			 finding->advice ? finding->advice : "");
	if (whole.failed)
		text->failed = true;
	else
		columns_wrap(&block, whole.data, indent, width, 100);
	text->failed = text->failed || block.failed;
	if (block.size > indent)
		ga_buffer_append(text, block.data + indent, block.size - indent);
}

static void add_text(struct ga_buffer *text, const struct doctor *doctor)
{
	struct terminal terminal = terminal_of(STDOUT_FILENO);
	size_t faults = count_verdict(doctor, VERDICT_FAULT);

	for (size_t i = 0; i < doctor->count; i++)
		add_finding(text, &doctor->findings[i], terminal.width);
	if (faults > 0)
		add_count(text, faults, "fault");
	else
		ga_buffer_text(text, "nothing is broken");
	ga_buffer_text(text, ", ");
	add_count(text, count_verdict(doctor, VERDICT_NOTE), "note");
	ga_buffer_char(text, '\n');
}

static void add_json(struct ga_buffer *text, const struct doctor *doctor)
{
	struct ga_json json = GA_JSON_INIT(text);

	open_document(&json, doctor->call, doctor->machine);
	ga_json_open(&json, "findings", '[');
	for (size_t i = 0; i < doctor->count; i++) {
		const struct finding *finding = &doctor->findings[i];

		ga_json_open_line(&json, "\n  ", NULL, '{');
		ga_json_text(&json, "subject", finding->subject);
		ga_json_text(&json, "verdict", verdict_names[finding->verdict]);
		ga_json_text(&json, "sentence", finding->says);
		ga_json_text(&json, "advice", finding->advice);
		ga_json_close(&json, '}');
	}
	ga_json_close(&json, ']');
	end_document(&json);
}

/* The first fault decides: it is what `gpualloc run` would meet first. */
static int exit_status(const struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->count; i++)
		if (doctor->findings[i].verdict == VERDICT_FAULT)
			return doctor->findings[i].status;
	return 0;
}

static int run(const struct call *call)
{
	ga_cleanup(doctor_free) struct doctor doctor = {.call = call, .root = ""};
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	int result;

	if (call->value[OPTION_ROOT] && strcmp(call->value[OPTION_ROOT], "/") != 0)
		doctor.root = call->value[OPTION_ROOT];
	if (*doctor.root && !ga_file_exists(doctor.root, "/proc/."))
		return fail_usage(call->command, "--root %s: there is no copy of a machine's /proc",
				  doctor.root);
	doctor_see_processes(&doctor);
	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
		checks[i](&doctor);
	if (doctor.no_memory)
		return fail_memory();
	if (call->value[OPTION_JSON])
		add_json(&text, &doctor);
	else
		add_text(&text, &doctor);
	result = output_print(&text);
	return result ? result : exit_status(&doctor);
}

const struct command command_doctor = {
	.name = "doctor",
	.sentence = "what is wrong with this machine",
	.description =
		"Looks at everything that leases depend on, and changes nothing: the driver, the "
		"store, the fence, the kernel, the configuration, this shell's environment and limits. One "
		"line each: ok; note, which is good to know; or fault, and what to do. Without a "
		"fault the exit status is 0; with one it is what `gpualloc run` would end with: "
		"69, 77 or 78.",
	.example = "gpualloc doctor --machine dgx1-volta",
	.options = (const enum option_id[]){OPTION_DEADLINE, OPTION_HELP, OPTION_JSON,
					    OPTION_MACHINE, OPTION_QUIET, OPTION_ROOT, OPTION_END},
	.run = run,
};
