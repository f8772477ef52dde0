/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as read, and its mistakes; see config.h. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A message has 4096 bytes; its last sentence counts the mistakes that did not fit. */
enum { MISTAKES_MAX = 3700, MISTAKE_MAX = 400 };

static void free_texts(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

void ga_config_free(struct ga_config *config)
{
	for (size_t i = 0; i < config->rule_count; i++) {
		free(config->rules[i].id);
		free(config->rules[i].reason);
		free(config->rules[i].group);
	}
	free(config->rules);
	for (size_t i = 0; i < config->exempt_count; i++)
		free(config->exempt[i].name);
	free(config->exempt);
	free_texts(config->processes, config->process_count);
	free_texts(config->allowed, config->allowed_count);
	free(config->allow_list);
	free(config->idle_notify);
	free(config->log);
	free(config->path);
	ga_buffer_free(&config->mistakes);
	*config = (struct ga_config){0};
}

const char *ga_config_path(bool is_here)
{
	/* secure_getenv() answers NULL in a set-uid process. */
	const char *named = secure_getenv("GPUALLOC_CONFIG");

	return named && *named ? named : is_here ? GA_CONFIG_DEFAULT : NULL;
}

void ga_config_mistake(struct ga_config *config, unsigned line, const char *format, ...)
{
	char text[MISTAKE_MAX], place[16] = "";
	va_list arguments;

	config->mistake_count++;
	if (config->mistakes.size > MISTAKES_MAX - MISTAKE_MAX)
		return;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (line > 0)
		(void)snprintf(place, sizeof place, ":%u", line);
	ga_buffer_format(&config->mistakes, "%s%.200s%s: %s", config->mistakes.size ? "\n" : "",
			 config->path, place, text);
}

static size_t lines_in(const char *text)
{
	size_t count = 1;

	for (; (text = strchr(text, '\n')); text++)
		count++;
	return count;
}

int ga_config_check(const struct ga_config *config, gpualloc_error *error)
{
	char more[64] = "";
	size_t said;

	if (config->mistake_count == 0)
		return 0;
	if (config->mistakes.failed || !config->mistakes.data)
		return ga_error_memory(error);
	said = lines_in(config->mistakes.data);
	if (config->mistake_count > said)
		(void)snprintf(more, sizeof more, "\nand %zu more mistakes",
			       config->mistake_count - said);
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE, "%s%s", config->mistakes.data, more);
}
