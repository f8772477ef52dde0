/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded before the C library: lets the allocation fail whose number, from 0, is in FAIL_AT. Those
 * behind the names of users are not counted: without memory glibc 2.36 crashes there.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static long done = -1, fail_at = -2;
static bool is_reading_names;

static bool fails(void)
{
	if (is_reading_names)
		return false;
	if (fail_at == -2) {
		const char *number = getenv("FAIL_AT");

		fail_at = number ? strtol(number, NULL, 10) : -1;
	}
	if (++done != fail_at)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}

int getpwuid_r(uid_t uid, struct passwd *entry, char *space, size_t size, struct passwd **found)
{
	static int (*real)(uid_t, struct passwd *, char *, size_t, struct passwd **);
	int result;

	is_reading_names = true;
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "getpwuid_r");
	result = real(uid, entry, space, size, found);
	is_reading_names = false;
	return result;
}
