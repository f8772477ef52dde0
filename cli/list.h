/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of `gpualloc list`: each adds a whole machine to a text. */
#ifndef CLI_LIST_H
#define CLI_LIST_H

#include "buffer.h"
#include "command.h"
#include "terminal.h"

void list_text(struct ga_buffer *text, const gpualloc_machine *machine,
	       const struct terminal *terminal);
void list_json(struct ga_buffer *text, const struct call *call, const gpualloc_machine *machine);
void list_csv(struct ga_buffer *text, const gpualloc_machine *machine);

#endif
