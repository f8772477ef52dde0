/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines known by name, for people without one: for demonstrations, tests and questions about a
 * machine not yet bought. Links, places and sizes are those of the real machines; identities are
 * made up. Nothing runs on them and everything about them is known.
 */
#include "source.h"

#include "cleanup.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

/*
 * GPUs whose seats agree when divided by size are joined at this level or closer. A machine's
 * table goes from close to far; seats that never agree have no PCIe path between them.
 */
struct span {
	size_t size;
	enum gpualloc_level level;
};

struct instance {
	const char *profile;
	int gi;
	int megabytes;
};

struct builtin {
	const char *name;
	const char *description;
	const char *driver;
	const char *model;
	size_t count;
	int total, reserved; /* MiB */
	int nvlink_version;  /* 0 for no NVLinks */
	int nvlinks;         /* between any two, */
	const char *mesh;    /* or for each pair a digit, row by row */
	const char *seats;   /* seat of each GPU as a digit; NULL for its index */
	struct span spans[5];
	int sockets, cores_per_socket, threads_per_core;
	int nodes;           /* NUMA nodes, with an equal share of the cores each */
	const char *node_of; /* node of each GPU as a digit; NULL for equal shares in order */
	const char *pci;     /* bus of each GPU; NULL for a domain each, as in a Grace tray */
	const struct instance *instances; /* the last GPU is cut into these */
};

/* By GPU instance, as the driver lists them; both fit only with 2g before 1g. */
static const struct instance a100_mig_instances[] = {
	{"2g.10gb", 3, 9856}, {"2g.10gb", 5, 9856}, {"1g.5gb", 9, 4864},
	{"1g.5gb", 10, 4864}, {"1g.5gb", 13, 4864}, {NULL, 0, 0},
};

#define PIX GPUALLOC_LEVEL_PIX
#define PXB GPUALLOC_LEVEL_PXB
#define PHB GPUALLOC_LEVEL_PHB
#define NODE GPUALLOC_LEVEL_NODE
#define SYS GPUALLOC_LEVEL_SYS

