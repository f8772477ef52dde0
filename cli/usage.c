/* SPDX-License-Identifier: Apache-2.0 */
/* Help from the tables; see usage.h. */
#include "usage.h"

#include "columns.h"
#include "message.h"
#include "options.h"
#include "suggest.h"

#include <stdio.h>

enum { WIDTH = 80, NAME_WIDTH = 14, POLICY_WIDTH = 20, OPTION_WIDTH = 24 };

static void add_commands(struct ga_buffer *text, const struct command *const *commands, bool aside)
{
	for (; *commands; commands++) {
		const struct command *command = *commands;

		if (command->aside != aside)
			continue;
		ga_buffer_text(text, "  ");
		columns_left(text, command->name, NAME_WIDTH - 2);
		ga_buffer_format(text, "%s\n", command->sentence);
	}
}

void usage_of_all(struct ga_buffer *text, const struct command *const *commands)
{
	ga_buffer_text(text,
		       "gpualloc decides which GPUs a program gets, keeps others off them, and "
		       "starts it\nthere.\n\nusage: gpualloc COMMAND [OPTION...]\n\n");
	add_commands(text, commands, false);
	ga_buffer_char(text, '\n');
	add_commands(text, commands, true);
	ga_buffer_text(text,
		       "\n`gpualloc help COMMAND` explains one. To see it work without a GPU:\n\n"
		       "  gpualloc list --machine dgx1-volta\n"
		       "  gpualloc run --machine dgx1-volta -n 2 env\n");
}

/* A sentence beside what it is about: the first line at column, the others below it. */
static void add_beside(struct ga_buffer *text, const char *sentence, size_t at, size_t column)
{
	ga_auto_buffer struct ga_buffer block = GA_BUFFER_OUTPUT;
	bool own_line = at + 2 > column;
	size_t skip = own_line ? 0 : at;

	columns_wrap(&block, sentence, column, WIDTH, 100);
	text->failed = text->failed || block.failed;
	if (own_line || block.size <= skip)
		ga_buffer_char(text, '\n');
	if (block.size > skip)
		ga_buffer_append(text, block.data + skip, block.size - skip);
}

static void add_option(struct ga_buffer *text, const struct option_info *info)
{
	char word[64];
	int length;

	if (info->letter)
		length = snprintf(word, sizeof word, "  -%c, --%s", info->letter, info->name);
	else
		length = snprintf(word, sizeof word, "      --%s", info->name);
	ga_buffer_text(text, word);
	if (info->argument) {
		ga_buffer_format(text, info->may_lack ? "[=%s]" : " %s", info->argument);
		length += (info->may_lack ? 3 : 1) + (int)columns_of(info->argument);
	}
	add_beside(text, info->sentence, (size_t)length, OPTION_WIDTH + 2);
}

static void add_machines(struct ga_buffer *text)
{
	const char *name;

	ga_buffer_text(text, "\nmachines:\n");
	for (size_t i = 0; (name = gpualloc_spec_name(i)); i++) {
		const char *description = gpualloc_spec_description(i);

		ga_buffer_format(text, "  %s", name);
		add_beside(text, description ? description : "", 2 + columns_of(name),
			   2 + NAME_WIDTH);
	}
}

static void add_policies(struct ga_buffer *text)
{
	const char *name;

	ga_buffer_text(text, "\npolicies:\n");
	for (size_t i = 0; (name = gpualloc_policy_name(i)); i++) {
		ga_buffer_format(text, "  %s", name);
		add_beside(text, gpualloc_policy_description(i), 2 + columns_of(name),
			   2 + POLICY_WIDTH);
	}
}

void usage_of_command(struct ga_buffer *text, const struct command *command)
{
	bool machines = false, policies = false;

	ga_buffer_format(text, "usage: gpualloc %s [OPTION...]%s%s\n\n", command->name,
			 command->operand ? " " : "", command->operand ? command->operand : "");
	columns_wrap(text, command->description, 0, WIDTH, 100);
	ga_buffer_text(text, "\noptions:\n");
	for (const enum option_id *id = command->options; *id != OPTION_END; id++) {
		add_option(text, option_info(*id));
		machines = machines || *id == OPTION_MACHINE;
		policies = policies || *id == OPTION_POLICY;
	}
	if (policies)
		add_policies(text);
	if (machines)
		add_machines(text);
	ga_buffer_format(text, "\nexample:\n  %s\n", command->example);
}

int unknown_command(const struct command *const *commands, const char *word)
{
	ga_auto_buffer struct ga_buffer known = GA_BUFFER_OUTPUT;
	struct suggestion near = {0};

	for (size_t i = 0; commands[i]; i++) {
		ga_buffer_format(&known, "%s%s", i ? ", " : "", commands[i]->name);
		suggest_offer(&near, word, commands[i]->name);
	}
	if (known.failed)
		return fail_memory();
	if (near.word)
		return fail_usage(NULL, "\"%s\" is not a command of gpualloc %s; did you mean %s?",
				  word, gpualloc_version(), near.word);
	return fail_usage(NULL, "\"%s\" is not a command of gpualloc %s, which has %s", word,
			  gpualloc_version(), known.data);
}
