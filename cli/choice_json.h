/* SPDX-License-Identifier: Apache-2.0 */
/* A choice for programs. */
#ifndef CLI_CHOICE_JSON_H
#define CLI_CHOICE_JSON_H

#include "buffer.h"
#include "choose.h"

/* The document of pick; if explained, with alternatives and rejected, the document of explain. */
void choice_json(struct ga_buffer *text, const struct call *call, const struct chosen *chosen,
		 bool explained);

#endif
