/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc completion SHELL: the tables of commands and options in a shell's own words. */
#include "command.h"
#include "message.h"
#include "options.h"
#include "output.h"

#include <string.h>

static void bash_script(struct text *text);
static void fish_script(struct text *text);
static void zsh_script(struct text *text);

static const struct {
	const char *name;
	void (*script)(struct text *text);
} shells[] = {{"bash", bash_script}, {"fish", fish_script}, {"zsh", zsh_script}};
enum { SHELL_COUNT = sizeof shells / sizeof *shells };

/* The words a value or an operand may be, each behind a blank; nothing for files. */
static void add_words(struct text *text, enum complete complete)
{
	const struct command *command;
	const char *name;

	if (complete == COMPLETE_COMMAND)
		for (size_t i = 0; (command = command_at(i)); i++)
			text_format(text, " %s", command->name);
	if (complete == COMPLETE_MACHINE)
		for (size_t i = 0; (name = gpualloc_spec_name(i)); i++)
			text_format(text, " %s", name);
	if (complete == COMPLETE_FORM)
		text_add(text, " index uuid");
	if (complete == COMPLETE_FORMAT)
		text_add(text, " env index json pci torch uuid");
	if (complete == COMPLETE_POLICY)
		for (size_t i = 0; (name = gpualloc_policy_name(i)); i++)
			text_format(text, " %s", name);
	if (complete == COMPLETE_SHELL)
		for (size_t i = 0; i < SHELL_COUNT; i++)
			text_format(text, " %s", shells[i].name);
	if (complete == COMPLETE_SLURM)
		text_add(text, " check gres-conf");
}

static bool takes_files(enum complete complete)
{
	return complete == COMPLETE_FILE || complete == COMPLETE_MACHINE ||
	       complete == COMPLETE_PROGRAM || complete == COMPLETE_SLURM;
}

/* In single quotes, as sh, zsh and fish read them. */
static void add_quoted(struct text *text, const char *string)
{
	text_char(text, '\'');
	for (; *string; string++) {
		if (*string == '\'')
			text_add(text, "'\\''");
		else
			text_char(text, *string);
	}
	text_char(text, '\'');
}

/* ---- bash ---- */

static void bash_values(struct text *text, const struct command *command)
{
	for (const enum option_id *id = command->options; *id != OPTION_END; id++) {
		const struct option_info *info = option_info(*id);

		if (!info->argument)
			continue;
		text_format(text, "    %s:--%s=", command->name, info->name);
		if (!info->may_lack) /* else the next word is another option */
			text_format(text, "|%s:--%s", command->name, info->name);
		if (info->letter)
			text_format(text, "|%s:-%c", command->name, info->letter);
		text_add(text, ") words=\"");
		add_words(text, info->complete);
		text_format(text, "\"; files=%d ;;\n", takes_files(info->complete));
	}
}

static void bash_words(struct text *text, const struct command *command)
{
	text_format(text, "    %s:*) words=\"", command->name);
	add_words(text, command->complete);
	for (const enum option_id *id = command->options; *id != OPTION_END; id++)
		text_format(text, " --%s", option_info(*id)->name);
	text_format(text, "\"; files=%d ;;\n", takes_files(command->complete));
}

static void bash_script(struct text *text)
{
	const struct command *command;

	text_add(text, "# bash completion for gpualloc, made by `gpualloc completion bash`\n"
		       "_gpualloc() {\n"
		       "  local word=${COMP_WORDS[COMP_CWORD]} words= files=0\n"
		       "  local before=${COMP_WORDS[COMP_CWORD-1]}\n"
		       "  if [[ $word == = ]]; then\n"
		       "    word= before+==\n"
		       "  elif [[ $before == = ]]; then\n"
		       "    before=${COMP_WORDS[COMP_CWORD-2]}=\n"
		       "  fi\n"
		       "  if ((COMP_CWORD == 1)); then\n"
		       "    words=\"");
	add_words(text, COMPLETE_COMMAND);
	text_add(text, " --help --version\"\n"
		       "  else case ${COMP_WORDS[1]}:$before in\n");
	for (size_t i = 0; (command = command_at(i)); i++)
		bash_values(text, command);
	for (size_t i = 0; (command = command_at(i)); i++)
		bash_words(text, command);
	text_add(text, "  esac; fi\n"
		       "  local IFS=$' \\t\\n'\n"
		       "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
		       "  if ((files)); then\n"
		       "    local IFS=$'\\n'\n"
		       "    COMPREPLY+=($(compgen -f -- \"$word\"))\n"
		       "    compopt -o filenames 2>/dev/null\n"
		       "  fi\n"
		       "}\n"
		       "complete -F _gpualloc gpualloc\n");
}

/* ---- fish ---- */

static void fish_option(struct text *text, const struct command *command,
			const struct option_info *info)
{
	text_format(text, "complete -c gpualloc -n '__fish_seen_subcommand_from %s' -l %s",
		    command->name, info->name);
	if (info->letter)
		text_format(text, " -s %c", info->letter);
	if (info->argument && !info->may_lack)
		text_add(text, takes_files(info->complete) ? " -r -F" : " -x");
	if (info->complete != COMPLETE_NOTHING && info->complete != COMPLETE_FILE) {
		text_add(text, " -a '");
		add_words(text, info->complete);
		text_char(text, '\'');
	}
	text_add(text, " -d ");
	add_quoted(text, info->sentence);
	text_char(text, '\n');
}

