/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes the machine file, which is JSON. A file written here, read and written again
 * gives the same bytes. The complete form also has what only parent and child processes need
 * (reasons, notes, what is hidden): a query child passes its machine to its parent this way.
 */
#ifndef GA_MACHINE_MACHINE_FILE_H
#define GA_MACHINE_MACHINE_FILE_H

#include "buffer.h"
#include "machine.h"

enum ga_machine_form {
	GA_FORM_FILE,
	GA_FORM_COMPLETE,
};

/* 64 MiB hold some 2,500 devices; a larger text is refused before it is parsed. */
enum { GA_MACHINE_FILE_MAX = 64 << 20 };

/* Messages name the field ("devices[3].memory.total: …"), or the line if it is not JSON. */
int ga_machine_file_read(const char *text, size_t size, enum ga_machine_form form,
			 gpualloc_machine **ret_machine, gpualloc_error *error);

int ga_machine_file_write(const gpualloc_machine *machine, enum ga_machine_form form,
			  struct ga_buffer *out, gpualloc_error *error);

#endif
