/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a lease's descriptor; see holders.h. */
#include "holders.h"

#include "file.h"
#include "locks.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ENVIRONMENT_MAX = 1 << 23, STATUS_MAX = 1 << 16 };

void ga_holders_free(struct ga_holders *holders)
{
	free(holders->list);
	*holders = (struct ga_holders){0};
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

/* What we are looking for. */
struct search {
	const struct ga_store *store;
	uint64_t id;
	const struct ga_record *record; /* everything that it lists must be locked, in a process of
					   its user; or NULL */
	bool first_only;
	struct ga_holders found;
};

/* ---- one process, by its folder in /proc, which stays that process's ---- */

static int open_process(pid_t pid)
{
	char path[32];

	(void)snprintf(path, sizeof path, "/proc/%d", (int)pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/*
 * All four uids of the process must match: a set-uid program inherited from its caller. The owner
 * of its folder in /proc says too little: root owns the folders of processes that we may not look
 * into.
 */
static bool is_of_user(int process, uid_t user)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(STATUS_MAX);
	struct ga_view rest, line;
	unsigned uids[4];

	if (ga_file_read_at(process, "status", STATUS_MAX, &text, NULL) < 0)
		return false;
	rest = (struct ga_view){text.data, text.size};
	while (ga_view_line(&rest, &line))
		if (strncmp(line.text, "Uid:", 4) == 0)
			return sscanf(line.text + 4, "%u %u %u %u", &uids[0], &uids[1], &uids[2],
				      &uids[3]) == 4 &&
			       uids[0] == user && uids[1] == user && uids[2] == user &&
			       uids[3] == user;
	return false;
}

static bool is_ledger(const struct ga_store *store, int process, const char *fd)
{
	struct stat ours, status;
	char path[32];

	(void)snprintf(path, sizeof path, "fd/%.16s", fd);
	return fstat(store->probe, &ours) == 0 && fstatat(process, path, &status, 0) == 0 &&
	       status.st_dev == ours.st_dev && status.st_ino == ours.st_ino;
}

/* 1, 0 or GPUALLOC_ENOMEM. */
static int has_lease(const struct search *search, int process, const char *fd)
{
	ga_auto_locks struct ga_locks locks = {0};
	int result = is_ledger(search->store, process, fd) ? ga_locks_read(process, fd, &locks) : 0;

	if (result <= 0)
		return result;
	return search->record ? ga_locks_are_of(&locks, search->record)
			      : ga_locks_cover(&locks, ga_ledger_id(search->id));
}

/* ---- all processes ---- */

static bool read_number(const char *name, int64_t *ret_number)
{
	return ga_text_number(name, strlen(name), INT_MAX, ret_number);
}

static int add(struct ga_holders *found, pid_t pid, int fd)
{
	struct ga_holder *list = reallocarray(found->list, found->count + 1, sizeof *list);

	if (!list)
		return GPUALLOC_ENOMEM;
	found->list = list;
	list[found->count++] = (struct ga_holder){pid, fd};
	return 0;
}

static DIR *open_descriptors(int process)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;

	if (!folder && fd >= 0)
		close(fd);
	return folder;
}

/* A process that has gone, or that we may not look into, adds nothing. */
static int look_into(struct search *search, pid_t pid)
{
	ga_auto_close int process = open_process(pid);
	ga_cleanup(close_folder) DIR *folder = NULL;
	const struct dirent *entry;
	int result = 0;
	int64_t fd;

	if (process < 0 || (search->record && !is_of_user(process, search->record->uid)))
		return 0;
	folder = open_descriptors(process);
	if (!folder)
		return errno == ENOMEM ? GPUALLOC_ENOMEM : 0;
	while (result == 0 && (entry = readdir(folder)))
		if (read_number(entry->d_name, &fd))
			result = has_lease(search, process, entry->d_name);
	return result > 0 ? add(&search->found, pid, (int)fd) : result;
}

static int look_everywhere(struct search *search, gpualloc_error *error)
{
	ga_cleanup(close_folder) DIR *folder = opendir("/proc");
	const struct dirent *entry;
	int result = 0;
	int64_t pid;

	if (!folder)
		return errno == ENOMEM
			       ? ga_error_memory(error)
			       : ga_error_errno(error, GPUALLOC_EIO, errno, "cannot read /proc");
	for (errno = 0; result == 0 && (entry = readdir(folder)); errno = 0)
		if (read_number(entry->d_name, &pid) &&
		    !(search->first_only && search->found.count > 0))
			result = look_into(search, (pid_t)pid);
	if (result == 0 && errno != 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot read /proc");
	return result < 0 ? ga_error_memory(error) : 0;
}

/* ---- one lease ---- */

static int no_such_lease(const char *id, gpualloc_error *error)
{
	return ga_error_remedy(
		error, ga_error_set(error, GPUALLOC_EPERM, "no lease is called \"%.40s\"", id),
		GPUALLOC_REMEDY_SHOW_LEASES);
}

/* Without a record there is no owner to check: everybody is shown what they may see anyway. */
static int check_owner(const struct ga_store *store, const char *id, uint64_t number,
		       gpualloc_error *error)
{
	ga_auto_record struct ga_record record = {0};
	struct ga_range part;
	int result = ga_record_read(store, number, &record);

	if (result < 0)
		return ga_error_memory(error);
	if (result > 0) {
		if (record.uid == geteuid() || geteuid() == 0)
			return 0;
		return ga_error_set(error, GPUALLOC_EPERM,
				    "lease %s belongs to %s, and only they and root see its "
				    "processes",
				    id, record.user);
	}
	if (ga_ledger_is_held(store->probe, ga_ledger_id(number), &part) == 1)
		return 0;
	return no_such_lease(id, error);
}

static int find(struct search *search, struct ga_holders *ret_holders, gpualloc_error *error)
{
	int result = look_everywhere(search, error);

	if (result < 0)
		ga_holders_free(&search->found);
	else
		*ret_holders = search->found;
	return result;
}

int ga_holders_find(const struct ga_store *store, const char *id, struct ga_holders *ret_holders,
		    gpualloc_error *error)
{
	struct search search = {.store = store};
	int result;

	if (!ga_id_parse(id, &search.id))
		return no_such_lease(id, error);
	result = check_owner(store, id, search.id, error);
	return result < 0 ? result : find(&search, ret_holders, error);
}

/* ---- proof ---- */

int ga_holders_prove(const struct ga_store *store, const struct ga_record *record,
		     struct ga_holder *ret_holder, gpualloc_error *error)
{
	ga_auto_holders struct ga_holders holders = {0};
	struct search search = {
		.store = store, .id = record->id, .record = record, .first_only = true};
	int result = find(&search, &holders, error);

	if (result < 0)
		return result;
	if (holders.count == 0)
		return 0;
	*ret_holder = holders.list[0];
	return 1;
}

int ga_holders_check(const struct ga_store *store, const struct ga_record *record,
		     const struct ga_holder *holder)
{
	const struct search search = {.store = store, .id = record->id, .record = record};
	ga_auto_close int process = open_process(holder->pid ? holder->pid : getpid());
	char fd[16];

	(void)snprintf(fd, sizeof fd, "%d", holder->fd);
	if (process < 0 || (holder->pid && !is_of_user(process, record->uid)))
		return 0;
	return has_lease(&search, process, fd);
}

/* ---- joining ---- */

static bool names_lease(const char *entry, const char *id)
{
	return ga_text_starts(entry, "GPUALLOC_LEASE=") && strcmp(strchr(entry, '=') + 1, id) == 0;
}

/*
 * Its environment, if it belongs to the user both before and after: else somebody else may have
 * written it.
 */
static int read_environment(pid_t pid, uid_t user, struct ga_buffer *environment)
{
	ga_auto_close int process = open_process(pid);
	int result;

	if (process < 0 || !is_of_user(process, user))
		return 0;
	result = ga_file_read_at(process, "environ", ENVIRONMENT_MAX, environment, NULL);
	if (result < 0)
		return result == GPUALLOC_ENOMEM ? result : 0;
	return is_of_user(process, user);
}

/* What its program was told: 1; 0 if that was about another lease or none; GPUALLOC_ENOMEM. */
static int read_variables(pid_t pid, const struct ga_record *record, const char *id,
			  bool (*counts)(const char *entry), struct ga_buffer *ret_variables)
{
	ga_auto_buffer struct ga_buffer environment = GA_BUFFER_INIT(ENVIRONMENT_MAX);
	int is_in = 0, result = read_environment(pid, record->uid, &environment);

	if (result <= 0)
		return result;
	environment.limit++;
	ga_buffer_char(&environment, '\0'); /* it may have overwritten its own memory */
	for (size_t at = 0; !environment.failed && at < environment.size;) {
		const char *entry = environment.data + at;
		size_t size = strlen(entry) + 1;

		if (counts(entry))
			ga_buffer_append(ret_variables, entry, size);
		is_in |= names_lease(entry, id);
		at += size;
	}
	ga_buffer_char(ret_variables, '\0');
	return environment.failed || ret_variables->failed ? GPUALLOC_ENOMEM : is_in;
}

/* A descriptor, or -errno. */
static int copy_descriptor(const struct ga_holder *holder)
{
	ga_auto_close int process = (int)syscall(SYS_pidfd_open, holder->pid, 0);
	int fd = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, holder->fd, 0);

	return fd < 0 ? -errno : fd;
}

/* Where the kernel, or what guards this system, lets no process take another's descriptor. */
static bool is_forbidden(int reason)
{
	return reason == EPERM || reason == EACCES || reason == ENOSYS;
}

/*
 * 1 with the lease's descriptor, or with -1 where descriptors cannot be taken and the process still
 * has the lease; 0 if it has it no longer; or a negative GPUALLOC_E…. The process may end at any
 * moment, and the number may have become that of another file.
 */
static int join_one(const struct ga_store *store, const struct ga_record *record,
		    const struct ga_holder *holder, int *ret_fd, gpualloc_error *error)
{
	int fd = copy_descriptor(holder), result;

	if (fd < 0 && !is_forbidden(-fd))
		return fd == -ESRCH || fd == -EBADF || fd == -EINVAL
			       ? 0
			       : ga_error_errno(error, GPUALLOC_EIO, -fd,
						"cannot take over the lease's descriptor");
	result = ga_holders_check(store, record, fd < 0 ? holder : &(struct ga_holder){0, fd});
	if (result > 0)
		*ret_fd = fd < 0 ? -1 : fd;
	else if (fd >= 0)
		close(fd);
	return result < 0 ? ga_error_memory(error) : result;
}

/* 1 if one could be joined, 0 if none was told about the lease or all of them have ended. */
static int join_any(const struct ga_store *store, const struct ga_record *record,
		    bool (*counts)(const char *entry), const struct ga_holders *holders,
		    int *ret_fd, char **ret_variables, gpualloc_error *error)
{
	char id[GA_ID_TEXT];

	ga_id_text(record->id, id);
	for (size_t i = 0; i < holders->count; i++) {
		ga_auto_buffer struct ga_buffer variables = GA_BUFFER_INIT(ENVIRONMENT_MAX);
		int result = read_variables(holders->list[i].pid, record, id, counts, &variables);

		if (result < 0)
			return ga_error_memory(error);
		if (result > 0)
			result = join_one(store, record, &holders->list[i], ret_fd, error);
		if (result < 0)
			return result;
		if (result == 0)
			continue;
		*ret_variables = ga_steal(&variables.data);
		return 1;
	}
	return 0;
}

static int nobody_told(const struct ga_store *store, const struct ga_record *record, const char *id,
		       gpualloc_error *error)
{
	struct ga_range part;

	if (ga_ledger_is_held(store->probe, ga_ledger_id(record->id), &part) == 0)
		return ga_error_remedy(
			error, ga_error_set(error, GPUALLOC_EPERM, "lease %s has just ended", id),
			GPUALLOC_REMEDY_SHOW_LEASES);
	return ga_error_remedy(
		error,
		ga_error_set(error, GPUALLOC_EPERM,
			     "no program was told about lease %s, so there is nothing to join; set "
			     "GPUALLOC_LEASE=%s in the environment to lease inside it",
			     id, id),
		GPUALLOC_REMEDY_LEASE_WITHIN);
}

int ga_holders_join(const struct ga_store *store, const char *id, bool (*counts)(const char *entry),
		    int *ret_fd, char **ret_variables, gpualloc_error *error)
{
	enum { LOOKS = 3 }; /* those that one look found may have ended, and left children */
	ga_auto_record struct ga_record record = {0};
	struct search search = {.store = store, .record = &record};
	int result = ga_id_parse(id, &search.id) ? ga_record_read(store, search.id, &record) : 0;

	if (result < 0)
		return ga_error_memory(error);
	if (result == 0 || record.uid != geteuid())
		return ga_error_remedy(
			error,
			ga_error_set(error, GPUALLOC_EPERM, "you have no lease \"%.40s\"", id),
			GPUALLOC_REMEDY_SHOW_LEASES);
	result = 0;
	for (int i = 0; result == 0 && i < LOOKS; i++) {
		ga_auto_holders struct ga_holders holders = {0};

		search.found = (struct ga_holders){0};
		result = find(&search, &holders, error);
		if (result == 0)
			result = join_any(store, &record, counts, &holders, ret_fd, ret_variables,
					  error);
	}
	if (result != 0)
		return result < 0 ? result : 0;
	return nobody_told(store, &record, id, error);
}
