/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes from this process, and from all that it becomes or starts, the right to open some files,
 * and nothing else. Landlock denies whatever is not allowed, so everything but those files is
 * allowed: in the folders that have some, one entry at a time. So what is made later directly in
 * such a folder or in one above it cannot be opened either.
 */
#ifndef GA_UTIL_LANDLOCK_H
#define GA_UTIL_LANDLOCK_H

#include "error.h"

#include <stdbool.h>

struct ga_landlock {
	const char *const *folders; /* absolute paths without links, NULL after the last */
	bool (*hides)(const void *context, const char *path); /* an entry of one of these */
	const void *context;
};

/* GPUALLOC_EPERM, with what is missing, if this kernel cannot do it. */
int ga_landlock_check(gpualloc_error *error);
/*
 * Cannot be undone. Set-uid programs have no effect afterwards (no_new_privs). GPUALLOC_EPERM if
 * the kernel cannot do it or this process may not; then nothing has changed, except that set-uid
 * programs may have lost their effect.
 */
int ga_landlock_enter(const struct ga_landlock *landlock, gpualloc_error *error);

#endif
