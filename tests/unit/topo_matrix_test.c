/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix of nvidia-smi topo -m as real machines printed it and people kept it: what each text
 * says was written down by eye. What damage does to them is in topo_damage_test.c.
 */
#include "topo_check.h"

#include <dirent.h>

#define MESH_VOLTA(far)                                                                   \
	"X NV1 NV1 NV2 NV2 " far " " far " " far "\n"                                     \
	"NV1 X NV2 NV1 " far " NV2 " far " " far "\n"                                     \
	"NV1 NV2 X NV2 " far " " far " NV1 " far "\n"                                     \
	"NV2 NV1 NV2 X " far " " far " " far " NV1\n"                                     \
	"NV2 " far " " far " " far " X NV1 NV1 NV2\n" far " NV2 " far " " far             \
	" NV1 X NV2 NV1\n" far " " far " NV1 " far " NV1 NV2 X NV2\n" far " " far " " far \
	" NV1 NV2 NV1 NV2 X\n"

#define PAIRS_OF_4(pair, far)                                                                      \
	"X " pair " " far " " far "\n" pair " X " far " " far "\n" far " " far " X " pair "\n" far \
	" " far " " pair " X\n"

#define PAIRS_OF_8(pair)                                                               \
	"X " pair " NODE NODE SYS SYS SYS SYS\n" pair " X NODE NODE SYS SYS SYS SYS\n" \
	"NODE NODE X " pair " SYS SYS SYS SYS\n"                                       \
	"NODE NODE " pair " X SYS SYS SYS SYS\n"                                       \
	"SYS SYS SYS SYS X " pair " NODE NODE\n"                                       \
	"SYS SYS SYS SYS " pair " X NODE NODE\n"                                       \
	"SYS SYS SYS SYS NODE NODE X " pair "\n"                                       \
	"SYS SYS SYS SYS NODE NODE " pair " X\n"

/*
 * links: row by row, or the one word that all pairs have. inferred: the levels of pairs, those that
 * were read included ("01x23 PHB": 0 and 1 with 2 and 3; "01": among themselves). places: GPUs, CPU
 * list, NUMA node.
 */
