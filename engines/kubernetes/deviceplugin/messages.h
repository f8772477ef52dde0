/* SPDX-License-Identifier: Apache-2.0 */
/* The kubelet's messages, read within limits of memory and written. */
#ifndef DEVICEPLUGIN_MESSAGES_H
#define DEVICEPLUGIN_MESSAGES_H

#include "buffer.h"

#include "deviceplugin.pb-c.h"
#include "podresources.pb-c.h"

/* What a message was read into; freed as a whole. */
struct arena {
	struct arena_piece *pieces;
	size_t size, most;
};

enum { MESSAGE_MEMORY = 64 << 20 };

void arena_free(struct arena *arena);
#define auto_arena ga_cleanup(arena_free)

/* NULL: it is no such message, or takes too much memory. It belongs to the arena. */
void *message_read(struct arena *arena, const ProtobufCMessageDescriptor *kind,
		   const uint8_t *bytes, size_t size);
/* Memory for a message to be written; NULL: none. It is all zero. */
void *arena_take(struct arena *arena, size_t size);
char *arena_text(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* NULL: out of memory. The caller frees it. */
uint8_t *message_write(const ProtobufCMessage *message, size_t *ret_size);

#endif
