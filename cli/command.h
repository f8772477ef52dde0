/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command is. Parsing, --help, completion and the check of the manual know only its
 * descriptor, so adding a command takes one file and one line in meson.build.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <gpualloc/gpualloc.h>
#include <stdbool.h>
#include <stddef.h>

/* An option means the same in every command: it is described once, in options.c. */
enum option_id {
	OPTION_ANONYMOUS,
	OPTION_BIND,
	OPTION_BY,
	OPTION_CHDIR,
	OPTION_CHECK,
	OPTION_CONFIG,
	OPTION_CONTAINER,
	OPTION_COUNT,
	OPTION_CSV,
	OPTION_DEADLINE,
	OPTION_ENV,
	OPTION_EXCLUDE,
	OPTION_EXTEND,
	OPTION_FENCE,
	OPTION_FENCE_ALL,
	OPTION_FOLLOW,
	OPTION_FOR,
	OPTION_FORM,
	OPTION_FORMAT,
	OPTION_FREE,
	OPTION_HELP,
	OPTION_IGNORE_ENV,
	OPTION_IGNORE_LEASES,
	OPTION_IGNORE_PROCESSES,
	OPTION_IN,
	OPTION_INTERVAL,
	OPTION_JSON,
	OPTION_KEEP,
	OPTION_KIND,
	OPTION_MACHINE,
	OPTION_MEMORY,
	OPTION_MIG,
	OPTION_MINE,
	OPTION_MIXED,
	OPTION_MODEL,
	OPTION_NAME,
	OPTION_NODE,
	OPTION_NOTE,
	OPTION_NOTIFY,
	OPTION_NOTIFY_BEFORE,
	OPTION_ON,
	OPTION_ONLY,
	OPTION_OUTPUT,
	OPTION_PIDS,
	OPTION_POLICY,
	OPTION_PRIVATE,
	OPTION_QUIET,
	OPTION_REMOVE,
	OPTION_REQUIRE,
	OPTION_ROOT,
	OPTION_SAMPLE,
	OPTION_SEED,
	OPTION_SHARE,
	OPTION_SINCE,
	OPTION_SLURM_VERSION,
	OPTION_STAY,
	OPTION_SUPERVISE,
	OPTION_SVG,
	OPTION_TIME_LIMIT,
	OPTION_USER,
	OPTION_VERBOSE,
	OPTION_WAIT,
	OPTION_WATCH,
	OPTION_YES,
	OPTION_END
};

/* What completion offers for a value or an operand. */
enum complete {
	COMPLETE_NOTHING,
	COMPLETE_BY,
	COMPLETE_CDI,
	COMPLETE_COMMAND,
	COMPLETE_DEVICES,
	COMPLETE_FILE,
	COMPLETE_FORM,
	COMPLETE_FORMAT,
	COMPLETE_HOSTS,
	COMPLETE_LEASE,
	COMPLETE_MACHINE,
	COMPLETE_POLICY,
	COMPLETE_PROGRAM,
	COMPLETE_SHELL,
	COMPLETE_SLURM,
};

struct option_info {
	const char *name;     /* long, without dashes */
	char letter;          /* 0 when there is none */
	const char *argument; /* as --help shows it; NULL for a flag */
	bool may_lack;        /* the argument may be left out; the value is then "" */
	enum complete complete;
	const char *sentence;
};

/* --env may be given this often. */
enum { ENV_MOST = 256 };

/* A command as it was called. */
struct call {
	const struct command *command;
	const struct command *const *commands; /* all of them, with NULL after the last */
	const char *value[OPTION_END];         /* "" for a flag; NULL if not given */
	const char *env[ENV_MOST];             /* every --env, in order */
	size_t env_count;
	unsigned deadline_ms;
	char *const *operands; /* NULL after the last */
	size_t operand_count;
	bool dashes; /* "--" stands before the operands */
};

struct command {
	const char *name;
	const char *sentence;    /* for the list of commands */
	const char *description; /* for its own --help */
	const char *example;     /* a line that works anywhere, even without a GPU */
	const char *operand;     /* as usage shows them, "[COMMAND]"; NULL if it takes none */
	size_t operands_least, operands_most;
	enum complete complete;
	bool others_words; /* nothing after the first operand is an option */
	bool aside;        /* about gpualloc itself: listed after the others */
	bool gives;   /* gives devices to a program, and may be started where it can see none */
	bool goes_on; /* shows the administrator's mistakes and goes on */
	const enum option_id *options;       /* alphabetical, ended by OPTION_END */
	int (*run)(const struct call *call); /* returns the exit status */
};

/* NULL if there is no such command. */
const struct command *command_find(const struct command *const *commands, const char *name);

#endif
