/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of users and groups, by their names. */
#ifndef GA_SITE_ACCOUNT_H
#define GA_SITE_ACCOUNT_H

#include <sys/types.h>

/* 0, GPUALLOC_EUSAGE if there is none of that name, or GPUALLOC_ENOMEM. */
int ga_account_user(const char *name, uid_t *ret_user);
int ga_account_group(const char *name, gid_t *ret_group);

#endif
