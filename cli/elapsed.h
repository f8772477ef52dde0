/* SPDX-License-Identifier: Apache-2.0 */
/* Lengths of time in words that people read. */
#ifndef CLI_ELAPSED_H
#define CLI_ELAPSED_H

#include "buffer.h"

#include <stdint.h>

/* "42 s", "5 min", "2 h 5 min", "3 d 4 h": the two largest units. */
void elapsed_words(struct ga_buffer *text, int64_t ms);
/* As a clock that runs: "0:42", "12:05", "1:02:03", "2 d 1:02:03". */
void elapsed_clock(struct ga_buffer *text, int64_t ms);

#endif
