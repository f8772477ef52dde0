/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options and getopt_long() under it; see options.h. */
#include "options.h"

#include "agent.h"
#include "cleanup.h"
#include "duration.h"
#include "error_holders.h"
#include "message.h"
#include "suggest.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option_info infos[] = {
	[OPTION_ANONYMOUS] = {.name = "anonymous",
			      .sentence = "replace UUIDs, serial numbers, users, and the names of "
					  "processes and of the machine"},
	[OPTION_BIND] = {.name = "bind",
			 .sentence = "use the CPUs and the memory that are near the devices"},
	[OPTION_BY] = {.name = "by",
		       .argument = "WHAT",
		       .complete = COMPLETE_BY,
		       .sentence = "a row for each user (the default), group or gpu"},
	[OPTION_CHDIR] = {.name = "chdir",
			  .argument = "DIR",
			  .sentence = "with --on: the folder there to run in; default: the same as "
				      "here if it exists, else the home folder"},
	[OPTION_CHECK] = {.name = "check", .sentence = "only say what is wrong with the store, or with the fence"},
	[OPTION_CONFIG] = {.name = "config",
			   .argument = "FILE",
			   .complete = COMPLETE_FILE,
			   .sentence = "only say what is wrong with FILE, a configuration as "
				       "/etc/gpualloc.conf"},
	[OPTION_CONTAINER] = {.name = "container",
			      .sentence = "the command is podman run or docker run: give the "
					  "devices to the container, and keep the lease until it "
					  "ends"},
	[OPTION_COUNT] = {.name = "count",
			  .letter = 'n',
			  .argument = "N",
			  .sentence =
				  "how many devices; default: as many as --require names, at least "
				  "1"},
	[OPTION_CSV] = {.name = "csv",
			.sentence = "a table for programs, with a line of headings; sizes are "
				    "in bytes"},
	[OPTION_DEADLINE] = {.name = "deadline",
			     .argument = "DURATION",
			     .sentence = "how long a driver may take to answer: 500ms, 10s, 2m; "
					 "default 10s"},
	[OPTION_ENV] = {.name = "env",
			.argument = "NAME[=VALUE]",
			.sentence = "with --on: a variable for the command there, with its value "
				    "here or the one given; may be repeated"},
	[OPTION_EXCLUDE] = {.name = "exclude",
			    .argument = "LIST",
			    .complete = COMPLETE_DEVICES,
			    .sentence = "never choose these: indices, ranges 0-3, UUIDs or how "
					"they begin, PCI addresses, parent:gi[:ci] for MIG"},
	[OPTION_EXTEND] = {.name = "extend",
			   .argument = "LEASE",
			   .complete = COMPLETE_LEASE,
			   .sentence = "give this hold more time; --for says how much"},
	[OPTION_FENCE] = {.name = "fence",
			  .sentence =
				  "let the command open the device nodes of its own devices and "
				  "of no other GPU; set-uid programs do not work behind it"},
	[OPTION_FENCE_ALL] = {.name = "fence",
			      .sentence = "a fence around this machine's GPUs: only who has leased a "
					  "GPU can open its device nodes. Puts it up, or renews it"},
	[OPTION_FOLLOW] = {.name = "follow",
			   .sentence = "go on until the command has ended"},
	[OPTION_FOR] = {.name = "for",
			.argument = "DURATION",
			.sentence = "how long: 30m, 4h, 2d; then it ends by itself"},
	[OPTION_FORM] = {.name = "format",
			 .argument = "FORM",
			 .complete = COMPLETE_FORM,
			 .sentence = "how the command is told its devices: index (the default if "
				     "numbers are certain and no GPU is in MIG mode) or uuid"},
	[OPTION_FORMAT] = {.name = "format",
			   .argument = "FORM",
			   .complete = COMPLETE_FORMAT,
			   .sentence = "what to print: uuid (default), index, pci, env, torch "
				       "or json"},
	[OPTION_FREE] = {.name = "free", .sentence = "only devices that are free"},
	[OPTION_HELP] = {.name = "help", .letter = 'h', .sentence = "show this help and exit"},
	[OPTION_IGNORE_ENV] = {.name = "ignore-env",
			       .sentence = "choose as if CUDA_VISIBLE_DEVICES were not set"},
	[OPTION_IGNORE_LEASES] = {.name = "ignore-leases",
				  .sentence = "choose as if there were no leases; run then takes "
					      "none"},
	[OPTION_IGNORE_PROCESSES] = {.name = "ignore-processes",
				     .argument = "SIZE",
				     .may_lack = true,
				     .sentence =
					     "accept devices that others already use, up to SIZE "
					     "of memory on each"},
	[OPTION_IN] = {.name = "in",
		       .argument = "LEASE",
		       .complete = COMPLETE_LEASE,
		       .sentence =
			       "run inside a lease you already have, a hold or a job, on all of "
			       "its devices"},
	[OPTION_INTERVAL] = {.name = "interval",
			     .argument = "DURATION",
			     .sentence = "with --watch: how often the driver is asked; default 2s"},
	[OPTION_JSON] = {.name = "json",
			 .sentence = "what is told is one JSON document, with sizes in bytes and "
				     "null for what is not known; errors and notes on stderr are "
				     "documents too"},
	[OPTION_KEEP] = {.name = "keep",
			 .sentence = "with --on: the command goes on if the connection is lost, "
				     "and its output is in a log there; see gpualloc log"},
	[OPTION_KIND] = {.name = "kind",
			 .argument = "KIND",
			 .sentence = "what the devices are called before the =; default "
				     "nvidia.com/gpu"},
	[OPTION_MACHINE] = {.name = "machine",
			    .argument = "SPEC",
			    .complete = COMPLETE_MACHINE,
			    .sentence = "which machine: a name below, a machine file, or a file "
					"with the output of `nvidia-smi topo -m`; default: this "
					"one"},
	[OPTION_MEMORY] = {.name = "memory",
			   .letter = 'm',
			   .argument = "SIZE",
			   .sentence = "each device must have this much memory free: 8GiB, 800MB, "
				       "512M (MiB), or bytes"},
	[OPTION_MIG] = {.name = "mig",
			.argument = "PROFILE",
			.may_lack = true,
			.sentence = "MIG instances instead of whole GPUs, of this profile (1g.5gb) "
				    "or any"},
	[OPTION_MINE] = {.name = "mine", .sentence = "only what you have leased, use or wait for"},
	[OPTION_MIXED] = {.name = "mixed",
			  .sentence = "allow devices of different models in one "
				      "choice"},
	[OPTION_MODEL] = {.name = "model",
			  .argument = "TEXT",
			  .sentence = "only GPUs whose name contains TEXT"},
	[OPTION_NAME] = {.name = "name",
			 .argument = "NAME",
			 .sentence = "the kernel's name for Jupyter; default gpualloc"},
	[OPTION_NODE] = {.name = "node",
			 .argument = "NAMES",
			 .sentence = "gres-conf: the NodeName of its lines, n1 or n[1-4,7]; check: "
				     "which node this machine is"},
	[OPTION_NOTE] = {.name = "note",
			 .argument = "TEXT",
			 .sentence = "a note for others to read beside the lease"},
	[OPTION_NOTIFY] = {.name = "notify",
			   .argument = "PROGRAM",
			   .complete = COMPLETE_PROGRAM,
			   .sentence = "start PROGRAM when devices were got, when the command has "
				       "ended, and before a hold ends; GPUALLOC_MESSAGE tells it"},
	[OPTION_NOTIFY_BEFORE] = {.name = "notify-before",
				  .argument = "DURATION",
				  .sentence =
					  "how long before the end --notify tells of it; default "
					  "10m, of a shorter time half"},
	[OPTION_ON] = {.name = "on",
		       .argument = "HOSTS",
		       .complete = COMPLETE_HOSTS,
		       .sentence = "on other hosts, over ssh: names for ssh, groups of the hosts "
				   "file, or all; several with commas"},
	[OPTION_ONLY] = {.name = "only",
			 .argument = "LIST",
			 .complete = COMPLETE_DEVICES,
			 .sentence = "choose only from these, in this order"},
	[OPTION_OUTPUT] = {.name = "output",
			   .letter = 'o',
			   .argument = "FILE",
			   .complete = COMPLETE_FILE,
			   .sentence = "write to FILE, whole or not at all; - is stdout"},
	[OPTION_PIDS] = {.name = "pids",
			 .argument = "LEASE",
			 .complete = COMPLETE_LEASE,
			 .sentence = "the processes that hold this lease, one per line; only its "
				     "owner and root may ask"},
	[OPTION_POLICY] = {.name = "policy",
			   .letter = 'p',
			   .argument = "NAME",
			   .complete = COMPLETE_POLICY,
			   .sentence =
				   "how to choose; default balanced, with --mig or --share pack"},
	[OPTION_PRIVATE] = {.name = "private",
			    .sentence = "use a store of your own; others do not see its leases"},
	[OPTION_QUIET] = {.name = "quiet",
			  .letter = 'q',
			  .sentence = "only errors on stderr, no notes"},
	[OPTION_REMOVE] = {.name = "remove", .sentence = "remove the store, unless it is in use; with --fence the fence"},
	[OPTION_REQUIRE] = {.name = "require",
			    .argument = "LIST",
			    .complete = COMPLETE_DEVICES,
			    .sentence = "the choice must include these"},
	[OPTION_ROOT] = {.name = "root",
			 .argument = "DIR",
			 .complete = COMPLETE_FILE,
			 .sentence = "the folder with that machine's /proc, /sys and /dev, or a "
				     "copy of them; default: / for this machine"},
	[OPTION_SAMPLE] = {.name = "sample",
			   .sentence = "take a sample, as the timer does once a minute"},
	[OPTION_SEED] = {.name = "seed",
			 .argument = "N",
			 .sentence = "make the policy random repeatable"},
	[OPTION_SHARE] = {.name = "share",
			  .sentence = "with --memory: take only that much of each device; others "
				      "may have the rest"},
	[OPTION_SINCE] = {.name = "since",
			  .argument = "DURATION",
			  .sentence = "how far to look back: 12h, 7d, 4w; default 30d"},
	[OPTION_SLURM_VERSION] = {.name = "slurm-version",
				  .argument = "VERSION",
				  .sentence = "check: the version of Slurm that reads the files, "
					      "such as 24.05; default: the one installed here"},
	[OPTION_STAY] = {.name = "stay",
			 .sentence = "stay, and write the file anew when MIG instances or the "
				     "driver change"},
	[OPTION_SUPERVISE] = {.name = "supervise",
			      .sentence = "stay until the command's last process has ended; for "
					  "commands that close all descriptors"},
	[OPTION_SVG] = {.name = "svg",
			.argument = "FILE",
			.complete = COMPLETE_FILE,
			.sentence = "draw a picture into FILE; - is stdout"},
	[OPTION_TIME_LIMIT] = {.name = "time-limit",
			       .argument = "DURATION",
			       .sentence = "end the command after this long: SIGTERM, then SIGKILL "
					   "10s later; implies --supervise"},
	[OPTION_USER] = {.name = "user",
			 .argument = "NAME",
			 .sentence = "only what this user has leased, uses or waits for"},
	[OPTION_VERBOSE] = {.name = "verbose",
			    .letter = 'v',
			    .sentence = "sentences about why devices are not free"},
	[OPTION_WAIT] = {.name = "wait",
			 .argument = "DURATION",
			 .may_lack = true,
			 .sentence = "wait in the queue, as long as it takes or at most this long: "
				     "30s, 5m, 2h, 1d; default: fail at once when busy"},
	[OPTION_WATCH] = {.name = "watch",
			  .sentence = "keep showing what changes, on a terminal, until "
				      "Ctrl-C"},
	[OPTION_YES] = {.name = "yes",
			.letter = 'y',
			.sentence = "end what runs in the lease without asking"},
};

