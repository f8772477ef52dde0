/* SPDX-License-Identifier: Apache-2.0 */
/* One write a line; see log.h. */
#include "log.h"

#include "file.h"
#include "json_writer.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SENTENCE_SIZE = 4096, LINE_MOST = 32768 };

static void time_text(char *text, size_t size)
{
	struct timespec now;
	struct tm parts;
	size_t length;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &parts);
	length = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &parts);
	(void)snprintf(text + length, size - length, ".%03ldZ", now.tv_nsec / 1000000);
}

static void write_json(struct ga_buffer *line, enum log_level level, const char *sentence)
{
	static const char *const names[] = {"error", "warning", "info"};
	struct ga_json json = GA_JSON_INIT(line);
	char when[64];

	time_text(when, sizeof when);
	ga_json_open(&json, NULL, '{');
	ga_json_text(&json, "time", when);
	ga_json_text(&json, "level", names[level]);
	ga_json_text(&json, "message", sentence);
	ga_json_close(&json, '}');
	ga_buffer_char(line, '\n');
}

void log_say(const struct log *log, enum log_level level, const char *format, ...)
{
	static const char *const marks[] = {"error: ", "warning: ", ""};
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_INIT(LINE_MOST);
	ga_auto_free char *clean = NULL;
	char sentence[SENTENCE_SIZE];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	ga_text_disarm(sentence);
	clean = log->json ? ga_text_clean(sentence, strlen(sentence)) : NULL;
	if (log->json)
		write_json(&line, level, clean ? clean : "out of memory");
	else
		ga_buffer_format(&line, "gpualloc-k8s: %s%s\n", marks[level], sentence);
	if (!line.failed)
		(void)ga_file_put(STDERR_FILENO, line.data, line.size);
}
