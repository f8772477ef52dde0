/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of `gpualloc list`: each adds a whole machine to a text. */
#ifndef CLI_LIST_H
#define CLI_LIST_H

#include "buffer.h"
#include "command.h"
#include "terminal.h"

void list_text(struct ga_buffer *text, const gpualloc_machine *machine,
	       const struct terminal *terminal);
void list_json(struct ga_buffer *text, const struct call *call, const gpualloc_machine *machine);
void list_csv(struct ga_buffer *text, const gpualloc_machine *machine);

/* "1" for a GPU, "1:7:0" for an instance of it; what is not known is "-". Returns id. */
enum { ID_SIZE = 72 };
const char *list_id(const gpualloc_device *device, char id[static ID_SIZE]);

/* Why a device is not free; "" when it is. The text is the caller's, to be freed; NULL when
 * there is no memory. */
char *list_reason(const gpualloc_device *device);

#endif
