/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The syntax that gres.conf and slurm.conf share: lines of KEY=VALUE with blanks between them,
 * "#" comments, "\" at the end of a line that goes on, values in double quotes. Bytes from outside
 * become lines of strings here and nowhere else; site.c knows what the keys mean.
 */
#ifndef SLURM_SYNTAX_H
#define SLURM_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

enum { SLURM_FILE_MOST = 4 << 20 };

struct slurm_pair {
	const char *key, *value;
};

struct slurm_line {
	size_t number; /* of its first line in the file, from 1 */
	size_t first_pair, pair_count;
	const char *stray; /* what is not KEY=VALUE; NULL if everything is */
};

struct slurm_conf {
	const char *file; /* its name, owned by the caller */
	char *text;
	struct slurm_line *lines; /* lines that are not empty */
	size_t line_count, line_room;
	struct slurm_pair *pairs;
	size_t pair_count, pair_room;
};

enum slurm_read { SLURM_READ, SLURM_READ_MEMORY, SLURM_READ_NO_TEXT };

/* Reads size bytes; *ret_line is the line where they stop being text. */
enum slurm_read slurm_conf_read(const char *file, const char *data, size_t size,
				struct slurm_conf *ret_conf, size_t *ret_line);
void slurm_conf_free(struct slurm_conf *conf);

/* Whether a key is this one, in any case. */
bool slurm_is(const char *key, const char *name);
/* The value of a key on a line; NULL if it is missing. The last one counts, as in Slurm. */
const char *slurm_value(const struct slurm_conf *conf, const struct slurm_line *line,
			const char *name);

/* Makes room in a list for one more element of size bytes; false if there is no memory. */
bool slurm_room(void *list, size_t count, size_t *room, size_t size);

#endif
