/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVML as a source, against our own library: what it was shown is what comes out, whatever the
 * driver's age, and each thing is asked once.
 */
#include "nvml_fake.h"

#include "cleanup.h"
#include "source.h"
#include "test.h"
#include "text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has_mig(const gpualloc_machine *machine)
{
	for (size_t i = 0; i < machine->device_count; i++)
		if (machine->devices[i].mig_enabled)
			return true;
	return false;
}

static void every_driver_shows(const gpualloc_machine *expected)
{
	nvml_show(expected);
	for (size_t i = 0; i < NVML_DRIVER_COUNT; i++) {
		const struct nvml_driver *driver = &nvml_drivers[i];
		ga_auto_machine gpualloc_machine *machine = NULL;
		char about[128];

		/* Cliques are what only the fabric tells. */
		if ((has_mig(expected) && !driver->has_mig) ||
		    (!driver->has_fabric && ga_text_same(expected->name, "nvswitch-cliques")))
			continue;
		(void)snprintf(about, sizeof about, "%s through %s", expected->name,
			       driver->name ? driver->name : "580");
		test_about("%s", about);
		machine = nvml_ask(driver->name);
		check_same_machine(about, machine, expected,
				   driver->gaps | (expected->driver ? 0 : GAP_DRIVER));
	}
}

static void every_machine_file_comes_back_from_every_driver(void)
{
	DIR *directory = opendir(test_path("machines/files"));
	size_t count = 0;

	CHECK(directory != NULL);
	for (struct dirent *entry; (entry = readdir(directory));) {
		ga_auto_machine gpualloc_machine *machine = NULL;
		char path[512];

		/* The names in crowded.json are longer than any driver's buffer. */
		if (!strstr(entry->d_name, ".json") || strcmp(entry->d_name, "crowded.json") == 0)
			continue;
		(void)snprintf(path, sizeof path, "machines/files/%s", entry->d_name);
		machine = nvml_open_machine(test_path(path));
		/* A file may leave an index out, the driver has no such number. */
		for (size_t i = 0; i < machine->device_count; i++)
			machine->devices[i].index = (int64_t)i;
		every_driver_shows(machine);
		count++;
	}
	(void)closedir(directory);
	CHECK(count >= 8);
}

static void every_built_in_machine_comes_back_from_every_driver(void)
{
	size_t count = 0;
	const char *name;

	for (size_t i = 0; (name = ga_source_spec_name(i)); i++) {
		ga_auto_machine gpualloc_machine *machine = NULL;

		if (strcmp(name, "nvml") == 0 || strcmp(name, "nvidia-smi") == 0)
			continue;
		machine = nvml_open_machine(name);
		every_driver_shows(machine);
		count++;
	}
	CHECK(count >= 9);
}

/* ---- processes ---- */

static const struct gpualloc_process *process_of(const struct gpualloc_device *device, int64_t pid)
{
	for (size_t i = 0; i < device->process_count; i++)
		if (device->processes[i].pid == pid)
			return &device->processes[i];
	return NULL;
}

/* Records of 16 bytes in 418, of 24 in 470 and 580, of 32 under the same name in 535. */
static void records_of_every_width_are_read(void)
{
	static const char *const widths[] = {"418", "470", "535", "550", NULL};

	nvml_show_spec(nvml_file("processes"));
	for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
		ga_auto_machine gpualloc_machine *machine = nvml_ask(widths[i]);
		const struct gpualloc_device *device = &machine->devices[0];

		test_about("driver %s", widths[i] ? widths[i] : "580");
		CHECK_INT(device->process_count, 6);
		CHECK_INT(process_of(device, 1200)->memory, INT64_C(310) << 20);
		CHECK_INT(process_of(device, 1300)->type, GA_PROCESS_COMPUTE_GRAPHICS);
		CHECK_INT(process_of(device, 1400)->memory, 0);
		CHECK_INT(process_of(device, 1500)->type, GA_PROCESS_MPS_COMPUTE);
		CHECK_INT(process_of(device, 1600)->memory, GA_UNKNOWN);
		CHECK_INT(machine->devices[1].process_count, 150);
		CHECK_INT(process_of(&machine->devices[1], 10149)->memory, INT64_C(150) << 20);
		CHECK(!machine->devices[2].processes_known);
	}
}

static void a_process_is_called_by_the_last_word_of_its_path(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;

	nvml_show_spec(nvml_file("processes"));
	machine = nvml_ask(NULL);
	CHECK_TEXT(process_of(&machine->devices[0], 1200)->name, "Xorg");
	CHECK(process_of(&machine->devices[0], INT32_MAX)->name == NULL);
}

/* In a container the driver's pids are other processes than ours. */
static void no_name_is_asked_for_a_pid_of_another_namespace(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;

	nvml_show_spec(nvml_file("processes"));
	machine = nvml_ask_below(NULL, "machines/sysfs/hidden-gpus");
	CHECK(machine->devices[0].processes_hidden);
	CHECK_INT(machine->devices[0].process_count, 6);
	CHECK(process_of(&machine->devices[0], 1200)->name == NULL);
}

