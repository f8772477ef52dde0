/* SPDX-License-Identifier: Apache-2.0 */
/* A program without an environment finds what to play beside the library; device nodes as a real
 * driver opens them. */
#include "fake_nvml.h"

#include "prototypes.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fake_read_settings(void)
{
	char path[PATH_MAX], line[PATH_MAX], *value;
	union {
		int (*function)(void);
		void *address;
	} us = {.function = nvmlInit_v2};
	Dl_info library;
	FILE *file = NULL;

	if (dladdr(us.address, &library) &&
	    (size_t)snprintf(path, sizeof path, "%s.conf", library.dli_fname) < sizeof path)
		file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = '\0';
		value = strchr(line, '=');
		if (!value)
			continue;
		*value++ = '\0';
		/* What a test says in the environment comes before that. */
		if (setenv(line, value, 0) < 0)
			abort();
	}
	if (file)
		(void)fclose(file);
}

/* A node without hardware behind it cannot be opened, but was allowed. */
static int open_node(const char *name, int missing, int *ret_fd)
{
	const char *folder = getenv("FAKE_NODES");
	char path[PATH_MAX];

	*ret_fd = -1;
	if (!folder)
		return GA_NVML_SUCCESS;
	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	*ret_fd = open(path, O_RDWR | O_CLOEXEC);
	if (*ret_fd >= 0)
		return GA_NVML_SUCCESS;
	return errno == EPERM || errno == EACCES ? GA_NVML_NO_PERMISSION
	       : errno == ENOENT                 ? missing
						 : GA_NVML_SUCCESS;
}

int fake_open_control(void)
{
	return open_node("nvidiactl", GA_NVML_DRIVER_NOT_LOADED, &fake.control);
}

static long long minor_of(const struct gpualloc_device *gpu)
{
	return gpu->minor >= 0 ? gpu->minor : gpu->index;
}

int fake_open_gpu(size_t index)
{
	const struct gpualloc_device *device = &fake.machine->devices[index];
	struct fake_gpu *gpu = &fake.gpus[index];
	char name[32];
	int result;

	if (gpu->is_open)
		return GA_NVML_SUCCESS;
	(void)snprintf(name, sizeof name, "nvidia%lld",
		       (long long)(device->minor >= 0 ? device->minor : device->index));
	result = open_node(name, GA_NVML_NO_PERMISSION, &gpu->node);
	gpu->is_open = result == GA_NVML_SUCCESS;
	return result;
}

/* The capability that a line of the driver's list gives to an entry, "gpu0/gi1/ci0/access 13". */
static int open_capability(const char *entry)
{
	const char *path = getenv("FAKE_MIG_MINORS");
	FILE *file = path ? fopen(path, "re") : NULL;
	char line[128], name[64], known[64];
	int result = GA_NVML_NO_PERMISSION, fd = -1;
	unsigned number;

	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "%63s %u", known, &number) == 2 && strcmp(known, entry) == 0) {
			(void)snprintf(name, sizeof name, "nvidia-caps/nvidia-cap%u", number);
			result = open_node(name, GA_NVML_NO_PERMISSION, &fd);
		}
	if (file)
		(void)fclose(file);
	if (fd >= 0)
		close(fd);
	return result;
}

int fake_open_instance(const struct gpualloc_device *instance)
{
	char entry[64];
	int result;

	if (!getenv("FAKE_NODES") || !getenv("FAKE_MIG_MINORS"))
		return GA_NVML_SUCCESS;
	(void)snprintf(entry, sizeof entry, "gpu%lld/gi%lld/access", minor_of(instance->parent),
		       (long long)instance->gi);
	result = open_capability(entry);
	if (result)
		return result;
	(void)snprintf(entry, sizeof entry, "gpu%lld/gi%lld/ci%lld/access",
		       minor_of(instance->parent), (long long)instance->gi,
		       (long long)instance->ci);
	return open_capability(entry);
}

void fake_close_nodes(void)
{
	for (size_t i = 0; i < fake.machine->device_count; i++)
		if (fake.gpus[i].is_open && fake.gpus[i].node >= 0)
			close(fake.gpus[i].node);
	if (fake.control >= 0)
		close(fake.control);
}