enum { DEADLINE_MOST_MS = 24 * 60 * 60 * 1000 };

const struct option_info *option_info(enum option_id id)
{
	return &infos[id];
}

int duration_read(const struct call *call, const char *name, const char *word, int64_t most_ms,
		  int64_t *ret_ms)
{
	gpualloc_error why = {0};

	if (ga_duration_parse(word, most_ms, ret_ms, &why) == 0)
		return 0;
	return fail_usage(call->command, "%s: %s", name, why.message);
}

/* What getopt_long() wants to know, made from a command's table. */
struct getopt_tables {
	struct option longs[OPTION_END + 1];
	char shorts[2 * OPTION_END + 3];
};

/* Ids of long options come after every letter; for short options the letter is the code. */
enum { LONG_BASE = 256 };

static size_t fill_tables(const struct command *command, struct getopt_tables *tables)
{
	char *letter = tables->shorts;
	size_t count = 0;

	*tables = (struct getopt_tables){0};
	if (command->others_words)
		*letter++ = '+';
	*letter++ = ':';
	for (const enum option_id *id = command->options; *id != OPTION_END; id++) {
		const struct option_info *info = &infos[*id];

		tables->longs[count++] = (struct option){
			.name = info->name,
			.has_arg = !info->argument  ? no_argument
				   : info->may_lack ? optional_argument
						    : required_argument,
			.val = LONG_BASE + (int)*id,
		};
		if (!info->letter)
			continue;
		*letter++ = info->letter;
		if (info->argument)
			*letter++ = ':';
	}
	return count;
}

