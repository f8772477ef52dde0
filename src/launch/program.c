/* SPDX-License-Identifier: Apache-2.0 */
/* Finds a program and becomes it; see program.h. */
#include "program.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0 or an errno. By the effective user, as execve() asks. */
static int try_path(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return errno;
	if (S_ISDIR(status.st_mode))
		return EISDIR;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

int ga_program_refused(const char *path, int reason, gpualloc_error *error)
{
	if (reason == ENOMEM)
		return ga_error_memory(error);
	return ga_error_set(error,
			    reason == ENOENT || reason == ENOTDIR ? GPUALLOC_ENOTFOUND
								  : GPUALLOC_ENOTRUNNABLE,
			    "cannot run %s: %s", path, strerror(reason));
}

/* One entry of PATH; an empty one is the working directory. NULL when out of memory. */
static char *join(const char *folder, size_t size, const char *name)
{
	size_t room = size + strlen(name) + 3;
	char *path = malloc(room);

	if (path && size > 0)
		(void)snprintf(path, room, "%.*s/%s", (int)size, folder, name);
	else if (path)
		(void)snprintf(path, room, "./%s", name);
	return path;
}

/* A file that cannot be run is remembered, as in a shell, but the search continues. */
static int search(const char *name, const char *path, char **ret_path, gpualloc_error *error)
{
	ga_auto_free char *hindered = NULL;
	int hindrance = 0;

	for (const char *at = path;; at++) {
		size_t size = strcspn(at, ":");
		ga_auto_free char *candidate = join(at, size, name);
		int reason;

		if (!candidate)
			return ga_error_memory(error);
		reason = try_path(candidate);
		if (reason == 0) {
			*ret_path = ga_steal(&candidate);
			return 0;
		}
		if (reason == EACCES && !hindered) {
			hindered = ga_steal(&candidate);
			hindrance = reason;
		}
		at += size;
		if (!*at)
			break;
	}
	if (hindered)
		return ga_program_refused(hindered, hindrance, error);
	return ga_error_set(error, GPUALLOC_ENOTFOUND, "there is no program \"%s\" in PATH", name);
}

int ga_program_find(const char *name, const char *path, char **ret_path, gpualloc_error *error)
{
	char *copy;
	int reason;

	if (!*name)
		return ga_error_set(error, GPUALLOC_ENOTFOUND, "the name of the program is empty");
	if (!strchr(name, '/'))
		return search(name, path ? path : "/bin:/usr/bin", ret_path, error);
	reason = try_path(name);
	if (reason)
		return ga_program_refused(name, reason, error);
	copy = strdup(name);
	if (!copy)
		return ga_error_memory(error);
	*ret_path = copy;
	return 0;
}

/* A script without a first line that names its interpreter. */
static int become_shell(const char *path, char *const *arguments, char *const *environment)
{
	size_t count = 0;
	const char **words;

	while (arguments[count])
		count++;
	words = calloc(count + 2, sizeof *words);
	if (!words)
		return ENOMEM;
	words[0] = "sh";
	words[1] = path;
	for (size_t i = 1; i < count; i++)
		words[i + 1] = arguments[i];
	/* execve() takes its strings without const but does not change them. */
	(void)execve("/bin/sh", (char *const *)(void *)words, environment);
	free(words);
	return errno;
}

int ga_program_become(const char *path, char *const *arguments, char *const *environment)
{
	(void)execve(path, arguments, environment);
	return errno == ENOEXEC ? become_shell(path, arguments, environment) : errno;
}