static const struct builtin machines[] = {
	{
		.name = "a100-mig",
		.description = "2 A100, one whole, one split into 5 MIG instances",
		.driver = "570.172.08",
		.model = "NVIDIA A100-PCIE-40GB",
		.count = 2,
		.total = 40960,
		.reserved = 605,
		.spans = {{2, SYS}},
		.sockets = 2,
		.cores_per_socket = 32,
		.threads_per_core = 2,
		.nodes = 2,
		.pci = "21 81",
		.instances = a100_mig_instances,
	},
	{
		.name = "dgx-a100",
		.description = "DGX A100: 8 A100 on NVSwitch, EPYC in 8 NUMA nodes",
		.driver = "550.54.15",
		.model = "NVIDIA A100-SXM4-40GB",
		.count = 8,
		.total = 40960,
		.reserved = 605,
		.nvlink_version = 3,
		.nvlinks = 12,
		.spans = {{2, PXB}, {8, SYS}},
		.sockets = 2,
		.cores_per_socket = 64,
		.threads_per_core = 2,
		.nodes = 8,
		.node_of = "33117755",
		.pci = "07 0F 47 4E 87 90 B7 BD",
	},
	{
		.name = "dgx1-pascal",
		.description = "DGX-1: 8 P100, hybrid cube mesh of single NVLinks",
		.driver = "535.183.06",
		.model = "Tesla P100-SXM2-16GB",
		.count = 8,
		.total = 16384,
		.reserved = 105,
		.nvlink_version = 1,
		.mesh = "01111000"
			"10110100"
			"11010010"
			"11100001"
			"10000111"
			"01001011"
			"00101101"
			"00011110",
		.seats = "02134657",
		.spans = {{2, PIX}, {4, PHB}, {8, SYS}},
		.sockets = 2,
		.cores_per_socket = 20,
		.threads_per_core = 2,
		.nodes = 2,
		.pci = "06 07 0A 0B 85 86 89 8A",
	},
	{
		.name = "dgx1-volta",
		.description = "DGX-1: 8 V100, hybrid cube mesh of single and double NVLinks",
		.driver = "535.183.06",
		.model = "Tesla V100-SXM2-16GB",
		.count = 8,
		.total = 16384,
		.reserved = 231,
		.nvlink_version = 2,
		.mesh = "01122000"
			"10210200"
			"12020010"
			"21200001"
			"20000112"
			"02001021"
			"00101202"
			"00012120",
		.spans = {{2, PIX}, {4, PHB}, {8, SYS}},
		.sockets = 2,
		.cores_per_socket = 20,
		.threads_per_core = 2,
		.nodes = 2,
		.pci = "06 07 0A 0B 85 86 89 8A",
	},
	{
		.name = "dgx2",
		.description = "DGX-2: 16 V100 on NVSwitch, two boards of 8",
		.driver = "535.183.06",
		.model = "Tesla V100-SXM3-32GB",
		.count = 16,
		.total = 32768,
		.reserved = 264,
		.nvlink_version = 2,
		.nvlinks = 6,
		.spans = {{2, PIX}, {4, PXB}, {8, NODE}, {16, SYS}},
		.sockets = 2,
		.cores_per_socket = 24,
		.threads_per_core = 2,
		.nodes = 2,
		.pci = "34 36 39 3B 57 59 5C 5E B7 B9 BC BE E0 E2 E5 E7",
	},
	{
		.name = "hgx-h100",
		.description = "HGX H100: 8 H100 on NVSwitch, a PCIe switch each",
		.driver = "550.90.07",
		.model = "NVIDIA H100 80GB HBM3",
		.count = 8,
		.total = 81559,
		.reserved = 551,
		.nvlink_version = 4,
		.nvlinks = 18,
		.spans = {{4, NODE}, {8, SYS}},
		.sockets = 2,
		.cores_per_socket = 56,
		.threads_per_core = 2,
		.nodes = 2,
		.pci = "1B 43 52 61 9D C3 D1 DF",
	},
	{
		.name = "nvl72",
		.description = "GB200 NVL72: 72 B200 on one NVLink domain, 18 trays of 4",
		.driver = "580.65.06",
		.model = "NVIDIA GB200",
		.count = 72,
		.total = 189471,
		.reserved = 742,
		.nvlink_version = 5,
		.nvlinks = 18,
		.spans = {{2, NODE}, {4, SYS}},
		.sockets = 36,
		.cores_per_socket = 72,
		.threads_per_core = 1,
		.nodes = 36,
	},
	{
		.name = "pcie16",
		.description = "16 L4 on a tree of PCIe switches, no NVLinks",
		.driver = "550.90.07",
		.model = "NVIDIA L4",
		.count = 16,
		.total = 23034,
		.reserved = 464,
		.spans = {{2, PIX}, {4, PXB}, {8, NODE}, {16, SYS}},
		.sockets = 2,
		.cores_per_socket = 32,
		.threads_per_core = 2,
		.nodes = 2,
		.pci = "1A 1B 1E 1F 3D 3E 41 42 8A 8B 8E 8F B1 B2 B5 B6",
	},
	{
		.name = "rtx8000x4",
		.description = "4 Quadro RTX 8000, bridged in pairs across the sockets",
		.driver = "535.183.01",
		.model = "Quadro RTX 8000",
		.count = 4,
		.total = 49152,
		.reserved = 455,
		.nvlink_version = 2,
		.mesh = "0002"
			"0020"
			"0200"
			"2000",
		.spans = {{2, NODE}, {4, SYS}},
		.sockets = 2,
		.cores_per_socket = 16,
		.threads_per_core = 2,
		.nodes = 2,
		.pci = "3B 5E 86 AF",
	},
};
enum { MACHINE_COUNT = sizeof machines / sizeof *machines };

static const int64_t mebibyte = INT64_C(1) << 20;

static size_t digit_at(const char *digits, size_t i, size_t otherwise)
{
	return digits ? (size_t)(digits[i] - '0') : otherwise;
}

static enum gpualloc_level level_between(const struct builtin *builtin, size_t i, size_t j)
{
	size_t a = digit_at(builtin->seats, i, i), b = digit_at(builtin->seats, j, j);

	for (const struct span *span = builtin->spans; span->size > 0; span++)
		if (a / span->size == b / span->size)
			return span->level;
	return GPUALLOC_LEVEL_UNKNOWN;
}

static void set_links(const struct builtin *builtin, struct ga_links *links)
{
	for (size_t i = 0; i < builtin->count; i++)
		for (size_t j = i + 1; j < builtin->count; j++) {
			size_t nvlinks = digit_at(builtin->mesh, i * builtin->count + j,
						  (size_t)builtin->nvlinks);

			ga_links_set_level(links, i, j, level_between(builtin, i, j));
			ga_links_set_nvlinks(links, i, j, (int)nvlinks);
		}
}

/*
 * No driver makes UUIDs like these: zeros, the machine, the device. Only the first group differs
 * from one to the next (odd factor, so never twice), so that it can be used as a short name.
 */
static int set_uuid(char **field, const char *kind, size_t machine, size_t number)
{
	char uuid[64];
	uint32_t short_name = (uint32_t)(machine * 256 + number + 1) * UINT32_C(0x9e3779b1);

	(void)snprintf(uuid, sizeof uuid, "%s-%08x-0000-0000-0000-%06zu%06zu", kind, short_name,
		       machine, number);
	return ga_set_text(field, uuid);
}