/* OPTION_END where code is neither a letter nor a long option of this command. */
static enum option_id id_of(const struct command *command, int code)
{
	for (const enum option_id *id = command->options; *id != OPTION_END; id++)
		if (code == LONG_BASE + (int)*id || (code && code == infos[*id].letter))
			return *id;
	return OPTION_END;
}

static int unknown_option(const struct command *command, const char *word)
{
	char typed[64];
	struct suggestion near = {0};
	size_t size = strcspn(word, "=");

	if (strncmp(word, "--", 2) != 0)
		return fail_usage(command, "%s has no option -%c", command->name, optopt);
	(void)snprintf(typed, sizeof typed, "%.*s", (int)(size < 60 ? size : 60) - 2, word + 2);
	for (const enum option_id *id = command->options; *id != OPTION_END; id++)
		suggest_offer(&near, typed, infos[*id].name);
	if (near.word)
		return fail_usage(command, "%s has no option --%s; did you mean --%s?",
				  command->name, typed, near.word);
	return fail_usage(command, "%s has no option --%s", command->name, typed);
}

static int bad_option(const struct command *command, int code, const char *word)
{
	enum option_id id = id_of(command, optopt);

	if (code == ':' && id != OPTION_END)
		return fail_usage(command, "--%s needs a value: --%s %s", infos[id].name,
				  infos[id].name, infos[id].argument);
	if (id != OPTION_END)
		return fail_usage(command, "--%s takes no value", infos[id].name);
	return unknown_option(command, word);
}

