/* SPDX-License-Identifier: Apache-2.0 */
/* Text from outside: reads numbers strictly, makes bytes safe to show and store. */
#ifndef GA_UTIL_TEXT_H
#define GA_UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A copy that is valid UTF-8, without control characters and without Unicode's format characters
 * (which reverse text or are not drawn): each of these becomes '?'. Blanks at both ends are
 * removed. NULL when out of memory. At most GA_TEXT_MAX bytes are kept.
 */
enum { GA_TEXT_MAX = 1024 };
char *ga_text_clean(const char *text, size_t size);
/* Whether ga_text_clean() would change nothing. */
bool ga_text_is_clean(const char *text, size_t size);
/* The length of the first character of text; 0 if it must not be shown. */
size_t ga_text_character(const char *text, size_t size);

/*
 * Whether a byte could make a terminal do something. Messages quote text from outside, so
 * ga_text_disarm() turns such bytes into '?' before a message is shown, except line ends.
 */
bool ga_text_is_control(char c);
void ga_text_disarm(char *message);

/* Reads all size bytes as a decimal number from 0 to most; nothing else may be there. */
bool ga_text_number(const char *text, size_t size, int64_t most, int64_t *ret_number);
bool ga_text_unsigned(const char *text, size_t size, uint64_t most, uint64_t *ret_number);
/* Removes the number that *text begins with. */
bool ga_text_take_number(const char **text, int64_t most, int64_t *ret_number);

/*
 * "a9485f58-0a6e-5a97-b73d-87cdf435c65e": a UUID without the "GPU-" that usually comes before it.
 */
bool ga_text_is_bare_uuid(const char *text, size_t size);

bool ga_text_equal(const char *text, size_t size, const char *word);
bool ga_text_starts(const char *text, const char *start);
/* Both may be NULL; NULL equals only NULL. */
bool ga_text_same(const char *a, const char *b);
/* The list ends with NULL. */
bool ga_text_is_one_of(const char *text, const char *const *list);

/* A view without blanks (space, tab, CR, LF) at its ends. */
struct ga_view {
	const char *text;
	size_t size;
};
struct ga_view ga_view_trim(const char *text, size_t size);
/* Takes the next line, without its end ("\n" or "\r\n"), off *rest; false when nothing is left. */
bool ga_view_line(struct ga_view *rest, struct ga_view *ret_line);
/* A line without its comment, which begins with "#", and without blanks at its ends. */
struct ga_view ga_view_entry(struct ga_view line);

#endif
