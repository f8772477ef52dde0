/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the system's data base of accounts; see account.h. */
#include "account.h"

#include "cleanup.h"

#include <errno.h>
#include <gpualloc/gpualloc.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

/* A group with many members needs more space than the first. */
enum { SPACE_FIRST = 4096, SPACE_MOST = 1 << 22 };

int ga_account_user(const char *name, uid_t *ret_user)
{
	for (size_t size = SPACE_FIRST; size <= SPACE_MOST; size *= 4) {
		ga_auto_free char *space = malloc(size);
		struct passwd entry, *found = NULL;

		if (!space)
			return GPUALLOC_ENOMEM;
		if (getpwnam_r(name, &entry, space, size, &found) == ERANGE)
			continue;
		if (!found)
			return GPUALLOC_EUSAGE;
		*ret_user = found->pw_uid;
		return 0;
	}
	return GPUALLOC_EUSAGE;
}

int ga_account_group(const char *name, gid_t *ret_group)
{
	for (size_t size = SPACE_FIRST; size <= SPACE_MOST; size *= 4) {
		ga_auto_free char *space = malloc(size);
		struct group entry, *found = NULL;

		if (!space)
			return GPUALLOC_ENOMEM;
		if (getgrnam_r(name, &entry, space, size, &found) == ERANGE)
			continue;
		if (!found)
			return GPUALLOC_EUSAGE;
		*ret_group = found->gr_gid;
		return 0;
	}
	return GPUALLOC_EUSAGE;
}
