/* SPDX-License-Identifier: Apache-2.0 */
/* Works out what is near and allowed, and binds to it; see bind.h. */
#include "bind.h"

#include "cleanup.h"
#include "hwloc_library.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* More than any kernel has, so that a machine file cannot make a set of any size. */
enum { CPU_LAST = 65535 };

struct binding {
	struct ga_hwloc hwloc;
	hwloc_topology_t topology;
	hwloc_bitmap_t near_cpus, near_nodes; /* by what the machine says about the devices */
	hwloc_bitmap_t cpus, nodes;           /* those of them that this process may use */
};

static void binding_free(struct binding *b)
{
	hwloc_bitmap_t sets[] = {b->near_cpus, b->near_nodes, b->cpus, b->nodes};

	if (!b->hwloc.library)
		return;
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		b->hwloc.bitmap_free(sets[i]);
	if (b->topology)
		b->hwloc.topology_destroy(b->topology);
	ga_hwloc_unload(&b->hwloc);
}

/* The topology holds only what the process's cgroup allows. */
static int binding_init(struct binding *b, gpualloc_error *error)
{
	int result = ga_hwloc_load(&b->hwloc, error);

	if (result < 0)
		return result;
	b->near_cpus = b->hwloc.bitmap_alloc();
	b->near_nodes = b->hwloc.bitmap_alloc();
	b->cpus = b->hwloc.bitmap_alloc();
	b->nodes = b->hwloc.bitmap_alloc();
	if (!b->near_cpus || !b->near_nodes || !b->cpus || !b->nodes)
		return ga_error_memory(error);
	if (b->hwloc.topology_init(&b->topology) < 0) {
		b->topology = NULL;
		return ga_error_memory(error);
	}
	if (b->hwloc.topology_load(b->topology) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno,
				      "hwloc cannot read this machine's CPUs");
	return 0;
}

/* ---- what is near ---- */

/* "48-63,176-191"; false if it is not such a list. */
static bool add_list(struct binding *b, const char *list)
{
	for (const char *at = list;; at++) {
		size_t size = strcspn(at, ","), first_size = strcspn(at, ",-");
		int64_t first, last;

		if (!ga_text_number(at, first_size, CPU_LAST, &first))
			return false;
		last = first;
		if (first_size < size &&
		    !ga_text_number(at + first_size + 1, size - first_size - 1, CPU_LAST, &last))
			return false;
		if (last < first ||
		    b->hwloc.bitmap_set_range(b->near_cpus, (unsigned)first, (int)last) < 0)
			return false;
		at += size;
		if (!*at)
			return true;
	}
}

static hwloc_obj_t node_at(const struct binding *b, unsigned i)
{
	return b->hwloc.get_obj_by_depth(b->topology, HWLOC_TYPE_DEPTH_NUMANODE, i);
}

/* A node's CPUs, if this process can see the node. */
static void add_cpus_of_node(struct binding *b, int64_t node)
{
	hwloc_obj_t object;

	for (unsigned i = 0; (object = node_at(b, i)); i++)
		if (object->os_index == node && object->cpuset)
			(void)b->hwloc.bitmap_or(b->near_cpus, b->near_cpus, object->cpuset);
}

static void add_nodes_of_cpus(struct binding *b)
{
	hwloc_obj_t object;

	for (unsigned i = 0; (object = node_at(b, i)); i++)
		if (object->cpuset && b->hwloc.bitmap_intersects(object->cpuset, b->near_cpus))
			(void)b->hwloc.bitmap_or(b->near_nodes, b->near_nodes, object->nodeset);
}

/* If a device's node is not known, takes the memory near its CPUs. */
static int add_device(struct binding *b, const gpualloc_device *device, gpualloc_error *error)
{
	const gpualloc_device *gpu = device->parent ? device->parent : device;
	bool has_node = gpu->numa >= 0 && gpu->numa <= CPU_LAST;

	if (gpu->cpus ? !add_list(b, gpu->cpus) : !has_node)
		return ga_error_set(
			error, GPUALLOC_EIMPOSSIBLE,
			gpu->cpus
				? "cannot bind: the CPUs near GPU %lld are not given as a list of "
				  "CPUs"
				: "cannot bind: which CPUs are near GPU %lld is not "
				  "known",
			(long long)gpu->index);
	if (has_node && !gpu->cpus)
		add_cpus_of_node(b, gpu->numa);
	if (has_node)
		(void)b->hwloc.bitmap_set_range(b->near_nodes, (unsigned)gpu->numa, (int)gpu->numa);
	else
		add_nodes_of_cpus(b);
	return 0;
}

