/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links between the GPUs. Each pair is asked once for its PCIe level, and each NVLink of each
 * GPU once for its state. What is at the link's other end decides whether it counts for a pair or
 * as a way into the switches. The number of links is found by asking, never taken from a macro of
 * the header.
 */
#include "gpu.h"

#include "cleanup.h"
#include "host.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SM_WITH_STATE_FIELD = 9, ATTRIBUTE_SIZE = 32 };

/* The NVLinks that leave one GPU. */
struct ends {
	bool known;
	bool in_fabric;    /* cluster and clique say which GPUs the switches lead to */
	unsigned switched; /* links that lead into a switch */
	uint16_t *direct;  /* links to each of the machine's devices */
	unsigned clique;
	unsigned char cluster[GA_NVML_FABRIC_UUID_SIZE];
};

/* ---- PCIe ---- */

static enum gpualloc_level level_of(int ancestor)
{
	switch (ancestor) {
	case GA_NVML_ANCESTOR_BOARD: return GPUALLOC_LEVEL_BOARD;
	case GA_NVML_ANCESTOR_PIX: return GPUALLOC_LEVEL_PIX;
	case GA_NVML_ANCESTOR_PXB: return GPUALLOC_LEVEL_PXB;
	case GA_NVML_ANCESTOR_PHB: return GPUALLOC_LEVEL_PHB;
	case GA_NVML_ANCESTOR_NODE: return GPUALLOC_LEVEL_NODE;
	case GA_NVML_ANCESTOR_SYS: return GPUALLOC_LEVEL_SYS;
	default: return GPUALLOC_LEVEL_UNKNOWN;
	}
}

static bool answers(const struct ga_nvml_gpu *gpu)
{
	return gpu->handle && !gpu->sick;
}

/* ---- peer-to-peer ---- */

/* A failure does not say which of the two is sick. After a failure or a U, nothing is known. */
static enum gpualloc_p2p ask_p2p(const struct ga_nvml_gpu *one, const struct ga_nvml_gpu *other,
				 int index)
{
	int status = GA_NVML_P2P_UNKNOWN;

	if (one->nvml->p2p_status(one->handle, other->handle, index, &status) != GA_NVML_SUCCESS ||
	    status < GA_NVML_P2P_OK || status >= GA_NVML_P2P_UNKNOWN)
		return GPUALLOC_P2P_UNKNOWN;
	return status == GA_NVML_P2P_OK ? GPUALLOC_P2P_OK : GPUALLOC_P2P_NO;
}

/* Both directions are needed; if one is refused the other is not asked. */
static enum gpualloc_p2p read_p2p(const struct ga_nvml_gpu *one, const struct ga_nvml_gpu *other)
{
	enum gpualloc_p2p p2p = GPUALLOC_P2P_UNKNOWN;

	if (one->nvml->p2p_status)
		p2p = ask_p2p(one, other, GA_NVML_P2P_READ);
	return p2p == GPUALLOC_P2P_OK ? ask_p2p(one, other, GA_NVML_P2P_WRITE) : p2p;
}

/* ---- pairs, each once ---- */

static void read_pairs(const struct ga_nvml_gpu *gpus, gpualloc_machine *machine)
{
	for (size_t i = 0; i < machine->device_count; i++) {
		ga_nvml_announce(&gpus[i], "its links");
		for (size_t j = i + 1; j < machine->device_count; j++) {
			int ancestor = -1;

			if (!answers(&gpus[i]) || !answers(&gpus[j]))
				continue;
			/* A failure does not say which of the two is sick: the level is unknown. */
			if (gpus[i].nvml->common_ancestor &&
			    gpus[i].nvml->common_ancestor(gpus[i].handle, gpus[j].handle,
							  &ancestor) == GA_NVML_SUCCESS)
				ga_links_set_level(&machine->links, i, j, level_of(ancestor));
			ga_links_set_p2p(&machine->links, i, j, read_p2p(&gpus[i], &gpus[j]));
		}
	}
}

/* ---- which NVLinks of a GPU are up: bit n for link n ---- */

/* A link that sleeps wakes when it is used. */
static bool is_up(unsigned state)
{
	return state == GA_NVML_LINK_UP || state == GA_NVML_LINK_SLEEPS;
}

static bool has_fields(const struct ga_nvml_gpu *gpu)
{
	int major = 0, minor = 0;

	return gpu->nvml->compute_capability &&
	       gpu->nvml->compute_capability(gpu->handle, &major, &minor) == GA_NVML_SUCCESS &&
	       major >= SM_WITH_STATE_FIELD;
}

