/* SPDX-License-Identifier: Apache-2.0 */
/* Loaded before the C library: SIGTERM comes in the moment in which a child is seen to have
 * stopped, before anything was done about it. */
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t waitpid(pid_t pid, int *ret_status, int options)
{
	pid_t child = (pid_t)syscall(SYS_wait4, pid, ret_status, options, NULL);

	if (child > 0 && WIFSTOPPED(*ret_status))
		(void)kill(getpid(), SIGTERM);
	return child;
}