/* ---- what of it is allowed ---- */

/* A set that cannot be read is no restriction here; the kernel restricts us anyway. */
static void restrict_cpus(struct binding *b, hwloc_bitmap_t now)
{
	(void)b->hwloc.bitmap_and(b->cpus, b->near_cpus,
				  b->hwloc.topology_get_allowed_cpuset(b->topology));
	if (b->hwloc.get_cpubind(b->topology, now, HWLOC_CPUBIND_THREAD) == 0)
		(void)b->hwloc.bitmap_and(b->cpus, b->cpus, now);
}

static void restrict_nodes(struct binding *b, hwloc_bitmap_t now)
{
	hwloc_membind_policy_t policy;

	(void)b->hwloc.bitmap_and(b->nodes, b->near_nodes,
				  b->hwloc.topology_get_allowed_nodeset(b->topology));
	if (b->hwloc.get_membind(b->topology, now, &policy,
				 HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET) == 0 &&
	    policy == HWLOC_MEMBIND_BIND)
		(void)b->hwloc.bitmap_and(b->nodes, b->nodes, now);
}

static int check(const struct binding *b, const char *what, hwloc_bitmap_t near,
		 hwloc_bitmap_t allowed, gpualloc_error *error)
{
	ga_auto_free char *list = NULL;

	if (!b->hwloc.bitmap_iszero(allowed))
		return 0;
	if (b->hwloc.bitmap_list_asprintf(&list, near) < 0) {
		list = NULL;
		return ga_error_memory(error);
	}
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "cannot bind: this process may use none of %s near the devices (%s)",
			    what, *list ? list : "not visible to this process");
}

static int restrict_to_allowed(struct binding *b, gpualloc_error *error)
{
	hwloc_bitmap_t now = b->hwloc.bitmap_alloc();
	int result;

	if (!now)
		return ga_error_memory(error);
	restrict_cpus(b, now);
	restrict_nodes(b, now);
	b->hwloc.bitmap_free(now);
	result = check(b, "the CPUs", b->near_cpus, b->cpus, error);
	if (result < 0 || b->hwloc.bitmap_iszero(b->near_nodes))
		return result;
	return check(b, "the NUMA nodes", b->near_nodes, b->nodes, error);
}

/* ---- being bound ---- */

/*
 * Containers often forbid this. The kernel then takes memory from where the CPUs are anyway, as
 * long as there is some.
 */
static bool bind_memory(struct binding *b)
{
	return !b->hwloc.bitmap_iszero(b->nodes) &&
	       b->hwloc.set_membind(b->topology, b->nodes, HWLOC_MEMBIND_BIND,
				    HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_STRICT |
					    HWLOC_MEMBIND_BYNODESET) == 0;
}

static int describe(const struct binding *b, bool with_memory, char **ret_where,
		    gpualloc_error *error)
{
	ga_auto_free char *cpus = NULL, *nodes = NULL;
	int result;

	if (b->hwloc.bitmap_list_asprintf(&cpus, b->cpus) < 0 ||
	    b->hwloc.bitmap_list_asprintf(&nodes, b->nodes) < 0)
		return ga_error_memory(error);
	result = with_memory ? asprintf(ret_where, "CPUs %s, memory of NUMA node %s", cpus, nodes)
			     : asprintf(ret_where, "CPUs %s, memory not bound", cpus);
	if (result < 0) {
		*ret_where = NULL;
		return ga_error_memory(error);
	}
	return 0;
}

int ga_bind_check(gpualloc_error *error)
{
	ga_auto_hwloc struct ga_hwloc hwloc = {0};

	return ga_hwloc_load(&hwloc, error);
}

int ga_bind(const gpualloc_device *const *devices, size_t count, char **ret_where,
	    gpualloc_error *error)
{
	ga_cleanup(binding_free) struct binding b = {0};
	int result = binding_init(&b, error);

	for (size_t i = 0; i < count && result == 0; i++)
		result = add_device(&b, devices[i], error);
	if (result == 0)
		result = restrict_to_allowed(&b, error);
	if (result < 0)
		return result;
	if (b.hwloc.set_cpubind(b.topology, b.cpus, HWLOC_CPUBIND_THREAD) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot bind to CPUs");
	return describe(&b, bind_memory(&b), ret_where, error);
}
