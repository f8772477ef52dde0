/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a container engine's words as it does; see engine_words.h. */
#include "engine_words.h"

#include "text.h"

#include <string.h>

/* Single letters that take no value: before the verb, and of run. They can be written together,
 * and with one that takes a value behind them: -itv /a:/b. */
static const char letters_before[] = "Dhrv", letters_of_run[] = "Pdiqt";

/* Where in a word of single letters the one with a value is; its end if there is none. */
static const char *last_letter(const char *word, const char *alone)
{
	return word + 1 + strspn(word + 1, alone);
}

static bool is_letters(const char *word)
{
	return word[0] == '-' && word[1] != '-' && word[1];
}

/* Whether all of them take no value, or the last has its own in the same word. */
static bool letters_stand_alone(const char *word, const char *alone)
{
	const char *last = last_letter(word, alone);

	return !last[0] || last[1];
}

/* What this letter is given, in the same word or the next; NULL if the word is another. */
static const char *value_of_letter(char *const *word, const char *alone, char letter)
{
	const char *last = is_letters(*word) ? last_letter(*word, alone) : "";

	if (*last != letter)
		return NULL;
	return last[1] == '=' ? last + 2 : last[1] ? last + 1 : word[1];
}

/* Options before the verb that take no value; all others do, and so do docker's -c and -H. */
static bool stands_alone_before(const char *word)
{
	static const char *const flags[] = {
		"--debug",     "--help",  "--noout",           "--remote",  "--syslog", "--tls",
		"--tlsverify", "--trace", "--transient-store", "--version", NULL};

	if (is_letters(word))
		return letters_stand_alone(word, letters_before);
	return strchr(word, '=') || ga_text_is_one_of(word, flags);
}

/* Options of run that take no value. */
static bool stands_alone(const char *word)
{
	static const char *const flags[] = {"--detach",
					    "--disable-content-trust",
					    "--env-host",
					    "--help",
					    "--http-proxy",
					    "--init",
					    "--interactive",
					    "--no-healthcheck",
					    "--no-hostname",
					    "--no-hosts",
					    "--oom-kill-disable",
					    "--passwd",
					    "--privileged",
					    "--publish-all",
					    "--quiet",
					    "--read-only",
					    "--read-only-tmpfs",
					    "--replace",
					    "--rm",
					    "--rmi",
					    "--rootfs",
					    "--sig-proxy",
					    "--tls-verify",
					    "--tty",
					    "--unsetenv-all",
					    "--use-api-socket",
					    NULL};

	if (is_letters(word))
		return letters_stand_alone(word, letters_of_run);
	return strchr(word, '=') || ga_text_is_one_of(word, flags);
}

static bool detaches(const char *word)
{
	if (strcmp(word, "--detach") == 0 || strcmp(word, "--detach=true") == 0)
		return true;
	return is_letters(word) &&
	       memchr(word, 'd', (size_t)(last_letter(word, letters_of_run) - word));
}

/* The value of "--name=VALUE", or of "--name" followed by it; NULL if the word is another. */
static const char *value_of(char *const *word, const char *name)
{
	size_t size = strlen(name);

	if (strncmp(*word, name, size) != 0)
		return NULL;
	return (*word)[size] == '=' ? *word + size + 1 : (*word)[size] == '\0' ? word[1] : NULL;
}

static void read_before(struct engine_words *read, char *const *word)
{
	static const char *const elsewhere[] = {"--connection", "--context", "--identity", "--url",
						NULL};
	const char *host = value_of(word, "--host");

	for (size_t i = 0; elsewhere[i]; i++)
		if (value_of(word, elsewhere[i]))
			read->remote = elsewhere[i];
	if (strcmp(*word, "--remote") == 0 || strcmp(*word, "--remote=true") == 0 ||
	    strcmp(*word, "-r") == 0)
		read->remote = "--remote";
	if (value_of_letter(word, letters_before, 'c'))
		read->remote = "-c";
	if (!host)
		host = value_of_letter(word, letters_before, 'H');
	if (host)
		read->host = host;
}

static void read_option(struct engine_words *read, char *const *word)
{
	const char *device = value_of(word, "--device"), *value = value_of(word, "--env");

	if (!value)
		value = value_of_letter(word, letters_of_run, 'e');
	if (value && strncmp(value, "NVIDIA_VISIBLE_DEVICES=", 23) == 0)
		read->gpus = "NVIDIA_VISIBLE_DEVICES";
	if ((value = value_of(word, "--cidfile")))
		read->cidfile = value;
	if ((value = value_of(word, "--restart")))
		read->restart = value;
	if (value_of(word, "--gpus"))
		read->gpus = "--gpus";
	if (device && strstr(device, "nvidia"))
		read->gpus = "--device";
	read->detaches |= detaches(*word);
}

/* Past options; a value is the next word. */
static size_t skip_options(struct engine_words *read, size_t at,
			   void (*take)(struct engine_words *read, char *const *word),
			   bool (*alone)(const char *word))
{
	char *const *words = read->words;

	while (words[at] && words[at][0] == '-' && words[at][1]) {
		take(read, &words[at]);
		if (strcmp(words[at], "--") == 0)
			return at + 1;
		if (!alone(words[at]) && words[at + 1])
			at++;
		at++;
	}
	return at;
}

void engine_words_read(char *const *words, struct engine_words *ret_words)
{
	const char *slash = strrchr(words[0], '/'), *name = slash ? slash + 1 : words[0];
	struct engine_words read = {.words = words, .is_podman = strcmp(name, "podman") == 0};

	*ret_words = read;
	if (!read.is_podman && strcmp(name, "docker") != 0)
		return;
	read.name = name;
	read.verb = skip_options(&read, 1, read_before, stands_alone_before);
	if (words[read.verb] && strcmp(words[read.verb], "container") == 0 && words[read.verb + 1])
		read.verb++;
	read.runs = words[read.verb] && strcmp(words[read.verb], "run") == 0;
	if (read.runs)
		read.image = skip_options(&read, read.verb + 1, read_option, stands_alone);
	*ret_words = read;
}
