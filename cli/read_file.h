/* SPDX-License-Identifier: Apache-2.0 */
/* A whole file, within a limit. */
#ifndef CLI_READ_FILE_H
#define CLI_READ_FILE_H

#include "text.h"

/* 0 or an errno; EFBIG past the limit. What was read is behind what text has; out of memory is
 * text's own mark. */
int read_file(const char *path, size_t limit, struct text *text);

#endif