/* ---- MIG ---- */

static void without_permission_the_instances_still_tell(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show(nvml_file("mig-kinds")),
					 *machine = NULL;

	CHECK_INT(setenv("FAKE_NO_MIG_PERMISSION", "1", 1), 0);
	machine = nvml_ask(NULL);
	CHECK_INT(machine->devices[1].memory.total, GA_UNKNOWN);
	CHECK(!machine->devices[1].processes_known);
	CHECK_INT(machine->devices[1].health, GPUALLOC_HEALTH_OK);
	CHECK_INT(machine->devices[1].mig_count, 4);
	CHECK_INT(machine->devices[1].mig[3].process_count, 2);
	check_same_machine("without permission", machine, expected, GAP_MIG_PARENT);
}

static void a_process_on_an_instance_is_not_on_its_gpu_too(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;

	nvml_show_spec(nvml_file("mig-kinds"));
	for (size_t i = 2; i < NVML_DRIVER_COUNT; i++) {
		test_about("driver %s", nvml_drivers[i].name ? nvml_drivers[i].name : "580");
		machine = nvml_ask(nvml_drivers[i].name);
		CHECK_INT(machine->devices[1].process_count, 0);
		CHECK_INT(machine->devices[1].mig[0].process_count, 1);
		CHECK_INT(machine->devices[1].mig[0].processes[0].pid, 900);
		CHECK_TEXT(machine->devices[1].mig[0].processes[0].name, "train");
		ga_machine_free(ga_steal(&machine));
	}
}

static void instances_that_vanish_are_left_out(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show(nvml_file("mig-kinds")),
					 *machine = NULL;

	CHECK_INT(setenv("FAKE_MIG_VANISH", "1", 1), 0);
	machine = nvml_ask(NULL);
	CHECK(machine->devices[1].mig_enabled);
	CHECK_INT(machine->devices[1].mig_count, 0);
	CHECK_INT(machine->devices[1].health, GPUALLOC_HEALTH_OK);
	CHECK_TEXT(machine->devices[0].uuid, expected->devices[0].uuid);
}

static void a_profile_is_concluded_where_the_name_has_none(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;

	nvml_show_spec(nvml_file("mig-kinds"));
	CHECK_INT(setenv("FAKE_MIG_PLAIN_NAMES", "1", 1), 0);
	machine = nvml_ask(NULL);
	CHECK_TEXT(machine->devices[1].mig[0].profile, "1c.3g.40gb");
	CHECK_TEXT(machine->devices[1].mig[2].profile, "2g.20gb");
	/* What is behind the plus sign is in no attribute. */
	CHECK_TEXT(machine->devices[1].mig[3].profile, "1g.10gb");
}

/* ---- links ---- */

static void switches_are_recognised_in_every_form(void)
{
	static const char *const machines[] = {"dgx2", "hgx-h100", "dgx-a100"};
	static const char *const forms[] = {"typed", "foreign", "all-f"};

	for (size_t m = 0; m < 3; m++) {
		ga_auto_machine gpualloc_machine *expected = nvml_open_and_show(machines[m]);

		for (size_t i = 0; i < 3; i++) {
			ga_auto_machine gpualloc_machine *machine = NULL, *guest = NULL;

			test_about("%s %s", machines[m], forms[i]);
			CHECK_INT(setenv("FAKE_SWITCH", forms[i], 1), 0);
			machine = nvml_ask(NULL);
			check_same_machine(forms[i], machine, expected, GAP_NONE);
			/* A virtual machine has no switch on its bus, and no driver before 470
			   tells types. */
			guest = nvml_ask_below("450", "machines/sysfs/two-nodes");
			check_same_machine(forms[i], guest, expected, GAP_DRIVER | GAP_RESERVED);
		}
	}
}

/* In a container Linux shows all GPUs, and NVML only those that were given to it. */
static void a_gpu_that_is_hidden_is_no_switch(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;

	nvml_show_spec("hgx-h100");
	CHECK_INT(setenv("FAKE_SWITCH", "foreign", 1), 0);
	machine = nvml_ask_below(NULL, "machines/sysfs/hidden-gpus");
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 1), 0);
}

/* The first link of GPU 0 leads to GPU 1, which still believes in it. */
static void a_link_counts_where_both_its_ends_are_up(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta"),
					 *machine = NULL;

	CHECK_INT(setenv("FAKE_DEAD_LINK", "0", 1), 0);
	machine = nvml_ask(NULL);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 1), 0);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 3), 2);
	ga_machine_free(expected);
	ga_machine_free(ga_steal(&machine));
	expected = nvml_open_and_show("hgx-h100");
	machine = nvml_ask(NULL);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 1), 17);
	CHECK_INT(ga_links_nvlinks(&machine->links, 1, 2), 18);
}

