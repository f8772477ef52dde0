/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc completion SHELL: the tables of commands and options in a shell's own words. */
#include "command.h"
#include "message.h"
#include "options.h"
#include "output.h"

#include <string.h>

static void bash_script(struct ga_buffer *text, const struct command *const *commands);
static void fish_script(struct ga_buffer *text, const struct command *const *commands);
static void zsh_script(struct ga_buffer *text, const struct command *const *commands);

static const struct {
	const char *name;
	void (*script)(struct ga_buffer *text, const struct command *const *commands);
} shells[] = {{"bash", bash_script}, {"fish", fish_script}, {"zsh", zsh_script}};
enum { SHELL_COUNT = sizeof shells / sizeof *shells };

/* The words a value or an operand may be, each after a blank; nothing for files. */
static void add_words(struct ga_buffer *text, const struct command *const *commands,
		      enum complete complete)
{
	const struct command *command;
	const char *name;

	if (complete == COMPLETE_COMMAND)
		for (size_t i = 0; (command = commands[i]); i++)
			ga_buffer_format(text, " %s", command->name);
	if (complete == COMPLETE_MACHINE)
		for (size_t i = 0; (name = gpualloc_spec_name(i)); i++)
			ga_buffer_format(text, " %s", name);
	if (complete == COMPLETE_FORM)
		ga_buffer_text(text, " index uuid");
	if (complete == COMPLETE_FORMAT)
		ga_buffer_text(text, " env index json pci torch uuid");
	if (complete == COMPLETE_POLICY)
		for (size_t i = 0; (name = gpualloc_policy_name(i)); i++)
			ga_buffer_format(text, " %s", name);
	if (complete == COMPLETE_SHELL)
		for (size_t i = 0; i < SHELL_COUNT; i++)
			ga_buffer_format(text, " %s", shells[i].name);
	if (complete == COMPLETE_SLURM)
		ga_buffer_text(text, " check gres-conf");
}

static bool takes_files(enum complete complete)
{
	return complete == COMPLETE_FILE || complete == COMPLETE_MACHINE ||
	       complete == COMPLETE_PROGRAM || complete == COMPLETE_SLURM;
}

/* A string in single quotes, as sh, zsh and fish read it. */
static void add_quoted(struct ga_buffer *text, const char *string)
{
	ga_buffer_char(text, '\'');
	for (; *string; string++) {
		if (*string == '\'')
			ga_buffer_text(text, "'\\''");
		else
			ga_buffer_char(text, *string);
	}
	ga_buffer_char(text, '\'');
}

/* ---- bash ---- */

static void bash_values(struct ga_buffer *text, const struct command *const *commands,
			const struct command *command)
{
	for (const enum option_id *id = command->options; *id != OPTION_END; id++) {
		const struct option_info *info = option_info(*id);

		if (!info->argument)
			continue;
		ga_buffer_format(text, "    %s:--%s=", command->name, info->name);
		if (!info->may_lack) /* otherwise the next word is another option */
			ga_buffer_format(text, "|%s:--%s", command->name, info->name);
		if (info->letter)
			ga_buffer_format(text, "|%s:-%c", command->name, info->letter);
		ga_buffer_text(text, ") words=\"");
		add_words(text, commands, info->complete);
		ga_buffer_format(text, "\"; files=%d ;;\n", takes_files(info->complete));
	}
}

static void bash_words(struct ga_buffer *text, const struct command *const *commands,
		       const struct command *command)
{
	ga_buffer_format(text, "    %s:*) words=\"", command->name);
	add_words(text, commands, command->complete);
	for (const enum option_id *id = command->options; *id != OPTION_END; id++)
		ga_buffer_format(text, " --%s", option_info(*id)->name);
	ga_buffer_format(text, "\"; files=%d ;;\n", takes_files(command->complete));
}

