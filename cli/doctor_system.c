/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel, containers, cgroups and limits; see doctor.h. */
#include "doctor.h"

#include "file.h"
#include "owned.h"
#include "size.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LIMITS_MAX = 1 << 14, LINE_MAX_SIZE = 4096 };

/* ---- the kernel ---- */

/* A lock that is only asked about changes nothing. */
static bool has_ofd_locks(void)
{
	ga_auto_close int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

	return fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) == 0 || errno != EINVAL;
}

static bool has_pidfd(void)
{
	ga_auto_close int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return fd >= 0;
}

/* Descriptors that nobody has: it closes nothing. */
static bool has_close_range(void)
{
	return syscall(SYS_close_range, ~0U, ~0U, 0) == 0;
}

/* "6.1.0-18-amd64" is 6001; 0 if it is not known. */
static int64_t version_of(const char *release)
{
	int64_t major, minor;

	if (!ga_text_take_number(&release, 1000, &major) || *release++ != '.' ||
	    !ga_text_take_number(&release, 999, &minor))
		return 0;
	return major * 1000 + minor;
}

struct kernel {
	char release[128];
	bool ofd, pidfd, close_range;
};

/* This machine's kernel is tried out, because filters may forbid what it has; another's is known by
 * its version. */
static struct kernel read_kernel(const struct doctor *doctor)
{
	struct kernel kernel = {0};
	int64_t version;

	if (ga_file_peek(doctor->root, "/proc/sys/kernel/osrelease", kernel.release,
			 sizeof kernel.release) < 0)
		(void)snprintf(kernel.release, sizeof kernel.release, "?");
	ga_text_disarm(kernel.release);
	version = version_of(kernel.release);
	if (doctor_is_here(doctor)) {
		kernel.ofd = has_ofd_locks();
		kernel.pidfd = has_pidfd();
		kernel.close_range = has_close_range();
	} else {
		kernel.ofd = version == 0 || version >= 3015;
		kernel.pidfd = version == 0 || version >= 5003;
		kernel.close_range = version == 0 || version >= 5009;
	}
	return kernel;
}

static bool is_set(const struct doctor *doctor, const char *path, char value)
{
	char text[16];

	return ga_file_peek(doctor->root, path, text, sizeof text) > 0 && *text == value;
}

void doctor_kernel(struct doctor *doctor)
{
	struct kernel kernel = read_kernel(doctor);
	size_t before = doctor->count;

	if (!kernel.ofd)
		doctor_fault(doctor, "kernel", gpualloc_exit_status(GPUALLOC_EIMPOSSIBLE),
			     "leases are made of these locks: use Linux 3.15 or later, outside of "
			     "emulations such as gVisor",
			     "%s has no locks of open file descriptions", kernel.release);
	if (!kernel.pidfd)
		doctor_note(
			doctor, "kernel",
			"use Linux 5.3 or later, or let the container's "
			"filter allow pidfd_open",
			"%s gives no pidfd: `gpualloc release` cannot end processes safely, and "
			"time limits are less exact",
			kernel.release);
	if (!kernel.close_range)
		doctor_note(doctor, "kernel", NULL,
			    "%s has no close_range: descriptors are closed one by one, which takes "
			    "longer",
			    kernel.release);
	if (is_set(doctor, "/proc/sys/kernel/yama/ptrace_scope", '2') ||
	    is_set(doctor, "/proc/sys/kernel/yama/ptrace_scope", '3'))
		doctor_note(
			doctor, "kernel", "`sysctl kernel.yama.ptrace_scope=1` or less allows it",
			"processes may not take descriptors of each other: `gpualloc run --in` a "
			"job does not prolong its lease");
	if (is_set(doctor, "/proc/sys/fs/protected_hardlinks", '0'))
		doctor_note(doctor, "kernel", "`sysctl fs.protected_hardlinks=1`",
			    "users may link to files of others, also to those of the store");
	if (doctor->count == before)
		doctor_ok(doctor, "kernel", "%s has all that leases need", kernel.release);
}

/* ---- containers ---- */

static const char *container_of(const struct doctor *doctor)
{
	char text[LINE_MAX_SIZE];

	if (ga_file_exists(doctor->root, "/.dockerenv"))
		return "Docker's";
	if (ga_file_exists(doctor->root, "/run/.containerenv"))
		return "Podman's";
	if (ga_file_exists(doctor->root, "/run/systemd/container"))
		return "a system";
	if (ga_file_peek(doctor->root, "/proc/1/cgroup", text, sizeof text) > 0 &&
	    (strstr(text, "/docker") || strstr(text, "/kubepods") || strstr(text, "/lxc")))
		return "a";
	return NULL;
}

