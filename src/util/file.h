/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files, read within a limit or written; and the small ones below a root that tests can
 * replace. */
#ifndef GA_UTIL_FILE_H
#define GA_UTIL_FILE_H

#include "buffer.h"
#include "error.h"

/*
 * Reads a file, a pipe or a device up to limit bytes; more is GPUALLOC_EDATA, and a regular file
 * that is larger is refused without reading it. Messages start with the path.
 */
int ga_file_read(const char *path, size_t limit, struct ga_buffer *ret_content,
		 gpualloc_error *error);
/* The same from an open folder on. */
int ga_file_read_at(int folder, const char *path, size_t limit, struct ga_buffer *ret_content,
		    gpualloc_error *error);

/*
 * Writes all of it; 0 or a negative errno. A limit on the size of files is -EFBIG like any other
 * reason, and no signal to the program.
 */
int ga_file_put(int fd, const void *data, size_t size);

/*
 * Reads root + path into text, cut at size - 1 bytes and without blanks at the end; the length, or
 * -1 where there is no such file. root is "" for the machine itself.
 */
long ga_file_peek(const char *root, const char *path, char *text, size_t size);
bool ga_file_exists(const char *root, const char *path);

#endif
