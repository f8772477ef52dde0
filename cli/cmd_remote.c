/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpualloc remote: the other end of --on. It does what the request on standard input asks for, with
 * the rights of the user who came over ssh and no others.
 */
#include "hosts/job.h"
#include "hosts/request.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_DATA = 65, STATUS_UNAVAILABLE = 69 };

/* gpualloc itself, by whatever name it was found. */
static int become_gpualloc(const struct request *request)
{
	ga_auto_free char **arguments = calloc(request->word_count + 2, sizeof *arguments);
	char name[] = "gpualloc";
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (!arguments)
		return fail_memory();
	for (size_t i = 0; i < request->variable_count; i++)
		if (putenv(request->variables[i]) != 0)
			return fail_memory();
	arguments[0] = name;
	memcpy(arguments + 1, request->words, request->word_count * sizeof *arguments);
	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0)
		return fail(STATUS_UNAVAILABLE, "cannot open /dev/null: %s", strerror(errno));
	(void)execv("/proc/self/exe", arguments);
	return fail(STATUS_UNAVAILABLE, "cannot start gpualloc again: %s", strerror(errno));
}

/* In one write, before anything else is said. */
static bool greet(void)
{
	char line[128];
	int size = snprintf(line, sizeof line, "\n" REQUEST_GREETING "%d %.60s\n", REQUEST_PROTOCOL,
			    gpualloc_version());

	return write(STDOUT_FILENO, line, (size_t)size) == size;
}

static int run(const struct call *call)
{
	struct request request;
	const char *wrong;
	int result;

	if (call->operand_count > 0)
		return job_session(call, call->operands[0]);
	wrong = request_read_from(STDIN_FILENO, &request);
	if (wrong)
		return fail(STATUS_DATA, "%s", wrong);
	if (!greet())
		result = fail(STATUS_UNAVAILABLE, "nobody listens any more");
	else if (request.mode == REQUEST_JOB)
		result = job_tether(call, &request);
	else
		result = become_gpualloc(&request);
	request_free(&request);
	return result;
}

const struct command command_remote = {
	.name = "remote",
	.sentence = "what --on starts on another host",
	.description =
		"The other end of --on: `gpualloc COMMAND --on HOST` starts it there over ssh and "
		"tells it on standard input what to do. It is not for people.",
	.example = "gpualloc remote --help",
	.operand = "[TOKEN]",
	.operands_most = 1,
	.aside = true,
	.options = (const enum option_id[]){OPTION_HELP, OPTION_END},
	.run = run,
};
