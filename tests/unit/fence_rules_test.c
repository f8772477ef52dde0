/* SPDX-License-Identifier: Apache-2.0 */
/* How a fence that stands is held against the one that is meant, and how nodes are listed. */
#include "../../cli/fence_probe.h"
#include "../../cli/fence_rules.h"
#include "test.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool has_probe, has_bit;

const char *fence_probe_path(void)
{
	return "/probe";
}

bool fence_probe_is_there(void)
{
	return has_probe;
}

bool fence_probe_is_set(void)
{
	return has_bit;
}

bool fence_probe_group(gid_t *ret_group)
{
	*ret_group = 77;
	return true;
}

/* ---- nodes in a few words ---- */

static void check_words(const char *const *paths, size_t count, const char *words)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct fence_node nodes[16] = {0};

	for (size_t i = 0; i < count; i++)
		(void)snprintf(nodes[i].path, sizeof nodes[i].path, "%s", paths[i]);
	fence_add_nodes(&text, nodes, count);
	CHECK(!text.failed);
	CHECK_TEXT(text.data, words);
}

static void nodes_are_listed_by_ranges_and_kinds(void)
{
	static const char *const all[] = {"/dev/nvidia10",
					  "/dev/nvidia2",
					  "/dev/nvidia0",
					  "/dev/nvidia1",
					  "/dev/nvidia-caps/nvidia-cap3",
					  "/dev/dri/card1",
					  "/dev/dri/renderD128",
					  "/dev/accel/accel0"};

	check_words(all, 8, "/dev/nvidia0-2,10, 1 MIG capability, 2 in /dev/dri, 1 other");
	check_words(all + 4, 1, "1 MIG capability");
	check_words(all, 1, "/dev/nvidia10");
	check_words(all, 0, "no device node");
}

/* ---- what differs ---- */

enum { GPUS = 2 };

struct pair {
	char ledger[64];
	struct fence_node wanted[GPUS], standing[GPUS];
	struct fence_exempt exempt[GPUS], exempted[GPUS];
	struct fence_name names[GPUS];
	struct fence_plan plan;
	struct fence_state state;
};

static char user_name[] = "dcgm", group_name[] = "video";

static void begin(struct pair *pair)
{
	struct stat status;
	int fd;

	*pair = (struct pair){0};
	(void)snprintf(pair->ledger, sizeof pair->ledger, "/tmp/gpualloc-rules-XXXXXX");
	fd = mkstemp(pair->ledger);
	CHECK(fd >= 0 && fstat(fd, &status) == 0);
	close(fd);
	for (unsigned i = 0; i < GPUS; i++) {
		pair->wanted[i] = (struct fence_node){.number = makedev(195, i),
						      .start = (uint64_t)i << 32,
						      .length = UINT64_C(1) << 29};
		(void)snprintf(pair->wanted[i].path, sizeof pair->wanted[i].path, "/dev/nvidia%u",
			       i);
		pair->standing[i] = pair->wanted[i];
		pair->standing[i].path[0] = '\0';
		pair->exempt[i] = (struct fence_exempt){i ? FENCE_GROUP : FENCE_USER, 44 + i};
		pair->exempted[i] = pair->exempt[i];
		pair->names[i] = (struct fence_name){.who = pair->exempt[i].who,
						     .id = pair->exempt[i].id,
						     .name = i ? group_name : user_name};
	}
	pair->plan = (struct fence_plan){.ledger = pair->ledger,
					 .nodes = {.list = pair->wanted, .count = GPUS},
					 .exempt = pair->exempt,
					 .exempt_count = GPUS,
					 .names = pair->names,
					 .name_count = GPUS};
	pair->state = (struct fence_state){.stands = true,
					   .ledger = {status.st_dev, status.st_ino},
					   .nodes = pair->standing,
					   .node_count = GPUS,
					   .exempt = pair->exempted,
					   .exempt_count = GPUS};
	has_probe = has_bit = false;
}

static void check_differs(struct pair *pair, bool is_grave, const char *says)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	CHECK_INT(fence_plan_compare(&pair->plan, &pair->state, &text), is_grave);
	CHECK(!text.failed);
	if (says)
		CHECK_HAS(text.data ? text.data : "", says);
	else
		CHECK_INT(text.size, 0);
	(void)unlink(pair->ledger);
}

static void what_is_as_it_should_be_differs_in_nothing(void)
{
	struct pair pair;

	begin(&pair);
	check_differs(&pair, false, NULL);
	begin(&pair);
	has_probe = has_bit = true;
	check_differs(&pair, false, NULL);
}