static int set_pci(const struct builtin *builtin, size_t i, char **field)
{
	static const unsigned domains[] = {0x08, 0x09, 0x18, 0x19};
	char pci[20];

	if (builtin->pci)
		(void)snprintf(pci, sizeof pci, "00000000:%.2s:00.0", builtin->pci + 3 * i);
	else
		(void)snprintf(pci, sizeof pci, "%08X:01:00.0",
			       (unsigned)(i / 4) << 8 | domains[i % 4]);
	return ga_set_text(field, pci);
}

static int set_place(const struct builtin *builtin, size_t i, struct gpualloc_device *device)
{
	size_t nodes = (size_t)builtin->nodes;
	size_t node = digit_at(builtin->node_of, i, i * nodes / builtin->count);
	size_t all = (size_t)builtin->sockets * (size_t)builtin->cores_per_socket;
	size_t first = all / nodes * node, last = first + all / nodes - 1;
	char cpus[64];
	int length = snprintf(cpus, sizeof cpus, "%zu-%zu", first, last);

	if (builtin->threads_per_core == 2)
		(void)snprintf(cpus + length, sizeof cpus - (size_t)length, ",%zu-%zu", all + first,
			       all + last);
	device->numa = (int64_t)node;
	return ga_set_text(&device->cpus, cpus);
}

static int cut_into_instances(size_t machine, struct gpualloc_device *device)
{
	const struct builtin *builtin = &machines[machine];

	device->mig_enabled = true;
	device->utilization = GA_UNKNOWN; /* the driver does not report it for a GPU in MIG mode */
	for (const struct instance *instance = builtin->instances; instance->profile; instance++) {
		size_t number = builtin->count + (size_t)(instance - builtin->instances);
		struct gpualloc_device *mig = ga_device_add_mig(device);

		if (!mig || set_uuid(&mig->uuid, "MIG", machine, number) < 0 ||
		    ga_set_text(&mig->profile, instance->profile) < 0)
			return GPUALLOC_ENOMEM;
		mig->gi = instance->gi;
		mig->ci = 0;
		mig->memory = (struct ga_memory){instance->megabytes * mebibyte, 0, 0};
		mig->processes_known = true;
	}
	return 0;
}

static int fill_device(size_t machine, size_t i, struct gpualloc_device *device)
{
	const struct builtin *builtin = &machines[machine];

	if (set_uuid(&device->uuid, "GPU", machine, i) < 0 ||
	    ga_set_text(&device->name, builtin->model) < 0 ||
	    set_pci(builtin, i, &device->pci) < 0 || set_place(builtin, i, device) < 0)
		return GPUALLOC_ENOMEM;
	device->minor = (int64_t)i;
	if (builtin->nvlink_version > 0)
		device->nvlink_version = builtin->nvlink_version;
	device->display = 0;
	device->memory =
		(struct ga_memory){builtin->total * mebibyte, builtin->reserved * mebibyte, 0};
	device->utilization = 0;
	device->compute_mode = GA_COMPUTE_DEFAULT;
	device->processes_known = true;
	if (builtin->instances && i == builtin->count - 1)
		return cut_into_instances(machine, device);
	return 0;
}

static int make(size_t i, gpualloc_machine **ret_machine, gpualloc_error *error)
{
	const struct builtin *builtin = &machines[i];
	ga_auto_machine gpualloc_machine *machine = NULL;
	int result = ga_machine_new(builtin->count, &machine, error);

	if (result < 0)
		return result;
	if (ga_set_text(&machine->name, builtin->name) < 0 ||
	    ga_set_text(&machine->source, "builtin") < 0 ||
	    ga_set_text(&machine->driver, builtin->driver) < 0)
		return ga_error_memory(error);
	machine->sockets = builtin->sockets;
	machine->cores_per_socket = builtin->cores_per_socket;
	machine->threads_per_core = builtin->threads_per_core;
	for (size_t d = 0; d < builtin->count; d++)
		if (fill_device(i, d, &machine->devices[d]) < 0)
			return ga_error_memory(error);
	set_links(builtin, &machine->links);
	result = ga_machine_finish(machine, error);
	if (result == 0)
		*ret_machine = ga_steal(&machine);
	return result;
}

static const char *machine_name(size_t i)
{
	return i < MACHINE_COUNT ? machines[i].name : NULL;
}

static const char *machine_description(size_t i)
{
	return i < MACHINE_COUNT ? machines[i].description : NULL;
}

const struct ga_source ga_source_builtin = {
	.name = "built-in",
	.description = "a simulated machine",
	.machine_name = machine_name,
	.machine_description = machine_description,
	.make = make,
};
