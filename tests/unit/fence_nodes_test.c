/* SPDX-License-Identifier: Apache-2.0 */
/* Which device nodes the administrator's fence closes, on machines whose files lie in a folder. */
#include "buffer.h"
#include "caps.h"
#include "fence/nodes.h"
#include "fence/numbers.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Two GPUs, one in MIG mode. */
static const char two[] =
	"{\"gpualloc_machine\":1,\"devices\":["
	"{\"index\":0,\"uuid\":\"GPU-a\",\"minor\":1,\"pci\":\"00000000:C7:00.0\"},"
	"{\"index\":1,\"uuid\":\"GPU-b\",\"minor\":0,\"pci\":\"00000000:07:00.0\",\"mig\":["
	"{\"uuid\":\"MIG-1\",\"gi\":7,\"ci\":0,\"profile\":\"1g.5gb\"}]}],"
	"\"pcie\":[[\"X\",null],[null,\"X\"]]}";

static const char devices[] = "Character devices:\n"
			      "  1 mem\n"
			      "195 nvidia\n"
			      "195 nvidia-modeset\n"
			      "237 nvidia-caps-imex-channels\n"
			      "238 nvidia-caps\n"
			      "\n"
			      "Block devices:\n"
			      "  7 loop\n";

/* ---- a root of our own ---- */

static char root[] = "/tmp/gpualloc-nodes-XXXXXX";

static void whole_path(const char *path, char whole[512])
{
	CHECK(snprintf(whole, 512, "%s%s", root, path) < 512);
}

static void make_folders_of(const char *path)
{
	char whole[512];

	whole_path(path, whole);
	for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(whole, 0755);
		*slash = '/';
	}
}

static void make(const char *path, const char *content, size_t size)
{
	char whole[512];
	int fd;

	make_folders_of(path);
	whole_path(path, whole);
	fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, content, size) == (ssize_t)size);
	close(fd);
}

static void make_text(const char *path, const char *text)
{
	make(path, text, strlen(text));
}

static void remove_root(void)
{
	(void)test_remove_tree(root);
}

static void make_root(void)
{
	CHECK(mkdtemp(root) != NULL);
	CHECK_INT(atexit(remove_root), 0);
}

/* As drivers list them: of all GPUs that there may be. */
static void make_minors(int64_t gpus)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	ga_buffer_text(&text, "config 1\nmonitor 2\n");
	for (int64_t gpu = 0; gpu < gpus; gpu++)
		for (int64_t gi = 0; gi < 15; gi++)
			for (int64_t ci = -1; ci < 8; ci++) {
				int64_t caps[2];

				mig_caps_documented(gpu, gi, ci, caps);
				ga_buffer_format(&text, "gpu%d/gi%d/", (int)gpu, (int)gi);
				if (ci >= 0)
					ga_buffer_format(&text, "ci%d/", (int)ci);
				ga_buffer_format(&text, "access %d\n",
						 (int)(ci < 0 ? caps[0] : caps[1]));
			}
	make(MIG_MINORS, text.data, text.size);
}

/* ---- asking ---- */

static gpualloc_machine *machine_of(const char *text)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error *error = gpualloc_error_new();

	(void)gpualloc_machine_read(text, strlen(text), "test", &machine, error);
	CHECK_TEXT(gpualloc_error_message(error), "");
	gpualloc_error_free(error);
	return machine;
}

static struct fence_nodes find(const gpualloc_machine *machine, bool with_displays)
{
	struct fence_nodes nodes = {0};
	gpualloc_error *error = gpualloc_error_new();
	int result = fence_nodes_find(machine, root, with_displays, &nodes, error);

	CHECK_TEXT(gpualloc_error_message(error), "");
	CHECK_INT(result, 0);
	gpualloc_error_free(error);
	for (size_t i = 1; i < nodes.count; i++)
		CHECK(nodes.list[i - 1].number < nodes.list[i].number);
	return nodes;
}

static const struct fence_node *node_at(const struct fence_nodes *nodes, unsigned major_number,
					unsigned minor_number)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (nodes->list[i].number == makedev(major_number, minor_number))
			return &nodes->list[i];
	return NULL;
}

