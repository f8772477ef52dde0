/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create_cudawrap: puts cudawrap in front of programs. The program's file gets another name in the
 * same folder and keeps its owner, mode and times. A link is renamed into its place, so the name is
 * never missing, and a failure at any step leaves the program as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <gpualloc/gpualloc.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "CUDAWRAP_"

enum { STATUS_USAGE = 64, STATUS_FAILED = 74, STATUS_PERMISSION = 77 };

struct program {
	const char *path;
	char name[NAME_MAX + 1];
	char wrapped[NAME_MAX + 1]; /* CUDAWRAP_name */
	char passing[NAME_MAX + 1]; /* for a moment, before a rename */
	int folder;
};

static int refuse(const char *path, const char *why)
{
	(void)fprintf(stderr, "create_cudawrap: %s: %s\n", path, why);
	return STATUS_FAILED;
}

static int refuse_errno(const char *path, int reason)
{
	(void)refuse(path, strerror(reason));
	return reason == EACCES || reason == EPERM || reason == EROFS ? STATUS_PERMISSION
								      : STATUS_FAILED;
}

static int open_program(const char *path, struct program *program)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX] = ".";
	const char *name = slash ? slash + 1 : path;

	if (slash && (size_t)(slash - path) >= sizeof folder)
		return refuse_errno(path, ENAMETOOLONG);
	if (slash)
		(void)snprintf(folder, sizeof folder, "%.*s",
			       slash == path ? 1 : (int)(slash - path), path);
	if (!*name || strlen(name) + 32 > NAME_MAX)
		return refuse(path, "not the name of a program");
	program->path = path;
	(void)snprintf(program->name, sizeof program->name, "%s", name);
	(void)snprintf(program->wrapped, sizeof program->wrapped, PREFIX "%.200s", name);
	(void)snprintf(program->passing, sizeof program->passing, "." PREFIX "%d", (int)getpid());
	program->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return program->folder < 0 ? refuse_errno(path, errno) : 0;
}

static bool is_there(const struct program *program, const char *name, struct stat *status)
{
	return fstatat(program->folder, name, status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* cudawrap in the folder of this program, however this one was called. */
static int find_cudawrap(char path[static PATH_MAX])
{
	ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 16);
	char *slash;

	if (size < 0)
		return errno;
	path[size] = '\0';
	slash = strrchr(path, '/');
	(void)strcpy(slash ? slash + 1 : path, "cudawrap");
	return access(path, X_OK) < 0 ? errno : 0;
}

/* ---- there ---- */

static int check_unwrapped(const struct program *program)
{
	struct stat status, other;

	if (!is_there(program, program->name, &status))
		return refuse_errno(program->path, errno);
	/* A link there was left by an interrupted wrapping. */
	if (is_there(program, program->wrapped, &other) && S_ISLNK(other.st_mode) &&
	    S_ISREG(status.st_mode))
		(void)unlinkat(program->folder, program->wrapped, 0);
	else if (is_there(program, program->wrapped, &other))
		return refuse(program->path, "it is already wrapped");
	if (strncmp(program->name, PREFIX, strlen(PREFIX)) == 0)
		return refuse(program->path, "it is the original file of a wrapped program");
	if (S_ISLNK(status.st_mode))
		return refuse(program->path, "it is a link; wrap the file it points to");
	if (!S_ISREG(status.st_mode) || !(status.st_mode & 0111))
		return refuse(program->path, "it is not an executable file");
	return 0;
}

/*
 * For file systems that cannot exchange names: gives the program a second name, then renames a link
 * over the first.
 */
static int wrap_by_link(const struct program *program, const char *cudawrap)
{
	int reason = 0;

	if (linkat(program->folder, program->name, program->folder, program->wrapped, 0) < 0)
		return errno;
	if (symlinkat(cudawrap, program->folder, program->passing) < 0)
		reason = errno;
	else if (renameat(program->folder, program->passing, program->folder, program->name) < 0)
		reason = errno;
	if (!reason)
		return 0;
	(void)unlinkat(program->folder, program->passing, 0);
	(void)unlinkat(program->folder, program->wrapped, 0);
	return reason;
}

/* Makes a link under the new name, then exchanges both names in one step. 0 or an errno. */
static int put_in_front(const struct program *program, const char *cudawrap)
{
	int reason;

	if (symlinkat(cudawrap, program->folder, program->wrapped) < 0)
		return errno;
	if (renameat2(program->folder, program->name, program->folder, program->wrapped,
		      RENAME_EXCHANGE) == 0)
		return 0;
	reason = errno;
	(void)unlinkat(program->folder, program->wrapped, 0);
	return reason == EINVAL || reason == ENOSYS ? wrap_by_link(program, cudawrap) : reason;
}

static int wrap(const struct program *program)
{
	char cudawrap[PATH_MAX];
	int result = check_unwrapped(program), reason;

	if (result)
		return result;
	reason = find_cudawrap(cudawrap);
	if (reason)
		return refuse_errno("cudawrap", reason);
	reason = put_in_front(program, cudawrap);
	return reason ? refuse_errno(program->path, reason) : 0;
}

/* ---- and back ---- */

static int unwrap(const struct program *program)
{
	struct stat status, other;

	if (!is_there(program, program->wrapped, &other))
		return refuse(program->path, "it is not wrapped");
	if (is_there(program, program->name, &status) && !S_ISLNK(status.st_mode))
		return refuse(program->path,
			      "there is a file in its place, not a link; nothing was done");
	if (renameat(program->folder, program->wrapped, program->folder, program->name) < 0)
		return refuse_errno(program->path, errno);
	return 0;
}

static int show(const struct program *program)
{
	struct stat status;

	if (is_there(program, program->wrapped, &status))
		(void)puts(program->path);
	return 0;
}

static int usage(int status)
{
	(void)fputs(
		"usage: create_cudawrap [--undo|--list] PATH...\n"
		"\n"
		"Puts cudawrap in front of programs: whoever starts one gets a MIG instance (or a\n"
		"GPU) of their own, for as long as it runs. The program itself becomes\n"
		"CUDAWRAP_NAME in the same folder.\n"
		"\n"
		"  --undo  takes it away again\n"
		"  --list  prints those of the programs that are wrapped\n"
		"  --help  shows this help and exits\n"
		"\n"
		"example: sudo create_cudawrap /usr/local/bin/train\n",
		status ? stderr : stdout);
	return status;
}

int main(int argc, char **argv)
{
	int (*work)(const struct program *program) = wrap;
	int at = 1, status = 0;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return usage(0) || fflush(stdout) != 0 ? STATUS_FAILED : 0;
	if (argc > 1 && strcmp(argv[1], "--undo") == 0)
		work = unwrap;
	else if (argc > 1 && strcmp(argv[1], "--list") == 0)
		work = show;
	at += work != wrap;
	if (at < argc && strcmp(argv[at], "--") == 0)
		at++;
	else if (at < argc && argv[at][0] == '-')
		return usage(STATUS_USAGE);
	if (at >= argc)
		return usage(STATUS_USAGE);
	for (; at < argc; at++) {
		struct program program = {.folder = -1};
		int result = open_program(argv[at], &program);

		if (result == 0)
			result = work(&program);
		if (program.folder >= 0)
			close(program.folder);
		status = status ? status : result;
	}
	return fflush(stdout) == 0 ? status : STATUS_FAILED;
}
