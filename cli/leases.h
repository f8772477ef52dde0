/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of `gpualloc leases`. */
#ifndef CLI_LEASES_H
#define CLI_LEASES_H

#include "command.h"
#include "json_writer.h"
#include "samples.h"
#include "terminal.h"

/* What is shown. */
struct leases_view {
	const gpualloc_store *store;     /* NULL if there is no store, and so no leases */
	const gpualloc_leases *leases;   /* NULL as the store is */
	const gpualloc_machine *machine; /* NULL if it is not known what runs on the devices */
	const struct samples *samples;   /* NULL if nobody samples */
	int64_t idle_s; /* idle for so long is worth a line; -1 if the administrator does not say */
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

/* What the samples say of leases on which nothing runs. idle_s is -1 if that is not wanted. */
void leases_read_idle(struct samples *ret_samples, int64_t *ret_idle_s);
void leases_idle_text(struct ga_buffer *text, const struct leases_view *view, size_t i);
void leases_idle_json(struct ga_json *json, const struct leases_view *view, size_t i);

#endif