/* gpu NULL: nobody opens it. */
static void check_node(const struct fence_nodes *nodes, unsigned major_number,
		       unsigned minor_number, const char *path, const gpualloc_device *gpu,
		       int64_t gi, int64_t ci)
{
	const struct fence_node *node = node_at(nodes, major_number, minor_number);
	uint64_t start = 0, length = 0;

	test_about("%s", path);
	CHECK(node != NULL);
	if (gpu)
		CHECK_INT(gpualloc_device_ledger_range(gpu, gi, ci, 0, &start, &length, NULL), 0);
	CHECK_TEXT(node->path, path);
	CHECK_INT(node->start, start);
	CHECK_INT(node->length, length);
	CHECK(!gpu || node->length > 0);
}

static void check_gap(const struct fence_nodes *nodes, size_t i, enum fence_gap_kind kind,
		      const gpualloc_device *gpu, const char *part)
{
	char text[256];

	CHECK(i < nodes->gap_count);
	CHECK_INT(nodes->gaps[i].kind, kind);
	CHECK(nodes->gaps[i].gpu == gpu);
	CHECK(fence_gap_text(&nodes->gaps[i], text, sizeof text) < (int)sizeof text);
	CHECK_HAS(text, part);
}

/* ---- the cases ---- */

static void gpus_are_closed_by_number(void)
{
	gpualloc_machine *machine = machine_of(two);
	auto_fence_nodes struct fence_nodes nodes = {0};

	make_root();
	nodes = find(machine, false);
	CHECK_INT(nodes.count, 2);
	check_node(&nodes, 195, 0, "/dev/nvidia0", gpualloc_machine_device(machine, 1), -1, -1);
	check_node(&nodes, 195, 1, "/dev/nvidia1", gpualloc_machine_device(machine, 0), -1, -1);
	CHECK_INT(nodes.gap_count, 1);
	check_gap(&nodes, 0, FENCE_GAP_NO_CAPS, gpualloc_machine_device(machine, 1), "GPU 1");
	gpualloc_machine_free(machine);
}

static void the_kernel_says_the_major_numbers(void)
{
	gpualloc_machine *machine = machine_of(two);
	unsigned number = 0;

	make_root();
	CHECK(fence_major(devices, "nvidia-caps", &number));
	CHECK_INT(number, 238);
	CHECK(!fence_major(devices, "loop", &number));
	CHECK(!fence_major(devices, "nvidia-cap", &number));
	CHECK(!fence_major("195 nvidia\n", "nvidia", &number));
	CHECK(!fence_major("Character devices:\n4096 nvidia\n", "nvidia", &number));
	CHECK(!fence_major("Character devices:\n-1 nvidia\nnvidia\n 195\n", "nvidia", &number));
	for (int i = 0; i < 2; i++) {
		auto_fence_nodes struct fence_nodes nodes = {0};

		make_text("/proc/devices", i ? "Character devices:\n196 nvidia-frontend\n"
					     : "Character devices:\n197 nvidia\n");
		nodes = find(machine, false);
		CHECK(node_at(&nodes, i ? 196 : 197, 0) && node_at(&nodes, i ? 196 : 197, 1));
	}
	gpualloc_machine_free(machine);
}

static void all_instances_that_there_may_be_are_closed(void)
{
	size_t size;
	ga_auto_free char *text = test_read("machines/files/mig-kinds.json", &size);
	gpualloc_machine *machine = machine_of(text);
	auto_fence_nodes struct fence_nodes nodes = {0};

	make_root();
	make_text("/proc/devices", devices);
	make_minors(32);
	nodes = find(machine, false);
	CHECK_INT(gpualloc_machine_device_count(machine), 4);
	CHECK_INT(nodes.count, 4 + 4 * 135);
	CHECK_INT(nodes.gap_count, 0);
	CHECK(!node_at(&nodes, 238, 1) && !node_at(&nodes, 238, 2));
	for (int64_t gpu = 0; gpu < 4; gpu++)
		for (int64_t gi = 0; gi < 15; gi++)
			for (int64_t ci = -1; ci < 8; ci++) {
				int64_t caps[2], cap;
				char path[64];

				mig_caps_documented(gpu, gi, ci, caps);
				cap = ci < 0 ? caps[0] : caps[1];
				(void)snprintf(path, sizeof path, "/dev/nvidia-caps/nvidia-cap%d",
					       (int)cap);
				check_node(&nodes, 238, (unsigned)cap, path,
					   gpualloc_machine_device(machine, (size_t)gpu), gi, ci);
			}
	gpualloc_machine_free(machine);
}

