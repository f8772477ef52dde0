/* SPDX-License-Identifier: Apache-2.0 */
/* The files in /dev; see nodes.h. */
#include "nodes.h"

#include "caps.h"
#include "file.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

void cdi_place_free(struct cdi_place *place)
{
	ga_buffer_free(&place->minors);
}

void cdi_nodes_free(struct cdi_nodes *nodes)
{
	free(nodes->paths);
	*nodes = (struct cdi_nodes){0};
}

static int add(struct cdi_nodes *nodes, const char *path)
{
	char(*paths)[CDI_NODE_SIZE];

	for (size_t i = 0; i < nodes->count; i++)
		if (strcmp(nodes->paths[i], path) == 0)
			return 0;
	paths = reallocarray(nodes->paths, nodes->count + 1, sizeof *paths);
	if (!paths)
		return GPUALLOC_ENOMEM;
	nodes->paths = paths;
	(void)snprintf(paths[nodes->count++], CDI_NODE_SIZE, "%s", path);
	return 0;
}

int cdi_nodes_add_common(struct cdi_nodes *nodes, const struct cdi_place *place)
{
	static const struct {
		const char *path;
		bool always;
	} common[] = {{"/dev/nvidiactl", true},
		      {"/dev/nvidia-uvm", true},
		      {"/dev/nvidia-uvm-tools", false},
		      {"/dev/nvidia-modeset", false}};
	int result = 0;

	for (size_t i = 0; result == 0 && i < sizeof common / sizeof *common; i++)
		if (common[i].always ||
		    (place->root && ga_file_exists(place->root, common[i].path)))
			result = add(nodes, common[i].path);
	return result;
}

/* ---- capability files ---- */

/* The number in "DeviceFileMinor: 12", a line of an instance's file in /proc. */
static bool read_access(const struct cdi_place *place, const char *path, int64_t *ret_number)
{
	static const char key[] = "DeviceFileMinor:";
	char text[512];
	struct ga_view rest = {text, 0}, line;
	long size = ga_file_peek(place->root, path, text, sizeof text);

	if (size < 0)
		return false;
	rest.size = (size_t)size;
	while (ga_view_line(&rest, &line))
		if (line.size > sizeof key - 1 && memcmp(line.text, key, sizeof key - 1) == 0) {
			struct ga_view number = ga_view_trim(line.text + sizeof key - 1,
							     line.size - (sizeof key - 1));

			return ga_text_number(number.text, number.size, INT32_MAX, ret_number);
		}
	return false;
}

/* What the driver says of this very instance. */
static bool find_access(const struct cdi_place *place, const struct cdi_device *device,
			int64_t ret_caps[2])
{
	char path[128];

	(void)snprintf(path, sizeof path,
		       "/proc/driver/nvidia/capabilities/gpu%lld/mig/gi%lld/access",
		       (long long)device->minor, (long long)device->gi);
	if (!read_access(place, path, &ret_caps[0]))
		return false;
	(void)snprintf(path, sizeof path,
		       "/proc/driver/nvidia/capabilities/gpu%lld/mig/gi%lld/ci%lld/access",
		       (long long)device->minor, (long long)device->gi, (long long)device->ci);
	return read_access(place, path, &ret_caps[1]);
}

/* The table of all instances that there could be; 1, 0 or GPUALLOC_ENOMEM. */
static int find_minors(struct cdi_place *place, const struct cdi_device *device,
		       int64_t ret_caps[2])
{
	char path[4096];

	if (!place->has_read_minors &&
	    (size_t)snprintf(path, sizeof path, "%s" MIG_MINORS, place->root) < sizeof path &&
	    ga_file_read(path, MIG_MINORS_MOST, &place->minors, NULL) == GPUALLOC_ENOMEM)
		return GPUALLOC_ENOMEM;
	place->has_read_minors = true;
	return place->minors.data &&
	       mig_caps_find(place->minors.data, device->minor, device->gi, device->ci, ret_caps);
}

/* Likewise. */
static int find_caps(struct cdi_place *place, const struct cdi_device *device, int64_t ret_caps[2])
{
	if (place->root)
		return find_access(place, device, ret_caps) ? 1
							    : find_minors(place, device, ret_caps);
	if (place->is_simulated)
		mig_caps_documented(device->minor, device->gi, device->ci, ret_caps);
	return place->is_simulated;
}

int cdi_nodes_add_device(struct cdi_nodes *nodes, struct cdi_place *place,
			 const struct cdi_device *device)
{
	char path[CDI_NODE_SIZE];
	int64_t caps[2];
	int result;

	if (device->minor < 0)
		return GPUALLOC_EDATA;
	(void)snprintf(path, sizeof path, "/dev/nvidia%lld", (long long)device->minor);
	result = add(nodes, path);
	if (result < 0 || (device->gi < 0 && device->ci < 0))
		return result;
	result = device->gi < 0 || device->ci < 0 ? 0 : find_caps(place, device, caps);
	if (result <= 0)
		return result < 0 ? result : GPUALLOC_EDATA;
	result = 0;
	for (size_t i = 0; result == 0 && i < 2; i++) {
		(void)snprintf(path, sizeof path, "/dev/nvidia-caps/nvidia-cap%lld",
			       (long long)caps[i]);
		result = add(nodes, path);
	}
	return result;
}
