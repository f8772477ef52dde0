/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of `gpualloc leases`. */
#ifndef CLI_LEASES_H
#define CLI_LEASES_H

#include "command.h"
#include "json_writer.h"
#include "terminal.h"

/* What is shown. */
struct leases_view {
	const gpualloc_store *store;     /* NULL if there is no store, and so no leases */
	const gpualloc_leases *leases;   /* NULL as the store is */
	const gpualloc_machine *machine; /* NULL if it is not known what runs on the devices */
};

void leases_text(struct ga_buffer *text, const struct leases_view *view,
		 const struct terminal *terminal);
void leases_json(struct ga_buffer *text, const struct call *call, const struct leases_view *view);

/* What runs on the devices of the i-th lease, and which processes have no lease there. */
void leases_use_text(struct ga_buffer *text, const struct leases_view *view, size_t i,
		     const struct terminal *terminal);
void leases_use_json(struct ga_json *json, const struct leases_view *view, size_t i);

/* Which of its devices the administrator has taken out of use. */
void leases_draining_text(struct ga_buffer *text, const struct leases_view *view, size_t i);
void leases_draining_json(struct ga_json *json, const struct leases_view *view, size_t i);

#endif