static void without_their_major_number_instances_stay_open(void)
{
	gpualloc_machine *machine = machine_of(two);
	auto_fence_nodes struct fence_nodes nodes = {0};

	make_root();
	make_text("/proc/devices", "Character devices:\n195 nvidia\n");
	make_text("/dev/nvidia-caps/nvidia-cap3", "no device");
	make_minors(1);
	nodes = find(machine, false);
	CHECK_INT(nodes.count, 2);
	CHECK_INT(nodes.gap_count, 1);
	check_gap(&nodes, 0, FENCE_GAP_NO_MAJOR, NULL, "nvidia-caps");
	gpualloc_machine_free(machine);
}

static void a_node_that_is_there_says_the_major_number(void)
{
	gpualloc_machine *machine = machine_of(two);
	auto_fence_nodes struct fence_nodes nodes = {0};
	char whole[512];

	make_root();
	make_minors(1);
	make_folders_of("/dev/nvidia-caps/nvidia-cap66");
	whole_path("/dev/nvidia-caps/nvidia-cap65", whole);
	if (mknod(whole, S_IFCHR | 0600, makedev(240, 7)) < 0) {
		remove_root();
		test_skip("device files cannot be made here");
	}
	whole_path("/dev/nvidia-caps/nvidia-cap66", whole);
	CHECK_INT(mknod(whole, S_IFCHR | 0600, makedev(239, 66)), 0);
	nodes = find(machine, false);
	CHECK_INT(nodes.count, 2 + 135);
	check_node(&nodes, 239, 67, "/dev/nvidia-caps/nvidia-cap67",
		   gpualloc_machine_device(machine, 1), 7, 0);
	gpualloc_machine_free(machine);
}

static void what_nobody_can_lease_is_closed_to_everybody(void)
{
	gpualloc_machine *machine = machine_of(
		"{\"gpualloc_machine\":1,\"devices\":["
		"{\"index\":0,\"minor\":0,\"pci\":\"00000000:07:00.0\",\"health\":\"failed\"},"
		"{\"index\":1,\"uuid\":\"GPU-b\",\"pci\":\"00000000:08:00.0\",\"health\":\"lost\"},"
		"{\"index\":2,\"uuid\":\"GPU-c\",\"minor\":2,\"pci\":\"00000000:09:00.0\"}],"
		"\"pcie\":[[\"X\",null,null],[null,\"X\",null],[null,null,\"X\"]]}");
	auto_fence_nodes struct fence_nodes nodes = {0};

	make_root();
	make_text("/proc/devices", devices);
	make_minors(6);
	make_text("/proc/driver/nvidia/gpus/0000:08:00.0/information",
		  "Model: \t\t NVIDIA A100\nDevice Minor: \t 1\nGPU Excluded:\t No\n");
	/* The machine knows nothing of these. */
	make_text("/proc/driver/nvidia/gpus/0000:0a:00.0/information", "Device Minor: \t 5\n");
	make_text("/proc/driver/nvidia/gpus/0000:0b:00.0/information", "Device Minor: \t 255\n");
	make_text("/proc/driver/nvidia/gpus/0000:0c:00.0/information", "Device Minor: \t x\n");
	make_text("/sys/bus/pci/devices/0000:0a:00.0/drm/renderD130/dev", "226:130\n");
	nodes = find(machine, false);
	CHECK_INT(nodes.gap_count, 0);
	CHECK_INT(nodes.count, 4 + 4 * 135 + 1);
	check_node(&nodes, 195, 0, "/dev/nvidia0", NULL, -1, -1);
	check_node(&nodes, 195, 1, "/dev/nvidia1", gpualloc_machine_device(machine, 1), -1, -1);
	check_node(&nodes, 195, 2, "/dev/nvidia2", gpualloc_machine_device(machine, 2), -1, -1);
	check_node(&nodes, 195, 5, "/dev/nvidia5", NULL, -1, -1);
	check_node(&nodes, 226, 130, "/dev/dri/renderD130", NULL, -1, -1);
	check_node(&nodes, 238, 3, "/dev/nvidia-caps/nvidia-cap3", NULL, -1, -1);
	gpualloc_machine_free(machine);
}

