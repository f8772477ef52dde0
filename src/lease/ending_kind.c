/* SPDX-License-Identifier: Apache-2.0 */
/* Keepers, multiplexers, ancestors, and processes that lost the descriptor; see ending_kind.h. */
#include "ending_kind.h"

#include "file.h"
#include "text.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A command line is read as far as it is shown, an environment whole: it may be megabytes. */
enum { COMMAND_MAX = 512, ENVIRONMENT_MAX = 1 << 23, ANCESTORS_MOST = 1024 };

/* ---- one process ---- */

static long peek(pid_t pid, const char *name, char *text, size_t size)
{
	char path[40];

	(void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	return ga_file_peek("", path, text, size);
}

static pid_t parent_of(pid_t pid)
{
	char text[512];
	const char *rest;
	long length = peek(pid, "stat", text, sizeof text);
	int64_t parent;

	/* ") S 123 …", after a name that may contain anything. */
	rest = length > 0 ? strrchr(text, ')') : NULL;
	if (!rest || strlen(rest) < 5 ||
	    !ga_text_number(rest + 4, strcspn(rest + 4, " "), INT_MAX, &parent))
		return 0;
	return (pid_t)parent;
}

static bool is_ours(pid_t pid)
{
	pid_t at = getpid();

	for (int i = 0; i < ANCESTORS_MOST && at > 1; i++) {
		if (at == pid)
			return true;
		at = parent_of(at);
	}
	return at == pid;
}

/* The second word, "" if there is only one. words ends in two NULs. */
static const char *second(const char *words)
{
	return words + strlen(words) + 1;
}

/* The four uids of a process: real, effective, saved, and for files. */
static bool read_users(pid_t pid, unsigned uids[static 4])
{
	char text[4096];
	const char *line =
		peek(pid, "status", text, sizeof text) > 0 ? strstr(text, "\nUid:") : NULL;

	return line &&
	       sscanf(line, "\nUid: %u %u %u %u", &uids[0], &uids[1], &uids[2], &uids[3]) == 4;
}

/* A set-uid program has more than one user, and its caller is one of them. */
static bool is_of(pid_t pid, int64_t user)
{
	unsigned uids[4];
	bool is_one = false;

	for (int i = 0; user >= 0 && read_users(pid, uids) && i < 4; i++)
		is_one = is_one || uids[i] == user;
	return is_one;
}

int64_t ga_ending_user(const struct ga_holders *found)
{
	int64_t user = GA_UNKNOWN;

	for (size_t i = 0; i < found->count; i++) {
		unsigned uids[4];

		if (!read_users(found->list[i].pid, uids))
			continue;
		if (user >= 0 && uids[0] != user)
			return GA_UNKNOWN;
		user = uids[0];
	}
	return user;
}

static bool is_keeper(const char *words)
{
	return (ga_text_starts(words, "gpualloc-hold") || ga_text_starts(words, "getgpu-hold")) &&
	       strcmp(second(words), "--keep") == 0;
}

static bool is_server(pid_t pid, const char *words)
{
	const char *slash = strrchr(words, '/'), *name = slash ? slash + 1 : words;
	char title[32];

	if (peek(pid, "comm", title, sizeof title) > 0 && ga_text_starts(title, "tmux: server"))
		return true;
	return strcmp(name, "SCREEN") == 0 ||
	       (strcmp(name, "zellij") == 0 && strcmp(second(words), "--server") == 0);
}

int ga_ending_describe(struct gpualloc_holder *end, int64_t user)
{
	char words[COMMAND_MAX + 2] = "", title[32];
	long length = peek(end->pid, "cmdline", words, COMMAND_MAX);

	end->kind = is_ours(end->pid)            ? GPUALLOC_HOLDER_OURS
		    : !is_of(end->pid, user)     ? GPUALLOC_HOLDER_OTHERS
		    : length <= 0                ? GPUALLOC_HOLDER_JOB
		    : is_keeper(words)           ? GPUALLOC_HOLDER_KEEPER
		    : is_server(end->pid, words) ? GPUALLOC_HOLDER_SERVER
						 : GPUALLOC_HOLDER_JOB;
	if (length <= 0) {
		length = peek(end->pid, "comm", title, sizeof title);
		return length > 0 ? ga_set_text(&end->command, title) : 0;
	}
	/* For a keeper show its title only: the rest is meant for itself. */
	if (end->kind == GPUALLOC_HOLDER_KEEPER)
		length = (long)strlen(words);
	for (long i = 0; i < length; i++)
		if (!words[i])
			words[i] = ' ';
	return ga_set_text_sized(&end->command, words, (size_t)length);
}

/* ---- who lost it ---- */

static bool is_told(pid_t pid, const char *id)
{
	ga_auto_buffer struct ga_buffer environment = GA_BUFFER_INIT(ENVIRONMENT_MAX);
	char path[40], entry[16 + GA_ID_TEXT];
	size_t size = (size_t)snprintf(entry, sizeof entry, "GPUALLOC_LEASE=%s", id) + 1;

	(void)snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	if (ga_file_read(path, ENVIRONMENT_MAX, &environment, NULL) < 0)
		return false;
	for (size_t at = 0; at + size <= environment.size;) {
		const char *end = memchr(environment.data + at, '\0', environment.size - at);

		if (memcmp(environment.data + at, entry, size) == 0)
			return true;
		at = end ? (size_t)(end - environment.data) + 1 : environment.size;
	}
	return false;
}

static bool is_listed(const gpualloc_holders *holders, pid_t pid)
{
	for (size_t i = 0; i < holders->count; i++)
		if (holders->list[i].pid == pid)
			return true;
	return false;
}

static bool is_of_user(pid_t pid, uid_t user)
{
	struct stat status;
	char path[32];

	(void)snprintf(path, sizeof path, "/proc/%d", (int)pid);
	return stat(path, &status) == 0 && status.st_uid == user;
}

static int add(gpualloc_holders *holders, pid_t pid, gpualloc_error *error)
{
	struct gpualloc_holder *list =
		reallocarray(holders->list, holders->count + 1, sizeof *list);
	struct gpualloc_holder end = {.pid = pid, .process = -1};

	if (!list)
		return ga_error_memory(error);
	holders->list = list;
	if (ga_ending_describe(&end, holders->user) < 0)
		return ga_error_memory(error);
	end.kind = GPUALLOC_HOLDER_WITHOUT;
	holders->list[holders->count++] = end;
	return 0;
}

/* Only processes of the lease's own user: what other people's processes say proves nothing. */
int ga_ending_add_without(gpualloc_holders *holders, gpualloc_error *error)
{
	ga_auto_record struct ga_record record = {0};
	int result = ga_record_read(&holders->store, holders->number, &record);
	uid_t user = result > 0 ? record.uid : geteuid();
	const struct dirent *entry;
	DIR *folder;
	int64_t pid;

	if (result < 0)
		return ga_error_memory(error);
	result = 0;
	folder = opendir("/proc");
	while (result == 0 && folder && (entry = readdir(folder)))
		if (ga_text_number(entry->d_name, strlen(entry->d_name), INT_MAX, &pid) &&
		    pid != getpid() && !is_listed(holders, (pid_t)pid) &&
		    is_of_user((pid_t)pid, user) && is_told((pid_t)pid, holders->id))
			result = add(holders, (pid_t)pid, error);
	if (folder)
		(void)closedir(folder);
	return result;
}
