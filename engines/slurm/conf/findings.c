/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong, in sentences; see findings.h. */
#include "findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void findings_free(struct slurm_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		free(findings->list[i].sentence);
	findings->count = 0;
}

static bool is_known(const struct slurm_findings *findings, const struct slurm_finding *finding)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct slurm_finding *other = &findings->list[i];

		if (other->file == finding->file && other->line == finding->line &&
		    strcmp(other->sentence, finding->sentence) == 0)
			return true;
	}
	return false;
}

void findings_add(struct slurm_findings *findings, size_t file, size_t line, const char *format,
		  ...)
{
	struct slurm_finding finding = {.file = file, .line = line};
	va_list arguments;
	int size;

	if (findings->failed)
		return;
	va_start(arguments, format);
	size = vasprintf(&finding.sentence, format, arguments);
	va_end(arguments);
	if (size < 0) {
		findings->failed = true;
		return;
	}
	if (!is_known(findings, &finding)) {
		if (findings->count < FINDINGS_MOST) {
			findings->list[findings->count++] = finding;
			return;
		}
		findings->more = true;
	}
	free(finding.sentence);
}

static int by_place(const void *left, const void *right)
{
	const struct slurm_finding *a = left, *b = right;

	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return strcmp(a->sentence, b->sentence);
}

void findings_sort(struct slurm_findings *findings)
{
	qsort(findings->list, findings->count, sizeof *findings->list, by_place);
}

void findings_text(struct ga_buffer *text, const struct slurm_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct slurm_finding *finding = &findings->list[i];

		ga_buffer_format(text, "%s:%zu: %s\n", findings->files[finding->file],
				 finding->line, finding->sentence);
	}
	if (findings->more)
		ga_buffer_format(text, "and more; only the first %d are shown\n", FINDINGS_MOST);
	text->failed = text->failed || findings->failed;
}

void findings_json(struct ga_json *json, const char *key, const struct slurm_findings *findings)
{
	ga_json_open(json, key, '[');
	for (size_t i = 0; i < findings->count; i++) {
		const struct slurm_finding *finding = &findings->list[i];

		ga_json_open_line(json, "\n  ", NULL, '{');
		ga_json_text(json, "file", findings->files[finding->file]);
		ga_json_number(json, "line", (int64_t)finding->line);
		ga_json_text(json, "sentence", finding->sentence);
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
	json->out->failed = json->out->failed || findings->failed;
}

const char *shown(const char *word, char room[static SHOWN_SIZE])
{
	size_t size = strlen(word);

	(void)snprintf(room, SHOWN_SIZE, "%s", word);
	if (size >= SHOWN_SIZE)
		memcpy(room + SHOWN_SIZE - 4, "...", 4);
	for (char *c = room; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return room;
}
