/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads whole files within a limit, and writes them. Also reads small files below a root that tests
 * can replace.
 */
#ifndef GA_UTIL_FILE_H
#define GA_UTIL_FILE_H

#include "buffer.h"
#include "error.h"

#include <sys/stat.h>

/*
 * Reads a file, a pipe or a device up to limit bytes; more is GPUALLOC_EDATA, and a larger regular
 * file is refused without reading it. Messages start with the path.
 */
int ga_file_read(const char *path, size_t limit, struct ga_buffer *ret_content,
		 gpualloc_error *error);
/* The same, relative to an open folder. */
int ga_file_read_at(int folder, const char *path, size_t limit, struct ga_buffer *ret_content,
		    gpualloc_error *error);

/*
 * Writes all of it. Returns 0 or a negative errno. A limit on the size of files shows as -EFBIG and
 * does not send the program a signal.
 */
int ga_file_put(int fd, const void *data, size_t size);

/*
 * Reads root + path into text, cut at size - 1 bytes and without trailing blanks. Returns the
 * length, or -1 if there is no such file. root is "" for the machine itself.
 */
long ga_file_peek(const char *root, const char *path, char *text, size_t size);
bool ga_file_exists(const char *root, const char *path);

/*
 * Kind, device, inode and device number of a file that somebody else has chosen, without asking a
 * file system that may not answer: what the kernel knows already is enough. Else as fstatat().
 */
int ga_file_identify(int folder, const char *path, struct stat *ret_status);

#endif
