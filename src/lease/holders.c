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

enum { ENVIRONMENT_MAX = 1 << 23, STATUS_SIZE = 2048 };

/*
 * What a look at other users' processes may cost, in descriptors. One on the ledger costs more than
 * another, for the kernel goes through its list of locks, and each lock found there costs more.
 */
enum { OTHERS_COST = 1 << 16, LEDGER_COST = 16 };

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

struct pids {
	pid_t *list;
	size_t count;
};

/* What we are looking for, and how. */
struct search {
	const struct ga_store *store;
	struct stat ledger;
	uint64_t id;
	const struct ga_record *record; /* everything that it lists must be locked, in a process of
					   its user; or NULL */
	int64_t user; /* whose processes are looked into first; GA_UNKNOWN: all are alike */
	bool first_only;
	int64_t left; /* what the rest may cost; GA_UNKNOWN: anything */
	struct pids others;
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
 * Its four uids: real, effective, saved, and for files. The owner of its folder in /proc says too
 * little: root owns the folders of processes that we may not look into. The line is among the
 * first.
 */
static bool read_users(int process, unsigned uids[static 4])
{
	ga_auto_close int file = openat(process, "status", O_RDONLY | O_CLOEXEC);
	char text[STATUS_SIZE];
	ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
	const char *line;

	if (size < 0)
		return false;
	text[size] = '\0';
	line = strstr(text, "\nUid:");
	return line &&
	       sscanf(line, "\nUid: %u %u %u %u", &uids[0], &uids[1], &uids[2], &uids[3]) == 4;
}

/* All four must match: a set-uid program inherited from its caller. */
static bool is_of_user(int process, uid_t user)
{
	unsigned uids[4];

	return read_users(process, uids) && uids[0] == user && uids[1] == user && uids[2] == user &&
	       uids[3] == user;
}

/* Whoever started a set-uid program must not seem to be the user that it belongs to. */
static bool is_started_by(int process, int64_t user)
{
	unsigned uids[4];

	return read_users(process, uids) && uids[0] == user;
}

static bool is_ledger(const struct search *search, int process, const char *fd)
{
	struct stat status;
	char path[32];

	(void)snprintf(path, sizeof path, "fd/%.16s", fd);
	return ga_file_identify(process, path, &status) == 0 &&
	       status.st_dev == search->ledger.st_dev && status.st_ino == search->ledger.st_ino;
}

/* 1, 0 or GPUALLOC_ENOMEM; and what the look cost. */
static int has_lease(const struct search *search, int process, const char *fd, int64_t *ret_cost)
{
	ga_auto_locks struct ga_locks locks = {0};
	bool is_on_ledger = is_ledger(search, process, fd);
	int result = is_on_ledger ? ga_locks_read(process, fd, &locks) : 0;

	*ret_cost = is_on_ledger ? LEDGER_COST + (int64_t)locks.count : 1;
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

/*
 * A process that has gone, or that we may not look into, adds nothing. Looks at no more descriptors
 * when the rest may cost nothing more.
 */
static int look_into(struct search *search, pid_t pid, int process)
{
	ga_cleanup(close_folder) DIR *folder = open_descriptors(process);
	const struct dirent *entry;
	int result = 0;
	int64_t fd, cost;

	if (!folder)
		return errno == ENOMEM ? GPUALLOC_ENOMEM : 0;
	while (result == 0 && (entry = readdir(folder))) {
		if (!read_number(entry->d_name, &fd))
			continue;
		if (search->left == 0) {
			search->found.unseen++;
			return 0;
		}
		result = has_lease(search, process, entry->d_name, &cost);
		if (search->left > 0)
			search->left -= cost < search->left ? cost : search->left;
	}
	return result > 0 ? add(&search->found, pid, (int)fd) : result;
}

static int put_off(struct pids *others, pid_t pid)
{
	pid_t *list = reallocarray(others->list, others->count + 1, sizeof *list);

	if (!list)
		return GPUALLOC_ENOMEM;
	others->list = list;
	list[others->count++] = pid;
	return 0;
}

static int look_or_put_off(struct search *search, pid_t pid)
{
	ga_auto_close int process = open_process(pid);

	if (process < 0 || (search->record && !is_of_user(process, search->record->uid)))
		return 0;
	if (search->user >= 0 && !is_started_by(process, search->user))
		return put_off(&search->others, pid);
	return look_into(search, pid, process);
}

static int compare_pids(const void *a, const void *b)
{
	const struct ga_holder *one = a, *other = b;

	return (one->pid > other->pid) - (one->pid < other->pid);
}

/*
 * A lease may lie in processes of other users, who inherited it or were handed it. They come last,
 * and must not take long: anybody can have thousands of descriptors on the ledger.
 */
static int look_at_others(struct search *search)
{
	int result = 0;

	search->left = OTHERS_COST;
	for (size_t i = 0; result == 0 && i < search->others.count; i++) {
		ga_auto_close int process = open_process(search->others.list[i]);

		if (process >= 0)
			result = look_into(search, search->others.list[i], process);
	}
	if (search->found.count > 1)
		qsort(search->found.list, search->found.count, sizeof *search->found.list,
		      compare_pids);
	return result;
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
			result = look_or_put_off(search, (pid_t)pid);
	if (result == 0 && errno != 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot read /proc");
	if (result == 0 && search->user >= 0)
		result = look_at_others(search);
	return result < 0 ? ga_error_memory(error) : 0;
}

static struct search search_for(const struct ga_store *store, const struct ga_record *record)
{
	struct search search = {.store = store,
				.record = record,
				.id = record ? record->id : 0,
				.user = GA_UNKNOWN,
				.left = GA_UNKNOWN};

	/* If that fails no descriptor is taken for one of the ledger. */
	(void)fstat(store->probe, &search.ledger);
	return search;
}

/* ---- one lease ---- */

static int no_such_lease(const char *id, gpualloc_error *error)
{
	return ga_error_remedy(
		error, ga_error_set(error, GPUALLOC_EPERM, "no lease is called \"%.40s\"", id),
		GPUALLOC_REMEDY_SHOW_LEASES);
}

/*
 * Without a record there is no owner to check: everybody is shown what they may see anyway, and it
 * may be anybody's.
 */
static int check_owner(const struct ga_store *store, const char *id, uint64_t number,
		       int64_t *ret_user, gpualloc_error *error)
{
	ga_auto_record struct ga_record record = {0};
	struct ga_range part;
	int result = ga_record_read(store, number, &record);

	if (result < 0)
		return ga_error_memory(error);
	*ret_user = result > 0 ? (int64_t)record.uid : GA_UNKNOWN;
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

	free(search->others.list);
	search->others = (struct pids){0};
	if (result < 0)
		ga_holders_free(&search->found);
	else
		*ret_holders = search->found;
	return result;
}

int ga_holders_find(const struct ga_store *store, const char *id, struct ga_holders *ret_holders,
		    gpualloc_error *error)
{
	struct search search = search_for(store, NULL);
	int result;

	if (!ga_id_parse(id, &search.id))
		return no_such_lease(id, error);
	result = check_owner(store, id, search.id, &search.user, error);
	return result < 0 ? result : find(&search, ret_holders, error);
}

/* ---- proof ---- */

int ga_holders_prove(const struct ga_store *store, const struct ga_record *record,
		     struct ga_holder *ret_holder, gpualloc_error *error)
{
	ga_auto_holders struct ga_holders holders = {0};
	struct search search = search_for(store, record);
	int result;

	search.first_only = true;
	result = find(&search, &holders, error);
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
	const struct search search = search_for(store, record);
	ga_auto_close int process = open_process(holder->pid ? holder->pid : getpid());
	int64_t cost;
	char fd[16];

	(void)snprintf(fd, sizeof fd, "%d", holder->fd);
	if (process < 0 || (holder->pid && !is_of_user(process, record->uid)))
		return 0;
	return has_lease(&search, process, fd, &cost);
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

/* The record of a lease of our own user. */
static int read_own(const struct ga_store *store, const char *id, struct ga_record *ret_record,
		    gpualloc_error *error)
{
	uint64_t number;
	int result = ga_id_parse(id, &number) ? ga_record_read(store, number, ret_record) : 0;

	if (result < 0)
		return ga_error_memory(error);
	if (result == 0 || ret_record->uid != geteuid())
		return ga_error_remedy(
			error,
			ga_error_set(error, GPUALLOC_EPERM, "you have no lease \"%.40s\"", id),
			GPUALLOC_REMEDY_SHOW_LEASES);
	return 0;
}

enum { LOOKS = 3 }; /* those that one look found may have ended, and left children */

int ga_holders_join(const struct ga_store *store, const char *id, bool (*counts)(const char *entry),
		    int *ret_fd, char **ret_variables, gpualloc_error *error)
{
	ga_auto_record struct ga_record record = {0};
	struct search search;
	int result = read_own(store, id, &record, error);

	if (result < 0)
		return result;
	search = search_for(store, &record);
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

int ga_holders_adopt(const struct ga_store *store, const char *id, int *ret_fd,
		     gpualloc_error *error)
{
	ga_auto_record struct ga_record record = {0};
	struct ga_holder holder;
	int result = read_own(store, id, &record, error), joined = 0, fd = -1;

	for (int i = 0; result == 0 && joined == 0 && i < LOOKS; i++) {
		result = ga_holders_prove(store, &record, &holder, error);
		if (result == 0)
			break;
		joined = result > 0 ? join_one(store, &record, &holder, &fd, error) : 0;
		result = result < 0 ? result : joined < 0 ? joined : 0;
	}
	if (result < 0)
		return result;
	if (fd < 0)
		return ga_error_set(
			error, GPUALLOC_EPERM,
			joined > 0 ? "the kernel lets no process take the descriptor of lease %s"
				   : "no process that holds lease %s can be seen",
			id);
	*ret_fd = fd;
	return 0;
}
