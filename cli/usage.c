/* SPDX-License-Identifier: Apache-2.0 */
/* Help from the tables; see usage.h. */
#include "usage.h"

#include "message.h"
#include "options.h"
#include "suggest.h"

#include <stdio.h>

enum { WIDTH = 80, NAME_WIDTH = 14, POLICY_WIDTH = 20, OPTION_WIDTH = 24 };

static void add_commands(struct text *text, bool aside)
{
	const struct command *command;

	for (size_t i = 0; (command = command_at(i)); i++) {
		if (command->aside != aside)
			continue;
		text_add(text, "  ");
		text_left(text, command->name, NAME_WIDTH - 2);
		text_format(text, "%s\n", command->sentence);
	}
}

void usage_of_all(struct text *text)
{
	text_add(text, "gpualloc decides which GPUs a program gets, keeps others off them, and "
		       "starts it\nthere.\n\nusage: gpualloc COMMAND [OPTION...]\n\n");
	add_commands(text, false);
	text_char(text, '\n');
	add_commands(text, true);
	text_add(text, "\n`gpualloc help COMMAND` explains one. To see it work without a GPU:\n\n"
		       "  gpualloc list --machine dgx1-volta\n"
		       "  gpualloc run --machine dgx1-volta -n 2 env\n");
}

/* A sentence beside what it is about: the first line at column, the others below it. */
static void add_beside(struct text *text, const char *sentence, size_t at, size_t column)
{
	auto_text struct text block = {0};
	bool own_line = at + 2 > column;
	size_t skip = own_line ? 0 : at;

	text_wrap(&block, sentence, column, WIDTH, 100);
	text->failed = text->failed || block.failed;
	if (own_line || block.size <= skip)
		text_char(text, '\n');
	if (block.size > skip)
		text_append(text, block.data + skip, block.size - skip);
}

static void add_option(struct text *text, const struct option_info *info)
{
	char word[64];
	int length;

	if (info->letter)
		length = snprintf(word, sizeof word, "  -%c, --%s", info->letter, info->name);
	else
		length = snprintf(word, sizeof word, "      --%s", info->name);
	text_add(text, word);
	if (info->argument) {
		text_format(text, info->may_lack ? "[=%s]" : " %s", info->argument);
		length += (info->may_lack ? 3 : 1) + (int)columns_of(info->argument);
	}
	add_beside(text, info->sentence, (size_t)length, OPTION_WIDTH + 2);
}

static void add_machines(struct text *text)
{
	const char *name;

	text_add(text, "\nmachines:\n");
	for (size_t i = 0; (name = gpualloc_spec_name(i)); i++) {
		const char *description = gpualloc_spec_description(i);

		text_format(text, "  %s", name);
		add_beside(text, description ? description : "", 2 + columns_of(name),
			   2 + NAME_WIDTH);
	}
}

static void add_policies(struct text *text)
{
	const char *name;

	text_add(text, "\npolicies:\n");
	for (size_t i = 0; (name = gpualloc_policy_name(i)); i++) {
		text_format(text, "  %s", name);
		add_beside(text, gpualloc_policy_description(i), 2 + columns_of(name),
			   2 + POLICY_WIDTH);
	}
}

void usage_of_command(struct text *text, const struct command *command)
{
	bool machines = false, policies = false;

	text_format(text, "usage: gpualloc %s [OPTION...]%s%s\n\n", command->name,
		    command->operand ? " " : "", command->operand ? command->operand : "");
	text_wrap(text, command->description, 0, WIDTH, 100);
	text_add(text, "\noptions:\n");
	for (const enum option_id *id = command->options; *id != OPTION_END; id++) {
		add_option(text, option_info(*id));
		machines = machines || *id == OPTION_MACHINE;
		policies = policies || *id == OPTION_POLICY;
	}
	if (policies)
		add_policies(text);
	if (machines)
		add_machines(text);
	text_format(text, "\nexample:\n  %s\n", command->example);
}

int unknown_command(const char *word)
{
	auto_text struct text known = {0};
	struct suggestion near = {0};
	const struct command *command;

	for (size_t i = 0; (command = command_at(i)); i++) {
		text_format(&known, "%s%s", i ? ", " : "", command->name);
		suggest_offer(&near, word, command->name);
	}
	if (known.failed)
		return fail_memory();
	if (near.word)
		return fail_usage(NULL, "\"%s\" is no command of gpualloc %s; did you mean %s?",
				  word, gpualloc_version(), near.word);
	return fail_usage(NULL, "\"%s\" is no command of gpualloc %s, which has %s", word,
			  gpualloc_version(), known.data);
}
