/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for bash 4.3 or later, with and without the package bash-completion. */
#include "completion.h"
#include "options.h"

/* In a case statement: what is known of the values of this command's options. */
static void add_values(struct ga_buffer *text, const struct command *const *commands,
		       const struct command *command)
{
	for (const enum option_id *id = command->options; *id != OPTION_END; id++) {
		const struct option_info *info = option_info(*id);
		const char *asks = completion_asks(info->complete);

		if (!info->argument)
			continue;
		ga_buffer_format(text, "    %s:--%s", command->name, info->name);
		if (info->letter)
			ga_buffer_format(text, "|%s:-%c", command->name, info->letter);
		ga_buffer_text(text, ") words=\"");
		completion_words(text, commands, info->complete);
		ga_buffer_format(text, "\" files=%d asks=%s ;;\n",
				 completion_takes_files(info->complete), asks ? asks : "");
	}
}

/* What may stand where no value is expected. */
static void add_operands(struct ga_buffer *text, const struct command *const *commands,
			 const struct command *command)
{
	const char *asks = completion_asks(command->complete);

	ga_buffer_format(text, "    %s:) words=\"", command->name);
	completion_words(text, commands, command->complete);
	ga_buffer_format(text, "\" files=%d asks=%s\n      options=\"",
			 completion_takes_files(command->complete), asks ? asks : "");
	for (const enum option_id *id = command->options; *id != OPTION_END; id++)
		ga_buffer_format(text, " --%s", option_info(*id)->name);
	/* An optional value never is the next word. */
	ga_buffer_text(text, "\"\n      valued=\"");
	for (const enum option_id *id = command->options; *id != OPTION_END; id++) {
		const struct option_info *info = option_info(*id);

		if (!info->argument || info->may_lack)
			continue;
		ga_buffer_format(text, " --%s", info->name);
		if (info->letter)
			ga_buffer_format(text, " -%c", info->letter);
	}
	ga_buffer_format(text, " \" program=%d ;;\n", command->complete == COMPLETE_PROGRAM);
}

static const char head[] =
	"# bash completion for gpualloc, made by `gpualloc completion bash`\n"
	"\n"
	"# Sets what may stand after an option of a command; without an option, the operands.\n"
	"_gpualloc_table() {\n"
	"  case $1:$2 in\n";

static const char body[] =
	"  esac\n"
	"}\n"
	"\n"
	"# Sets typed to the words up to the cursor, whole again where bash split them at \"=\" and\n"
	"# \":\", and starts to the place of each in COMP_WORDS.\n"
	"_gpualloc_words() {\n"
	"  local line=${COMP_LINE:0:COMP_POINT} piece i\n"
	"  for ((i = 0; i <= COMP_CWORD; i++)); do\n"
	"    piece=${COMP_WORDS[i]}\n"
	"    if ((i == 0)) || [[ $line == [[:space:]]* ]]; then\n"
	"      line=${line#\"${line%%[![:space:]]*}\"}\n"
	"      typed+=('') starts+=(\"$i\")\n"
	"    fi\n"
	"    ((i < COMP_CWORD)) || piece=$line\n"
	"    typed[-1]+=$piece\n"
	"    line=${line:${#piece}}\n"
	"  done\n"
	"}\n"
	"\n"
	"# The command that runs on the devices is completed like any other: first its name, then\n"
	"# with its own completion.\n"
	"_gpualloc_program() {\n"
	"  local at=$1 name spec i\n"
	"  if declare -F _command_offset >/dev/null; then\n"
	"    _command_offset \"$at\"\n"
	"    return\n"
	"  fi\n"
	"  compopt -o filenames -o bashdefault -o default 2>/dev/null\n"
	"  if ((at == COMP_CWORD)); then\n"
	"    mapfile -t COMPREPLY < <(compgen -c -- \"${COMP_WORDS[at]}\"; "
	"compgen -d -- \"${COMP_WORDS[at]}\")\n"
	"    return\n"
	"  fi\n"
	"  name=${COMP_WORDS[at]##*/}\n"
	"  spec=$(complete -p -- \"$name\" 2>/dev/null) || return 0\n"
	"  [[ $spec =~ \\ -F\\ ([^[:space:]]+) ]] || return 0\n"
	"  COMP_LINE=${COMP_LINE:0:COMP_POINT}\n"
	"  for ((i = 0; i < at; i++)); do\n"
	"    COMP_LINE=${COMP_LINE#*\"${COMP_WORDS[i]}\"}\n"
	"  done\n"
	"  COMP_LINE=${COMP_LINE#\"${COMP_LINE%%[![:space:]]*}\"}\n"
	"  COMP_POINT=${#COMP_LINE} COMP_WORDS=(\"${COMP_WORDS[@]:at}\")\n"
	"  ((COMP_CWORD -= at))\n"
	"  \"${BASH_REMATCH[1]}\" \"$name\" \"${COMP_WORDS[COMP_CWORD]}\" "
	"\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
	"}\n"
	"\n"
	"# Devices and leases, with what they are wherever bash lists several.\n"
	"_gpualloc_asked() {\n"
	"  local what=$1 value=$2 offer i\n"
	"  local -a machine=() offers=() fits=()\n"
	"  for ((i = 2; i + 1 < ${#typed[@]}; i++)); do\n"
	"    case ${typed[i]} in\n"
	"    --machine) machine=(--machine \"${typed[i+1]}\") ;;\n"
	"    --machine=*) machine=(\"${typed[i]}\") ;;\n"
	"    esac\n"
	"  done\n"
	"  [[ $what == devices ]] && machine+=(\"--deadline=2s\" -- devices \"$value\") || "
	"machine=(\"$what\")\n"
	"  mapfile -t offers < <(\"${typed[0]/#\\~\\//$HOME/}\" completion \"${machine[@]}\" "
	"2>/dev/null)\n"
	"  for offer in \"${offers[@]}\"; do\n"
	"    [[ ${offer%%$'\\t'*} == \"$value\"* ]] && fits+=(\"$offer\")\n"
	"  done\n"
	"  for offer in \"${fits[@]}\"; do\n"
	"    if ((${#fits[@]} > 1)) && [[ $COMP_TYPE == 63 || $COMP_TYPE == 33 || "
	"$COMP_TYPE == 64 ]]; then\n"
	"      COMPREPLY+=(\"${offer%%$'\\t'*}  (${offer#*$'\\t'})\")\n"
	"    else\n"
	"      COMPREPLY+=(\"${offer%%$'\\t'*}\")\n"
	"    fi\n"
	"  done\n"
	"  [[ $what != devices ]] || compopt -o nospace 2>/dev/null # a comma may follow\n"
	"}\n"
	"\n"
	"_gpualloc() {\n"
	"  local words='' files=0 asks='' options='' valued='' program=0 before='' ended='' first=0 i\n"
	"  local word command breaks prefix='' IFS=$' \\t\\n'\n"
	"  local -a typed=() starts=()\n"
	"  COMPREPLY=()\n"
	"  _gpualloc_words\n"
	"  word=${typed[-1]} command=${typed[1]}\n"
	"  if ((${#typed[@]} == 2)); then\n"
	"    words=\"";

