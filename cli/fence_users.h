/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who will meet the fence unprepared: processes that have its nodes open without a lease, which
 * keep what is open, and services that open GPUs and are not exempt.
 */
#ifndef CLI_FENCE_USERS_H
#define CLI_FENCE_USERS_H

#include "fence_rules.h"

struct fence_user {
	int64_t pid;
	char *user;
	char *name;                 /* of the program, clean */
	char node[FENCE_PATH_SIZE]; /* one that it has open */
};

struct fence_users {
	struct fence_user *list;
	size_t count;
};

void fence_users_free(struct fence_users *users);
#define auto_fence_users ga_cleanup(fence_users_free)

/*
 * Who has nodes of the plan open, has no descriptor of its ledger, and may not open them anyway.
 * What can not be seen is left out. GPUALLOC_ENOMEM, or 0.
 */
int fence_users_find(const struct fence_plan *plan, struct fence_users *ret_users);

/* An account of this machine that is known to open GPUs and is not exempt; NULL after the last. */
const char *fence_service_account(const struct fence_plan *plan, size_t i);

#endif
