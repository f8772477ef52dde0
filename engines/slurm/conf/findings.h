/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a site's configuration: one sentence per place, each once, in order. */
#ifndef SLURM_FINDINGS_H
#define SLURM_FINDINGS_H

#include "buffer.h"
#include "json_writer.h"

/* More than anybody reads; the last line says that there are more. */
enum { FINDINGS_MOST = 200 };

struct slurm_finding {
	size_t file; /* which of those that were named */
	size_t line;
	char *sentence;
};

struct slurm_findings {
	const char *const *files;
	struct slurm_finding list[FINDINGS_MOST];
	size_t count;
	bool more;
	bool failed; /* out of memory */
};

void findings_free(struct slurm_findings *findings);
void findings_add(struct slurm_findings *findings, size_t file, size_t line, const char *format,
		  ...) __attribute__((format(printf, 4, 5)));
void findings_sort(struct slurm_findings *findings);
/* "FILE:LINE: sentence", one per line. */
void findings_text(struct ga_buffer *text, const struct slurm_findings *findings);
void findings_json(struct ga_json *json, const char *key, const struct slurm_findings *findings);

/* A word from a file as a sentence may show it: short, and only plain characters. */
enum { SHOWN_SIZE = 64 };
const char *shown(const char *word, char room[static SHOWN_SIZE]);
#define SHOWN(word) shown((word), (char[SHOWN_SIZE]){0})

#endif
