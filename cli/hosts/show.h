/* SPDX-License-Identifier: Apache-2.0 */
/* What several hosts answered, as one table, one document, or one text after the other. */
#ifndef CLI_HOSTS_SHOW_H
#define CLI_HOSTS_SHOW_H

#include "hosts/ask.h"
#include "terminal.h"

struct answers {
	const struct call *call;
	const struct answer *list;
	size_t count;
};

void show_list(struct ga_buffer *text, const struct answers *answers,
	       const struct terminal *terminal);
void show_leases(struct ga_buffer *text, const struct answers *answers,
		 const struct terminal *terminal);
/* The hosts' own lines, with the host before each. */
void show_csv(struct ga_buffer *text, const struct answers *answers);
/* Every answer, and every reason why there is none. */
void show_json(struct ga_buffer *text, const struct answers *answers);
/* The hosts' own words, below their names. */
void show_texts(struct ga_buffer *text, const struct answers *answers,
		const struct terminal *terminal);

#endif
