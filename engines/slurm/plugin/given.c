/* SPDX-License-Identifier: Apache-2.0 */
/* Slurm's numbers and the devices a task can open; see given.h. */
#include "given.h"

#include "cleanup.h"
#include "devices.h"
#include "file.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_MOST = 512 };

/* ---- the machine ---- */

static int list_units(struct given *given)
{
	ga_auto_free struct slurm_device *devices = NULL;
	size_t count;

	if (!slurm_devices_list(given->machine, &devices, &count))
		return GPUALLOC_ENOMEM;
	given->count = count < GIVEN_MOST ? count : GIVEN_MOST;
	for (size_t i = 0; i < given->count; i++)
		given->units[i] = devices[i].device;
	return 0;
}

static int number_units(struct given *given)
{
	size_t count = gpualloc_machine_device_count(given->machine);
	ga_auto_free const gpualloc_device **gpus = calloc(count + 1, sizeof *gpus);

	if (!gpus)
		return GPUALLOC_ENOMEM;
	given->has_numbers = gpualloc_machine_cuda_order(given->machine, gpus, NULL) == 0;
	for (size_t i = 0; i < count; i++)
		given->has_mig =
			given->has_mig || gpualloc_device_mig_enabled(
						  gpualloc_machine_device(given->machine, i)) == 1;
	return 0;
}

int given_open(const char *spec, struct given *given, gpualloc_error *error)
{
	int result = gpualloc_machine_open(spec, 0, &given->machine, error);

	if (result == 0)
		result = list_units(given);
	return result < 0 ? result : number_units(given);
}

void given_close(struct given *given)
{
	gpualloc_machine_free(given->machine);
	*given = (struct given){0};
}

/* ---- numbers ---- */

static bool has_place(const struct places *places, size_t place)
{
	for (size_t i = 0; i < places->count; i++)
		if (places->at[i] == place)
			return true;
	return false;
}

bool given_read(const char *text, size_t limit, struct places *ret_places)
{
	struct places places = {.count = 0};

	while (*text) {
		int64_t first, last;

		if (!ga_text_take_number(&text, (int64_t)limit - 1, &first))
			return false;
		last = first;
		if (*text == '-') {
			text++;
			if (!ga_text_take_number(&text, (int64_t)limit - 1, &last))
				return false;
		}
		for (int64_t i = first; i <= last; i++)
			if (!has_place(&places, (size_t)i) && places.count < GIVEN_MOST)
				places.at[places.count++] = (size_t)i;
		if (*text && *text++ != ',')
			return false;
	}
	if (places.count == 0)
		return false;
	*ret_places = places;
	return true;
}

/* ---- devices that can be opened ---- */

/* A missing file keeps nobody out: the driver makes it when it is needed. */
static bool is_kept_away(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0)
		close(fd);
	return fd < 0 && (errno == EPERM || errno == EACCES);
}

/* The driver says which number the file for a part of a GPU has. */
static bool is_capability_kept(const char *root, const char *name)
{
	static const char before[] = "DeviceFileMinor: ";
	char path[PATH_MOST], text[256];
	const char *rest = text;
	int64_t number;

	(void)snprintf(path, sizeof path, "/proc/driver/nvidia/capabilities/%s/access", name);
	if (ga_file_peek(root, path, text, sizeof text) < 0 || !ga_text_starts(text, before))
		return false;
	rest += sizeof before - 1;
	if (!ga_text_take_number(&rest, UINT32_MAX, &number))
		return false;
	(void)snprintf(path, sizeof path, "%s/dev/nvidia-caps/nvidia-cap%lld", root,
		       (long long)number);
	return is_kept_away(path);
}

static bool is_unit_kept(const char *root, const gpualloc_device *unit)
{
	const gpualloc_device *parent = gpualloc_device_parent(unit);
	int64_t minor = gpualloc_device_minor(parent ? parent : unit);
	char path[PATH_MOST];

	(void)snprintf(path, sizeof path, "%s/dev/nvidia%lld", root, (long long)minor);
	if (minor >= 0 && is_kept_away(path))
		return true;
	if (!parent || minor < 0)
		return false;
	(void)snprintf(path, sizeof path, "gpu%lld/mig/gi%lld", (long long)minor,
		       (long long)gpualloc_device_gi(unit));
	if (is_capability_kept(root, path))
		return true;
	(void)snprintf(path, sizeof path, "gpu%lld/mig/gi%lld/ci%lld", (long long)minor,
		       (long long)gpualloc_device_gi(unit), (long long)gpualloc_device_ci(unit));
	return is_capability_kept(root, path);
}

void given_reachable(const struct given *given, const char *root, struct places *ret_places,
		     bool *ret_is_fenced)
{
	ret_places->count = 0;
	for (size_t i = 0; i < given->count; i++)
		if (!is_unit_kept(root, given->units[i]))
			ret_places->at[ret_places->count++] = i;
	*ret_is_fenced = ret_places->count < given->count;
}
