/* SPDX-License-Identifier: Apache-2.0 */
/* Names of users, remembered; see names.h. */
#include "names.h"

#include "leaf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ga_names_free(struct ga_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i].text);
	free(names->list);
	*names = (struct ga_names){0};
}

/* If there is no memory, we ask again next time. */
static void remember(struct ga_names *names, uid_t uid, const char *text)
{
	struct ga_name *list = reallocarray(names->list, names->count + 1, sizeof *list);

	if (!list)
		return;
	names->list = list;
	list[names->count] = (struct ga_name){uid, strdup(text)};
	if (list[names->count].text)
		names->count++;
}

void ga_names_user(struct ga_names *names, uid_t uid, char *text, size_t size)
{
	for (size_t i = 0; names && i < names->count; i++) {
		if (names->list[i].uid != uid)
			continue;
		(void)snprintf(text, size, "%s", names->list[i].text);
		return;
	}
	if (names && names->is_hurried) {
		(void)snprintf(text, size, "uid %u", (unsigned)uid);
		return;
	}
	ga_leaf_user(uid, text, size);
	if (names)
		remember(names, uid, text);
}