void doctor_containers(struct doctor *doctor)
{
	const char *kind = container_of(doctor);
	char text[LINE_MAX_SIZE];

	if (kind)
		doctor_note(
			doctor, "containers", "share it with -v /run/gpualloc:/run/gpualloc",
			"this is %s container: processes outside of it are not seen, and leases "
			"hold outside only in the host's store",
			kind);
	/* The whole machine's identity in its own words: 0 to 0, all 2^32 - 1 of them. */
	else if (ga_file_peek(doctor->root, "/proc/self/uid_map", text, sizeof text) > 0 &&
		 !strstr(text, "4294967295"))
		doctor_note(doctor, "containers", NULL,
			    "this is a user namespace: other users look like nobody");
	else
		doctor_ok(doctor, "containers", "this is not in one");
}

/* ---- cgroups ---- */

/* The path of this process in the one hierarchy of version 2; "" if there is none. */
static void read_cgroup(const struct doctor *doctor, char *path, size_t size)
{
	char text[LINE_MAX_SIZE];
	const char *line;

	*path = '\0';
	if (ga_file_peek(doctor->root, "/proc/self/cgroup", text, sizeof text) <= 0)
		return;
	line = ga_text_starts(text, "0::") ? text : strstr(text, "\n0::");
	if (!line)
		return;
	line += *line == '\n' ? 4 : 3;
	(void)snprintf(path, size, "%.*s", (int)strcspn(line, "\n"), line);
}

/* A limit of this cgroup; -1 for none, or where it is not known. */
static int64_t cgroup_limit(const struct doctor *doctor, const char *cgroup, const char *name)
{
	char path[LINE_MAX_SIZE], text[64];
	int64_t number;

	(void)snprintf(path, sizeof path, "/sys/fs/cgroup%.3000s/%s", cgroup, name);
	if (ga_file_peek(doctor->root, path, text, sizeof text) <= 0 ||
	    !ga_text_number(text, strlen(text), INT64_MAX, &number))
		return -1;
	return number;
}

void doctor_cgroups(struct doctor *doctor)
{
	char cgroup[2048], memory[GA_SIZE_TEXT];
	int64_t bytes, processes;
	size_t before = doctor->count;

	read_cgroup(doctor, cgroup, sizeof cgroup);
	if (!ga_file_exists(doctor->root, "/sys/fs/cgroup")) {
		doctor_ok(doctor, "cgroups", "none");
		return;
	}
	bytes = cgroup_limit(doctor, cgroup, "memory.max");
	processes = cgroup_limit(doctor, cgroup, "pids.max");
	if (bytes >= 0)
		doctor_note(
			doctor, "cgroups", NULL,
			"what is started here gets at most %s of main memory (memory.max); a job "
			"that needs more is killed, and its lease ends",
			ga_size_text(bytes, memory));
	if (processes >= 0 && processes < 1000)
		doctor_note(doctor, "cgroups", NULL,
			    "at most %lld processes and threads may run here (pids.max)",
			    (long long)processes);
	if (doctor->count == before)
		doctor_ok(doctor, "cgroups", "no limit that matters");
}

/* ---- limits of this user ---- */

/* The limit that counts now, from the line of /proc/self/limits; -1 for none. */
static int64_t limit_of(const char *limits, const char *name)
{
	const char *line = strstr(limits, name);
	int64_t number;

	if (!line)
		return -1;
	line += strlen(name);
	line += strspn(line, " ");
	return ga_text_take_number(&line, INT64_MAX, &number) ? number : -1;
}

static void look_at_limits(struct doctor *doctor, const char *limits)
{
	int64_t files = limit_of(limits, "Max open files"),
		size = limit_of(limits, "Max file size");
	int64_t processes = limit_of(limits, "Max processes");
	int64_t seconds = limit_of(limits, "Max cpu time");

	if (files >= 0 && files <= 512)
		doctor_note(
			doctor, "user limits", "`ulimit -n 1024`",
			"only %lld files may be open (ulimit -n): a lease's descriptor gets a low "
			"number, which some programs close",
			(long long)files);
	if (size >= 0 && size < 65536)
		doctor_note(doctor, "user limits", "`ulimit -f unlimited`",
			    "files may have at most %lld bytes (ulimit -f): leases are held, but "
			    "others do not see whose they are",
			    (long long)size);
	if (processes >= 0 && processes < 256)
		doctor_note(doctor, "user limits", "`ulimit -u 4096`",
			    "only %lld processes may run (ulimit -u): asking the driver needs some "
			    "beside those of the job",
			    (long long)processes);
	if (seconds >= 0)
		doctor_note(doctor, "user limits", "`ulimit -t unlimited`",
			    "processes are killed after %lld seconds of CPU time (ulimit -t)",
			    (long long)seconds);
}

void doctor_user_limits(struct doctor *doctor)
{
	char limits[LIMITS_MAX];
	size_t before = doctor->count;

	if (ga_file_peek(doctor->root, "/proc/self/limits", limits, sizeof limits) <= 0)
		return;
	look_at_limits(doctor, limits);
	if (doctor->count == before)
		doctor_ok(doctor, "user limits", "none that matters");
}