static const struct {
	const char *file;
	size_t count;
	const char *links;
	const char *inferred;
	const char *places;
} captures[] = {
	{"2gpu-node-reindented.txt", 2, "NODE", "01 NODE", "01 0-15 0"},
	{"2gpu-nv1-dual.txt", 2, "NV1", "01 NODE", "01 0-15 0"},
	{"2gpu-nv2-dual.txt", 2, "NV2", "01 ?", "01 0-23 -"},
	{"2gpu-phb-dual.txt", 2, "PHB", "01 PHB", "01 0-11 -"},
	/* Affinity cells are empty, N/A is the GPU's own node. Both GPUs are PXB to NIC6 and NIC7.
	 */
	{"2of8-a100-8nic-noaff.txt", 2, "NV12", "01 PXB", "01 - -"},
	{"2x5090-phb.txt", 2, "PHB", "01 PHB", "01 0-63 0"},
	/* NIC0 is PXB to GPU2 and PIX to GPU3: the farther of the two. */
	{"4gpu-24g-nv4-pairs.txt", 4, PAIRS_OF_4("NV4", "SYS"), "01 NODE, 23 PXB, 01x23 SYS",
	 "01 0-23,48-71 0; 23 24-47,72-95 1"},
	{"4gpu-nv4-interleaved.txt", 4, PAIRS_OF_4("NV4", "SYS"), "01 NODE, 23 NODE, 01x23 SYS",
	 "01 0,2,4,6,8,10 0; 23 1,3,5,7,9,11 1"},
	{"4gpu-phb-0-47.txt", 4, "PHB", "0123 PHB", "0123 0-47 0"},
	{"4gpu-pix-phb.txt", 4, PAIRS_OF_4("PIX", "PHB"), "01 PIX", "0123 0-13,28-41 0"},
	{"4gpu-sm75-pix.txt", 4, "PIX", "0123 PIX", "0123 0-19,40-59 0"},
	{"4gpu-soc-mlx4.txt", 4, PAIRS_OF_4("PHB", "SYS"), "01x23 SYS", "01 0-5 -; 23 6-11 -"},
	{"4xa100-pcie-8470.txt", 4, PAIRS_OF_4("NV12", "SYS"), "01 NODE, 23 NODE, 01x23 SYS",
	 "01 0-51,104-155 0; 23 52-103,156-207 1"},
	{"4xa4000.txt", 4, "NODE", "0123 NODE", "0123 0-31 0"},
	{"4xk80-cgroup.txt", 4, PAIRS_OF_4("PIX", "SYS"), "01x23 SYS", "0123 0-3 -"},
	{"4xk80-hived.txt", 4, "NODE", "0123 NODE", "0123 0-11 -"},
	{"4xrtxpro6000-7960t.txt", 4, "NODE", "0123 NODE", "0123 0-119 0"},
	{"4xt4.txt", 4, "X SYS SYS SYS\nSYS X NODE NODE\nSYS NODE X NODE\nSYS NODE NODE X\n",
	 "0x123 SYS, 123 NODE", "0 0-15,32-47 -; 123 16-31,48-63 -"},
	/* All are SYS to the NIC, and the CPUs are the same for all: a path, no more is known. */
	{"4xv100-half-dgx.txt", 4, "X NV1 NV1 NV2\nNV1 X NV2 NV1\nNV1 NV2 X NV2\nNV2 NV1 NV2 X\n",
	 "0123 SYS", "0123 0-15 -"},
	{"4xv100-sysuest.txt", 4,
	 "X NV2 NV1 NODE\nNV2 X NODE NV2\nNV1 NODE X NV2\nNODE NV2 NV2 X\n",
	 "01 PIX, 23 PIX, 01x23 NODE", "0123 14-27 -"},
	{"6gpu-odd-nv12.txt", 6,
	 "X NODE NODE NV12 SYS SYS\nNODE X NV12 SYS SYS SYS\nNODE NV12 X SYS SYS SYS\n"
	 "NV12 SYS SYS X NODE NODE\nSYS SYS SYS NODE X NV12\nSYS SYS SYS NODE NV12 X\n",
	 "012 NODE, 345 NODE, 012x345 SYS", "012 0-27,56-83 0; 345 28-55,84-111 1"},
	{"6of8-h100-container.txt", 6, "NV18", "012 NODE, 345 NODE, 012x345 SYS",
	 "012 0-47,96-143 0; 345 48-95,144-191 1"},
	{"7gpu-pix-phb.txt", 7,
	 "X PIX PIX PHB PHB PHB PHB\nPIX X PIX PHB PHB PHB PHB\nPIX PIX X PHB PHB PHB PHB\n"
	 "PHB PHB PHB X PIX PIX PIX\nPHB PHB PHB PIX X PIX PIX\nPHB PHB PHB PIX PIX X PIX\n"
	 "PHB PHB PHB PIX PIX PIX X\n",
	 "3456 PIX", "0123456 0-19 -"},
	{"8gpu-6plus2.txt", 8,
	 "X NODE NODE NODE NODE NODE SYS SYS\nNODE X PHB NODE NODE NODE SYS SYS\n"
	 "NODE PHB X NODE NODE NODE SYS SYS\nNODE NODE NODE X PHB NODE SYS SYS\n"
	 "NODE NODE NODE PHB X NODE SYS SYS\nNODE NODE NODE NODE NODE X SYS SYS\n"
	 "SYS SYS SYS SYS SYS SYS X PHB\nSYS SYS SYS SYS SYS SYS PHB X\n",
	 "012345x67 SYS", "012345 0-15,32-47 0; 67 16-31,48-63 1"},
	{"8gpu-allsys-16c.txt", 8, "SYS", "0123 SYS", "0123 0-15,32-47 0; 4567 16-31,48-63 1"},
	{"8x4090-allsys.txt", 8, "SYS", "67 SYS", "0123 0-55,112-167 0; 4567 56-111,168-223 1"},
	{"8xa100-10nic-gluedcols.txt", 8, "NV12",
	 "01 PXB, 23 PXB, 45 PXB, 67 PXB, 01x23 SYS, 0123x4567 SYS, 45x67 SYS",
	 "01 24-31,88-95 3; 23 8-15,72-79 1; 45 56-63,120-127 7; 67 40-47,104-111 5"},
	/* The CPUs of a cgroup overlap and "0-7" is not a node: only the NICs tell. */
	{"8xa100-11mlx-commented.txt", 8, "NV12",
	 "01 PXB, 23 PXB, 45 PXB, 67 PXB, 01x23 SYS, 0123x4567 SYS, 45x67 SYS",
	 "014567 0-14,16-30 -; 23 16-30,144-158 1"},
	{"8xa6000-baobab.txt", 8, PAIRS_OF_8("NV4"), "0123 NODE, 4567 NODE, 0123x4567 SYS",
	 "0123 0-63 0; 4567 64-127 1"},
	{"8xh100-51-155.txt", 8, "NV18", "0123 NODE, 4567 NODE, 0123x4567 SYS",
	 "0123 0-51,104-155 0; 4567 52-103,156-207 1"},
	{"8xh100nvl-nv12-pairs.txt", 8, PAIRS_OF_8("NV12"), "0123 NODE, 4567 NODE, 0123x4567 SYS",
	 "0123 0-63,128-191 0; 4567 64-127,192-255 1"},
	{"8xh20-8nic.txt", 8, "NV18", "0123 NODE, 4567 NODE, 0123x4567 SYS",
	 "0123 0-47,96-143 0; 4567 48-95,144-191 1"},
	{"8xnv18-11nic-bond.txt", 8, "NV18",
	 "01 PIX, 23 PIX, 45 PIX, 67 PIX, 01x23 NODE, 45x67 NODE, 0123x4567 SYS",
	 "0123 0-47,96-143 0; 4567 48-95,144-191 1"},
	{"8xp40-pix-pxb.txt", 8,
	 "X PIX PIX PIX PXB PXB PXB PXB\nPIX X PIX PIX PXB PXB PXB PXB\n"
	 "PIX PIX X PIX PXB PXB PXB PXB\nPIX PIX PIX X PXB PXB PXB PXB\n"
	 "PXB PXB PXB PXB X PIX PIX PIX\nPXB PXB PXB PXB PIX X PIX PIX\n"
	 "PXB PXB PXB PXB PIX PIX X PIX\nPXB PXB PXB PXB PIX PIX PIX X\n",
	 "0123x4567 PXB", "01234567 0-13 -"},
	{"8xv100-hugectr-retab.txt", 8,
	 "X NV1 NV2 NV1 SYS SYS SYS NV2\nNV1 X NV1 NV2 SYS SYS NV2 SYS\n"
	 "NV2 NV1 X NV2 SYS NV1 SYS SYS\nNV1 NV2 NV2 X NV1 SYS SYS SYS\n"
	 "SYS SYS SYS NV1 X NV2 NV2 NV1\nSYS SYS NV1 SYS NV2 X NV1 NV2\n"
	 "SYS NV2 SYS SYS NV2 NV1 X NV1\nNV2 SYS SYS SYS NV1 NV2 NV1 X\n",
	 "01 NODE, 23 PIX, 01x23 NODE, 45 NODE, 67 PIX, 45x67 NODE, 0123x4567 SYS",
	 "0123 0-23,48-71 0; 4567 24-47,72-95 1"},
	{"8xv100-kvm.txt", 8, MESH_VOLTA("PHB"), "01234567 PHB", "01234567 0-63 -"},
	{"8xv100-lmdeploy.txt", 8, MESH_VOLTA("SYS"), "0123 NODE, 4567 NODE, 0123x4567 SYS",
	 "0123 0-19,40-59 0; 4567 20-39,60-79 1"},
	/* The NIC tells of GPUs 0 to 3; of 4 to 7 only that they share their CPUs. */
	{"8xv100-oneflow-crlf.txt", 8, MESH_VOLTA("SYS"),
	 "01 NODE, 23 PIX, 01x23 NODE, 4567 NODE, 0123x4567 SYS",
	 "0123 0-11,24-35 -; 4567 12-23,36-47 -"},
	{"8xv100-oneflow-tabtab.txt", 8, MESH_VOLTA("SYS"),
	 "01 NODE, 23 PIX, 01x23 NODE, 4567 NODE, 0123x4567 SYS",
	 "0123 0-11,24-35 -; 4567 12-23,36-47 -"},
	{"8xv100-oneflow.txt", 8, MESH_VOLTA("SYS"),
	 "01 NODE, 23 PIX, 01x23 NODE, 4567 NODE, 0123x4567 SYS",
	 "0123 0-11,24-35 -; 4567 12-23,36-47 -"},
	{"8xv100-pytorch-rpc.txt", 8,
	 "X NV2 NV1 NV2 NV1 NODE NODE NODE\nNV2 X NV2 NV1 NODE NV1 NODE NODE\n"
	 "NV1 NV2 X NV1 NODE NODE NV2 NODE\nNV2 NV1 NV1 X NODE NODE NODE NV2\n"
	 "NV1 NODE NODE NODE X NV2 NV1 NV2\nNODE NV1 NODE NODE NV2 X NV2 NV1\n"
	 "NODE NODE NV2 NODE NV1 NV2 X NV1\nNODE NODE NODE NV2 NV2 NV1 NV1 X\n",
	 "01234567 NODE", "01234567 0-19,40-59 -"},
	{"adroit-4xa100.txt", 4, PAIRS_OF_4("NODE", "SYS"), "01x23 SYS",
	 "01 0,2,4,6,8,10 0; 23 1,3,5,7,9,11 1"},
	{"azure-2xm60.txt", 2, "SYS", "01 SYS", "01 0-11 -"},
	{"azure-nc96ads-4xa100-b.txt", 4, PAIRS_OF_4("NV12", "SYS"), "0123 SYS",
	 "0 0-23 0; 1 24-47 1; 2 48-71 2; 3 72-95 3"},
	{"azure-ndv2-8xv100.txt", 8,
	 "X NV2 NV1 NV2 NODE NODE NV1 NODE\nNV2 X NV2 NV1 NODE NODE NODE NV1\n"
	 "NV1 NV2 X NV1 NV2 NODE NODE NODE\nNV2 NV1 NV1 X NODE NV2 NODE NODE\n"
	 "NODE NODE NV2 NODE X NV1 NV1 NV2\nNODE NODE NODE NV2 NV1 X NV2 NV1\n"
	 "NV1 NODE NODE NODE NV1 NV2 X NV2\nNODE NV1 NODE NODE NV2 NV1 NV2 X\n",
	 "01234567 NODE", "01234567 0-19 0"},
	{"delta-4xa100.txt", 4, "NV4", "0123 SYS", "0 48-63 3; 1 32-47 2; 2 16-31 1; 3 0-15 0"},
	/* Cut, but after the last GPU. */
	{"dgx-h100-talos-cut.txt", 8, "NV18", "0123 NODE, 4567 NODE, 0123x4567 SYS",
	 "0123 0-55,112-167 0; 4567 56-111,168-223 1"},
	{"dgx1-p100.txt", 8,
	 "X NV1 NV1 NV1 NV1 SYS SYS SYS\nNV1 X NV1 NV1 SYS NV1 SYS SYS\n"
	 "NV1 NV1 X NV1 SYS SYS NV1 SYS\nNV1 NV1 NV1 X SYS SYS SYS NV1\n"
	 "NV1 SYS SYS SYS X NV1 NV1 NV1\nSYS NV1 SYS SYS NV1 X NV1 NV1\n"
	 "SYS SYS NV1 SYS NV1 NV1 X NV1\nSYS SYS SYS NV1 NV1 NV1 NV1 X\n",
	 "01 PIX, 23 PIX, 01x23 PHB, 45 PIX, 67 PIX, 45x67 PHB, 0123x4567 SYS", "01234567 1-1 -"},
	{"dgx1-v100-4ib.txt", 8, MESH_VOLTA("SYS"),
	 "01 PIX, 23 PIX, 01x23 PHB, 45 PIX, 67 PIX, 45x67 PHB, 0123x4567 SYS",
	 "0123 0-19,40-59 -; 4567 20-39,60-79 -"},
	/* Even NICs of one socket are SYS here, but the GPUs share CPU and node. */
	{"gb200-tray-8nic.txt", 4, "NV18", "01 NODE, 23 NODE, 01x23 SYS", "01 0-71 0; 23 72-143 1"},
	{"gh200-quad.txt", 4, "NV6", "0123 SYS", "0 0-71 0; 1 72-143 1; 2 144-215 2; 3 216-287 3"},
	{"h100-590.txt", 1, "X", "", "0 0-19 0"},
	{"h100-mig-590.txt", 1, "X", "", "0 0-19 0"},
	{"h200-590.txt", 1, "X", "", "0 0-23 0"},
	{"h200-mig-590.txt", 1, "X", "", "0 0-23 0"},
	{"l40s-595.txt", 1, "X", "", "0 0-7 0"},
	{"nimbix-4gpu.txt", 4, PAIRS_OF_4("PIX", "SYS"), "01x23 SYS", "01 0-7 -; 23 8-15 -"},
	{"rtx2080super-595.txt", 1, "X", "", "0 0-23 0"},
	{"rtx2080super-610.txt", 1, "X", "", "0 0-23 0"},
	{"rtx4080super-595.txt", 1, "X", "", "0 0-15 0"},
	{"traverse-ac922.txt", 4, PAIRS_OF_4("NV3", "SYS"), "01 NODE, 23 NODE, 01x23 SYS",
	 "01 0-63 0; 23 64-127 8"},
	{"win-rtx2080super-610.txt", 1, "X", "", "0 - -"},
};

