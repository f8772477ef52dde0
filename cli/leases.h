/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of `gpualloc leases`. Where there is no store both pointers are NULL. */
#ifndef CLI_LEASES_H
#define CLI_LEASES_H

#include "command.h"
#include "terminal.h"

void leases_text(struct text *text, const gpualloc_store *store, const gpualloc_leases *leases,
		 const struct terminal *terminal);
void leases_json(struct text *text, const struct call *call, const gpualloc_store *store,
		 const gpualloc_leases *leases);

#endif
