/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies around the processes of chaos: cgroups that are frozen, pid namespaces, and the files
 * that say what the machine is. If something does not work here we go on without it: if no cgroup
 * can be made, a signal stops processes instead. chaos_clean_up() removes everything that is made
 * here.
 */
#include "chaos.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- cgroups ---- */

/* Where cgroups of version 2 are; their own names may have no spaces here. */
static bool find_cgroups(char *ret_path, size_t size)
{
	char line[4096], path[1024];
	FILE *file = fopen("/proc/self/mounts", "re");
	bool found = false;

	while (file && !found && fgets(line, sizeof line, file))
		found = sscanf(line, "%*s %1023s cgroup2 ", path) == 1 && strstr(line, " cgroup2 ");
	if (file)
		(void)fclose(file);
	(void)snprintf(ret_path, size, "%s/gpualloc-chaos-%ld", path, (long)getpid());
	return found;
}

static bool open_cgroup(struct chaos *chaos, size_t i)
{
	char path[4096];

	(void)snprintf(path, sizeof path, "%s/%zu", chaos->cgroup, i);
	if (mkdir(path, 0755) < 0)
		return false;
	chaos->frozen[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof path, "%s/%zu/cgroup.freeze", chaos->cgroup, i);
	chaos->freezers[i] = open(path, O_WRONLY | O_CLOEXEC);
	return chaos->frozen[i] >= 0 && chaos->freezers[i] >= 0;
}

static bool make_cgroups(struct chaos *chaos)
{
	bool good = find_cgroups(chaos->cgroup, sizeof chaos->cgroup) &&
		    mkdir(chaos->cgroup, 0755) == 0;

	if (!good)
		chaos->cgroup[0] = '\0';
	for (size_t i = 0; good && i < MOST_FROZEN; i++)
		good = open_cgroup(chaos, i);
	return good;
}

static void remove_cgroups(struct chaos *chaos)
{
	char path[4096];

	for (size_t i = 0; *chaos->cgroup && i < MOST_FROZEN; i++) {
		(void)snprintf(path, sizeof path, "%s/%zu", chaos->cgroup, i);
		(void)rmdir(path);
	}
	if (*chaos->cgroup && rmdir(chaos->cgroup) < 0)
		(void)fprintf(stderr, "chaos: cannot remove %s: %s\n", chaos->cgroup,
			      strerror(errno));
}

static bool set_frozen(const struct chaos *chaos, size_t place, bool frozen)
{
	return chaos->has_frozen && place < MOST_FROZEN &&
	       write(chaos->freezers[place], frozen ? "1" : "0", 1) == 1;
}

void chaos_stop(struct chaos *chaos, size_t place, pid_t pid)
{
	if (!set_frozen(chaos, place, true))
		(void)kill(pid, SIGSTOP);
}

void chaos_go_on(struct chaos *chaos, size_t place, pid_t pid)
{
	if (!set_frozen(chaos, place, false))
		(void)kill(pid, SIGCONT);
}

/* ---- processes ---- */

static pid_t start(uint64_t flags, int cgroup)
{
	struct clone_args arguments = {.flags = flags, .exit_signal = (unsigned)SIGCHLD};

	if (cgroup >= 0) {
		arguments.flags |= (unsigned long long)CLONE_INTO_CGROUP;
		arguments.cgroup = (unsigned)cgroup;
	}
	return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

pid_t chaos_fork(struct chaos *chaos, size_t place, bool is_apart)
{
	int cgroup = chaos->has_frozen && place < MOST_FROZEN ? chaos->frozen[place] : -1;

	is_apart = is_apart && chaos->has_apart;
	return is_apart || cgroup >= 0 ? start(is_apart ? CLONE_NEWPID : 0, cgroup) : fork();
}

static bool can_start(uint64_t flags, int cgroup)
{
	pid_t pid = start(flags, cgroup);

	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

/* ---- the machine ---- */

/* The name changes from one description to another in one step. */
int chaos_change_machine(struct chaos *chaos, enum form form)
{
	static const char *const endings[FORMS] = {
		[FULL] = "full.json", [UNPLACED] = "unplaced.json", [LISTED] = "list.txt"};
	char target[64], fresh[4096];

	(void)snprintf(target, sizeof target, "machines/%lld.%s",
		       (long long)chaos_below(chaos, chaos->variants), endings[form]);
	(void)snprintf(fresh, sizeof fresh, "%s/next", chaos->folder);
	if (symlink(target, fresh) < 0)
		return -1;
	return rename(fresh, chaos->machines[form]);
}

int chaos_prepare(struct chaos *chaos)
{
	for (int form = 0; form < FORMS; form++) {
		(void)snprintf(chaos->machines[form], sizeof chaos->machines[form], "%s/%s",
			       chaos->folder,
			       form == FULL       ? "full"
			       : form == UNPLACED ? "unplaced"
						  : "listed");
		if (chaos_change_machine(chaos, (enum form)form) < 0)
			return -1;
	}
	chaos->has_frozen = make_cgroups(chaos) && can_start(0, chaos->frozen[0]);
	chaos->has_apart = can_start(CLONE_NEWPID, -1);
	return 0;
}

void chaos_clean_up(struct chaos *chaos)
{
	remove_cgroups(chaos);
}