static int read_deadline(struct call *call)
{
	const char *word = call->value[OPTION_DEADLINE], *from = "--deadline";
	int64_t ms;
	int result;

	call->deadline_ms = GPUALLOC_DEADLINE_DEFAULT_MS;
	if (!word) {
		word = getenv("GPUALLOC_DEADLINE");
		from = "GPUALLOC_DEADLINE";
		if (!word || !*word)
			return 0;
	}
	/* No working driver takes days. */
	result = duration_read(call, from, word, DEADLINE_MOST_MS, &ms);
	if (result == 0)
		call->deadline_ms = (unsigned)ms;
	return result;
}

static enum option_id find_long(const struct command *command, const char *word)
{
	for (const enum option_id *id = command->options; *id != OPTION_END; id++)
		if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, infos[*id].name) == 0)
			return *id;
	return OPTION_END;
}

/*
 * The first word after a long option that takes no such value: somebody meant it as the value.
 * Looked for before getopt_long() moves words about.
 */
struct stray {
	const char *word;
	enum option_id option;
};

static struct stray find_stray(const struct command *command, int argc, char **argv)
{
	for (int i = 2; i < argc && strcmp(argv[i - 1], "--") != 0; i++) {
		enum option_id id = find_long(command, argv[i - 1]);

		if (id != OPTION_END && (infos[id].may_lack || !infos[id].argument) &&
		    argv[i][0] != '-')
			return (struct stray){argv[i], id};
	}
	return (struct stray){NULL, OPTION_END};
}

