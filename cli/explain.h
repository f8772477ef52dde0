/* SPDX-License-Identifier: Apache-2.0 */
/* A choice and its reasons for a person. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include "buffer.h"
#include "choose.h"

/* No line is wider than columns, except for a UUID or name that is wider itself. */
void explain_text(struct ga_buffer *text, const struct chosen *chosen, size_t columns);

#endif
