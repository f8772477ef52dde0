/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CDI files where engines look for them. Engines read every *.json of a folder at any moment, so a
 * file is there whole or not at all. While FILE is being written there is .FILE.new beside it,
 * which no engine reads; if its writer is killed, the next cdi_save() or cdi_remove() of FILE
 * clears it away.
 */
#ifndef CDI_SAVE_H
#define CDI_SAVE_H

#include "buffer.h"
#include "error.h"

/* Folders on the way that are missing are made, for everybody to read. */
int cdi_make_folder(const char *path, gpualloc_error *error);
/* Makes or replaces the file, mode 0644, and its folder if it is missing. */
int cdi_save(const char *path, const struct ga_buffer *text, gpualloc_error *error);
/* That there is no such file is fine. */
int cdi_remove(const char *path, gpualloc_error *error);

#endif
