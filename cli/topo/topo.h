/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of `gpualloc topo`: each adds a whole machine to a text. */
#ifndef CLI_TOPO_TOPO_H
#define CLI_TOPO_TOPO_H

#include "buffer.h"
#include "command.h"
#include "terminal.h"

void topo_text(struct ga_buffer *text, const gpualloc_machine *machine,
	       const struct terminal *terminal);
void topo_json(struct ga_buffer *text, const struct call *call, const gpualloc_machine *machine);
/* If choice is not NULL, the chosen devices are marked. */
void topo_svg(struct ga_buffer *text, const gpualloc_machine *machine,
	      const gpualloc_choice *choice);

#endif
