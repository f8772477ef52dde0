/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpualloc-probe: what users of a fenced machine see its GPUs with. Its group, which it has by the
 * set-gid bit, may open every GPU; so it asks the driver what there is and writes that to standard
 * output, and does nothing else. Whoever starts it is its enemy: nothing of theirs reaches what
 * runs with the right. It takes no arguments, no environment, no descriptors but the first three,
 * of which the first can say how patient to be, in a pipe and in decimal; and it loads the driver's
 * library by its soname alone, from where root's loader finds it.
 */
#include "descriptors.h"
#include "nvml/probe.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

static const char no_rights[] =
	"got no rights: it has no set-gid bit, or its file system is mounted with nosuid, or whoever "
	"started it may gain none (no_new_privs, as behind `run --fence`; a user namespace; a "
	"debugger)";

/* A limit that is lower would make a library fail where nobody expects it to. */
static const struct {
	unsigned limit;
	rlim_t least;
} limits[] = {
	{RLIMIT_AS, 1 << 30}, {RLIMIT_DATA, 512 << 20}, {RLIMIT_STACK, 1 << 20},
	{RLIMIT_NOFILE, 512}, {RLIMIT_CPU, 10},
};

/* False if one is too low and cannot be raised. */
static bool raise_limits(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return false;
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		struct rlimit now;

		if (getrlimit(limits[i].limit, &now) < 0)
			return false;
		if (now.rlim_cur >= limits[i].least)
			continue;
		now.rlim_cur = limits[i].least;
		if (now.rlim_max < now.rlim_cur || setrlimit(limits[i].limit, &now) < 0)
			return false;
	}
	return true;
}

/* What a program inherits of signals and timers, and what comes with its end. */
static void reset_signals(void)
{
	const struct itimerval never = {0};
	sigset_t none;

	for (unsigned timer = ITIMER_REAL; timer <= ITIMER_PROF; timer++)
		(void)setitimer(timer, &never, NULL);
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* The caller asked for it too, but a set-gid program loses that. If the caller is gone
	 * already, there is nobody to write to (nvml/serve.c). */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* A device node that is opened later must not become one of the first three. */
static bool close_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_NOCTTY) != fd)
			return false;
	return ga_descriptors_close(STDERR_FILENO + 1) == 0;
}

static unsigned read_deadline(void)
{
	struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
	char text[16];
	struct stat status;
	int64_t number = 0;
	ssize_t got = -1;

	if (fstat(STDIN_FILENO, &status) == 0 && S_ISFIFO(status.st_mode) && poll(&fd, 1, 0) > 0 &&
	    fd.revents & POLLIN)
		got = read(STDIN_FILENO, text, sizeof text);
	if (got <= 0 || !ga_text_number(text, (size_t)got, GA_PROBE_DEADLINE_MOST_MS, &number) ||
	    number == 0)
		return GPUALLOC_DEADLINE_DEFAULT_MS;
	return (unsigned)number;
}

/* A caller's own set-gid group is another one; in a user namespace both may look like nobody's. */
static bool has_rights(void)
{
	struct stat status;

	return getegid() != getgid() && stat("/proc/self/exe", &status) == 0 &&
	       status.st_gid == getegid();
}

/*
 * no_new_privs is not set: where a device node is missing, the driver's library starts
 * nvidia-modprobe, root's own set-uid program, to make it, and would show no GPU without that. All
 * that is started here can be told nothing by the caller.
 */
int main(int argc, char **argv)
{
	(void)argv;
	if (clearenv() != 0 || prctl(PR_SET_DUMPABLE, 0) < 0 || !close_descriptors() ||
	    chdir("/") < 0)
		return EXIT_FAILURE;
	(void)umask(077);
	reset_signals();
	if (argc != 1) {
		(void)dprintf(STDERR_FILENO, "gpualloc-probe: takes no arguments: gpualloc starts "
					     "it, and `gpualloc snapshot` shows what it says\n");
		return EX_USAGE;
	}
	if (!has_rights())
		return ga_nvml_serve_refusal(no_rights, STDOUT_FILENO);
	if (!raise_limits())
		return ga_nvml_serve_refusal("does not run within these limits (ulimit -a): too "
					     "low are processor time, memory or open files",
					     STDOUT_FILENO);
	return ga_nvml_serve(read_deadline(), STDOUT_FILENO);
}