static void displays_stay_open_unless_they_are_wanted(void)
{
	gpualloc_machine *machine = machine_of(
		"{\"gpualloc_machine\":1,\"devices\":["
		"{\"index\":0,\"uuid\":\"GPU-a\",\"minor\":0,\"pci\":\"00000000:07:00.0\","
		"\"display\":true},"
		"{\"index\":1,\"uuid\":\"GPU-b\",\"minor\":1,\"pci\":\"00000000:08:00.0\","
		"\"display\":false}],\"pcie\":[[\"X\",null],[null,\"X\"]]}");
	auto_fence_nodes struct fence_nodes some = {0}, all = {0};

	make_root();
	make_text("/proc/devices", devices);
	make_minors(2);
	make_text("/proc/driver/nvidia/gpus/0000:07:00.0/information", "Device Minor: \t 0\n");
	make_text("/sys/bus/pci/devices/0000:07:00.0/drm/card0/dev", "226:0\n");
	make_text("/sys/bus/pci/devices/0000:08:00.0/drm/card1/dev", "226:1\n");
	some = find(machine, false);
	CHECK_INT(some.count, 1 + 1 + 135);
	CHECK(!node_at(&some, 195, 0) && !node_at(&some, 226, 0) && !node_at(&some, 238, 3));
	CHECK_INT(some.gap_count, 1);
	check_gap(&some, 0, FENCE_GAP_DISPLAY, gpualloc_machine_device(machine, 0),
		  "GPU 0 has a display");
	all = find(machine, true);
	CHECK_INT(all.count, 2 + 2 + 270);
	CHECK_INT(all.gap_count, 0);
	gpualloc_machine_free(machine);
}

static void other_nodes_of_a_gpu_count_with_it(void)
{
	gpualloc_machine *machine = machine_of(two);
	const gpualloc_device *gpu = gpualloc_machine_device(machine, 0);
	auto_fence_nodes struct fence_nodes nodes = {0};

	make_root();
	make_text("/sys/bus/pci/devices/0000:c7:00.0/drm/card3/dev", "226:3\n");
	make_text("/sys/bus/pci/devices/0000:c7:00.0/drm/renderD131/dev", "226:131\n");
	make_text("/sys/bus/pci/devices/0000:c7:00.0/accel/accel0/dev", "261:0\n");
	make_text("/sys/bus/pci/devices/0000:c7:00.0/drm/card4/dev", "226:4 \n5\n");
	make_text("/sys/bus/pci/devices/0000:c7:00.0/drm/card5/dev", "226\n");
	make_text("/sys/bus/pci/devices/0000:c7:00.0/drm/card6/dev", "226:1048576\n");
	make_text("/sys/bus/pci/devices/0000:c7:00.0/drm/version", "1\n");
	make_text("/sys/bus/pci/devices/0000:c8:00.0/drm/card7/dev", "226:7\n");
	/* Of both. */
	make_text("/sys/bus/pci/devices/0000:c7:00.0/drm/card8/dev", "226:8\n");
	make_text("/sys/bus/pci/devices/0000:07:00.0/drm/card8/dev", "226:8\n");
	nodes = find(machine, false);
	CHECK_INT(nodes.count, 2 + 4);
	check_node(&nodes, 226, 3, "/dev/dri/card3", gpu, -1, -1);
	check_node(&nodes, 226, 131, "/dev/dri/renderD131", gpu, -1, -1);
	check_node(&nodes, 261, 0, "/dev/accel/accel0", gpu, -1, -1);
	check_node(&nodes, 226, 8, "/dev/dri/card8", NULL, -1, -1);
	gpualloc_machine_free(machine);
}