static const struct {
	const char *file;
	const char *reason;
} refused[] = {
	{"b200-dead-nvlink-gpu2-FRAGMENT.txt", "line 1: a row of GPU0 with no header above it"},
	{"dgx2-FRAGMENT.txt", "line 6: the text ends here, but the row of GPU5 is missing (the "
			      "header in line 1 has 16 GPUs, and there are 5 rows)"},
	{"err-win-rtx2080super-591.txt",
	 "line 1: this is not a matrix as `nvidia-smi topo -m` prints it; the text starts with \"ERROR: Option "
	 "-m is missing its value."},
};

enum {
	CAPTURES = sizeof captures / sizeof *captures,
	REFUSED = sizeof refused / sizeof *refused,
};

static char *read_capture(const char *file, size_t *ret_size)
{
	char path[256];

	(void)snprintf(path, sizeof path, "machines/topo/%s", file);
	return test_read(path, ret_size);
}

static void every_capture_says_what_its_machine_has(void)
{
	for (size_t i = 0; i < CAPTURES; i++) {
		size_t size;
		ga_auto_free char *text = read_capture(captures[i].file, &size);
		ga_auto_machine gpualloc_machine *machine = NULL;

		test_about("%s", captures[i].file);
		machine = topo_read(text, size);
		CHECK_INT(machine->device_count, captures[i].count);
		topo_check_links(machine, captures[i].links);
		topo_check_levels(machine, captures[i].inferred);
		topo_check_places(machine, captures[i].places);
		topo_check_invariants(machine);
		CHECK(ga_source_topo_matrix.recognises(text, size));
	}
}

