/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded before the C library: a kernel with the Landlock that LANDLOCK_ABI says. 0: without; -1:
 * with one that is switched off.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CREATE_RULESET = 444, ARGUMENTS = 6 };

static long forward(long number, const long *argument)
{
	static long (*real)(long number, ...);

	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return real(number, argument[0], argument[1], argument[2], argument[3], argument[4],
		    argument[5]);
}

long syscall(long sysno, ...)
{
	long argument[ARGUMENTS];
	va_list arguments;

	va_start(arguments, sysno);
	for (int i = 0; i < ARGUMENTS; i++)
		argument[i] = va_arg(arguments, long);
	va_end(arguments);
	if (sysno != CREATE_RULESET)
		return forward(sysno, argument);
	if (argument[1] == 0 && atol(getenv("LANDLOCK_ABI")) > 0)
		return atol(getenv("LANDLOCK_ABI"));
	errno = atol(getenv("LANDLOCK_ABI")) < 0 ? EOPNOTSUPP : ENOSYS;
	return -1;
}