static void bash_script(struct ga_buffer *text, const struct command *const *commands)
{
	const struct command *command;

	ga_buffer_text(text, "# bash completion for gpualloc, made by `gpualloc completion bash`\n"
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
	add_words(text, commands, COMPLETE_COMMAND);
	ga_buffer_text(text, " --help --version\"\n"
			     "  else case ${COMP_WORDS[1]}:$before in\n");
	for (size_t i = 0; (command = commands[i]); i++)
		bash_values(text, commands, command);
	for (size_t i = 0; (command = commands[i]); i++)
		bash_words(text, commands, command);
	ga_buffer_text(text, "  esac; fi\n"
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

static void fish_option(struct ga_buffer *text, const struct command *const *commands,
			const struct command *command, const struct option_info *info)
{
	ga_buffer_format(text, "complete -c gpualloc -n '__fish_seen_subcommand_from %s' -l %s",
			 command->name, info->name);
	if (info->letter)
		ga_buffer_format(text, " -s %c", info->letter);
	if (info->argument && !info->may_lack)
		ga_buffer_text(text, takes_files(info->complete) ? " -r -F" : " -x");
	if (info->complete != COMPLETE_NOTHING && info->complete != COMPLETE_FILE) {
		ga_buffer_text(text, " -a '");
		add_words(text, commands, info->complete);
		ga_buffer_char(text, '\'');
	}
	ga_buffer_text(text, " -d ");
	add_quoted(text, info->sentence);
	ga_buffer_char(text, '\n');
}

static void fish_script(struct ga_buffer *text, const struct command *const *commands)
{
	const struct command *command;

	ga_buffer_text(text, "# fish completion for gpualloc, made by `gpualloc completion fish`\n"
			     "complete -c gpualloc -f\n"
			     "complete -c gpualloc -n __fish_use_subcommand -l help -s h\n"
			     "complete -c gpualloc -n __fish_use_subcommand -l version\n");
	for (size_t i = 0; (command = commands[i]); i++) {
		ga_buffer_format(text, "complete -c gpualloc -n __fish_use_subcommand -a %s -d ",
				 command->name);
		add_quoted(text, command->sentence);
		ga_buffer_char(text, '\n');
		for (const enum option_id *id = command->options; *id != OPTION_END; id++)
			fish_option(text, commands, command, option_info(*id));
		if (command->complete == COMPLETE_NOTHING)
			continue;
		ga_buffer_format(text,
				 "complete -c gpualloc -n '__fish_seen_subcommand_from %s'%s -a '",
				 command->name, takes_files(command->complete) ? " -F" : "");
		add_words(text, commands, command->complete);
		ga_buffer_text(text, "'\n");
	}
}

/* ---- zsh ---- */

/* What _arguments reads inside [brackets]. */
static void zsh_sentence(struct ga_buffer *text, const char *sentence)
{
	for (; *sentence; sentence++) {
		if (strchr("[]:\\", *sentence))
			ga_buffer_char(text, '\\');
		if (*sentence == '\'')
			ga_buffer_text(text, "'\\''");
		else
			ga_buffer_char(text, *sentence);
	}
}

static void zsh_action(struct ga_buffer *text, const struct command *const *commands,
		       const char *what, enum complete complete)
{
	ga_buffer_format(text, ":%s:", what);
	if (complete == COMPLETE_FILE)
		ga_buffer_text(text, "_files");
	else if (complete == COMPLETE_MACHINE)
		ga_buffer_text(text, "_gpualloc_machines");
	else if (complete != COMPLETE_NOTHING) {
		ga_buffer_char(text, '(');
		add_words(text, commands, complete);
		ga_buffer_char(text, ')');
	}
}

static void zsh_command(struct ga_buffer *text, const struct command *const *commands,
			const struct command *command)
{
	ga_buffer_format(text, "    %s) _arguments", command->name);
	for (const enum option_id *id = command->options; *id != OPTION_END; id++) {
		const struct option_info *info = option_info(*id);

		ga_buffer_text(text, " \\\n      ");
		if (info->letter)
			ga_buffer_format(text, "'(-%c --%s)'{-%c,--%s}", info->letter, info->name,
					 info->letter, info->name);
		else
			ga_buffer_format(text, "--%s%s", info->name, info->may_lack ? "=-" : "");
		ga_buffer_text(text, "'[");
		zsh_sentence(text, info->sentence);
		ga_buffer_char(text, ']');
		ga_buffer_text(text, info->may_lack ? ":" : "");
		if (info->argument)
			zsh_action(text, commands, info->argument, info->complete);
		ga_buffer_char(text, '\'');
	}
	if (command->complete != COMPLETE_NOTHING) {
		ga_buffer_text(text, " \\\n      '1");
		zsh_action(text, commands, "word", command->complete);
		ga_buffer_char(text, '\'');
		if (takes_files(command->complete))
			ga_buffer_text(text, " \\\n      '*:file:_files'");
	}
	ga_buffer_text(text, " ;;\n");
}

static void zsh_script(struct ga_buffer *text, const struct command *const *commands)
{
	const struct command *command;

	ga_buffer_text(text, "#compdef gpualloc\n"
			     "# zsh completion for gpualloc, made by `gpualloc completion zsh`\n"
			     "_gpualloc_machines() {\n"
			     "  compadd --");
	add_words(text, commands, COMPLETE_MACHINE);
	ga_buffer_text(text, "\n  _files\n}\n"
			     "_gpualloc() {\n"
			     "  if (( CURRENT == 2 )); then\n"
			     "    local -a commands=(\n");
	for (size_t i = 0; (command = commands[i]); i++) {
		ga_buffer_format(text, "      '%s:", command->name);
		zsh_sentence(text, command->sentence);
		ga_buffer_text(text, "'\n");
	}
	ga_buffer_text(text, "    )\n"
			     "    _describe command commands\n"
			     "    compadd -- --help --version\n"
			     "    return\n"
			     "  fi\n"
			     "  local command=$words[2]\n"
			     "  shift words\n"
			     "  (( CURRENT-- ))\n"
			     "  case $command in\n");
	for (size_t i = 0; (command = commands[i]); i++)
		zsh_command(text, commands, command);
	ga_buffer_text(text, "  esac\n"
			     "}\n"
			     "if [[ $funcstack[1] == _gpualloc ]]; then _gpualloc \"$@\"; "
			     "else compdef _gpualloc gpualloc; fi\n");
}

static int run(const struct call *call)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	for (size_t i = 0; i < SHELL_COUNT; i++) {
		if (strcmp(shells[i].name, call->operands[0]) != 0)
			continue;
		shells[i].script(&text, call->commands);
		return output_print(&text);
	}
	return fail_usage(call->command,
			  "there is no completion for \"%s\", only for %s, %s and "
			  "%s",
			  call->operands[0], shells[0].name, shells[1].name, shells[2].name);
}

const struct command command_completion = {
	.name = "completion",
	.sentence = "completion for bash, fish or zsh",
	.description = "Prints a script that teaches a shell to complete commands, options and "
		       "machine names: source <(gpualloc completion bash). Packages install it for "
		       "you.",
	.example = "gpualloc completion bash",
	.operand = "bash|fish|zsh",
	.operands_least = 1,
	.operands_most = 1,
	.complete = COMPLETE_SHELL,
	.aside = true,
	.options = (const enum option_id[]){OPTION_HELP, OPTION_END},
	.run = run,
};
