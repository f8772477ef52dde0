/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and sentences of gRPC; see message.h. */
#include "message.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

static size_t length_of(const uint8_t *prefix)
{
	return (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 |
	       prefix[4];
}

enum grpc_status grpc_incoming_add(struct grpc_incoming *incoming, const void *data, size_t size)
{
	struct ga_buffer *bytes = &incoming->bytes;
	const uint8_t *prefix;

	bytes->limit = incoming->most + GRPC_PREFIX + 1;
	if (size > incoming->most + GRPC_PREFIX - bytes->size)
		return GRPC_RESOURCE_EXHAUSTED;
	ga_buffer_append(bytes, data, size);
	if (bytes->failed)
		return GRPC_RESOURCE_EXHAUSTED;
	if (bytes->size < GRPC_PREFIX)
		return bytes->size > 0 && *(const uint8_t *)bytes->data ? GRPC_UNIMPLEMENTED
									: GRPC_OK;
	prefix = (const uint8_t *)bytes->data;
	if (*prefix)
		return GRPC_UNIMPLEMENTED;
	if (length_of(prefix) > incoming->most)
		return GRPC_RESOURCE_EXHAUSTED;
	return bytes->size - GRPC_PREFIX > length_of(prefix) ? GRPC_UNIMPLEMENTED : GRPC_OK;
}

enum grpc_status grpc_incoming_end(const struct grpc_incoming *incoming,
				   const uint8_t **ret_message, size_t *ret_size)
{
	const uint8_t *prefix = (const uint8_t *)incoming->bytes.data;

	if (incoming->bytes.size < GRPC_PREFIX ||
	    incoming->bytes.size - GRPC_PREFIX != length_of(prefix))
		return GRPC_INTERNAL;
	*ret_message = prefix + GRPC_PREFIX;
	*ret_size = length_of(prefix);
	return GRPC_OK;
}

void grpc_incoming_free(struct grpc_incoming *incoming)
{
	ga_buffer_free(&incoming->bytes);
	incoming->bytes = (struct ga_buffer){0};
}

void grpc_prefix(uint8_t prefix[static GRPC_PREFIX], size_t size)
{
	prefix[0] = 0;
	for (int i = 0; i < 4; i++)
		prefix[1 + i] = (uint8_t)(size >> (24 - 8 * i));
}

struct grpc_shared *grpc_shared_new(const void *message, size_t size)
{
	struct grpc_shared *shared = malloc(sizeof *shared + GRPC_PREFIX + size);

	if (!shared)
		return NULL;
	*shared = (struct grpc_shared){.users = 1, .size = GRPC_PREFIX + size};
	grpc_prefix(shared->bytes, size);
	if (size)
		memcpy(shared->bytes + GRPC_PREFIX, message, size);
	return shared;
}

void grpc_shared_release(struct grpc_shared *shared)
{
	if (shared && --shared->users == 0)
		free(shared);
}

void grpc_percent_encode(const char *sentence, char *text, size_t size)
{
	size_t used = 0;

	for (; *sentence && used + 4 <= size; sentence++) {
		bool plain = *sentence >= ' ' && *sentence <= '~' && *sentence != '%';

		if (plain)
			text[used++] = *sentence;
		else
			used += (size_t)snprintf(text + used, size - used, "%%%02X",
						 (unsigned)(unsigned char)*sentence);
	}
	text[used] = '\0';
}

static int digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

void grpc_percent_decode(const char *text, size_t length, char *sentence, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < length && used + 1 < size; i++) {
		int high = i + 2 < length ? digit(text[i + 1]) : -1;
		int low = high >= 0 ? digit(text[i + 2]) : -1;
		char c = text[i];

		if (c == '%' && low >= 0) {
			c = (char)(high << 4 | low);
			i += 2;
		}
		sentence[used++] = c && !ga_text_is_control(c) ? c : '?';
	}
	sentence[used] = '\0';
}