/* From compute capability 9.0 on: all links in one call. False if it says nothing. */
static bool active_by_fields(struct ga_nvml_gpu *gpu, uint64_t *ret_active)
{
	const struct ga_nvml *nvml = gpu->nvml;
	struct ga_nvml_field fields[GA_NVML_LINKS_MAX] = {0};
	bool any = false;

	if (!nvml->fields || !gpu->is_hopper)
		return false;
	for (unsigned link = 0; link < GA_NVML_LINKS_MAX; link++)
		fields[link] = (struct ga_nvml_field){
			.id = GA_NVML_FIELD_NVLINK_STATE, .scope = link, .result = GA_NVML_UNKNOWN};
	if (!ga_nvml_worked(gpu, nvml->fields(gpu->handle, GA_NVML_LINKS_MAX, fields),
			    "its NVLinks"))
		return false;
	*ret_active = 0;
	for (unsigned link = 0; link < GA_NVML_LINKS_MAX; link++) {
		if (fields[link].result != GA_NVML_SUCCESS)
			continue;
		any = true;
		*ret_active |= is_up(fields[link].value.number) ? UINT64_C(1) << link : 0;
	}
	return any;
}

/* Link by link until there is no such link; an unsupported one is not the last. */
static bool active_by_calls(struct ga_nvml_gpu *gpu, uint64_t *ret_active)
{
	*ret_active = 0;
	for (unsigned link = 0; gpu->nvml->link_state && link < GA_NVML_LINKS_MAX; link++) {
		unsigned active = 0;
		int result = gpu->nvml->link_state(gpu->handle, link, &active);

		if (result == GA_NVML_INVALID_ARGUMENT)
			return true;
		if (result == GA_NVML_NOT_SUPPORTED)
			continue;
		if (!ga_nvml_worked(gpu, result, "its NVLinks"))
			return false;
		*ret_active |= is_up(active) ? UINT64_C(1) << link : 0;
	}
	return gpu->nvml->link_state != NULL;
}

/* The generation; NVML counts 1.0, 2.0, 2.2, 3.0, 3.1, 4.0, 5.0 from 1. */
static void read_version(struct ga_nvml_gpu *gpu, unsigned link)
{
	static const int64_t generations[] = {GA_UNKNOWN, 1, 2, 2, 3, 3, 4, 5, 6};
	unsigned version = 0;

	if (gpu->nvml->link_version &&
	    ga_nvml_worked(gpu, gpu->nvml->link_version(gpu->handle, link, &version),
			   "its NVLink version") &&
	    version < sizeof generations / sizeof *generations)
		gpu->device->nvlink_version = generations[version];
}

/* ---- the other end of a link ---- */

/*
 * A device that is not one of our GPUs is a switch, unless Linux knows better: it still sees a GPU
 * on the bus that is hidden from us or lost. A device that Linux does not see either is a switch
 * outside a virtual machine, or one of our GPUs of which only the index is known.
 */
static bool is_switch(const char *root, const gpualloc_machine *machine, const char *pci)
{
	char class[ATTRIBUTE_SIZE], vendor[ATTRIBUTE_SIZE];

	if (!ga_host_pci_attribute(root, pci, "class", class, sizeof class)) {
		for (size_t i = 0; i < machine->device_count; i++)
			if (!machine->devices[i].pci)
				return false;
		return true;
	}
	return ga_text_starts(class, "0x0680") &&
	       ga_host_pci_attribute(root, pci, "vendor", vendor, sizeof vendor) &&
	       strcmp(vendor, "0x10de") == 0;
}

static void count_remote(const struct ga_nvml_gpu *gpu, const gpualloc_machine *machine, int type,
			 const struct ga_nvml_pci *pci, struct ends *ends)
{
	size_t size = strnlen(pci->bus_id, sizeof pci->bus_id);
	char normal[20];

	if (!ga_pci_normalise(pci->bus_id, size, normal)) {
		/* "FFFFFFFF:FF:FF.F": something that has no address here. */
		if (type == GA_NVML_REMOTE_UNKNOWN && size > 0 &&
		    strspn(pci->bus_id, "fF:.") == size)
			ends->switched++;
		else
			ends->known = false;
		return;
	}
	for (size_t i = 0; i < machine->device_count; i++)
		if (ga_text_same(machine->devices[i].pci, normal)) {
			ends->direct[i]++;
			return;
		}
	if (type == GA_NVML_REMOTE_UNKNOWN && is_switch(gpu->root, machine, normal))
		ends->switched++;
}

