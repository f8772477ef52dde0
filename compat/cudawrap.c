/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cudawrap: called through a link, it leases one device and becomes CUDAWRAP_<name> in the link's
 * folder. The user of the program notices nothing.
 */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/* /bin/tool becomes /bin/CUDAWRAP_tool; NULL when out of memory. */
static char *wrapped_path(const char *link)
{
	const char *slash = strrchr(link, '/');
	size_t folder = slash ? (size_t)(slash - link) + 1 : 0, size = strlen(link) + 16;
	char *path = malloc(size);

	if (path)
		(void)snprintf(path, size, "%.*sCUDAWRAP_%s", (int)folder, link, link + folder);
	return path;
}

/* The path of the link through which this was called. */
static int find_wrapped(struct one_device *one, const char *called, char **ret_path)
{
	char *link = NULL;
	int result = gpualloc_program_find(called, &link, one->error);

	if (result < 0)
		return fail_error(one, result);
	*ret_path = wrapped_path(link);
	free(link);
	return *ret_path ? 0 : fail_error(one, GPUALLOC_ENOMEM);
}

/* A program that cannot be run is also reported before anything is leased. */
static int check_wrapped(struct one_device *one, const char *path)
{
	char *found = NULL;
	int result = gpualloc_program_find(path, &found, one->error);

	free(found);
	return result < 0 ? fail_error(one, result) : 0;
}

static int become(struct one_device *one, const char *path, char **arguments)
{
	char **environment = NULL;
	int fd, result = gpualloc_lease_settle(one->lease, NULL, 0, one->error);

	if (result == 0)
		result = gpualloc_lease_hand_on(one->lease, &fd, one->error);
	if (result == 0)
		result = gpualloc_lease_environment(one->lease, fd, GPUALLOC_FORM_DEFAULT, NULL,
						    environ, &environment, one->error);
	if (result == 0)
		result = gpualloc_program_become(path, arguments, environment, one->error);
	(void)gpualloc_lease_release(one->lease, NULL);
	free(environment);
	return fail_error(one, result);
}

static const char help[] =
	"usage: NAME [ARGUMENT...], where NAME is a link to cudawrap\n"
	"\n"
	"Leases one MIG instance, or one GPU where there are no instances, and becomes\n"
	"the program CUDAWRAP_NAME in the link's folder: same arguments, same exit\n"
	"status. The lease ends with the program. If nothing is free, the exit status is\n"
	"75.\n"
	"\n"
	"`create_cudawrap PROGRAM` makes such a link, `create_cudawrap --undo PROGRAM`\n"
	"takes it away. If /usr/local/share/gpus/ids (or the file that GPUALLOC_IDS\n"
	"names) exists, only the UUIDs in it are given.\n";

int main(int argc, char **argv)
{
	struct one_device one = {.program = "cudawrap"};
	const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
	char *path = NULL;
	int result;

	name = name ? name + 1 : argc > 0 ? argv[0] : "cudawrap";
	if (strcmp(name, "cudawrap") == 0 && argc > 1 && asks_for_help(argv[1]))
		return print_help(&one, help);
	if (strcmp(name, "cudawrap") == 0)
		return fail(&one, STATUS_USAGE,
			    "runs a program on its own GPU when called through a link; "
			    "`create_cudawrap PROGRAM` makes such a link");
	one.error = gpualloc_error_new();
	result = find_wrapped(&one, argv[0], &path);
	if (result == 0)
		result = check_wrapped(&one, path);
	gpualloc_error_free(one.error);
	one.error = NULL;
	if (result == 0)
		result = look(&one);
	if (result == 0)
		result = lease_one(&one, NULL, name);
	if (result == 0)
		result = become(&one, path, argv);
	free(path);
	one_device_free(&one);
	return result;
}
