/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a lease's descriptor; see holders.h. */
#include "holders.h"

#include "file.h"
#include "nest.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A lease of a thousand devices has a line for each of them; an environment may have megabytes. */
enum { FDINFO_MAX = 1 << 20, ENVIRONMENT_MAX = 1 << 23 };

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

/* What is being looked for. */
struct search {
	struct stat ledger;
	char locked[48]; /* " FIRST LAST", as the line of the id's lock ends */
	struct ga_holders found;
};

/* ---- one descriptor ---- */

/* 1, 0 or GPUALLOC_ENOMEM. */
static int has_lock(const struct search *search, pid_t pid, const char *fd)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(FDINFO_MAX);
	struct ga_view rest, line;
	size_t size = strlen(search->locked);
	char path[64];
	int result;

	(void)snprintf(path, sizeof path, "/proc/%d/fdinfo/%.16s", (int)pid, fd);
	result = ga_file_read(path, FDINFO_MAX, &text, NULL);
	if (result < 0)
		return result == GPUALLOC_ENOMEM ? result : 0;
	rest = (struct ga_view){text.data, text.size};
	while (ga_view_line(&rest, &line))
		if (line.size > size && strncmp(line.text, "lock:", 5) == 0 &&
		    memcmp(line.text + line.size - size, search->locked, size) == 0)
			return 1;
	return 0;
}

static bool is_ledger(const struct search *search, int folder, const char *fd)
{
	struct stat status;

	return fstatat(folder, fd, &status, 0) == 0 && status.st_dev == search->ledger.st_dev &&
	       status.st_ino == search->ledger.st_ino;
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

/* Nothing comes of one that has gone or may not be looked into. */
static int look_into(struct search *search, pid_t pid)
{
	ga_cleanup(close_folder) DIR *folder = NULL;
	const struct dirent *entry;
	char path[32];
	int result = 0;
	int64_t fd;

	(void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	if (!folder)
		return errno == ENOMEM ? GPUALLOC_ENOMEM : 0;
	while (result == 0 && (entry = readdir(folder)))
		if (read_number(entry->d_name, &fd) &&
		    is_ledger(search, dirfd(folder), entry->d_name))
			result = has_lock(search, pid, entry->d_name);
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
	while (result == 0 && (entry = readdir(folder)))
		if (read_number(entry->d_name, &pid))
			result = look_into(search, (pid_t)pid);
	return result < 0 ? ga_error_memory(error) : 0;
}

/* ---- one lease ---- */

static int no_such_lease(const char *id, gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_EPERM,
			    "no lease is called \"%.40s\"; `gpualloc leases` shows what there is",
			    id);
}

/* Of a lease without a record whoever may look is told what he sees. */
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

static int find(const struct ga_store *store, uint64_t number, struct ga_holders *ret_holders,
		gpualloc_error *error)
{
	struct search search = {0};
	long long first = (long long)ga_ledger_id(number).start;
	int result;

	if (fstat(store->probe, &search.ledger) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot read the store %s",
				      store->path);
	(void)snprintf(search.locked, sizeof search.locked, " %lld %lld", first, first);
	result = look_everywhere(&search, error);
	if (result < 0)
		ga_holders_free(&search.found);
	else
		*ret_holders = search.found;
	return result;
}

int ga_holders_find(const struct ga_store *store, const char *id, struct ga_holders *ret_holders,
		    gpualloc_error *error)
{
	uint64_t number;
	int result;

	if (!ga_id_parse(id, &number))
		return no_such_lease(id, error);
	result = check_owner(store, id, number, error);
	return result < 0 ? result : find(store, number, ret_holders, error);
}

/* ---- joining ---- */

static bool is_about_devices(const char *entry)
{
	return ga_text_starts(entry, "CUDA_DEVICE_ORDER=") ||
	       ga_text_starts(entry, "CUDA_VISIBLE_DEVICES=") ||
	       ga_text_starts(entry, "NVIDIA_VISIBLE_DEVICES=") ||
	       ga_text_starts(entry, "GPUALLOC_");
}

static bool names_lease(const char *entry, const char *id)
{
	return ga_text_starts(entry, "GPUALLOC_LEASE=") && strcmp(strchr(entry, '=') + 1, id) == 0;
}

/* What its program was told: 1; 0 where that was of another lease or of none; GPUALLOC_ENOMEM. */
static int read_variables(pid_t pid, const char *id, struct ga_buffer *ret_variables)
{
	ga_auto_buffer struct ga_buffer environment = GA_BUFFER_INIT(ENVIRONMENT_MAX);
	int is_in = 0, result;
	char path[32];

	(void)snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	result = ga_file_read(path, ENVIRONMENT_MAX, &environment, NULL);
	if (result < 0)
		return result == GPUALLOC_ENOMEM ? result : 0;
	environment.limit++;
	ga_buffer_char(&environment, '\0'); /* whatever it wrote over its own memory */
	for (size_t at = 0; !environment.failed && at < environment.size;) {
		const char *entry = environment.data + at;
		size_t size = strlen(entry) + 1;

		if (is_about_devices(entry))
			ga_buffer_append(ret_variables, entry, size);
		is_in |= names_lease(entry, id);
		at += size;
	}
	ga_buffer_char(ret_variables, '\0');
	return environment.failed || ret_variables->failed ? GPUALLOC_ENOMEM : is_in;
}

static int copy_descriptor(const struct ga_holder *holder)
{
	int process = (int)syscall(SYS_pidfd_open, holder->pid, 0), fd;

	if (process < 0)
		return -1;
	fd = (int)syscall(SYS_pidfd_getfd, process, holder->fd, 0);
	close(process);
	return fd;
}

/* The number may have become that of another file meanwhile. */
static int join_one(const struct ga_store *store, const struct ga_holder *holder, uint64_t number)
{
	int fd = copy_descriptor(holder);

	if (fd < 0 || (ga_store_is_ledger(store, fd) &&
		       ga_nest_is_held_through(store, fd, ga_ledger_id(number))))
		return fd;
	close(fd);
	return -1;
}

int ga_holders_join(const struct ga_store *store, const char *id, int *ret_fd, char **ret_variables,
		    gpualloc_error *error)
{
	ga_auto_holders struct ga_holders holders = {0};
	ga_auto_record struct ga_record record = {0};
	uint64_t number;
	int result = ga_id_parse(id, &number) ? ga_record_read(store, number, &record) : 0;

	if (result < 0)
		return ga_error_memory(error);
	if (result == 0 || record.uid != geteuid())
		return ga_error_set(
			error, GPUALLOC_EPERM,
			"no lease of yours is called \"%.40s\"; `gpualloc leases` shows "
			"what there is",
			id);
	result = find(store, number, &holders, error);
	for (size_t i = 0; result == 0 && i < holders.count; i++) {
		ga_auto_buffer struct ga_buffer variables = GA_BUFFER_INIT(ENVIRONMENT_MAX);
		int told = read_variables(holders.list[i].pid, id, &variables);

		if (told < 0)
			return ga_error_memory(error);
		if (told == 0)
			continue;
		*ret_fd = join_one(store, &holders.list[i], number);
		*ret_variables = ga_steal(&variables.data);
		return 0;
	}
	if (result < 0)
		return result;
	return ga_error_set(error, GPUALLOC_EPERM,
			    "lease %s has no program that was told of it, so there is nothing to "
			    "join; GPUALLOC_LEASE=%s gpualloc run ... leases within it",
			    id, id);
}
