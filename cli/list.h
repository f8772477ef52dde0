/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of `gpualloc list`: each adds a whole machine to a text. */
#ifndef CLI_LIST_H
#define CLI_LIST_H

#include "buffer.h"
#include "command.h"
#include "terminal.h"

/* Which devices are shown; all of them if nothing is said. */
struct list_filter {
	bool only_free;
	const char *user; /* only what this user has, uses or waits for; NULL: anybody */
};

/* A GPU is also shown if one of its instances is. */
bool list_shows(const struct list_filter *filter, const gpualloc_device *device);

/* Who has it, or else who uses it, or else for whom it is kept; "" for nobody. */
const char *list_user(const gpualloc_device *device);
/* Since when, in seconds since 1970; -1 if nobody knows. */
int64_t list_since_seconds(const gpualloc_device *device);
/* "10:42" today, else "Nov 21"; "" if nobody knows. */
void list_since(const gpualloc_device *device, char *cell, size_t size);
/*
 * What runs there, or waits for it, or else the reason why it is not free, in new memory; NULL when
 * there is none.
 */
char *list_what(const gpualloc_device *device, const char *reason);

/* sentences: why each device is in its state, even if there is no room for that in the table. */
void list_text(struct ga_buffer *text, const gpualloc_machine *machine,
	       const struct list_filter *filter, bool sentences, const struct terminal *terminal);
void list_json(struct ga_buffer *text, const struct call *call, const gpualloc_machine *machine,
	       const struct list_filter *filter);
void list_csv(struct ga_buffer *text, const gpualloc_machine *machine,
	      const struct list_filter *filter);

#endif