static void fragments_are_refused_with_the_line(void)
{
	for (size_t i = 0; i < REFUSED; i++) {
		size_t size;
		ga_auto_free char *text = read_capture(refused[i].file, &size);

		test_about("%s", refused[i].file);
		topo_check_refused(text, size, refused[i].reason);
	}
}

static bool is_listed(const char *file)
{
	for (size_t i = 0; i < CAPTURES; i++)
		if (strcmp(captures[i].file, file) == 0)
			return true;
	for (size_t i = 0; i < REFUSED; i++)
		if (strcmp(refused[i].file, file) == 0)
			return true;
	return false;
}

static void no_capture_is_without_an_expectation(void)
{
	DIR *folder = opendir(test_path("machines/topo"));
	struct dirent *entry;
	size_t count = 0;

	CHECK(folder != NULL);
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		test_about("%s", entry->d_name);
		CHECK(is_listed(entry->d_name));
		count++;
	}
	CHECK_INT(closedir(folder), 0);
	CHECK_INT(count, CAPTURES + REFUSED);
}

static void nothing_else_is_known_of_the_machine(void)
{
	size_t size;
	ga_auto_free char *text = read_capture("8xa6000-baobab.txt", &size);
	ga_auto_machine gpualloc_machine *machine = topo_read(text, size);
	const struct gpualloc_device *device = &machine->devices[3];

	CHECK_TEXT(machine->source, "topo");
	CHECK_TEXT(machine->name, NULL);
	CHECK_TEXT(device->uuid, NULL);
	CHECK_TEXT(device->name, NULL);
	CHECK_INT(device->memory.total, GA_UNKNOWN);
	CHECK(!device->processes_known && !device->mig_enabled);
	CHECK(!ga_machine_is_simulated(machine));
}

/* As an error page, another source's text or a machine file would: they are for others. */
static void other_texts_are_not_recognised(void)
{
	static const char *const others[] = {
		"",
		"\n\n",
		"{\"gpualloc_machine\": 1, \"devices\": [{\"index\": 0, \"name\": \"GPU0 X PIX\"}]}",
		"<?xml version=\"1.0\" ?>\n<gpu>\nGPU0 X\n</gpu>\n",
		"GPU 0: NVIDIA A100 (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)\n",
		"Using GPU0 and GPU1 for training\n",
		"kernel: GPU0 Xid 79, fell off the bus\n",
		"ERROR: Option -m is missing its value.\n",
	};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		test_about("%.40s", others[i]);
		CHECK(!ga_source_topo_matrix.recognises(others[i], strlen(others[i])));
	}
}

static const struct test_case cases[] = {
	{"every capture says what its machine has", every_capture_says_what_its_machine_has},
	{"fragments are refused with the line", fragments_are_refused_with_the_line},
	{"no capture is without an expectation", no_capture_is_without_an_expectation},
	{"nothing else is known of the machine", nothing_else_is_known_of_the_machine},
	{"other texts are not recognised", other_texts_are_not_recognised},
};

TEST_MAIN(cases)