static void read_remote(struct ga_nvml_gpu *gpu, const gpualloc_machine *machine, unsigned link,
			struct ends *ends)
{
	const struct ga_nvml *nvml = gpu->nvml;
	struct ga_nvml_pci pci = {0};
	int type = GA_NVML_REMOTE_UNKNOWN;

	if (!nvml->link_remote_type ||
	    !ga_nvml_worked(gpu, nvml->link_remote_type(gpu->handle, link, &type),
			    "what an NVLink leads to"))
		type = GA_NVML_REMOTE_UNKNOWN;
	if (type == GA_NVML_REMOTE_SWITCH)
		ends->switched++;
	if (type == GA_NVML_REMOTE_SWITCH || type == GA_NVML_REMOTE_NPU || gpu->sick)
		return;
	if (nvml->link_remote_pci &&
	    ga_nvml_worked(gpu, nvml->link_remote_pci(gpu->handle, link, &pci),
			   "where an NVLink leads to"))
		count_remote(gpu, machine, type, &pci, ends);
	else
		ends->known = false;
}

/* ---- the fabric behind the switches ---- */

/* What every version of the call reports. */
struct fabric {
	const unsigned char *cluster;
	int status;
	unsigned clique;
	unsigned state;
};

static void join_fabric(struct ends *ends, const struct fabric *fabric)
{
	static const unsigned char none[GA_NVML_FABRIC_UUID_SIZE];

	/* Without a fabric a GPU reports "completed" with an error, or a cluster without a name. */
	if (fabric->state != GA_NVML_FABRIC_COMPLETED || fabric->status != GA_NVML_SUCCESS ||
	    memcmp(fabric->cluster, none, sizeof none) == 0)
		return;
	ends->in_fabric = true;
	ends->clique = fabric->clique;
	memcpy(ends->cluster, fabric->cluster, sizeof ends->cluster);
}

/* Without its fabric CUDA does not start on a GPU (error 802), although its links look up. */
static void judge_fabric(struct ga_nvml_gpu *gpu, const struct fabric *fabric)
{
	struct gpualloc_device *device = gpu->device;
	bool failed = fabric->state == GA_NVML_FABRIC_COMPLETED && fabric->status != 0;
	char reason[128];

	if (device->health != GPUALLOC_HEALTH_OK || device->mig_enabled ||
	    (!failed && fabric->state != GA_NVML_FABRIC_NOT_STARTED &&
	     fabric->state != GA_NVML_FABRIC_IN_PROGRESS))
		return;
	device->health = GPUALLOC_HEALTH_FABRIC_NOT_READY;
	if (failed)
		(void)snprintf(reason, sizeof reason, "NVML says \"%s\" of it",
			       ga_nvml_text(gpu->nvml, fabric->status));
	else
		(void)snprintf(reason, sizeof reason, "NVML says that it has %s",
			       fabric->state == GA_NVML_FABRIC_NOT_STARTED ? "not started"
									   : "not completed");
	/* Without memory the sentence is missing, the health is not. */
	(void)ga_set_text(&device->reason, reason);
}

/* Takes the clique for plain addresses, which is the kind that older drivers had. */
static unsigned clique_of(const struct ga_nvml_fabric_v4 *fabric)
{
	for (size_t i = 0; i < fabric->clique_count && i < GA_NVML_FABRIC_CLIQUES; i++)
		if (fabric->cliques[i].type == GA_NVML_CLIQUE_POINTER)
			return fabric->cliques[i].id;
	return fabric->clique_count > 0 ? fabric->cliques[0].id : 0;
}

static bool take_fabric(struct ga_nvml_gpu *gpu, struct ends *ends, const struct fabric *fabric)
{
	join_fabric(ends, fabric);
	judge_fabric(gpu, fabric);
	return true;
}

/* A driver may have the newer call but refuse it. */
static bool read_fabric_v4(struct ga_nvml_gpu *gpu, struct ends *ends)
{
	struct ga_nvml_fabric_v4 is = {0};

	if (!gpu->nvml->fabric_v4 ||
	    !ga_nvml_worked(gpu, gpu->nvml->fabric_v4(gpu->handle, &is), "its fabric"))
		return false;
	return take_fabric(gpu, ends,
			   &(struct fabric){is.cluster, is.status, clique_of(&is), is.state});
}

