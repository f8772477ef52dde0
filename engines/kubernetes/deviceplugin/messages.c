/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for messages: taken in pieces, given back at once; see messages.h. */
#include "messages.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 16384, ALIGN = 16 };

struct arena_piece {
	struct arena_piece *next;
	size_t used, size;
	_Alignas(ALIGN) uint8_t bytes[];
};

void arena_free(struct arena *arena)
{
	struct arena_piece *next;

	for (struct arena_piece *piece = arena->pieces; piece; piece = next) {
		next = piece->next;
		free(piece);
	}
	*arena = (struct arena){.most = arena->most};
}

static struct arena_piece *piece_for(struct arena *arena, size_t size)
{
	struct arena_piece *piece = arena->pieces;
	size_t room = size > PIECE ? size : PIECE;
	size_t most = arena->most ? arena->most : MESSAGE_MEMORY;

	if (piece && piece->size - piece->used >= size)
		return piece;
	if (room > most || arena->size > most - room)
		return NULL;
	piece = malloc(sizeof *piece + room);
	if (!piece)
		return NULL;
	*piece = (struct arena_piece){.next = arena->pieces, .size = room};
	arena->pieces = piece;
	arena->size += room;
	return piece;
}

static void *take(void *context, size_t size)
{
	struct arena_piece *piece;
	uint8_t *bytes;

	if (size > SIZE_MAX - ALIGN)
		return NULL;
	size = (size + ALIGN - 1) / ALIGN * ALIGN;
	piece = piece_for(context, size);
	if (!piece)
		return NULL;
	bytes = piece->bytes + piece->used;
	piece->used += size;
	return bytes;
}

static void leave(void *context, void *memory)
{
	(void)context;
	(void)memory;
}

void *message_read(struct arena *arena, const ProtobufCMessageDescriptor *kind,
		   const uint8_t *bytes, size_t size)
{
	ProtobufCAllocator allocator = {.alloc = take, .free = leave, .allocator_data = arena};

	return protobuf_c_message_unpack(kind, &allocator, size, bytes);
}

void *arena_take(struct arena *arena, size_t size)
{
	void *memory = take(arena, size);

	if (memory)
		memset(memory, 0, size);
	return memory;
}

char *arena_text(struct arena *arena, const char *format, ...)
{
	char text[4096], *copy;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof text)
		return NULL;
	copy = take(arena, (size_t)length + 1);
	if (copy)
		memcpy(copy, text, (size_t)length + 1);
	return copy;
}

uint8_t *message_write(const ProtobufCMessage *message, size_t *ret_size)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(size ? size : 1);

	if (!bytes)
		return NULL;
	*ret_size = protobuf_c_message_pack(message, bytes);
	return bytes;
}
