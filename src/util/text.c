/* SPDX-License-Identifier: Apache-2.0 */
/* Reads text from outside strictly and makes it safe to show; see text.h. */
#include "text.h"

#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/*
 * Characters that are not drawn but change what is: controls, line ends, and Unicode's format
 * characters. With them a note can reverse the rest of a line (U+202E), or two different names can
 * look the same (U+200B).
 */
static bool is_invisible(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x80, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},     {0x600, 0x605},
		{0x61c, 0x61c},     {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},
		{0x8e2, 0x8e2},     {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},
		{0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164},
		{0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb},   {0x110bd, 0x110bd},
		{0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
		{0xe0000, 0xe0fff},
	};

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

/* The length of the UTF-8 sequence at text; 0 if it is invalid or must not be shown. */
static size_t character_length(const unsigned char *text, size_t size)
{
	unsigned char first = text[0];
	uint32_t code;
	size_t length;

	if (first < 0x80)
		return first >= 0x20 && first != 0x7f ? 1 : 0;
	length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (first < 0xc2 || first > 0xf4 || length > size)
		return 0;
	code = first & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fu);
	}
	if ((length == 3 && code < 0x800) || (length == 4 && code < 0x10000) || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff) || is_invisible(code))
		return 0;
	return length;
}

size_t ga_text_character(const char *text, size_t size)
{
	return size > 0 ? character_length((const unsigned char *)text, size) : 0;
}

struct ga_view ga_view_trim(const char *text, size_t size)
{
	while (size > 0 && is_blank(text[0])) {
		text++;
		size--;
	}
	while (size > 0 && is_blank(text[size - 1]))
		size--;
	return (struct ga_view){text, size};
}

bool ga_view_line(struct ga_view *rest, struct ga_view *ret_line)
{
	const char *end;
	size_t length;

	if (rest->size == 0)
		return false;
	end = memchr(rest->text, '\n', rest->size);
	length = end ? (size_t)(end - rest->text) : rest->size;
	*ret_line = (struct ga_view){rest->text, length};
	if (length > 0 && rest->text[length - 1] == '\r')
		ret_line->size--;
	length += end ? 1 : 0;
	rest->text += length;
	rest->size -= length;
	return true;
}

bool ga_text_is_clean(const char *text, size_t size)
{
	struct ga_view view = ga_view_trim(text, size);

	if (view.size != size || size > GA_TEXT_MAX)
		return false;
	for (size_t i = 0; i < size;) {
		size_t length = character_length((const unsigned char *)text + i, size - i);

		if (length == 0)
			return false;
		i += length;
	}
	return true;
}

char *ga_text_clean(const char *text, size_t size)
{
	struct ga_view view = ga_view_trim(text, size);
	size_t out = 0;
	char *copy = malloc((view.size < GA_TEXT_MAX ? view.size : GA_TEXT_MAX) + 1);

	if (!copy)
		return NULL;
	for (size_t i = 0; i < view.size && out < GA_TEXT_MAX;) {
		size_t length =
			character_length((const unsigned char *)view.text + i, view.size - i);

		if (length == 0) {
			copy[out++] = '?';
			i++;
			continue;
		}
		if (length > GA_TEXT_MAX - out)
			break;
		memcpy(copy + out, view.text + i, length);
		out += length;
		i += length;
	}
	while (out > 0 && is_blank(copy[out - 1]))
		out--;
	copy[out] = '\0';
	return copy;
}

bool ga_text_is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

void ga_text_disarm(char *message)
{
	for (; *message; message++)
		if (ga_text_is_control(*message) && *message != '\n')
			*message = '?';
}

bool ga_text_unsigned(const char *text, size_t size, uint64_t most, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (size == 0)
		return false;
	for (size_t i = 0; i < size; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9' || digit > most || number > (most - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret_number = number;
	return true;
}

bool ga_text_is_bare_uuid(const char *text, size_t size)
{
	static const char form[] = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";

	if (size != sizeof form - 1)
		return false;
	for (size_t i = 0; i < size; i++)
		if (form[i] == 'h' ? !strchr("0123456789abcdefABCDEF", text[i]) || !text[i]
				   : text[i] != '-')
			return false;
	return true;
}

bool ga_text_number(const char *text, size_t size, int64_t most, int64_t *ret_number)
{
	uint64_t number;

	if (most < 0 || !ga_text_unsigned(text, size, (uint64_t)most, &number))
		return false;
	*ret_number = (int64_t)number;
	return true;
}

bool ga_text_take_number(const char **text, int64_t most, int64_t *ret_number)
{
	size_t digits = strspn(*text, "0123456789");

	if (!ga_text_number(*text, digits, most, ret_number))
		return false;
	*text += digits;
	return true;
}

bool ga_text_equal(const char *text, size_t size, const char *word)
{
	return strlen(word) == size && memcmp(text, word, size) == 0;
}

bool ga_text_starts(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

bool ga_text_is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

bool ga_text_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

struct ga_view ga_view_entry(struct ga_view line)
{
	const char *hash = line.size ? memchr(line.text, '#', line.size) : NULL;

	return ga_view_trim(line.text, hash ? (size_t)(hash - line.text) : line.size);
}
