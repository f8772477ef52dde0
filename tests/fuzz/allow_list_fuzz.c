/* SPDX-License-Identifier: Apache-2.0 */
/* getgpu's list of allowed GPUs: a device is allowed exactly where a line has its UUID and no more.
 */
#include "common.h"
#include "fuzz.h"
#include "fuzz_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

/* What stands before a comment, without blanks at its ends, however long the line is. */
static bool says(const uint8_t *line, size_t size, const char *uuid)
{
	const uint8_t *hash = size > 0 ? memchr(line, '#', size) : NULL;

	size = hash ? (size_t)(hash - line) : size;
	for (; size > 0 && is_blank(*line); size--)
		line++;
	while (size > 0 && is_blank(line[size - 1]))
		size--;
	return size == strlen(uuid) && memcmp(line, uuid, size) == 0;
}

static bool lists(const uint8_t *data, size_t size, const char *uuid)
{
	while (size > 0) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t length = end ? (size_t)(end - data) : size;

		if (says(data, length, uuid))
			return true;
		length += end ? 1 : 0;
		data += length;
		size -= length;
	}
	return false;
}

static void open_list(void)
{
	char path[32];
	int fd = memfd_create("ids", MFD_CLOEXEC);

	fuzz_require(fd >= 0 && dup2(fd, 101) == 101, "a file in memory");
	close(fd);
	(void)snprintf(path, sizeof path, "/proc/self/fd/101");
	(void)setenv("GPUALLOC_IDS", path, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct one_device one = {.program = "getgpu"};
	const gpualloc_device *device;

	if (!one.machine) {
		one.machine = fuzz_machine();
		open_list();
	}
	/* Instances and GPUs by turns, so that there are several of either. */
	one.has_mig = size & 1;
	fuzz_require(ftruncate(101, 0) == 0 && pwrite(101, data, size, 0) == (ssize_t)size,
		     "it can be written");
	fuzz_require(read_allowed(&one) == 0 && one.allowed, "a list is read");
	for (size_t i = 0; (device = device_at(&one, i)); i++)
		fuzz_require(is_allowed(&one, device) ==
				     lists(data, size, gpualloc_device_uuid(device)),
			     "listed devices are allowed, and nothing else");
	free(one.allowed);
	one.allowed = NULL;
	return 0;
}