static const char tail[] =
	" --help --version\"\n"
	"  else\n"
	"    _gpualloc_table \"$command\" ''\n"
	"    for ((i = 2; i + 1 < ${#typed[@]}; i++)); do\n"
	"      if [[ $before ]]; then before=\n"
	"      elif [[ ${typed[i]} == -- ]]; then ended=1; break\n"
	"      elif [[ $valued == *\" ${typed[i]} \"* ]]; then before=${typed[i]}\n"
	"      elif [[ ${typed[i]} != -* ]] && ((program)); then ended=1; break\n"
	"      fi\n"
	"    done\n"
	"    if ((program)); then\n"
	"      if [[ $ended ]]; then\n"
	"        [[ ${typed[i]} != -- ]] || ((i++))\n"
	"        first=$i\n"
	"      elif [[ ! $before && $word != -* ]]; then\n"
	"        first=$((${#typed[@]} - 1))\n"
	"      fi\n"
	"      # An empty word may become an option, too.\n"
	"      if ((first)) && [[ $word || $ended ]]; then\n"
	"        _gpualloc_program \"${starts[first]}\"\n"
	"        return\n"
	"      fi\n"
	"    fi\n"
	"    if [[ ! $ended && $word == --*=* ]]; then\n"
	"      before=${word%%=*} word=${word#*=} prefix=\n"
	"      [[ $COMP_WORDBREAKS == *=* ]] || prefix=$before=\n"
	"    fi\n"
	"    if [[ $before ]]; then\n"
	"      words='' files=0 asks=''\n"
	"      _gpualloc_table \"$command\" \"$before\"\n"
	"    elif [[ ! $ended ]]; then\n"
	"      words+=$options\n"
	"    fi\n"
	"  fi\n"
	"  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
	"  if ((files)); then\n"
	"    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$word\")\n"
	"    compopt -o filenames 2>/dev/null\n"
	"  fi\n"
	"  [[ ! $asks || ( ! $before && $word == -* ) ]] || _gpualloc_asked \"$asks\" \"$word\"\n"
	"  # bash replaces only what follows the last \"=\" or \":\".\n"
	"  breaks=${COMP_WORDBREAKS//[!:=]}\n"
	"  [[ ! $breaks ]] || COMPREPLY=(\"${COMPREPLY[@]#\"${word%\"${word##*[$breaks]}\"}\"}\")\n"
	"  [[ ! $prefix ]] || COMPREPLY=(\"${COMPREPLY[@]/#/$prefix}\")\n"
	"}\n"
	"complete -F _gpualloc gpualloc\n";

void completion_bash(struct ga_buffer *text, const struct command *const *commands)
{
	ga_buffer_text(text, head);
	for (size_t i = 0; commands[i]; i++) {
		add_values(text, commands, commands[i]);
		add_operands(text, commands, commands[i]);
	}
	ga_buffer_text(text, body);
	completion_words(text, commands, COMPLETE_COMMAND);
	ga_buffer_text(text, tail);
}