static void names_are_cut_and_cannot_hurt_a_terminal(void)
{
	gpualloc_machine *machine = machine_of(two);
	auto_fence_nodes struct fence_nodes nodes = {0};
	char path[400];

	make_root();
	make_text("/sys/bus/pci/devices/0000:c7:00.0/drm/\033[31m/dev", "226:3\n");
	(void)snprintf(path, sizeof path, "/sys/bus/pci/devices/0000:c7:00.0/drm/%0200d/dev", 7);
	make_text(path, "226:4\n");
	nodes = find(machine, false);
	CHECK_TEXT(node_at(&nodes, 226, 3)->path, "/dev/dri/?[31m");
	CHECK_INT(strlen(node_at(&nodes, 226, 4)->path), FENCE_PATH_SIZE - 1);
	gpualloc_machine_free(machine);
}

static void what_two_gpus_claim_is_closed(void)
{
	gpualloc_machine *machine = machine_of(
		"{\"gpualloc_machine\":1,\"devices\":["
		"{\"index\":0,\"uuid\":\"GPU-a\",\"minor\":0,\"pci\":\"00000000:07:00.0\"},"
		"{\"index\":1,\"uuid\":\"GPU-b\",\"minor\":0,\"pci\":\"00000000:08:00.0\"},"
		"{\"index\":2,\"uuid\":\"GPU-c\",\"minor\":1,\"pci\":\"00000000:09:00.0\"}],"
		"\"pcie\":[[\"X\",null,null],[null,\"X\",null],[null,null,\"X\"]]}");
	auto_fence_nodes struct fence_nodes nodes = {0};

	make_root();
	make_text("/proc/devices", devices);
	make_minors(2);
	nodes = find(machine, false);
	CHECK_INT(nodes.count, 2 + 270);
	check_node(&nodes, 195, 0, "/dev/nvidia0", NULL, -1, -1);
	check_node(&nodes, 195, 1, "/dev/nvidia1", gpualloc_machine_device(machine, 2), -1, -1);
	check_node(&nodes, 238, 3, "/dev/nvidia-caps/nvidia-cap3", NULL, -1, -1);
	gpualloc_machine_free(machine);
}

static void a_gpu_without_number_closes_instances_that_may_be_its(void)
{
	gpualloc_machine *machine = machine_of(
		"{\"gpualloc_machine\":1,\"devices\":["
		"{\"index\":0,\"uuid\":\"GPU-a\",\"minor\":0,\"pci\":\"00000000:07:00.0\"},"
		"{\"index\":1,\"uuid\":\"GPU-b\"},"
		"{\"index\":2,\"uuid\":\"GPU-c\",\"minor\":255,\"pci\":\"00000000:09:00.0\"}],"
		"\"pcie\":[[\"X\",null,null],[null,\"X\",null],[null,null,\"X\"]]}");
	auto_fence_nodes struct fence_nodes nodes = {0};

	make_root();
	make_text("/proc/devices", devices);
	make_minors(3);
	nodes = find(machine, false);
	CHECK_INT(nodes.count, 1 + 3 * 135);
	CHECK(!node_at(&nodes, 195, 255));
	CHECK_INT(nodes.gap_count, 3);
	check_gap(&nodes, 0, FENCE_GAP_NO_MINOR, gpualloc_machine_device(machine, 1), "GPU 1");
	check_gap(&nodes, 1, FENCE_GAP_NO_PCI, gpualloc_machine_device(machine, 1), "/dev/dri");
	check_gap(&nodes, 2, FENCE_GAP_NO_MINOR, gpualloc_machine_device(machine, 2), "GPU 2");
	check_node(&nodes, 238, 3, "/dev/nvidia-caps/nvidia-cap3",
		   gpualloc_machine_device(machine, 0), 0, -1);
	check_node(&nodes, 238, 138, "/dev/nvidia-caps/nvidia-cap138", NULL, -1, -1);
	gpualloc_machine_free(machine);
}

