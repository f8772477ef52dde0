/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a finished text goes. Nothing is written before it is whole, and failing to write it is an
 * error: both functions say what went wrong and return the exit status.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "buffer.h"

/* Makes sure that descriptors 0 to 2 are in use, so that no file of ours becomes one of them. */
void output_prepare(void);

int output_print(const struct ga_buffer *text);
/* Replaces a file in one step: it holds either its old contents or the whole text. */
int output_save(const char *path, const struct ga_buffer *text);

#endif
