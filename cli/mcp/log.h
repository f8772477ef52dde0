/* SPDX-License-Identifier: Apache-2.0 */
/* What a job printed: the last LOG_MOST bytes, in the memory of the server and nowhere else. */
#ifndef CLI_MCP_LOG_H
#define CLI_MCP_LOG_H

#include "buffer.h"

#include <stdint.h>

enum { LOG_MOST = 1 << 19 };

struct log {
	char *bytes;    /* a ring */
	uint64_t total; /* how many were ever printed */
};

void log_free(struct log *log);
void log_add(struct log *log, const char *bytes, size_t size);

/*
 * Adds what was printed from *cursor on as text that can be shown, at most size bytes of it, and
 * moves the cursor. Returns how many bytes are no longer there. A character that is not whole yet
 * is left for the next time unless the job has ended.
 */
uint64_t log_read(const struct log *log, uint64_t *cursor, size_t size, bool has_ended,
		  struct ga_buffer *text);

#endif
