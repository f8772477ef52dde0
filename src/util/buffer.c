/* SPDX-License-Identifier: Apache-2.0 */
/* A growing buffer with a mandatory limit; see buffer.h. */
#include "buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ga_buffer_free(struct ga_buffer *buffer)
{
	free(buffer->data);
	*buffer = GA_BUFFER_INIT(buffer->limit);
}

char *ga_buffer_room(struct ga_buffer *buffer, size_t size)
{
	size_t need, capacity;
	char *data;

	if (buffer->failed || size > buffer->limit || buffer->size > buffer->limit - size) {
		buffer->failed = true;
		return NULL;
	}
	need = buffer->size + size + 1;
	if (need <= buffer->capacity)
		return buffer->data + buffer->size;
	capacity = buffer->capacity < 128 ? 256 : buffer->capacity;
	while (capacity < need)
		capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
	data = realloc(buffer->data, capacity);
	if (!data) {
		buffer->failed = true;
		return NULL;
	}
	buffer->data = data;
	buffer->capacity = capacity;
	return data + buffer->size;
}

void ga_buffer_grew(struct ga_buffer *buffer, size_t size)
{
	buffer->size += size;
	buffer->data[buffer->size] = '\0';
}

void ga_buffer_append(struct ga_buffer *buffer, const void *data, size_t size)
{
	char *room = ga_buffer_room(buffer, size);

	if (!room)
		return;
	if (size > 0)
		memcpy(room, data, size);
	ga_buffer_grew(buffer, size);
}

void ga_buffer_text(struct ga_buffer *buffer, const char *text)
{
	ga_buffer_append(buffer, text, strlen(text));
}

void ga_buffer_char(struct ga_buffer *buffer, char c)
{
	ga_buffer_append(buffer, &c, 1);
}

void ga_buffer_repeat(struct ga_buffer *buffer, char c, size_t count)
{
	char *room = ga_buffer_room(buffer, count);

	if (!room)
		return;
	memset(room, c, count);
	ga_buffer_grew(buffer, count);
}

void ga_buffer_format(struct ga_buffer *buffer, const char *format, ...)
{
	va_list arguments;
	char *room;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0) {
		buffer->failed = true;
		return;
	}
	room = ga_buffer_room(buffer, (size_t)length);
	if (!room)
		return;
	va_start(arguments, format);
	(void)vsnprintf(room, (size_t)length + 1, format, arguments);
	va_end(arguments);
	ga_buffer_grew(buffer, (size_t)length);
}

char *ga_buffer_take(struct ga_buffer *buffer, size_t *ret_size)
{
	char *data;

	ga_buffer_append(buffer, "", 0);
	if (buffer->failed)
		return NULL;
	data = buffer->data;
	if (ret_size)
		*ret_size = buffer->size;
	*buffer = GA_BUFFER_INIT(buffer->limit);
	return data;
}
