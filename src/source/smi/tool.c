/* SPDX-License-Identifier: Apache-2.0 */
/* Runs nvidia-smi within one deadline, and reports failures in the tool's own words. */
#include "smi.h"

#include "cleanup.h"
#include "clock.h"
#include "host.h"
#include "source.h"

#include <stdio.h>
#include <string.h>

enum {
	OUTPUT_MAX = 32 << 20, /* 45 KB of log per GPU, and a process may have a long name */
	WORDS_MAX = 8,
	MESSAGE_MAX = 1024, /* longer output is not a message */
};

/* Some of the statuses that nvidia-smi ends with; they are the driver's error codes. */
enum { NO_DRIVER = 9, NO_LIBRARY = 12, MISMATCH = 18, NOT_RUNNABLE = 126, NOT_FOUND = 127 };

/*
 * Without persistence mode each call starts every GPU again; unless somebody set a shorter deadline
 * than the default, there is time for several such calls.
 */
static int64_t total(unsigned deadline_ms)
{
	int64_t patience = ga_source_start_patience(deadline_ms);

	return patience > (int64_t)deadline_ms ? 4 * patience : patience;
}

struct ga_smi_tool ga_smi_tool(const char *program, unsigned deadline_ms)
{
	if (deadline_ms == 0)
		deadline_ms = GPUALLOC_DEADLINE_DEFAULT_MS;
	return (struct ga_smi_tool){.program = program ? program : "nvidia-smi",
				    .patience_ms = ga_source_start_patience(deadline_ms),
				    .until_ms = ga_clock_ms() + total(deadline_ms)};
}

struct ga_smi_tool ga_smi_tool_share(const struct ga_smi_tool *tool)
{
	struct ga_smi_tool share = *tool;
	int64_t half = (tool->until_ms - ga_clock_ms()) / 2;

	/* In tenths of a second, which read better in a message. */
	if (half > 1000)
		half -= half % 100;
	if (half < share.patience_ms)
		share.patience_ms = half > 0 ? half : 0;
	return share;
}

static int no_answer(const struct ga_smi_tool *tool, gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_ENOSOURCE, "did not answer within %g s",
			    (double)tool->patience_ms / 1000.0);
}

struct call {
	const char *const *argv;
};

static int execute(void *context, int out)
{
	const struct call *call = context;

	(void)out;
	ga_host_forget_nvml_settings();
	return ga_child_execute(call->argv);
}

int ga_smi_tool_run(const struct ga_smi_tool *tool, const char *const words[],
		    struct ga_child_result *ret_result, gpualloc_error *error)
{
	ga_auto_child struct ga_child_result result = {0};
	const char *argv[WORDS_MAX] = {tool->program};
	int64_t left = tool->until_ms - ga_clock_ms();
	struct call call;
	int failure;

	for (size_t i = 0; words[i] && i + 2 < WORDS_MAX; i++)
		argv[i + 1] = words[i];
	if (left <= 0)
		return no_answer(tool, error);
	if (left > tool->patience_ms)
		left = tool->patience_ms;
	call.argv = argv;
	failure =
		ga_child_call(argv[0], execute, &call, (unsigned)left, OUTPUT_MAX, &result, error);
	if (failure < 0)
		return failure;
	if (result.timed_out)
		return no_answer(tool, error);
	if (result.output.size == 0 &&
	    (result.exit_status == NOT_FOUND || result.exit_status == NOT_RUNNABLE)) {
		ga_auto_free char *why = ga_text_clean(result.errors.data ? result.errors.data : "",
						       result.errors.size);

		return ga_error_set(error, GPUALLOC_ENOSOURCE, "%s cannot be run: %s",
				    tool->program, why ? why : "");
	}
	*ret_result = result;
	result = (struct ga_child_result){0};
	return 0;
}

/* The lines of a message as one, or nothing if it is too long for a message. */
static void join_lines(const struct ga_buffer *text, char joined[static MESSAGE_MAX + 64])
{
	struct ga_view rest = {text->data, text->size}, line;
	size_t length = 0;

	joined[0] = '\0';
	if (text->size > MESSAGE_MAX)
		return;
	while (ga_view_line(&rest, &line)) {
		ga_auto_free char *clean = ga_text_clean(line.text, line.size);

		if (clean && *clean && length < MESSAGE_MAX)
			length += (size_t)snprintf(joined + length, MESSAGE_MAX + 64 - length,
						   "%s%s", length ? "; " : "", clean);
	}
}

int ga_smi_tool_complain(const struct ga_child_result *result, const char *why,
			 gpualloc_error *error)
{
	char message[MESSAGE_MAX + 64];

	join_lines(&result->output, message);
	if (!*message)
		join_lines(&result->errors, message);
	if (*message)
		return ga_error_set(error, GPUALLOC_ENOSOURCE, "%s", message);
	if (result->exit_status > 0)
		return ga_error_set(error, GPUALLOC_ENOSOURCE, "ended with status %d; %s",
				    result->exit_status, why);
	return ga_error_set(error, GPUALLOC_ENOSOURCE, "its output cannot be read: %s", why);
}

bool ga_smi_tool_is_hopeless(const struct ga_child_result *result)
{
	return result->exit_status == NO_DRIVER || result->exit_status == NO_LIBRARY ||
	       result->exit_status == MISMATCH;
}

static bool find_refusal(const struct ga_buffer *text, struct ga_view *ret_name)
{
	static const char before[] = "Field \"", after[] = "\" is not a valid field to query";
	struct ga_view rest = {text->data, text->size}, line;

	while (ga_view_line(&rest, &line)) {
		const char *start = memmem(line.text, line.size, before, sizeof before - 1), *end;

		if (!start)
			continue;
		start += sizeof before - 1;
		end = memmem(start, (size_t)(line.text + line.size - start), after,
			     sizeof after - 1);
		if (!end)
			continue;
		*ret_name = (struct ga_view){start, (size_t)(end - start)};
		return true;
	}
	return false;
}

bool ga_smi_tool_refuses_field(const struct ga_child_result *result, struct ga_view *ret_name)
{
	return find_refusal(&result->output, ret_name) || find_refusal(&result->errors, ret_name);
}