static void lists_are_read_strictly(void)
{
	static const char minors[] =
		"config 1\ngpu0/gi0/access 3\ngpu0/gi0/ci0/access 4\r\n"
		"gpu0/gi1/access  5\ngpu0/gi1/access 6x\ngpu0/gi1/ci/access 7\n"
		"gpu/gi1/access 8\ngpu0/gi1/ci0 9\ngpu0/gi1/access\n"
		"gpu0/gi1/access 1048576\ngpu0/gi63/access 10\n"
		"gpu0/gi0/ci8/access 11\ngpu99999999999/gi1/access 12\n\n"
		"\xff\xfe/gpu0\ngpu0/gi2/access 13";
	gpualloc_machine *machine = machine_of(two);
	const gpualloc_device *gpu = gpualloc_machine_device(machine, 1);
	auto_fence_nodes struct fence_nodes nodes = {0};

	make_root();
	make_text("/proc/devices", devices);
	make_text(MIG_MINORS, minors);
	nodes = find(machine, false);
	CHECK_INT(nodes.count, 2 + 5);
	check_node(&nodes, 238, 3, "/dev/nvidia-caps/nvidia-cap3", gpu, 0, -1);
	check_node(&nodes, 238, 4, "/dev/nvidia-caps/nvidia-cap4", gpu, 0, 0);
	check_node(&nodes, 238, 13, "/dev/nvidia-caps/nvidia-cap13", gpu, 2, -1);
	/* These have no place in the ledger. */
	check_node(&nodes, 238, 10, "/dev/nvidia-caps/nvidia-cap10", NULL, -1, -1);
	check_node(&nodes, 238, 11, "/dev/nvidia-caps/nvidia-cap11", NULL, -1, -1);
	gpualloc_machine_free(machine);
}

static void too_many_are_refused(void)
{
	gpualloc_machine *machine = machine_of(two);
	struct fence_nodes nodes = {0};
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	gpualloc_error *error = gpualloc_error_new();

	make_root();
	make_text("/proc/devices", devices);
	for (int i = 0; i < FENCE_NODES - 1; i++)
		ga_buffer_format(&text, "gpu0/gi0/access %d\n", 3 + i);
	make(MIG_MINORS, text.data, text.size);
	CHECK_INT(fence_nodes_find(machine, root, false, &nodes, error), GPUALLOC_EDATA);
	CHECK_HAS(gpualloc_error_message(error), "more than 16384 device nodes");
	CHECK(!nodes.list && !nodes.gaps);
	make(MIG_MINORS, text.data, text.size - strlen("gpu0/gi0/access 16385\n"));
	nodes = find(machine, false);
	CHECK_INT(nodes.count, FENCE_NODES);
	fence_nodes_free(&nodes);
	gpualloc_error_free(error);
	gpualloc_machine_free(machine);
}

static void a_list_that_cannot_be_read_is_a_failure(void)
{
	gpualloc_machine *machine = machine_of(two);
	struct fence_nodes nodes = {0};
	gpualloc_error *error = gpualloc_error_new();

	make_root();
	make_folders_of(MIG_MINORS "/");
	CHECK_INT(fence_nodes_find(machine, root, false, &nodes, error), GPUALLOC_EDATA);
	CHECK_HAS(gpualloc_error_message(error), "mig-minors");
	CHECK(!nodes.list);
	gpualloc_error_free(error);
	gpualloc_machine_free(machine);
}

static void no_gpus_are_nothing_to_close(void)
{
	gpualloc_machine *machine =
		machine_of("{\"gpualloc_machine\":1,\"devices\":[],\"pcie\":[]}");
	auto_fence_nodes struct fence_nodes nodes = {0};

	make_root();
	make_text("/proc/devices", devices);
	make_minors(32);
	nodes = find(machine, false);
	CHECK_INT(nodes.count, 0);
	CHECK_INT(nodes.gap_count, 0);
	gpualloc_machine_free(machine);
}

