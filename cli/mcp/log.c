/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of bytes; see log.h. */
#include "mcp/log.h"

#include "text.h"

#include <string.h>

void log_free(struct log *log)
{
	free(log->bytes);
	*log = (struct log){0};
}

/* Without memory the bytes count as printed and are not there. */
void log_add(struct log *log, const char *bytes, size_t size)
{
	if (!log->bytes)
		log->bytes = calloc(1, LOG_MOST);
	for (size_t done = 0, part; log->bytes && done < size; done += part) {
		size_t at = (size_t)((log->total + done) % LOG_MOST);

		part = size - done < LOG_MOST - at ? size - done : LOG_MOST - at;
		memcpy(log->bytes + at, bytes + done, part);
	}
	log->total += size;
}

/* How many bytes a character that begins with this one has, as far as that is known. */
static size_t length_by_first(unsigned char first)
{
	return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
}

/* Programs paint progress with carriage returns: each becomes a line. */
static size_t add_character(struct ga_buffer *text, const char *at, size_t left)
{
	size_t size = *at == '\n' || *at == '\t' ? 1 : ga_text_character(at, left);

	if (size > 0)
		ga_buffer_append(text, at, size);
	else
		ga_buffer_char(text, *at == '\r' ? '\n' : '?');
	return size > 0 ? size : 1;
}

uint64_t log_read(const struct log *log, uint64_t *cursor, size_t size, bool has_ended,
		  struct ga_buffer *text)
{
	uint64_t first = log->total > LOG_MOST ? log->total - LOG_MOST : 0, lost = 0;
	ga_auto_free char *bytes = NULL;
	size_t used = 0;

	if (*cursor > log->total)
		*cursor = log->total;
	if (*cursor < first) {
		lost = first - *cursor;
		*cursor = first;
	}
	if (size > log->total - *cursor)
		size = (size_t)(log->total - *cursor);
	bytes = malloc(size + 1);
	if (!bytes || !log->bytes)
		return lost;
	for (size_t i = 0; i < size; i++)
		bytes[i] = log->bytes[(*cursor + i) % LOG_MOST];
	while (used < size) {
		bool is_cut = length_by_first((unsigned char)bytes[used]) > size - used &&
			      size - used < 4;

		if (is_cut && used > 0 && (!has_ended || *cursor + size < log->total))
			break;
		if (is_cut && used == 0 && !has_ended && *cursor + size == log->total)
			break;
		used += add_character(text, bytes + used, size - used);
	}
	*cursor += used;
	return lost;
}
