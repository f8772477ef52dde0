/* SPDX-License-Identifier: Apache-2.0 */
/* Environment, device nodes, names of CDI devices; see container.h. */
#include "container.h"

#include "nodes.h"

#include <inttypes.h>
#include <string.h>

enum { NAMES_MOST = 1 << 20 };

#define NEW(arena, type) ((type *)arena_take(arena, sizeof(type)))

/* "GPU-…,GPU-…", each with something in front. */
static char *join(struct arena *arena, const struct unit *const *units, size_t count,
		  const char *before)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(NAMES_MOST);
	char *copy;

	for (size_t i = 0; i < count; i++)
		ga_buffer_format(&text, "%s%s%s", i ? "," : "", before, units[i]->uuid);
	if (text.failed || !text.data)
		return NULL;
	copy = arena_take(arena, text.size + 1);
	if (copy)
		memcpy(copy, text.data, text.size);
	return copy;
}

static bool add_environment(struct arena *arena, const struct unit *const *units, size_t count,
			    V1beta1__ContainerAllocateResponse *response)
{
	V1beta1__ContainerAllocateResponse__EnvsEntry *entry =
		NEW(arena, V1beta1__ContainerAllocateResponse__EnvsEntry);

	response->envs = NEW(arena, V1beta1__ContainerAllocateResponse__EnvsEntry *);
	if (!entry || !response->envs)
		return false;
	v1beta1__container_allocate_response__envs_entry__init(entry);
	entry->key = arena_text(arena, "NVIDIA_VISIBLE_DEVICES");
	entry->value = join(arena, units, count, "");
	response->envs[0] = entry;
	response->n_envs = 1;
	return entry->key && entry->value;
}

/* Another resource of the same container must have another name: it depends on the devices. */
static bool add_annotation(struct arena *arena, const struct unit *const *units, size_t count,
			   const struct settings *settings,
			   V1beta1__ContainerAllocateResponse *response)
{
	V1beta1__ContainerAllocateResponse__AnnotationsEntry *entry =
		NEW(arena, V1beta1__ContainerAllocateResponse__AnnotationsEntry);
	const char *before = arena_text(arena, "%s=", settings->cdi_kind);
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	response->annotations = NEW(arena, V1beta1__ContainerAllocateResponse__AnnotationsEntry *);
	if (!entry || !before || !response->annotations)
		return false;
	v1beta1__container_allocate_response__annotations_entry__init(entry);
	entry->value = join(arena, units, count, before);
	for (const char *c = entry->value; c && *c; c++)
		sum = (sum ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
	entry->key = arena_text(arena, "cdi.k8s.io/gpualloc-k8s_%016" PRIx64, sum);
	response->annotations[0] = entry;
	response->n_annotations = 1;
	return entry->key && entry->value;
}

static bool add_cdi(struct arena *arena, const struct unit *const *units, size_t count,
		    const struct settings *settings, V1beta1__ContainerAllocateResponse *response)
{
	response->cdi_devices = arena_take(arena, count * sizeof *response->cdi_devices);
	if (!response->cdi_devices)
		return false;
	for (size_t i = 0; i < count; i++) {
		V1beta1__CDIDevice *device = NEW(arena, V1beta1__CDIDevice);

		if (!device)
			return false;
		v1beta1__cdidevice__init(device);
		device->name = arena_text(arena, "%s=%s", settings->cdi_kind, units[i]->uuid);
		if (!device->name)
			return false;
		response->cdi_devices[response->n_cdi_devices++] = device;
	}
	return true;
}

/* ---- device nodes ---- */

static bool add_node(struct arena *arena, V1beta1__ContainerAllocateResponse *response,
		     const char *path)
{
	V1beta1__DeviceSpec *node = NEW(arena, V1beta1__DeviceSpec);

	if (!node)
		return false;
	v1beta1__device_spec__init(node);
	node->container_path = node->host_path = arena_text(arena, "%s", path);
	node->permissions = arena_text(arena, "rw");
	response->devices[response->n_devices++] = node;
	return node->host_path && node->permissions;
}

/* A unit whose files are not all known gets those that are. */
static bool find_nodes(const struct unit *const *units, size_t count, struct cdi_nodes *nodes)
{
	ga_cleanup(cdi_place_free) struct cdi_place place = {.root = ""};
	int result = cdi_nodes_add_common(nodes, &place);

	for (size_t i = 0; result != GPUALLOC_ENOMEM && i < count; i++) {
		bool is_instance = units[i]->instance >= 0;
		struct cdi_device device = {.minor = units[i]->minor,
					    .gi = is_instance ? units[i]->gi : -1,
					    .ci = is_instance ? units[i]->ci : -1};

		result = cdi_nodes_add_device(nodes, &place, &device);
	}
	return result != GPUALLOC_ENOMEM;
}

static bool add_nodes(struct arena *arena, const struct unit *const *units, size_t count,
		      V1beta1__ContainerAllocateResponse *response)
{
	ga_cleanup(cdi_nodes_free) struct cdi_nodes nodes = {0};

	if (!find_nodes(units, count, &nodes))
		return false;
	response->devices = arena_take(arena, nodes.count * sizeof *response->devices);
	for (size_t i = 0; response->devices && i < nodes.count; i++)
		if (!add_node(arena, response, nodes.paths[i]))
			return false;
	return response->devices != NULL;
}

V1beta1__ContainerAllocateResponse *container_describe(struct arena *arena,
						       const struct unit *const *units,
						       size_t count,
						       const struct settings *settings)
{
	V1beta1__ContainerAllocateResponse *response =
		NEW(arena, V1beta1__ContainerAllocateResponse);
	unsigned how = settings->hand_over;

	if (!response)
		return NULL;
	v1beta1__container_allocate_response__init(response);
	if (count == 0)
		return response;
	if (((how & HAND_OVER_ENVIRONMENT) && !add_environment(arena, units, count, response)) ||
	    ((how & HAND_OVER_DEVICES) && !add_nodes(arena, units, count, response)) ||
	    ((how & HAND_OVER_CDI) && !add_cdi(arena, units, count, settings, response)) ||
	    ((how & HAND_OVER_ANNOTATIONS) &&
	     !add_annotation(arena, units, count, settings, response)))
		return NULL;
	return response;
}
