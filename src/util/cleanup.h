/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locals that own something: ga_auto_… releases it at the end of the scope, ga_steal passes
 * ownership on.
 */
#ifndef GA_UTIL_CLEANUP_H
#define GA_UTIL_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define ga_cleanup(function) __attribute__((cleanup(function)))

static inline void ga_free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

static inline void ga_close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* For a descriptor that is looked at again. */
static inline void ga_close_and_forget(int *fd)
{
	ga_close_fd(fd);
	*fd = -1;
}

#define ga_auto_free ga_cleanup(ga_free_pointer)
#define ga_auto_close ga_cleanup(ga_close_fd)

/* ga_steal(&pointer): its value; the pointer itself becomes NULL, so nothing is released. */
static inline void *ga_steal(void *pointer)
{
	void *value = *(void **)pointer;

	*(void **)pointer = NULL;
	return value;
}

#endif