static void nodes_that_are_open_or_of_another_gpu_are_grave(void)
{
	struct pair pair;

	begin(&pair);
	pair.state.node_count = 1;
	check_differs(&pair, true, "not behind it: /dev/nvidia1\n");
	begin(&pair);
	pair.standing[0].start++;
	check_differs(&pair, true, "another GPU's by now: /dev/nvidia0\n");
	begin(&pair);
	pair.plan.nodes.count = 1;
	check_differs(&pair, false, "no GPU's by now: 195:1\n");
}

static void another_ledger_is_grave(void)
{
	struct pair pair;

	begin(&pair);
	pair.state.ledger[1]++;
	check_differs(&pair, true, "another ledger than ");
	begin(&pair);
	CHECK_INT(unlink(pair.ledger), 0);
	check_differs(&pair, true, "another ledger than ");
}

static void exemptions_are_named_as_in_the_configuration(void)
{
	struct pair pair;

	begin(&pair);
	pair.state.exempt_count = 1;
	check_differs(&pair, false, "not exempt yet: group video\n");
	begin(&pair);
	pair.plan.exempt_count = pair.plan.name_count = 1;
	check_differs(&pair, false, "exempt still: group 45\n");
}

/* ---- control groups ---- */

/* In a mount namespace of our own; false where that cannot be had. */
static bool make_groups(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) == 0 &&
	       mkdir("/sys/fs/cgroup/first", 0755) == 0 &&
	       mkdir("/sys/fs/cgroup/second", 0755) == 0 &&
	       mount("none", "/sys/fs/cgroup/second", "cgroup2", 0, NULL) == 0;
}

static void plan_with(const char *cgroup, struct fence_plan *ret_plan)
{
	char path[] = "/tmp/gpualloc-rules-XXXXXX";
	gpualloc_machine *machine = NULL;
	int fd = mkstemp(path);

	CHECK(fd >= 0 && dprintf(fd, "fence-exempt = cgroup %s\n", cgroup) > 0);
	close(fd);
	CHECK_INT(setenv("GPUALLOC_CONFIG", path, 1), 0);
	CHECK_INT(gpualloc_machine_open("dgx1-volta", 0, &machine, NULL), 0);
	CHECK_INT(fence_plan_make("nvml", machine, ret_plan, NULL), 0);
	CHECK_INT(unsetenv("GPUALLOC_CONFIG"), 0);
	gpualloc_machine_free(machine);
	(void)unlink(path);
}

static void only_groups_of_the_second_version_and_not_all_of_them(void)
{
	static const char *const not_exempt[] = {"/first", "/second", "/missing"};
	char path[64];

	if (!make_groups())
		return;
	for (size_t i = 0; i < sizeof not_exempt / sizeof *not_exempt; i++) {
		auto_fence_plan struct fence_plan plan = {0};

		plan_with(not_exempt[i], &plan);
		CHECK_INT(plan.exempt_count, 0);
		CHECK(plan.name_count == 1 && plan.names[0].is_absent);
	}
	(void)snprintf(path, sizeof path, "/sys/fs/cgroup/second/gpualloc-rules-%ld",
		       (long)getpid());
	if (mkdir(path, 0755) == 0) {
		auto_fence_plan struct fence_plan plan = {0};

		plan_with(path + sizeof "/sys/fs/cgroup" - 1, &plan);
		CHECK(plan.exempt_count == 1 && plan.exempt[0].id > 1);
		CHECK_INT(rmdir(path), 0);
	}
}

static void a_probe_without_its_bit_is_named(void)
{
	struct pair pair;

	begin(&pair);
	has_probe = true;
	check_differs(&pair, false, "/probe has no set-gid bit");
}

static const struct test_case cases[] = {
	{"nodes are listed by ranges and kinds", nodes_are_listed_by_ranges_and_kinds},
	{"what is as it should be differs in nothing", what_is_as_it_should_be_differs_in_nothing},
	{"nodes that are open or of another GPU are grave",
	 nodes_that_are_open_or_of_another_gpu_are_grave},
	{"another ledger is grave", another_ledger_is_grave},
	{"exemptions are named as in the configuration",
	 exemptions_are_named_as_in_the_configuration},
	{"a probe without its bit is named", a_probe_without_its_bit_is_named},
	{"only groups of the second version, and not all of them",
	 only_groups_of_the_second_version_and_not_all_of_them},
};
TEST_MAIN(cases)