static void of_an_end_that_cannot_be_read_the_other_tells(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta"),
					 *machine = NULL;

	CHECK_INT(setenv("FAKE_LINKS_UNREADABLE", "0,2", 1), 0);
	machine = nvml_ask(NULL);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 1), 1);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 5), 0);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 2), GA_UNKNOWN);
	ga_machine_free(expected);
	ga_machine_free(ga_steal(&machine));
	/* Only the fake knows how many of its links reach the switches. */
	expected = nvml_open_and_show("hgx-h100");
	machine = nvml_ask(NULL);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 1), GA_UNKNOWN);
	CHECK_INT(ga_links_nvlinks(&machine->links, 1, 3), 18);
}

/* ---- how often it asks ---- */

static unsigned count_of(const char *report, const char *function)
{
	const char *line = report;
	unsigned count = 0;

	for (; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (ga_text_starts(line, function) && line[strlen(function)] == ' ')
			count += (unsigned)strtoul(line + strlen(function), NULL, 10);
	return count;
}

struct count {
	const char *function;
	unsigned count;
};

static void check_counts(const char *spec, const struct count *counts, size_t size)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	char path[] = "/tmp/nvml-calls-XXXXXX", report[4096];
	ga_auto_close int fd = mkstemp(path);
	ssize_t length;

	nvml_show_spec(spec);
	CHECK(fd >= 0);
	CHECK_INT(setenv("FAKE_CALLS", path, 1), 0);
	machine = nvml_ask(NULL);
	length = read(fd, report, sizeof report - 1);
	(void)unlink(path);
	CHECK(length > 0);
	report[length] = '\0';
	for (size_t i = 0; i < size; i++) {
		test_about("%s on %s", counts[i].function, spec);
		CHECK_INT(count_of(report, counts[i].function), counts[i].count);
	}
}

/* 8 GPUs of 6 links: each pair once, each link once, and where the last link is once. */
static void a_mesh_is_asked_for_each_pair_and_link_once(void)
{
	static const struct count counts[] = {
		{"nvmlInit_v2", 1},
		{"nvmlDeviceGetHandleByIndex_v2", 8},
		{"nvmlDeviceGetUUID", 8},
		{"nvmlDeviceGetMemoryInfo_v2", 8},
		{"nvmlDeviceGetMemoryInfo", 0},
		{"nvmlDeviceGetComputeRunningProcesses_v3", 8},
		{"nvmlDeviceGetTopologyCommonAncestor", 28},
		{"nvmlDeviceGetNvLinkState", 8 * 6 + 8},
		{"nvmlDeviceGetNvLinkVersion", 8},
		{"nvmlDeviceGetNvLinkRemoteDeviceType", 8 * 6},
		{"nvmlDeviceGetNvLinkRemotePciInfo_v2", 8 * 6},
		{"nvmlDeviceGetFieldValues", 0},
		{"nvmlDeviceGetGpuFabricInfoV", 0},
		{"nvmlShutdown", 1},
	};

	check_counts("dgx1-volta", counts, sizeof counts / sizeof *counts);
}

/* 8 GPUs of 18 links: the states of all links of a GPU in one call, and switches have no address.
 */
static void switched_gpus_are_asked_for_all_their_links_at_once(void)
{
	static const struct count counts[] = {
		{"nvmlDeviceGetTopologyCommonAncestor", 28},
		{"nvmlDeviceGetFieldValues", 8},
		{"nvmlDeviceGetNvLinkState", 0},
		{"nvmlDeviceGetNvLinkVersion", 8},
		{"nvmlDeviceGetNvLinkRemoteDeviceType", 8 * 18},
		{"nvmlDeviceGetNvLinkRemotePciInfo_v2", 0},
		{"nvmlDeviceGetGpuFabricInfoV", 8},
	};

	check_counts("hgx-h100", counts, sizeof counts / sizeof *counts);
}

static const struct test_case cases[] = {
	{"every machine file comes back from every driver",
	 every_machine_file_comes_back_from_every_driver},
	{"every built-in machine comes back from every driver",
	 every_built_in_machine_comes_back_from_every_driver},
	{"records of every width are read", records_of_every_width_are_read},
	{"a process is called by the last word of its path",
	 a_process_is_called_by_the_last_word_of_its_path},
	{"no name is asked for a pid of another namespace",
	 no_name_is_asked_for_a_pid_of_another_namespace},
	{"without permission the instances still tell",
	 without_permission_the_instances_still_tell},
	{"a process on an instance is not on its GPU too",
	 a_process_on_an_instance_is_not_on_its_gpu_too},
	{"instances that vanish are left out", instances_that_vanish_are_left_out},
	{"a profile is concluded where the name has none",
	 a_profile_is_concluded_where_the_name_has_none},
	{"switches are recognised in every form", switches_are_recognised_in_every_form},
	{"a hidden GPU is not taken for a switch", a_gpu_that_is_hidden_is_no_switch},
	{"a link counts where both its ends are up", a_link_counts_where_both_its_ends_are_up},
	{"of an end that cannot be read the other tells",
	 of_an_end_that_cannot_be_read_the_other_tells},
	{"a mesh is asked for each pair and link once",
	 a_mesh_is_asked_for_each_pair_and_link_once},
	{"switched GPUs are asked for all their links at once",
	 switched_gpus_are_asked_for_all_their_links_at_once},
};

TEST_MAIN(cases)
