/* SPDX-License-Identifier: Apache-2.0 */
/* The hosts file, read strictly, and the words of --on; see hosts.h. */
#include "hosts/hosts.h"

#include "file.h"
#include "message.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MOST = 1 << 20, HOSTS_MOST = 256, GROUPS_MOST = 64, NAME_MOST = 255, STATUS_DATA = 65 };

#define SITE_FILE "/etc/gpualloc/hosts"

static const char alphanumeric[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

void hosts_free(struct hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++) {
		for (size_t g = 0; g < hosts->list[i].group_count; g++)
			free(hosts->list[i].groups[g]);
		free(hosts->list[i].groups);
		free(hosts->list[i].name);
		free(hosts->list[i].program);
	}
	free(hosts->list);
	*hosts = (struct hosts){0};
}

/* ---- words ---- */

static bool consists_of(const char *word, const char *more)
{
	for (; *word; word++)
		if (!strchr(alphanumeric, *word) && !strchr(more, *word))
			return false;
	return true;
}

/* What ssh takes: a name, an address, USER@HOST or ssh://USER@HOST:PORT. */
static bool is_host_name(const char *word)
{
	return *word && *word != '-' && strlen(word) <= NAME_MOST &&
	       consists_of(word, "._-@:/[]%+") && !strstr(word, "@-");
}

static bool is_group_name(const char *word)
{
	return *word && *word != '-' && strlen(word) <= NAME_MOST && consists_of(word, "._-") &&
	       strcmp(word, "all") != 0;
}

/* It becomes part of a line for whatever shell the user has there. */
static bool is_program(const char *word)
{
	return *word && *word != '-' && strlen(word) <= NAME_MOST && consists_of(word, "._-/");
}

static bool set(char **text, const char *word)
{
	free(*text);
	*text = strdup(word);
	return *text != NULL;
}

static struct host *add(struct hosts *hosts, const char *name, const char *program)
{
	struct host *longer = reallocarray(hosts->list, hosts->count + 1, sizeof *longer);
	struct host *host;

	if (!longer)
		return NULL;
	hosts->list = longer;
	host = &longer[hosts->count++];
	*host = (struct host){.name = strdup(name), .program = strdup(program)};
	return host->name && host->program ? host : NULL;
}

static struct host *find(const struct hosts *hosts, const char *name)
{
	for (size_t i = 0; i < hosts->count; i++)
		if (strcmp(hosts->list[i].name, name) == 0)
			return &hosts->list[i];
	return NULL;
}

static bool is_in(const struct host *host, const char *group)
{
	for (size_t i = 0; i < host->group_count; i++)
		if (strcmp(host->groups[i], group) == 0)
			return true;
	return false;
}

static bool is_group(const struct hosts *hosts, const char *word)
{
	for (size_t i = 0; i < hosts->count; i++)
		if (is_in(&hosts->list[i], word))
			return true;
	return false;
}

/* ---- a line of the file ---- */

struct reading {
	struct hosts *hosts;
	const char *path;
	size_t line;
};

