/* SPDX-License-Identifier: Apache-2.0 */
/* The syntax of Slurm's configuration; see syntax.h. */
#include "syntax.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char blanks[] = " \t\r\f\v";

void slurm_conf_free(struct slurm_conf *conf)
{
	free(conf->text);
	free(conf->lines);
	free(conf->pairs);
	*conf = (struct slurm_conf){0};
}

bool slurm_room(void *list, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 16;
	void *grown;

	if (count < *room)
		return true;
	memcpy(&grown, list, sizeof grown);
	grown = reallocarray(grown, more, size);
	if (!grown)
		return false;
	memcpy(list, &grown, sizeof grown);
	*room = more;
	return true;
}

bool slurm_is(const char *key, const char *name)
{
	return strcasecmp(key, name) == 0;
}

const char *slurm_value(const struct slurm_conf *conf, const struct slurm_line *line,
			const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < line->pair_count; i++)
		if (slurm_is(conf->pairs[line->first_pair + i].key, name))
			value = conf->pairs[line->first_pair + i].value;
	return value;
}

/* ---- from bytes to lines ---- */

/* Ends a line where a comment begins; "\#" does not begin one. */
static void cut_comment(char *line)
{
	for (char *c = line; (c = strchr(c, '#')); c++)
		if (c == line || c[-1] != '\\') {
			*c = '\0';
			return;
		}
}

/* Takes the "\" off a line that goes on; like Slurm, even with blanks after it. */
static bool goes_on(char *line)
{
	size_t size = strlen(line), slashes = 0;

	while (size > 0 && strchr(blanks, line[size - 1]))
		size--;
	while (slashes < size && line[size - 1 - slashes] == '\\')
		slashes++;
	if (slashes % 2 == 0)
		return false;
	line[size - 1] = '\0';
	return true;
}

/* Takes a line off the text: its end becomes a NUL; NULL if nothing is left. */
static char *take_line(char **rest)
{
	char *line = *rest, *end = line ? strchr(line, '\n') : NULL;

	if (end)
		*end = '\0';
	*rest = end ? end + 1 : NULL;
	return line;
}

/*
 * Takes a whole line, joining in place the lines over which it continues; *number counts the lines
 * taken so far.
 */
static char *take_whole_line(char **rest, size_t *number)
{
	char *whole = *rest, *end = whole, *part;
	bool more = true;

	while (more && (part = take_line(rest))) {
		++*number;
		cut_comment(part);
		more = goes_on(part);
		memmove(end, part, strlen(part) + 1);
		end += strlen(end);
	}
	return whole;
}

/* ---- from a line to its words ---- */

static bool is_key(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.';
}

/* Takes the value at word and ends it; returns what follows, or NULL if a quote has no end. */
static char *take_value(char *word, struct slurm_pair *pair)
{
	char *end;

	if (*word == '"') {
		pair->value = word + 1;
		end = strchr(word + 1, '"');
		if (!end)
			return NULL;
	} else {
		pair->value = word;
		end = word + strcspn(word, blanks);
	}
	if (*end)
		*end++ = '\0';
	return end;
}

/* Takes KEY=VALUE or KEY+=VALUE, blanks allowed; returns what follows, or NULL. */
static char *take_pair(char *word, struct slurm_pair *pair)
{
	char *end = word, *sign;

	pair->key = word;
	while (is_key(*end))
		end++;
	sign = end + strspn(end, blanks);
	if (*sign && strchr("-*+/", *sign))
		sign++;
	if (end == word || *sign != '=')
		return NULL;
	*end = '\0';
	sign++;
	return take_value(sign + strspn(sign, blanks), pair);
}

static bool add_pairs(struct slurm_conf *conf, struct slurm_line *line, char *word)
{
	for (;;) {
		struct slurm_pair pair = {0};
		char *behind;

		word += strspn(word, blanks);
		if (!*word)
			return true;
		behind = take_pair(word, &pair);
		if (!behind) {
			line->stray = word;
			return true;
		}
		if (!slurm_room(&conf->pairs, conf->pair_count, &conf->pair_room, sizeof pair))
			return false;
		conf->pairs[conf->pair_count++] = pair;
		line->pair_count++;
		word = behind;
	}
}

static bool add_line(struct slurm_conf *conf, size_t number, char *text)
{
	struct slurm_line line = {.number = number, .first_pair = conf->pair_count};

	if (text[strspn(text, blanks)] == '\0')
		return true;
	if (!add_pairs(conf, &line, text) ||
	    !slurm_room(&conf->lines, conf->line_count, &conf->line_room, sizeof line))
		return false;
	conf->lines[conf->line_count++] = line;
	return true;
}

enum slurm_read slurm_conf_read(const char *file, const char *data, size_t size,
				struct slurm_conf *ret_conf, size_t *ret_line)
{
	struct slurm_conf conf = {.file = file};
	size_t whole = size > 0 ? strnlen(data, size) : 0, number = 0;
	char *rest;

	if (whole < size) {
		*ret_line = 1;
		for (size_t i = 0; i < whole; i++)
			*ret_line += data[i] == '\n';
		return SLURM_READ_NO_TEXT;
	}
	conf.text = rest = malloc(size + 1);
	if (!rest)
		return SLURM_READ_MEMORY;
	if (size > 0)
		memcpy(rest, data, size);
	rest[size] = '\0';
	while (rest) {
		size_t first = number + 1;
		char *line = take_whole_line(&rest, &number);

		if (add_line(&conf, first, line))
			continue;
		slurm_conf_free(&conf);
		return SLURM_READ_MEMORY;
	}
	*ret_conf = conf;
	return SLURM_READ;
}
