/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for zsh. */
#include "completion.h"
#include "options.h"

#include <string.h>

/* What _arguments reads inside [brackets]. */
static void add_sentence(struct ga_buffer *text, const char *sentence)
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

static void add_action(struct ga_buffer *text, const struct command *const *commands,
		       const char *what, enum complete complete)
{
	const char *asks = completion_asks(complete);

	ga_buffer_format(text, ":%s:", what);
	if (asks) /* after a blank: without one, _arguments adds words of its own */
		ga_buffer_format(text, " _gpualloc_asked %s", asks);
	else if (complete == COMPLETE_FILE)
		ga_buffer_text(text, "_files");
	else if (complete == COMPLETE_MACHINE)
		ga_buffer_text(text, "_gpualloc_machines");
	else if (complete != COMPLETE_NOTHING) {
		ga_buffer_char(text, '(');
		completion_words(text, commands, complete);
		ga_buffer_char(text, ')');
	}
}

static void add_option(struct ga_buffer *text, const struct command *const *commands,
		       const struct option_info *info)
{
	ga_buffer_text(text, " \\\n      ");
	if (info->letter)
		ga_buffer_format(text, "'(-%c --%s)'{-%c%s,--%s%s}", info->letter, info->name,
				 info->letter, info->argument ? "+" : "", info->name,
				 info->argument ? "=" : "");
	else
		ga_buffer_format(text, "--%s%s", info->name,
				 info->may_lack   ? "=-"
				 : info->argument ? "="
						  : "");
	ga_buffer_text(text, "'[");
	add_sentence(text, info->sentence);
	ga_buffer_char(text, ']');
	ga_buffer_text(text, info->may_lack ? ":" : "");
	if (info->argument)
		add_action(text, commands, info->argument, info->complete);
	ga_buffer_char(text, '\'');
}

static void add_command(struct ga_buffer *text, const struct command *const *commands,
			const struct command *command)
{
	ga_buffer_format(text, "    %s) _arguments -s -S", command->name);
	for (const enum option_id *id = command->options; *id != OPTION_END; id++)
		add_option(text, commands, option_info(*id));
	if (command->complete == COMPLETE_PROGRAM) {
		ga_buffer_text(text, " \\\n      '(-)1:command: _command_names -e'"
				     " \\\n      '*::arguments: _normal'");
	} else if (command->complete != COMPLETE_NOTHING) {
		ga_buffer_text(text, " \\\n      '");
		ga_buffer_text(text, command->operands_most > 2 &&
						     !completion_takes_files(command->complete)
					     ? "*"
					     : "1");
		add_action(text, commands, "word", command->complete);
		ga_buffer_char(text, '\'');
		if (completion_takes_files(command->complete))
			ga_buffer_text(text, " \\\n      '*:file:_files'");
	}
	ga_buffer_text(text, " ;;\n");
}

static const char head[] =
	"#compdef gpualloc\n"
	"# zsh completion for gpualloc, made by `gpualloc completion zsh`\n"
	"\n"
	"# Devices and leases: a line each, the word, a tab, and what it is.\n"
	"_gpualloc_asked() {\n"
	"  local -a offers asked\n"
	"  local machine=${opt_args[--machine]//\\\\:/:}\n"
	"  asked=($1)\n"
	"  [[ $1 != devices ]] || asked=(${machine:+--machine=${(q)machine}} --deadline=2s -- "
	"devices ${(q)PREFIX})\n"
	"  offers=(${(f)\"$(_call_program $1 $program completion $asked)\"})\n"
	"  offers=(${offers//:/\\\\:})\n"
	"  offers=(${offers/$'\\t'/:})\n"
	"  if [[ $1 != devices ]]; then _describe -t $1 ${1%s} offers\n"
	"  else _describe -t devices device offers -S ''\n" /* a comma may follow */
	"  fi\n"
	"}\n"
	"_gpualloc_machines() {\n"
	"  compadd --";

void completion_zsh(struct ga_buffer *text, const struct command *const *commands)
{
	const struct command *command;

	ga_buffer_text(text, head);
	completion_words(text, commands, COMPLETE_MACHINE);
	ga_buffer_text(text, "\n  _files\n}\n"
			     "_gpualloc() {\n"
			     "  if (( CURRENT == 2 )); then\n"
			     "    local -a commands=(\n");
	for (size_t i = 0; (command = commands[i]); i++) {
		ga_buffer_format(text, "      '%s:", command->name);
		add_sentence(text, command->sentence);
		ga_buffer_text(text, "'\n");
	}
	ga_buffer_text(text, "    )\n"
			     "    _describe command commands\n"
			     "    compadd -- --help --version\n"
			     "    return\n"
			     "  fi\n"
			     "  local curcontext=$curcontext program=$words[1] command=$words[2]\n"
			     "  local -A opt_args\n"
			     "  shift words\n"
			     "  (( CURRENT-- ))\n"
			     "  case $command in\n");
	for (size_t i = 0; (command = commands[i]); i++)
		add_command(text, commands, command);
	ga_buffer_text(text, "  esac\n"
			     "}\n"
			     "if [[ $funcstack[1] == _gpualloc ]]; then _gpualloc \"$@\"; "
			     "else compdef _gpualloc gpualloc; fi\n");
}
