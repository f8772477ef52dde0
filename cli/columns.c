/* SPDX-License-Identifier: Apache-2.0 */
/* Counting columns, not bytes; see columns.h. */
#include "columns.h"

#include "text.h"

#include <stdint.h>
#include <string.h>

static const char ellipsis[] = "\xe2\x80\xa6";

struct range {
	uint32_t first, last;
};

/* Marks that are drawn over the character before them, and characters that are not drawn at all. */
static const struct range narrow[] = {
	{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x064b, 0x065f}, {0x1ab0, 0x1aff},
	{0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2064}, {0x2066, 0x206f},
	{0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef},
};

/* Two columns wide in every terminal. */
static const struct range wide[] = {
	{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},
	{0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xa960, 0xa97c},   {0xac00, 0xd7a3},
	{0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
	{0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};

static bool is_in(const struct range *ranges, size_t count, uint32_t code)
{
	for (size_t i = 0; i < count; i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

/* The bytes of the character at string and its columns. A byte that is not UTF-8 counts as one
 * column. */
static size_t character(const char *string, size_t *ret_columns)
{
	const unsigned char *byte = (const unsigned char *)string;
	size_t length = *byte < 0xc2   ? 1
			: *byte < 0xe0 ? 2
			: *byte < 0xf0 ? 3
			: *byte < 0xf5 ? 4
				       : 1;
	uint32_t code = length == 1 ? *byte : *byte & (0xffu >> (length + 1));

	*ret_columns = 1;
	for (size_t i = 1; i < length; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 1;
		code = code << 6 | (byte[i] & 0x3fu);
	}
	if (is_in(narrow, sizeof narrow / sizeof *narrow, code))
		*ret_columns = 0;
	else if (is_in(wide, sizeof wide / sizeof *wide, code))
		*ret_columns = 2;
	return length;
}

size_t columns_fit(const char *string, size_t columns, size_t *ret_columns)
{
	size_t bytes = 0;

	*ret_columns = 0;
	while (string[bytes]) {
		size_t width, length = character(string + bytes, &width);

		if (*ret_columns + width > columns)
			break;
		*ret_columns += width;
		bytes += length;
	}
	return bytes;
}

size_t columns_of(const char *string)
{
	size_t columns;

	(void)columns_fit(string, SIZE_MAX, &columns);
	return columns;
}

/* Like columns_cut(), but returns the columns that were used. */
static size_t cut(struct ga_buffer *text, const char *string, size_t columns)
{
	size_t used, bytes = columns_fit(string, columns, &used);

	if (!string[bytes] || columns == 0) {
		ga_buffer_append(text, string, bytes);
		return used;
	}
	bytes = columns_fit(string, columns - 1, &used);
	while (bytes > 0 && string[bytes - 1] == ' ') {
		bytes--;
		used--;
	}
	ga_buffer_append(text, string, bytes);
	ga_buffer_text(text, ellipsis);
	return used + 1;
}

void columns_cut(struct ga_buffer *text, const char *string, size_t columns)
{
	(void)cut(text, string, columns);
}

void columns_foreign(struct ga_buffer *text, const char *word, size_t columns)
{
	ga_auto_buffer struct ga_buffer clean = GA_BUFFER_OUTPUT;

	ga_buffer_text(&clean, word);
	text->failed = text->failed || clean.failed;
	if (clean.failed)
		return;
	for (char *at = clean.data; *at; at++)
		if (ga_text_is_control(*at))
			*at = '?';
	columns_cut(text, clean.data, columns);
}

void columns_left(struct ga_buffer *text, const char *string, size_t columns)
{
	size_t used = cut(text, string, columns);

	ga_buffer_repeat(text, ' ', columns - used);
}

void columns_right(struct ga_buffer *text, const char *string, size_t columns)
{
	size_t whole = columns_of(string);

	ga_buffer_repeat(text, ' ', whole < columns ? columns - whole : 0);
	columns_cut(text, string, columns);
}

/* The bytes of the line that string starts with: up to the last blank that leaves it short enough,
 * or, within a word, as many as fit. */
static size_t line_length(const char *string, size_t columns)
{
	size_t used, fits = columns_fit(string, columns, &used), end = fits;

	if (!string[fits])
		return fits;
	while (end > 0 && string[end] != ' ')
		end--;
	return end > 0 ? end : fits > 0 ? fits : 1;
}

void columns_wrap(struct ga_buffer *text, const char *string, size_t indent, size_t columns,
		  size_t most)
{
	size_t room = columns > indent ? columns - indent : 1;

	for (size_t line = 1; *string; line++) {
		size_t length = line_length(string, room);

		ga_buffer_repeat(text, ' ', indent);
		if (line == most) {
			columns_cut(text, string, room);
			ga_buffer_char(text, '\n');
			return;
		}
		ga_buffer_append(text, string, length);
		ga_buffer_char(text, '\n');
		string += length;
		while (*string == ' ')
			string++;
	}
}

/* The columns that so many bytes take. */
static size_t columns_of_bytes(const char *string, size_t bytes)
{
	size_t columns = 0;

	for (size_t at = 0, width; at < bytes; columns += width)
		at += character(string + at, &width);
	return columns;
}

static void fold_line(struct ga_buffer *text, const char *line, size_t size, size_t columns)
{
	size_t indent = strspn(line, " "), at = 0, used = 0;

	indent = indent < size ? indent : size;
	while (at < size) {
		size_t blanks = strspn(line + at, " ");
		size_t bytes = strcspn(line + at + blanks, " \n");
		size_t width = columns_of_bytes(line + at + blanks, bytes);

		if (at > indent && used + blanks + width > columns) {
			ga_buffer_char(text, '\n');
			blanks = 0;
			used = indent + 2;
			ga_buffer_repeat(text, ' ', used);
			at += strspn(line + at, " ");
		}
		ga_buffer_append(text, line + at, blanks + bytes);
		used += blanks + width;
		at += blanks + bytes;
	}
}

void columns_fold(struct ga_buffer *text, const char *string, size_t columns)
{
	while (*string) {
		size_t size = strcspn(string, "\n");

		fold_line(text, string, size, columns);
		string += size;
		if (*string) {
			ga_buffer_char(text, '\n');
			string++;
		}
	}
}
