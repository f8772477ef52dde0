/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that forgets: loaded before the C library, it lets some locks that somebody else has
 * look free and be had. Only to show that the chaos test would see it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static int forgetful(int fd, int command, void *argument)
{
	static unsigned looked;
	int result = (int)syscall(SYS_fcntl, fd, command, argument);
	struct flock *lock = argument;

	if (command == F_OFD_SETLK && result < 0 && errno == EAGAIN)
		return 0;
	if (command == F_OFD_GETLK && result == 0 && lock->l_type != F_UNLCK &&
	    (looked++ + (unsigned)getpid()) % 8 == 0)
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