static int too_many_words(const struct command *command, const struct stray *stray,
			  const char *word)
{
	enum option_id id = stray->word == word ? stray->option : OPTION_END;

	if (id != OPTION_END && infos[id].may_lack)
		return fail_usage(command,
				  "%s does not know what to do with \"%s\"; did you mean --%s=%s?",
				  command->name, word, infos[id].name, word);
	if (id != OPTION_END && !infos[id].argument)
		return fail_usage(command,
				  "%s does not know what to do with \"%s\"; --%s takes no value",
				  command->name, word, infos[id].name);
	return fail_usage(command, "%s does not know what to do with \"%s\"", command->name, word);
}

static int check_operands(const struct command *command, const struct call *call,
			  const struct stray *stray)
{
	if (call->operand_count > command->operands_most)
		return too_many_words(command, stray, call->operands[command->operands_most]);
	if (call->operand_count < command->operands_least)
		return fail_usage(command, "%s needs another word: gpualloc %s %s", command->name,
				  command->name, command->operand);
	return 0;
}

static bool has_option(const struct command *command, enum option_id wanted)
{
	for (const enum option_id *id = command->options; *id != OPTION_END; id++)
		if (*id == wanted)
			return true;
	return false;
}

static bool is_json(int code)
{
	if (code == LONG_BASE + OPTION_FORMAT)
		return optarg && strcmp(optarg, "json") == 0;
	/* "--json=1" is a mistake that means it. */
	return (code == '?' ? optopt : code) == LONG_BASE + OPTION_JSON;
}

bool options_ask_for_json(const struct command *command, int argc, char *const *argv)
{
	struct getopt_tables tables;
	size_t count = fill_tables(command, &tables);
	/* getopt_long() moves words about. */
	ga_auto_free char **words = calloc((size_t)argc + 1, sizeof *words);
	bool found = false;
	int code = 0;

	if (!has_option(command, OPTION_JSON))
		tables.longs[count] = (struct option){.name = infos[OPTION_JSON].name,
						      .val = LONG_BASE + (int)OPTION_JSON};
	if (words)
		memcpy(words, argv, (size_t)argc * sizeof *words);
	opterr = 0;
	optind = 0;
	while (words && !found && code != -1) {
		code = getopt_long(argc, words, tables.shorts, tables.longs, NULL);
		found = is_json(code);
	}
	/* Whoever reads them next starts anew. */
	optind = 0;
	return found;
}

int options_read(const struct command *command, int argc, char **argv, struct call *ret_call)
{
	struct getopt_tables tables;
	struct stray stray = find_stray(command, argc, argv);
	struct call call = {.command = command};
	int result = 0;

	ret_call->command = command;
	/* What is said about an agent's job is not to be mixed with what the job says. */
	if (options_ask_for_json(command, argc, argv))
		message_in_json(ret_call, error_holders, STDERR_FILENO);
	else if (agent_tether() >= 0)
		message_in_json(ret_call, error_holders, agent_tether());
	fill_tables(command, &tables);
	for (;;) {
		int at = optind > 0 ? optind : 1, code;
		enum option_id id;

		code = getopt_long(argc, argv, tables.shorts, tables.longs, NULL);
		if (code == -1)
			break;
		if (code == '?' || code == ':')
			return bad_option(command, code, argv[optind > at ? optind - 1 : at]);
		id = id_of(command, code);
		/* "--mig=$PROFILE" with an empty variable does not mean any profile. */
		if (optarg && !*optarg && infos[id].may_lack)
			return fail_usage(command,
					  "--%s= has no value after the =; give --%s=%s, "
					  "or just --%s",
					  infos[id].name, infos[id].name, infos[id].argument,
					  infos[id].name);
		call.value[id] = optarg ? optarg : "";
		if (id == OPTION_ENV && call.env_count < ENV_MOST)
			call.env[call.env_count++] = optarg;
		else if (id == OPTION_ENV)
			return fail_usage(command, "--env was given more than %d times", ENV_MOST);
		if (id == OPTION_HELP) {
			*ret_call = call;
			return 0;
		}
	}
	call.operands = argv + optind;
	call.operand_count = (size_t)(argc - optind);
	call.dashes = optind > 1 && strcmp(argv[optind - 1], "--") == 0;
	result = check_operands(command, &call, &stray);
	if (result == 0 && has_option(command, OPTION_DEADLINE))
		result = read_deadline(&call);
	if (result == 0)
		*ret_call = call;
	return result;
}