/* The kernel's half computes with these, so they must hold for all that there is in the ledger. */
static void a_level_is_one_stride_behind_the_last(void)
{
	gpualloc_machine *machine = machine_of(two);

	for (size_t i = 0; i < 2; i++)
		for (int64_t gi = -1; gi <= 62; gi++)
			for (int64_t ci = -1; ci <= (gi < 0 ? -1 : 7); ci++) {
				const gpualloc_device *gpu = gpualloc_machine_device(machine, i);
				uint64_t first = 0, whole = 0, start, length;

				test_about("GPU %zu, %d:%d", i, (int)gi, (int)ci);
				CHECK_INT(gpualloc_device_ledger_range(gpu, gi, ci, 0, &first,
								       &whole, NULL),
					  0);
				CHECK(whole > 0 && whole <= FENCE_LEVEL_STRIDE);
				CHECK(first % (FENCE_LEVELS * FENCE_LEVEL_STRIDE) + whole <=
				      FENCE_LEVEL_STRIDE);
				for (unsigned level = 1; level < FENCE_LEVELS; level++) {
					CHECK_INT(gpualloc_device_ledger_range(gpu, gi, ci, level,
									       &start, &length,
									       NULL),
						  0);
					CHECK_INT(start, first + level * FENCE_LEVEL_STRIDE);
					CHECK_INT(length, whole);
					CHECK(start + length <= FENCE_DEVICES_END);
				}
				CHECK_INT(gpualloc_device_ledger_range(gpu, gi, ci, FENCE_LEVELS,
								       &start, &length, NULL),
					  GPUALLOC_EUSAGE);
			}
	gpualloc_machine_free(machine);
}

static void addresses_are_written_as_the_kernel_does(void)
{
	static const char *const bad[] = {"",
					  "0000",
					  "0000:07:00",
					  "0:07:00.0/..",
					  "000000000:07:00.0",
					  "0000:007:00.0",
					  "0000:07:00.00",
					  ":07:00.0",
					  "..",
					  "0000:07:00.g",
					  "0x10:07:00.0"};
	char folder[FENCE_PCI_SIZE];

	CHECK(fence_pci("00000000:C7:00.0", folder));
	CHECK_TEXT(folder, "0000:c7:00.0");
	CHECK(fence_pci("00010000:0A:1F.7", folder));
	CHECK_TEXT(folder, "10000:0a:1f.7");
	CHECK(fence_pci("ffffffff:ff:ff.f", folder));
	CHECK_TEXT(folder, "ffffffff:ff:ff.f");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		test_about("%s", bad[i]);
		CHECK(!fence_pci(bad[i], folder));
	}
}

static const struct test_case cases[] = {
	{"GPUs are closed by number", gpus_are_closed_by_number},
	{"the kernel says the major numbers", the_kernel_says_the_major_numbers},
	{"all instances that there may be are closed", all_instances_that_there_may_be_are_closed},
	{"without their major number instances stay open, and that is said",
	 without_their_major_number_instances_stay_open},
	{"a node that is there says the major number", a_node_that_is_there_says_the_major_number},
	{"what nobody can lease is closed to everybody",
	 what_nobody_can_lease_is_closed_to_everybody},
	{"displays stay open unless they are wanted", displays_stay_open_unless_they_are_wanted},
	{"other nodes of a GPU count with it", other_nodes_of_a_gpu_count_with_it},
	{"names are cut and cannot hurt a terminal", names_are_cut_and_cannot_hurt_a_terminal},
	{"what two GPUs claim is closed", what_two_gpus_claim_is_closed},
	{"a GPU without number closes instances that may be its",
	 a_gpu_without_number_closes_instances_that_may_be_its},
	{"lists are read strictly", lists_are_read_strictly},
	{"too many are refused", too_many_are_refused},
	{"a list that cannot be read is a failure", a_list_that_cannot_be_read_is_a_failure},
	{"no GPUs are nothing to close", no_gpus_are_nothing_to_close},
	{"a level is one stride behind the last", a_level_is_one_stride_behind_the_last},
	{"addresses are written as the kernel does", addresses_are_written_as_the_kernel_does},
};
TEST_MAIN(cases)