static int mistake(const struct reading *reading, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static int mistake(const struct reading *reading, const char *format, ...)
{
	char sentence[512];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	return fail(STATUS_DATA, "%s:%zu: %s", reading->path, reading->line, sentence);
}

static int add_group(const struct reading *reading, struct host *host, const char *word)
{
	char **longer;

	if (!is_group_name(word))
		return mistake(reading,
			       "\"%.80s\" cannot be a group: its name has letters, digits, '.', "
			       "'_' and '-', and is not all",
			       word);
	if (is_in(host, word))
		return mistake(reading, "the group %.80s is there twice", word);
	if (host->group_count == GROUPS_MOST)
		return mistake(reading, "%.80s is one group too many for a host: 64 are the most",
			       word);
	longer = reallocarray(host->groups, host->group_count + 1, sizeof *longer);
	if (!longer)
		return fail_memory();
	host->groups = longer;
	longer[host->group_count] = strdup(word);
	return longer[host->group_count++] ? 0 : fail_memory();
}

static int add_option(const struct reading *reading, struct host *host, const char *word)
{
	static const char program[] = "gpualloc=";

	if (!ga_text_starts(word, program))
		return mistake(reading, "there is no option \"%.80s\"; gpualloc=PATH is one", word);
	word += sizeof program - 1;
	if (!is_program(word))
		return mistake(reading,
			       "gpualloc=%.80s: the path of gpualloc there has only letters, "
			       "digits, '.', '_', '-' and '/'",
			       word);
	return set(&host->program, word) ? 0 : fail_memory();
}

static int add_host(const struct reading *reading, const char *word)
{
	struct host *host;

	if (!is_host_name(word))
		return mistake(reading,
			       "\"%.80s\" cannot be a host: give its name for ssh, which does not "
			       "begin with '-'",
			       word);
	if (strcmp(word, "all") == 0)
		return mistake(reading, "\"%s\" means all hosts here and cannot be the name of one",
			       word);
	if (find(reading->hosts, word))
		return mistake(reading, "the host %.80s is there twice", word);
	if (reading->hosts->count == HOSTS_MOST)
		return mistake(reading, "%.80s is one host too many: 256 are the most", word);
	host = add(reading->hosts, word, "gpualloc");
	if (!host)
		return fail_memory();
	host->line = reading->line;
	return 0;
}

static int read_line(const struct reading *reading, char *line)
{
	char *rest = NULL, *word = strtok_r(line, " \t", &rest);
	struct host *host;
	int result = add_host(reading, word);

	if (result)
		return result;
	host = &reading->hosts->list[reading->hosts->count - 1];
	while (result == 0 && (word = strtok_r(NULL, " \t", &rest)))
		result = strchr(word, '=') ? add_option(reading, host, word)
					   : add_group(reading, host, word);
	return result;
}

/* A word must not mean two things. */
static int check_names(struct reading *reading)
{
	for (size_t i = 0; i < reading->hosts->count; i++) {
		const struct host *host = &reading->hosts->list[i];

		reading->line = host->line;
		if (is_group(reading->hosts, host->name))
			return mistake(reading, "%.80s is the name of a host and of a group",
				       host->name);
	}
	return 0;
}

static int read_lines(struct reading *reading, const struct ga_buffer *content)
{
	struct ga_view rest = {content->data, content->size}, line;
	int result = 0;

	while (result == 0 && ga_view_line(&rest, &line)) {
		struct ga_view entry = ga_view_entry(line);
		ga_auto_free char *words = NULL;

		reading->line++;
		if (entry.size == 0)
			continue;
		if (memchr(entry.text, '\0', entry.size))
			return mistake(reading, "the line has a NUL byte");
		words = strndup(entry.text, entry.size);
		result = words ? read_line(reading, words) : fail_memory();
	}
	return result ? result : check_names(reading);
}

/* ---- the file ---- */

/* The user's own, if there is one. */
static char *file_path(void)
{
	const char *named = getenv("GPUALLOC_HOSTS"), *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	char *path = NULL;
	int length = 0;

	if (named && *named)
		return strdup(named);
	if (config && *config == '/')
		length = asprintf(&path, "%s/gpualloc/hosts", config);
	else if (home && *home)
		length = asprintf(&path, "%s/.config/gpualloc/hosts", home);
	if (length < 0)
		return NULL;
	if (path && access(path, F_OK) == 0)
		return path;
	free(path);
	return strdup(SITE_FILE);
}

int hosts_read(struct hosts *ret_hosts, char **ret_path)
{
	ga_auto_free char *path = file_path();
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT(FILE_MOST);
	auto_hosts struct hosts hosts = {0};
	struct reading reading = {.hosts = &hosts, .path = path};
	gpualloc_error why = {0};
	int result;

	if (!path)
		return fail_memory();
	if (access(path, F_OK) == 0) {
		result = ga_file_read(path, FILE_MOST, &content, &why);
		if (result < 0)
			return fail(gpualloc_exit_status(result), "%s", why.message);
		result = read_lines(&reading, &content);
		if (result)
			return result;
	}
	*ret_hosts = hosts;
	hosts = (struct hosts){0};
	*ret_path = ga_steal(&path);
	return 0;
}

/* ---- --on ---- */

static int add_named(struct hosts *chosen, const struct host *host)
{
	if (find(chosen, host->name))
		return 0;
	if (chosen->count == HOSTS_MOST)
		return fail(STATUS_USAGE, "--on: more than %d hosts", HOSTS_MOST);
	if (!add(chosen, host->name, host->program))
		return fail_memory();
	chosen->list[chosen->count - 1].number = chosen->count - 1;
	chosen->list[chosen->count - 1].line = host->line;
	return 0;
}

static int add_members(struct hosts *chosen, const struct hosts *all, const char *group)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < all->count; i++)
		if (!group || is_in(&all->list[i], group))
			result = add_named(chosen, &all->list[i]);
	return result;
}

static int add_word(const struct call *call, struct hosts *chosen, const struct hosts *all,
		    const char *path, char *word)
{
	char usual[] = "gpualloc";
	struct host host = {.name = word, .program = usual};

	if (strcmp(word, "all") == 0 && all->count == 0)
		return fail(STATUS_USAGE,
			    "--on all: no hosts are listed in %s; write one a line there%s", path,
			    strcmp(path, SITE_FILE) == 0 ? ", or in ~/.config/gpualloc/hosts" : "");
	if (strcmp(word, "all") == 0)
		return add_members(chosen, all, NULL);
	if (is_group(all, word))
		return add_members(chosen, all, word);
	if (!is_host_name(word))
		return fail_usage(call->command,
				  "--on: \"%.80s\" is neither a host for ssh nor a group of %s",
				  word, path);
	return add_named(chosen, find(all, word) ? find(all, word) : &host);
}

int hosts_named(const struct call *call, struct hosts *ret_hosts)
{
	ga_auto_free char *path = NULL, *words = strdup(call->value[OPTION_ON]);
	auto_hosts struct hosts all = {0}, chosen = {0};
	char *rest = NULL, *word;
	int result = words ? hosts_read(&all, &path) : fail_memory();

	if (result)
		return result;
	for (word = strtok_r(words, ",", &rest); result == 0 && word;
	     word = strtok_r(NULL, ",", &rest))
		result = add_word(call, &chosen, &all, path, word);
	if (result == 0 && chosen.count == 0)
		result = fail_usage(call->command, "--on needs a host: --on gpu1,gpu2");
	if (result)
		return result;
	*ret_hosts = chosen;
	chosen = (struct hosts){0};
	return 0;
}
