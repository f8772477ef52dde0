/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of `gpualloc list`: each adds a whole machine to a text. */
#ifndef CLI_LIST_H
#define CLI_LIST_H

#include "command.h"
#include "terminal.h"
#include "text.h"

void list_text(struct text *text, const gpualloc_machine *machine, const struct terminal *terminal);
void list_json(struct text *text, const struct call *call, const gpualloc_machine *machine);
void list_csv(struct text *text, const gpualloc_machine *machine);

/* "1" for a GPU, "1:7:0" for an instance of it; what is not known is "-". */
enum { ID_SIZE = 72 };
void list_id(const gpualloc_device *device, char id[static ID_SIZE]);

/* Why a device is not free; "" when it is. The text is the caller's, to be freed; NULL when
 * there is no memory. */
char *list_reason(const gpualloc_device *device);

#endif