static bool read_fabric_v3(struct ga_nvml_gpu *gpu, struct ends *ends)
{
	struct ga_nvml_fabric_v3 is = {.version = GA_NVML_VERSION(is, 3)};

	if (!gpu->nvml->fabric_v || gpu->sick ||
	    !ga_nvml_worked(gpu, gpu->nvml->fabric_v(gpu->handle, &is), "its fabric"))
		return false;
	return take_fabric(gpu, ends, &(struct fabric){is.cluster, is.status, is.clique, is.state});
}

static bool read_fabric_v2(struct ga_nvml_gpu *gpu, struct ends *ends)
{
	struct ga_nvml_fabric_v2 is = {.version = GA_NVML_VERSION(is, 2)};

	if (!gpu->nvml->fabric_v || gpu->sick ||
	    !ga_nvml_worked(gpu, gpu->nvml->fabric_v(gpu->handle, &is), "its fabric"))
		return false;
	return take_fabric(gpu, ends, &(struct fabric){is.cluster, is.status, is.clique, is.state});
}

static void read_fabric(struct ga_nvml_gpu *gpu, struct ends *ends)
{
	struct ga_nvml_fabric_v1 is = {0};

	if (read_fabric_v4(gpu, ends) || read_fabric_v3(gpu, ends) || read_fabric_v2(gpu, ends) ||
	    !gpu->nvml->fabric_v1 || gpu->sick ||
	    !ga_nvml_worked(gpu, gpu->nvml->fabric_v1(gpu->handle, &is), "its fabric"))
		return;
	(void)take_fabric(gpu, ends, &(struct fabric){is.cluster, is.status, is.clique, is.state});
}

static bool one_fabric(const struct ends *one, const struct ends *other)
{
	return !one->in_fabric || !other->in_fabric ||
	       (one->clique == other->clique &&
		memcmp(one->cluster, other->cluster, sizeof one->cluster) == 0);
}

/* ---- the whole ---- */

static void read_ends(struct ga_nvml_gpu *gpu, const gpualloc_machine *machine, struct ends *ends)
{
	uint64_t active = 0;

	gpu->is_hopper = answers(gpu) && has_fields(gpu);
	ends->known = answers(gpu) && (active_by_fields(gpu, &active) ||
				       (!gpu->sick && active_by_calls(gpu, &active)));
	for (unsigned link = 0; ends->known && !gpu->sick && link < GA_NVML_LINKS_MAX; link++) {
		if (!(active >> link & 1))
			continue;
		if (gpu->device->nvlink_version < 0)
			read_version(gpu, link);
		read_remote(gpu, machine, link, ends);
	}
	if ((ends->switched > 0 || gpu->is_hopper) && answers(gpu))
		read_fabric(gpu, ends);
	ends->known = ends->known && !gpu->sick;
}

static int least(unsigned one, unsigned other)
{
	return (int)(one < other ? one : other);
}

/* A link counts if both its ends are up; if one end could not be read, the other decides. */
static int joined(const struct ga_nvml_gpu *gpus, const struct ends *ends, size_t i, size_t j)
{
	const struct ends *one = &ends[i], *other = &ends[j];
	int through = one_fabric(one, other) ? least(one->switched, other->switched) : 0;

	if (!answers(&gpus[i]) || !answers(&gpus[j]) || (!one->known && !other->known))
		return GA_UNKNOWN;
	if (one->known && other->known)
		return least(one->direct[j], other->direct[i]) + through;
	if ((one->known ? one : other)->switched > 0)
		return GA_UNKNOWN;
	return one->known ? one->direct[j] : other->direct[i];
}

int ga_nvml_read_links(struct ga_nvml_gpu *gpus, gpualloc_machine *machine)
{
	size_t count = machine->device_count;
	ga_auto_free struct ends *ends = calloc(count + 1, sizeof *ends);
	ga_auto_free uint16_t *direct = calloc(count + 1, (count + 1) * sizeof *direct);

	if (!ends || !direct)
		return GPUALLOC_ENOMEM;
	read_pairs(gpus, machine);
	for (size_t i = 0; i < count; i++) {
		ends[i].direct = direct + i * count;
		ga_nvml_announce(&gpus[i], "its NVLinks");
		read_ends(&gpus[i], machine, &ends[i]);
	}
	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++)
			ga_links_set_nvlinks(&machine->links, i, j, joined(gpus, ends, i, j));
	return 0;
}