static void fish_script(struct text *text)
{
	const struct command *command;

	text_add(text, "# fish completion for gpualloc, made by `gpualloc completion fish`\n"
		       "complete -c gpualloc -f\n"
		       "complete -c gpualloc -n __fish_use_subcommand -l help -s h\n"
		       "complete -c gpualloc -n __fish_use_subcommand -l version\n");
	for (size_t i = 0; (command = command_at(i)); i++) {
		text_format(text, "complete -c gpualloc -n __fish_use_subcommand -a %s -d ",
			    command->name);
		add_quoted(text, command->sentence);
		text_char(text, '\n');
		for (const enum option_id *id = command->options; *id != OPTION_END; id++)
			fish_option(text, command, option_info(*id));
		if (command->complete == COMPLETE_NOTHING)
			continue;
		text_format(text, "complete -c gpualloc -n '__fish_seen_subcommand_from %s'%s -a '",
			    command->name, takes_files(command->complete) ? " -F" : "");
		add_words(text, command->complete);
		text_add(text, "'\n");
	}
}

/* ---- zsh ---- */

/* What _arguments reads inside [brackets]. */
static void zsh_sentence(struct text *text, const char *sentence)
{
	for (; *sentence; sentence++) {
		if (strchr("[]:\\", *sentence))
			text_char(text, '\\');
		if (*sentence == '\'')
			text_add(text, "'\\''");
		else
			text_char(text, *sentence);
	}
}

static void zsh_action(struct text *text, const char *what, enum complete complete)
{
	text_format(text, ":%s:", what);
	if (complete == COMPLETE_FILE)
		text_add(text, "_files");
	else if (complete == COMPLETE_MACHINE)
		text_add(text, "_gpualloc_machines");
	else if (complete != COMPLETE_NOTHING) {
		text_char(text, '(');
		add_words(text, complete);
		text_char(text, ')');
	}
}

static void zsh_command(struct text *text, const struct command *command)
{
	text_format(text, "    %s) _arguments", command->name);
	for (const enum option_id *id = command->options; *id != OPTION_END; id++) {
		const struct option_info *info = option_info(*id);

		text_add(text, " \\\n      ");
		if (info->letter)
			text_format(text, "'(-%c --%s)'{-%c,--%s}", info->letter, info->name,
				    info->letter, info->name);
		else
			text_format(text, "--%s%s", info->name, info->may_lack ? "=-" : "");
		text_add(text, "'[");
		zsh_sentence(text, info->sentence);
		text_char(text, ']');
		text_add(text, info->may_lack ? ":" : "");
		if (info->argument)
			zsh_action(text, info->argument, info->complete);
		text_char(text, '\'');
	}
	if (command->complete != COMPLETE_NOTHING) {
		text_add(text, " \\\n      '1");
		zsh_action(text, "word", command->complete);
		text_char(text, '\'');
		if (takes_files(command->complete))
			text_add(text, " \\\n      '*:file:_files'");
	}
	text_add(text, " ;;\n");
}

static void zsh_script(struct text *text)
{
	const struct command *command;

	text_add(text, "#compdef gpualloc\n"
		       "# zsh completion for gpualloc, made by `gpualloc completion zsh`\n"
		       "_gpualloc_machines() {\n"
		       "  compadd --");
	add_words(text, COMPLETE_MACHINE);
	text_add(text, "\n  _files\n}\n"
		       "_gpualloc() {\n"
		       "  if (( CURRENT == 2 )); then\n"
		       "    local -a commands=(\n");
	for (size_t i = 0; (command = command_at(i)); i++) {
		text_format(text, "      '%s:", command->name);
		zsh_sentence(text, command->sentence);
		text_add(text, "'\n");
	}
	text_add(text, "    )\n"
		       "    _describe command commands\n"
		       "    compadd -- --help --version\n"
		       "    return\n"
		       "  fi\n"
		       "  local command=$words[2]\n"
		       "  shift words\n"
		       "  (( CURRENT-- ))\n"
		       "  case $command in\n");
	for (size_t i = 0; (command = command_at(i)); i++)
		zsh_command(text, command);
	text_add(text, "  esac\n"
		       "}\n"
		       "if [[ $funcstack[1] == _gpualloc ]]; then _gpualloc \"$@\"; "
		       "else compdef _gpualloc gpualloc; fi\n");
}

static int run(const struct call *call)
{
	auto_text struct text text = {0};

	for (size_t i = 0; i < SHELL_COUNT; i++) {
		if (strcmp(shells[i].name, call->operands[0]) != 0)
			continue;
		shells[i].script(&text);
		return output_print(&text);
	}
	return fail_usage(call->command, "no completion for \"%s\"; there is one for %s, %s, %s",
			  call->operands[0], shells[0].name, shells[1].name, shells[2].name);
}

const struct command command_completion = {
	.name = "completion",
	.sentence = "completion for bash, fish or zsh",
	.description = "Prints a script that makes a shell complete commands, options and names of "
		       "machines: source <(gpualloc completion bash). Packages install it.",
	.example = "gpualloc completion bash",
	.operand = "bash|fish|zsh",
	.operands_least = 1,
	.operands_most = 1,
	.complete = COMPLETE_SHELL,
	.aside = true,
	.options = (const enum option_id[]){OPTION_HELP, OPTION_END},
	.run = run,
};
