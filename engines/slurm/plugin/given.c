/* SPDX-License-Identifier: Apache-2.0 */
/* Slurm's numbers and what a task can open; see given.h. */
#include "given.h"

#include "cleanup.h"
#include "devices.h"

#include <ctype.h>
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

static bool read_number(const char **text, size_t limit, size_t *ret_number)
{
	const char *at = *text;

	*ret_number = 0;
	for (; isdigit((unsigned char)*at) && *ret_number < limit; at++)
		*ret_number = *ret_number * 10 + (size_t)(*at - '0');
	if (at == *text || *ret_number >= limit)
		return false;
	*text = at;
	return true;
}

bool given_read(const char *text, size_t limit, struct places *ret_places)
{
	struct places places = {.count = 0};

	while (*text) {
		size_t first, last;

		if (!read_number(&text, limit, &first))
			return false;
		last = first;
		if (*text == '-') {
			text++;
			if (!read_number(&text, limit, &last))
				return false;
		}
		for (size_t i = first; i <= last; i++)
			if (!has_place(&places, i) && places.count < GIVEN_MOST)
				places.at[places.count++] = i;
		if (*text && *text++ != ',')
			return false;
	}
	if (places.count == 0)
		return false;
	*ret_places = places;
	return true;
}

/* ---- what can be opened ---- */

/* A file that is missing keeps nobody away: the driver makes it when it is needed. */
static bool is_kept_away(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0)
		close(fd);
	return fd < 0 && (errno == EPERM || errno == EACCES);
}

/* The file that stands for a part of a GPU has a number that the driver tells. */
static bool is_capability_kept(const char *root, const char *name)
{
	char path[PATH_MOST], line[64];
	unsigned number;
	bool is_known;
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/proc/driver/nvidia/capabilities/%s/access", root,
		       name);
	file = fopen(path, "re");
	if (!file)
		return false;
	is_known =
		fgets(line, sizeof line, file) && sscanf(line, "DeviceFileMinor: %u", &number) == 1;
	(void)fclose(file);
	(void)snprintf(path, sizeof path, "%s/dev/nvidia-caps/nvidia-cap%u", root,
		       is_known ? number : 0);
	return is_known && is_kept_away(path);
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
