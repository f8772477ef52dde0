/* SPDX-License-Identifier: Apache-2.0 */
/* Looks through /proc for users of fenced nodes; see fence_users.h. */
#include "fence_users.h"

#include "file.h"
#include "text.h"

#include <dirent.h>
#include <fcntl.h>
#include <gpualloc/gpualloc.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATUS_MAX = 1 << 14, GROUPS_MOST = 4096, CAP_SYS_ADMIN_BIT = 21 };

void fence_users_free(struct fence_users *users)
{
	for (size_t i = 0; i < users->count; i++) {
		free(users->list[i].user);
		free(users->list[i].name);
	}
	free(users->list);
	*users = (struct fence_users){0};
}

/* ---- who may anyway ---- */

static bool is_exempt(const struct fence_plan *plan, enum fence_who who, uint64_t id)
{
	for (size_t i = 0; i < plan->exempt_count; i++)
		if (plan->exempt[i].who == who && plan->exempt[i].id == id)
			return true;
	return false;
}

/* What follows a line's name in /proc/PID/status; "" if there is no such line. */
static const char *status_line(const char *status, const char *name)
{
	const char *line = strstr(status, name);

	return line ? line + strlen(name) : "";
}

static bool take(const char **text, int64_t *ret_number)
{
	*text += strspn(*text, " \t");
	return ga_text_take_number(text, UINT32_MAX, ret_number);
}

/* The second number of a line: the first is the real one. */
static int64_t effective(const char *status, const char *name)
{
	const char *line = status_line(status, name);
	int64_t number;

	if (!take(&line, &number))
		return -1;
	return take(&line, &number) ? number : -1;
}

static bool has_exempt_group(const struct fence_plan *plan, const char *status)
{
	const char *line = status_line(status, "\nGroups:");
	int64_t group = effective(status, "\nGid:");

	if (group >= 0 && is_exempt(plan, FENCE_GROUP, (uint64_t)group))
		return true;
	for (int i = 0; i < GROUPS_MOST && take(&line, &group); i++)
		if (is_exempt(plan, FENCE_GROUP, (uint64_t)group))
			return true;
	return false;
}

/* CAP_SYS_ADMIN counts where the user namespace is ours: root runs this outside of containers. */
static bool is_administrator(int64_t pid, const char *status)
{
	char path[64], theirs[64] = "", ours[64] = "";
	unsigned long long caps = strtoull(status_line(status, "\nCapEff:"), NULL, 16);

	(void)snprintf(path, sizeof path, "/proc/%lld/ns/user", (long long)pid);
	return caps >> CAP_SYS_ADMIN_BIT & 1 && readlink(path, theirs, sizeof theirs - 1) > 0 &&
	       readlink("/proc/self/ns/user", ours, sizeof ours - 1) > 0 &&
	       strcmp(theirs, ours) == 0;
}

/* ---- what a process has open ---- */

struct seen {
	const struct fence_node *node;
	bool has_ledger;
};

/* Only files of these names are looked at: there are many others. */
static bool is_of_interest(const char *target)
{
	static const char *const starts[] = {"nvidia", "renderD", "card", "accel"};
	const char *slash = strrchr(target, '/');
	const char *name = slash ? slash + 1 : target;

	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
		if (ga_text_starts(name, starts[i]))
			return true;
	return ga_text_starts(name, "ledger");
}

static void look_at(const struct fence_plan *plan, const struct stat *ledger, int folder,
		    const char *name, struct seen *seen)
{
	char target[PATH_MAX];
	ssize_t size = readlinkat(folder, name, target, sizeof target - 1);
	struct stat status;

	if (size <= 0)
		return;
	target[size] = '\0';
	if (!is_of_interest(target) || ga_file_identify(folder, name, &status) < 0)
		return;
	if (status.st_dev == ledger->st_dev && status.st_ino == ledger->st_ino)
		seen->has_ledger = true;
	for (size_t i = 0; S_ISCHR(status.st_mode) && i < plan->nodes.count; i++)
		if (plan->nodes.list[i].number == status.st_rdev)
			seen->node = &plan->nodes.list[i];
}

static struct seen look_into(const struct fence_plan *plan, const struct stat *ledger, int64_t pid)
{
	struct seen seen = {0};
	const struct dirent *entry;
	char path[64];
	DIR *folder;

	(void)snprintf(path, sizeof path, "/proc/%lld/fd", (long long)pid);
	folder = opendir(path);
	while (folder && !seen.has_ledger && (entry = readdir(folder)))
		look_at(plan, ledger, dirfd(folder), entry->d_name, &seen);
	if (folder)
		closedir(folder);
	return seen;
}

static char *user_name(int64_t id)
{
	const struct passwd *entry = getpwuid((uid_t)id);
	char *text;

	if (entry)
		return strdup(entry->pw_name);
	return asprintf(&text, "%lld", (long long)id) < 0 ? NULL : text;
}

static int add(struct fence_users *users, int64_t pid, const char *status,
	       const struct fence_node *node)
{
	struct fence_user *longer = reallocarray(users->list, users->count + 1, sizeof *longer);
	const char *name = status_line(status, "Name:");
	struct fence_user *user;

	if (!longer)
		return GPUALLOC_ENOMEM;
	users->list = longer;
	user = &longer[users->count++];
	*user = (struct fence_user){.pid = pid};
	(void)snprintf(user->node, sizeof user->node, "%s", node->path);
	user->user = user_name(effective(status, "\nUid:"));
	user->name = ga_text_clean(name, strcspn(name, "\n"));
	return user->user && user->name ? 0 : GPUALLOC_ENOMEM;
}

static int consider(const struct fence_plan *plan, const struct stat *ledger, int64_t pid,
		    struct fence_users *users)
{
	struct seen seen = look_into(plan, ledger, pid);
	char path[64], status[STATUS_MAX];
	int64_t id;

	(void)snprintf(path, sizeof path, "/proc/%lld/status", (long long)pid);
	if (!seen.node || seen.has_ledger || ga_file_peek("", path, status, sizeof status) <= 0)
		return 0;
	id = effective(status, "\nUid:");
	if (id >= 0 && is_exempt(plan, FENCE_USER, (uint64_t)id))
		return 0;
	if (has_exempt_group(plan, status) || is_administrator(pid, status))
		return 0;
	return add(users, pid, status, seen.node);
}

int fence_users_find(const struct fence_plan *plan, struct fence_users *ret_users)
{
	struct stat ledger = {0};
	const struct dirent *entry;
	DIR *folder = opendir("/proc");
	int64_t pid;
	int result = 0;

	*ret_users = (struct fence_users){0};
	(void)stat(plan->ledger, &ledger);
	while (folder && result == 0 && (entry = readdir(folder)))
		if (ga_text_number(entry->d_name, strlen(entry->d_name), INT32_MAX, &pid))
			result = consider(plan, &ledger, pid, ret_users);
	if (folder)
		closedir(folder);
	if (result < 0)
		fence_users_free(ret_users);
	return result;
}

/* ---- services ---- */

const char *fence_service_account(const struct fence_plan *plan, size_t i)
{
	static const char *const accounts[] = {"nvidia-persistenced", "nvidia-dcgm", "dcgm"};

	for (size_t k = 0; k < sizeof accounts / sizeof *accounts; k++) {
		const struct passwd *entry = getpwnam(accounts[k]);

		if (!entry || is_exempt(plan, FENCE_USER, entry->pw_uid) ||
		    is_exempt(plan, FENCE_GROUP, entry->pw_gid))
			continue;
		if (i-- == 0)
			return accounts[k];
	}
	return NULL;
}
