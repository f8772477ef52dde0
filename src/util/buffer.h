/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A buffer that grows up to a limit set beforehand. A failed append (no memory, or past the limit)
 * marks the buffer, and later appends do nothing, so a writer only needs to check once, at the end.
 */
#ifndef GA_UTIL_BUFFER_H
#define GA_UTIL_BUFFER_H

#include "cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct ga_buffer {
	char *data; /* ends in NUL once anything has been appended */
	size_t size;
	size_t capacity;
	size_t limit;
	bool failed;
};

#define GA_BUFFER_INIT(most) ((struct ga_buffer){.limit = (most)})
/* For what a program prints about a machine: more than any machine needs. */
#define GA_BUFFER_OUTPUT GA_BUFFER_INIT((size_t)1 << 30)

void ga_buffer_free(struct ga_buffer *buffer);
void ga_buffer_append(struct ga_buffer *buffer, const void *data, size_t size);
void ga_buffer_text(struct ga_buffer *buffer, const char *text);
void ga_buffer_char(struct ga_buffer *buffer, char c);
void ga_buffer_repeat(struct ga_buffer *buffer, char c, size_t count);
void ga_buffer_format(struct ga_buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * Room for size more bytes at the end, or NULL; then call ga_buffer_grew() with how many were used.
 */
char *ga_buffer_room(struct ga_buffer *buffer, size_t size);
void ga_buffer_grew(struct ga_buffer *buffer, size_t size);
/* Hands the bytes to the caller, who frees them; NULL when an append failed. */
char *ga_buffer_take(struct ga_buffer *buffer, size_t *ret_size);

#define ga_auto_buffer ga_cleanup(ga_buffer_free)

#endif
