/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that are not what they seem; see launcher.h. */
#include "launcher.h"

#include "duration.h"
#include "engine_words.h"
#include "message.h"
#include "options.h"
#include "text.h"

#include <string.h>

/* ---- values without their option ---- */

/* "1g.5gb", "1c.2g.10gb", "1g.10gb+me" */
static bool is_profile(const char *word)
{
	size_t digits = strspn(word, "0123456789");

	if (digits == 0)
		return false;
	if (strncmp(word + digits, "c.", 2) == 0)
		return is_profile(word + digits + 2);
	if (strncmp(word + digits, "g.", 2) != 0)
		return false;
	word += digits + 2;
	digits = strspn(word, "0123456789");
	return digits > 0 && strncmp(word + digits, "gb", 2) == 0;
}

static bool lacks_value(const struct call *call, enum option_id id)
{
	return call->value[id] && !*call->value[id];
}

static int check_value(const struct call *call, const char *word)
{
	const char *option = NULL;
	int64_t number;

	if (is_profile(word))
		option = "mig";
	else if (lacks_value(call, OPTION_IGNORE_PROCESSES) && !lacks_value(call, OPTION_WAIT) &&
		 gpualloc_size_parse(word, &number, NULL) == 0)
		option = "ignore-processes";
	else if (ga_duration_parse(word, GA_DURATION_MAX, &number, NULL) == 0)
		option = "wait";
	if (!option)
		return 0;
	return fail_usage(call->command,
			  "\"%s\" looks like a value but stands where the command should be; did "
			  "you mean --%s=%s? (-- %s runs it)",
			  word, option, word, word);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- programs ---- */

static int refuse_multiplexer(const struct call *call, const char *name)
{
	return fail_usage(call->command,
			  "%s's server would keep the lease until it ends, but its windows would "
			  "not hold it; put gpualloc inside: %s gpualloc run -- COMMAND",
			  name, strcmp(name, "tmux") == 0 ? "tmux new-session" : "screen");
}

static const struct {
	const char *name, *hint;
} launchers[] = {
	{"at", "at starts the program later and without this lease; put gpualloc inside: echo "
	       "'gpualloc run -- COMMAND' | at ..."},
	{"srun", "srun's tasks are not children of this process and do not hold its lease; put "
		 "gpualloc inside: srun ... gpualloc run -- COMMAND"},
	{"ssh", "ssh starts its command on the other machine, where this lease means nothing; lease "
		"there: gpualloc run --on HOST -- COMMAND"},
	{"sudo", "sudo closes the lease's descriptor, which ends the lease; put gpualloc inside: "
		 "sudo gpualloc run -- COMMAND"},
	{"systemd-run", "systemd starts the program, without this lease; put gpualloc inside: "
			"systemd-run ... gpualloc run -- COMMAND"},
};

static void hint(const char *name)
{
	for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++)
		if (strcmp(name, launchers[i].name) == 0)
			say("hint: %s", launchers[i].hint);
}

int launcher_check(const struct call *call)
{
	static const char *const multiplexers[] = {"screen", "tmux", NULL};
	struct engine_words engine;
	const char *name = base_name(call->operands[0]);
	int result = call->dashes ? 0 : check_value(call, call->operands[0]);

	if (result)
		return result;
	if (ga_text_is_one_of(name, multiplexers))
		return refuse_multiplexer(call, name);
	engine_words_read(call->operands, &engine);
	if (engine.detaches && !call->value[OPTION_CONTAINER])
		return fail_usage(call->command,
				  "a detached container is not a child of gpualloc, so the lease "
				  "would end at once; gpualloc run --container -- %s run -d ... "
				  "keeps it until the container ends",
				  name);
	if (!call->value[OPTION_QUIET])
		hint(name);
	return 0;
}
