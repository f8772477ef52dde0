/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of users, each asked for once. A name service may take seconds to answer, so nobody
 * asks it while holding the arbiter: a name not known by then is shown as a number.
 */
#ifndef GA_LEASE_NAMES_H
#define GA_LEASE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ga_names {
	struct ga_name {
		uid_t uid;
		char *text;
	} * list;
	size_t count;
	bool is_hurried; /* do not ask the name service now */
};

void ga_names_free(struct ga_names *names);
/* The name of a user, or "uid 1234". If names is NULL, asks the name service. */
void ga_names_user(struct ga_names *names, uid_t uid, char *text, size_t size);

#endif
