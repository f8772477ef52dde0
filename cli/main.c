/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc: finds the command, reads its options, runs it. command.h says what a command is. */
#include "agent.h"
#include "commands.h"
#include "container.h"
#include "hosts/on.h"
#include "keeper.h"
#include "mcp/minder.h"
#include "message.h"
#include "notify.h"
#include "options.h"
#include "output.h"
#include "suggest.h"
#include "usage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* clang-format off */
#define DECLARE(name) extern const struct command command_##name;
#define ENTRY(name) &command_##name,
/* clang-format on */

COMMANDS(DECLARE)

static const struct command *const commands[] = {COMMANDS(ENTRY) NULL};

static int print_usage(const struct command *command)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	if (command)
		usage_of_command(&text, command);
	else
		usage_of_all(&text, commands);
	return output_print(&text);
}

/* `gpualloc` alone shows the same help, but as a mistake: nobody asked for it. */
static int nothing_asked(void)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	usage_of_all(&text, commands);
	if (!text.failed)
		(void)!write(STDERR_FILENO, text.data, text.size);
	return STATUS_USAGE;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct call call = {0};
	int result = options_read(command, argc, argv, &call);

	if (result)
		return result;
	call.commands = commands;
	if (call.value[OPTION_HELP])
		return print_usage(command);
	return call.value[OPTION_ON] ? on_hosts(&call) : command->run(&call);
}

/* For what is no command, or comes before one: mistakes that somebody wants as documents. */
static void expect_json(int argc, char **argv)
{
	static const struct call none = {0};

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const struct command *command = command_find(commands, argv[i]);

		if (command ? options_ask_for_json(command, argc - i, argv + i)
			    : strcmp(argv[i], "--json") == 0 || strncmp(argv[i], "--json=", 7) == 0)
			message_in_json(&none, NULL, STDERR_FILENO);
		/* Its words are not ours any more. */
		if (command)
			break;
	}
}

/* An option before the command: one of the program itself, or one in the wrong place. */
static int run_option(int argc, char **argv)
{
	const char *word = argv[1];

	/* "--help run" means "help run". */
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return run_command(command_find(commands, "help"), argc - 1, argv + 1);
	if (strcmp(word, "--version") == 0)
		return run_command(command_find(commands, "version"), argc - 1, argv + 1);
	expect_json(argc, argv);
	for (int i = 2; i < argc; i++)
		if (command_find(commands, argv[i]))
			return fail_usage(command_find(commands, argv[i]),
					  "options go after the command: gpualloc %s %s", argv[i],
					  word);
	return fail_usage(NULL, "there is no option %s here; the command comes first", word);
}

int main(int argc, char **argv)
{
	const struct command *command;

	output_prepare();
	if (argc < 2)
		return nothing_asked();
	if (argc == 8 && strcmp(argv[1], KEEPER_WORD) == 0)
		return keeper_main(argv + 2);
	if (argc >= CONTAINER_WORDS_LEAST && strcmp(argv[1], CONTAINER_WORD) == 0)
		return container_keep(argv + 2);
	if (argc == 6 && strcmp(argv[1], TELLER_WORD) == 0)
		return teller_main(argv + 2);
	if (argc >= 3 && strcmp(argv[1], MINDER_WORD) == 0)
		return minder_main(argv + 2);
	if (argc >= 5 && strcmp(argv[1], AGENT_WORD) == 0 && agent_begin(argv + 2)) {
		argv += 3;
		argc -= 3;
	}
	if (argv[1][0] == '-')
		return run_option(argc, argv);
	command = command_find(commands, argv[1]);
	if (command)
		return run_command(command, argc - 1, argv + 1);
	expect_json(argc, argv);
	return unknown_command(commands, argv[1]);
}
