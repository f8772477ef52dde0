/* SPDX-License-Identifier: Apache-2.0 */
/* Reading plugstack.conf's words; see settings.h. */
#include "settings.h"

#include "duration.h"

#include <stdio.h>
#include <string.h>

enum { WAIT_DEFAULT_MS = 10 * 60 * 1000 };

static bool read_mode(const char *word, struct settings *settings)
{
	static const char *const names[] = {"auto", "bind", "lease"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(word, names[i]) == 0) {
			settings->mode = (enum mode)i;
			return true;
		}
	return false;
}

/* An absolute path: nobody should have to know a daemon's working folder. */
static bool read_path(const char *word, const char **ret_path)
{
	*ret_path = word;
	return *word == '/';
}

static bool read_store(const char *word, struct settings *settings)
{
	return read_path(word, &settings->store);
}

static bool read_root(const char *word, struct settings *settings)
{
	return read_path(word, &settings->root);
}

static bool read_machine(const char *word, struct settings *settings)
{
	settings->machine = word;
	return *word != '\0';
}

static bool read_wait(const char *word, struct settings *settings)
{
	if (strcmp(word, "forever") == 0 || strcmp(word, "0") == 0) {
		settings->wait_ms = *word == '0' ? 0 : -1;
		return true;
	}
	return ga_duration_parse(word, GA_DURATION_MAX, &settings->wait_ms, NULL) == 0;
}

static const struct {
	const char *name;
	const char *takes;
	bool (*read)(const char *word, struct settings *settings);
} known[] = {
	{"machine", "what gpualloc --machine takes", read_machine},
	{"mode", "auto, bind or lease", read_mode},
	{"root", "an absolute path", read_root},
	{"store", "an absolute path", read_store},
	{"wait", "0, forever, or a time such as 30s, 5m, 2h", read_wait},
};
enum { KNOWN = sizeof known / sizeof *known };

static int read_word(const char *word, struct settings *settings, char *sentence, size_t size)
{
	for (size_t i = 0; i < KNOWN; i++) {
		size_t length = strlen(known[i].name);

		if (strncmp(word, known[i].name, length) != 0 || word[length] != '=')
			continue;
		if (known[i].read(word + length + 1, settings))
			return 0;
		(void)snprintf(sentence, size, "plugstack.conf: \"%s\": %s takes %s", word,
			       known[i].name, known[i].takes);
		return GPUALLOC_EUSAGE;
	}
	(void)snprintf(sentence, size,
		       "plugstack.conf: \"%s\" is not known; use machine=, mode=, root=, store= or "
		       "wait=",
		       word);
	return GPUALLOC_EUSAGE;
}

int settings_read(int count, char *const *words, struct settings *ret_settings, char *sentence,
		  size_t size)
{
	struct settings settings = {.root = "", .wait_ms = WAIT_DEFAULT_MS};
	int result = 0;

	for (int i = 0; result == 0 && i < count; i++)
		result = read_word(words[i], &settings, sentence, size);
	if (result == 0)
		*ret_settings = settings;
	return result;
}
