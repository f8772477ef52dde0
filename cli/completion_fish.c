/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for fish. */
#include "completion.h"
#include "options.h"

/* A string in single quotes. */
static void add_quoted(struct ga_buffer *text, const char *string)
{
	ga_buffer_char(text, '\'');
	for (; *string; string++) {
		if (*string == '\'' || *string == '\\')
			ga_buffer_char(text, '\\');
		ga_buffer_char(text, *string);
	}
	ga_buffer_char(text, '\'');
}

static void add_arguments(struct ga_buffer *text, const struct command *const *commands,
			  enum complete complete)
{
	const char *asks = completion_asks(complete);

	ga_buffer_text(text, " -a '");
	if (asks)
		ga_buffer_format(text, "(__gpualloc_asked %s)", asks);
	else
		completion_words(text, commands, complete);
	ga_buffer_char(text, '\'');
}

static void add_option(struct ga_buffer *text, const struct command *const *commands,
		       const struct command *command, const struct option_info *info)
{
	ga_buffer_format(text, "complete -c gpualloc -n '__gpualloc_in %s' -l %s", command->name,
			 info->name);
	if (info->letter)
		ga_buffer_format(text, " -s %c", info->letter);
	if (info->argument && !info->may_lack)
		ga_buffer_text(text, completion_takes_files(info->complete) ? " -r -F" : " -x");
	if (info->complete != COMPLETE_NOTHING && info->complete != COMPLETE_FILE)
		add_arguments(text, commands, info->complete);
	ga_buffer_text(text, " -d ");
	add_quoted(text, info->sentence);
	ga_buffer_char(text, '\n');
}

/* Words and, if it takes a program, all of that program's line. */
static void add_operands(struct ga_buffer *text, const struct command *const *commands,
			 const struct command *command)
{
	if (command->complete == COMPLETE_NOTHING)
		return;
	if (command->complete == COMPLETE_PROGRAM) {
		ga_buffer_format(text,
				 "complete -c gpualloc -n '__gpualloc_program_at %s >/dev/null' -x "
				 "-a '(__gpualloc_program %s)'\n",
				 command->name, command->name);
		return;
	}
	ga_buffer_format(text, "complete -c gpualloc -n '__gpualloc_in %s'%s", command->name,
			 completion_takes_files(command->complete) ? " -F" : "");
	add_arguments(text, commands, command->complete);
	ga_buffer_char(text, '\n');
}

static const char head[] =
	"# fish completion for gpualloc, made by `gpualloc completion fish`\n"
	"\n"
	"# Whether an option or a word of this command may stand here.\n"
	"function __gpualloc_in -a command\n"
	"    set -l words (commandline -opc)\n"
	"    test \"$words[2]\" = $command\n"
	"    and not string length -q -- (__gpualloc_program_begun $command)\n"
	"end\n"
	"\n"
	"# The place of the program that `gpualloc run` is to run, if it is there already.\n"
	"function __gpualloc_program_begun -a command\n"
	"    set -l words (commandline -opc)\n"
	"    set -l waits 0\n"
	"    set -l i 2\n"
	"    test \"$words[2]\" = $command; and contains -- $command $__gpualloc_runs; or return 1\n"
	"    while test $i -lt (count $words)\n"
	"        set i (math $i + 1)\n"
	"        if test $waits = 1\n"
	"            set waits 0\n"
	"        else if test \"$words[$i]\" = --\n"
	"            math $i + 1\n"
	"            return\n"
	"        else if contains -- $words[$i] $__gpualloc_valued\n"
	"            set waits 1\n"
	"        else if not string match -q -- '-*' $words[$i]\n"
	"            echo $i\n"
	"            return\n"
	"        end\n"
	"    end\n"
	"    test $waits = 0; and not string match -q -- '-*' (commandline -ct)\n"
	"    and return 2 # it may begin here\n"
	"    return 1\n"
	"end\n"
	"\n"
	"function __gpualloc_program_at -a command\n"
	"    __gpualloc_program_begun $command\n"
	"    switch $status\n"
	"        case 0\n"
	"            return 0\n"
	"        case 2\n"
	"            math (count (commandline -opc)) + 1\n"
	"            return 0\n"
	"    end\n"
	"    return 1\n"
	"end\n"
	"\n"
	"# What fish offers for that program alone.\n"
	"function __gpualloc_program -a command\n"
	"    set -l at (__gpualloc_program_at $command)\n"
	"    set -l words (commandline -opc)\n"
	"    set -l line\n"
	"    test $at -le (count $words); and set line (string escape -- $words[$at..-1])\n"
	"    complete -C (string join ' ' -- $line (commandline -ct))\n"
	"end\n"
	"\n"
	"# Devices and leases.\n"
	"function __gpualloc_asked -a what\n"
	"    set -l words (commandline -opc)\n"
	"    set -l machine (string match -- '--machine=*' $words)\n"
	"    set -l at (contains -i -- --machine $words)\n"
	"    test -n \"$at\"; and set machine --machine=$words[(math $at + 1)]\n"
	"    if test $what != devices\n"
	"        $words[1] completion $what 2>/dev/null\n"
	"    else\n"
	"        $words[1] completion $machine[-1] --deadline=2s -- devices "
	"(string replace -r -- '^--[a-z-]+=' '' (commandline -ct)) 2>/dev/null\n"
	"    end\n"
	"end\n"
	"\n";

/* Of commands that take a program: their names, and the options whose value is the next word. */
static void add_runs(struct ga_buffer *text, const struct command *const *commands)
{
	ga_buffer_text(text, "set -g __gpualloc_runs");
	for (size_t i = 0; commands[i]; i++)
		if (commands[i]->complete == COMPLETE_PROGRAM)
			ga_buffer_format(text, " %s", commands[i]->name);
	ga_buffer_text(text, "\nset -g __gpualloc_valued");
	for (size_t i = 0; commands[i]; i++) {
		if (commands[i]->complete != COMPLETE_PROGRAM)
			continue;
		for (const enum option_id *id = commands[i]->options; *id != OPTION_END; id++) {
			const struct option_info *info = option_info(*id);

			if (!info->argument || info->may_lack)
				continue;
			ga_buffer_format(text, " --%s", info->name);
			if (info->letter)
				ga_buffer_format(text, " -%c", info->letter);
		}
	}
	ga_buffer_char(text, '\n');
}

void completion_fish(struct ga_buffer *text, const struct command *const *commands)
{
	const struct command *command;

	ga_buffer_text(text, head);
	add_runs(text, commands);
	ga_buffer_text(text, "complete -c gpualloc -f\n"
			     "complete -c gpualloc -n __fish_use_subcommand -l help -s h\n"
			     "complete -c gpualloc -n __fish_use_subcommand -l version\n");
	for (size_t i = 0; (command = commands[i]); i++) {
		ga_buffer_format(text, "complete -c gpualloc -n __fish_use_subcommand -a %s -d ",
				 command->name);
		add_quoted(text, command->sentence);
		ga_buffer_char(text, '\n');
		for (const enum option_id *id = command->options; *id != OPTION_END; id++)
			add_option(text, commands, command, option_info(*id));
		add_operands(text, commands, command);
	}
}
