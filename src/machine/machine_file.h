/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine file: JSON in and out. What is written here reads back to the same bytes. The
 * complete form also carries what only this process family needs (reasons, notes, what is hidden):
 * it is how a query child hands its machine to its parent.
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

/* Messages name the field ("devices[3].memory.total: …") or the line where it is no JSON. */
int ga_machine_file_read(const char *text, size_t size, enum ga_machine_form form,
			 gpualloc_machine **ret_machine, gpualloc_error *error);

int ga_machine_file_write(const gpualloc_machine *machine, enum ga_machine_form form,
			  struct ga_buffer *out, gpualloc_error *error);

#endif
