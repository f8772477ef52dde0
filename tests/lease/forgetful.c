/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that forgets: preloaded, it makes some locks that somebody else has look free and lets
 * them be taken. Only to show that the chaos test would notice. FORGETS says what it forgets; for
 * this it knows the layout of the ledger (src/lease/ledger.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LEVEL_BITS = 29, LEVELS = 8, GI_BITS = 23, BUDGETS_GI = 63 };

static bool forgets(const char *what)
{
	const char *word = getenv("FORGETS");

	return strcmp(word ? word : "locks", what) == 0;
}

static bool is_device(const struct flock *lock)
{
	return lock->l_start >= 0 && lock->l_start < (off_t)1 << 62;
}

/* Every GPU is only its first bytes, so it has none in common with its instances. */
static void forget_width(struct flock *lock)
{
	if (is_device(lock) && lock->l_len == (off_t)1 << LEVEL_BITS)
		lock->l_len = 1;
}

static off_t level_of(const struct flock *lock)
{
	return (lock->l_start >> LEVEL_BITS) % LEVELS;
}

/* Deeper than a lease that is not inside another. */
static bool is_deeper(const struct flock *asked, const struct flock *found)
{
	return is_device(asked) && is_device(found) && (level_of(asked) > 0 || level_of(found) > 0);
}

/* The whole room of budgets, or of instances: asked about only to find rivals. */
static bool is_of_rivals(const struct flock *asked)
{
	off_t first = asked->l_start & (((off_t)1 << LEVEL_BITS) - 1);
	off_t budgets = (off_t)BUDGETS_GI << GI_BITS;

	return is_device(asked) && ((first == 0 && asked->l_len == budgets) ||
				    (first == budgets && asked->l_len == (off_t)1 << GI_BITS));
}

static int forgetful(int fd, int command, void *argument)
{
	static unsigned looked;
	struct flock *lock = argument, asked;
	int result;

	if (command != F_OFD_SETLK && command != F_OFD_GETLK)
		return (int)syscall(SYS_fcntl, fd, command, argument);
	if (forgets("widths"))
		forget_width(lock);
	asked = *lock;
	result = (int)syscall(SYS_fcntl, fd, command, argument);
	if (forgets("locks") && command == F_OFD_SETLK && result < 0 && errno == EAGAIN)
		return 0;
	if (command != F_OFD_GETLK || result < 0 || lock->l_type == F_UNLCK)
		return result;
	if ((forgets("locks") && (looked++ + (unsigned)getpid()) % 8 == 0) ||
	    (forgets("levels") && is_deeper(&asked, lock)) ||
	    (forgets("rivals") && is_of_rivals(&asked)))
		lock->l_type = F_UNLCK;
	return result;
}

int fcntl(int fd, int command, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	return forgetful(fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	return forgetful(fd, command, argument);
}
