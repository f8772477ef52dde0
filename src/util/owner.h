/* SPDX-License-Identifier: Apache-2.0 */
/* Whom to trust: files owned by root or by us, even inside a user namespace. */
#ifndef GA_UTIL_OWNER_H
#define GA_UTIL_OWNER_H

#include <stdbool.h>
#include <sys/stat.h>

/* Whether fd, whose status this is, belongs to root or to us. */
bool ga_is_trusted_owner(int fd, const struct stat *status);
/* Whether it belongs to a user who has no name in our user namespace: root outside, or a stranger.
 */
bool ga_is_nameless_owner(const struct stat *status);
/* Whether the kernel treats us as its owner, whatever it shows. */
bool ga_is_opened_as_owner(int fd);
/* Whether we are root, and not only in a user namespace. */
bool ga_is_root_outside(void);
/*
 * Whether it is a program of root's (in a user namespace: of somebody's who has no name there) that
 * gives who runs it the rights of its group and no others, and that nobody else can change.
 */
bool ga_is_set_gid_of_root(const char *path);

#endif
