/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVML as a source, against our own library: what it was shown is what comes out, whatever the
 * driver's age; a sick GPU, a sick driver and a driver that is not there end in a sentence.
 */
#include "cleanup.h"
#include "machine_compare.h"
#include "machine_file.h"
#include "source.h"
#include "test.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000, SHORT_DEADLINE_MS = 300 };

/* ---- asking ---- */

/* A driver's library; NULL is the newest. */
static const char *library(const char *driver)
{
	static char path[512];

	(void)snprintf(path, sizeof path, "%s/libnvidia-ml%s%s.so.1", getenv("FAKE_DIR"),
		       driver ? "-" : "", driver ? driver : "");
	return path;
}

static int query(const char *driver, const char *root, unsigned deadline_ms,
		 gpualloc_machine **ret_machine, gpualloc_error *error)
{
	struct ga_source_request request = {
		.root = test_path(root),
		.nvml_library = library(driver),
		.deadline_ms = deadline_ms,
	};

	return ga_source_nvml.query(&request, ret_machine, error);
}

static gpualloc_machine *ask_below(const char *driver, const char *root)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result = query(driver, root, DEADLINE_MS, &machine, &error);

	CHECK_TEXT(error.message, "");
	CHECK_INT(result, 0);
	return machine;
}

static gpualloc_machine *ask(const char *driver)
{
	return ask_below(driver, "machines/sysfs/switches");
}

static void expect_failure(const char *driver, unsigned deadline_ms, const char *sentence)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	CHECK_INT(query(driver, "machines/sysfs/switches", deadline_ms, &machine, &error),
		  GPUALLOC_ENOSOURCE);
	CHECK_HAS(error.message, sentence);
	CHECK(ga_text_starts(error.message, "NVML: "));
	CHECK(machine == NULL);
}

static gpualloc_machine *open_machine(const char *spec)
{
	static const struct ga_source_request request = {.root = ""};
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result = ga_source_open(spec, &request, &machine, &error);

	CHECK_TEXT(error.message, "");
	CHECK_INT(result, 0);
	return machine;
}

/* ---- showing ---- */

/* The fake reads a file, so a machine is written to one that has no name any more at the end. */
static void show(const gpualloc_machine *machine)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX);
	static char path[64];
	static FILE *file;

	if (file)
		(void)fclose(file);
	file = tmpfile();
	CHECK(file != NULL);
	CHECK_INT(ga_machine_file_write(machine, GA_FORM_FILE, &text, NULL), 0);
	CHECK(fwrite(text.data, 1, text.size, file) == text.size && fflush(file) == 0);
	/* The child that reads it has closed its descriptors; its parent has not. */
	(void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), fileno(file));
	CHECK_INT(setenv("FAKE_MACHINE", path, 1), 0);
}

static gpualloc_machine *show_spec(const char *spec)
{
	gpualloc_machine *machine = open_machine(spec);

	show(machine);
	return machine;
}

static gpualloc_machine *show_file(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof path, "machines/files/%s.json", name);
	return show_spec(test_path(path));
}

/* ---- machines and drivers ---- */

static const struct driver {
	const char *name;
	unsigned gaps;
	bool has_mig;
	bool has_fabric;
} drivers[] = {
	{"390", GAP_DRIVER | GAP_RESERVED | GAP_NUMA | GAP_HEALTH, false, false},
	{"418", GAP_DRIVER | GAP_RESERVED | GAP_NUMA | GAP_HEALTH, false, false},
	{"450", GAP_DRIVER | GAP_RESERVED | GAP_MIG_UUID_OLD, true, false},
	{"470", GAP_DRIVER | GAP_RESERVED, true, false},
	{"525", GAP_DRIVER, true, true},
	{"535", GAP_DRIVER, true, true},
	{"550", GAP_DRIVER, true, true},
	{NULL, GAP_NONE, true, true},
};

static bool has_mig(const gpualloc_machine *machine)
{
	for (size_t i = 0; i < machine->device_count; i++)
		if (machine->devices[i].mig_enabled)
			return true;
	return false;
}

static void every_driver_shows(const gpualloc_machine *expected)
{
	show(expected);
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
		const struct driver *driver = &drivers[i];
		ga_auto_machine gpualloc_machine *machine = NULL;
		char about[128];

		/* Cliques are what only the fabric tells. */
		if ((has_mig(expected) && !driver->has_mig) ||
		    (!driver->has_fabric && ga_text_same(expected->name, "nvswitch-cliques")))
			continue;
		(void)snprintf(about, sizeof about, "%s through %s", expected->name,
			       driver->name ? driver->name : "580");
		test_about("%s", about);
		machine = ask(driver->name);
		check_same_machine(about, machine, expected, driver->gaps);
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

		if (!strstr(entry->d_name, ".json"))
			continue;
		(void)snprintf(path, sizeof path, "machines/files/%s", entry->d_name);
		machine = open_machine(test_path(path));
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
		machine = open_machine(name);
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
	ga_auto_machine gpualloc_machine *expected = show_file("processes");

	(void)expected;
	for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
		ga_auto_machine gpualloc_machine *machine = ask(widths[i]);
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
	ga_auto_machine gpualloc_machine *expected = show_file("processes"), *machine = ask(NULL);

	(void)expected;
	CHECK_TEXT(process_of(&machine->devices[0], 1200)->name, "Xorg");
	CHECK(process_of(&machine->devices[0], INT32_MAX)->name == NULL);
}

/* In a container the driver's pids are other processes than ours. */
static void no_name_is_asked_for_a_pid_of_another_namespace(void)
{
	ga_auto_machine gpualloc_machine *expected = show_file("processes");
	ga_auto_machine gpualloc_machine *machine = ask_below(NULL, "machines/sysfs/hidden-gpus");

	(void)expected;
	CHECK(machine->devices[0].processes_hidden);
	CHECK_INT(machine->devices[0].process_count, 6);
	CHECK(process_of(&machine->devices[0], 1200)->name == NULL);
}

/* ---- sick GPUs ---- */

static void a_lost_gpu_is_one_device_with_a_reason(void)
{
	ga_auto_machine gpualloc_machine *expected = show_spec("dgx1-volta"), *machine = NULL;

	CHECK_INT(setenv("FAKE_LOST", "2,5", 1), 0);
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
		machine = ask(drivers[i].name);
		CHECK_INT(machine->devices[2].health, GPUALLOC_HEALTH_LOST);
		CHECK_TEXT(machine->devices[2].reason,
			   "NVML says \"GPU is lost\" when asked for a handle");
		CHECK(machine->devices[2].uuid == NULL);
		CHECK_INT(ga_links_level(&machine->links, 1, 2), GPUALLOC_LEVEL_UNKNOWN);
		CHECK_INT(ga_links_nvlinks(&machine->links, 1, 2), GA_UNKNOWN);
		/* Its neighbours have links that lead nowhere now, but to no switch either. */
		CHECK_INT(ga_links_nvlinks(&machine->links, 0, 1), 1);
		CHECK_INT(ga_links_nvlinks(&machine->links, 0, 6), 0);
		expected->devices[2].health = GPUALLOC_HEALTH_LOST;
		expected->devices[5].health = GPUALLOC_HEALTH_LOST;
		check_same_machine("with 2 and 5 lost", machine, expected, drivers[i].gaps);
		ga_machine_free(ga_steal(&machine));
	}
}

/* On the host's bus the lost one is not to be seen, and the old driver tells no types. */
static void a_lost_gpu_is_no_switch_for_its_neighbours(void)
{
	ga_auto_machine gpualloc_machine *expected = show_spec("dgx1-volta"), *machine = NULL;

	(void)expected;
	CHECK_INT(setenv("FAKE_LOST", "0", 1), 0);
	machine = ask_below("450", "machines/sysfs/two-nodes");
	CHECK_INT(ga_links_nvlinks(&machine->links, 1, 2), 2);
	CHECK_INT(ga_links_nvlinks(&machine->links, 2, 4), 0);
}

static void a_gpu_that_needs_a_reset_says_so(void)
{
	ga_auto_machine gpualloc_machine *expected = show_spec("hgx-h100"), *machine = NULL;

	CHECK_INT(setenv("FAKE_RESET", "7", 1), 0);
	machine = ask(NULL);
	CHECK_INT(machine->devices[7].health, GPUALLOC_HEALTH_NEEDS_RESET);
	CHECK_TEXT(machine->devices[7].reason,
		   "NVML says \"GPU requires reset\" when asked for its UUID");
	expected->devices[7].health = GPUALLOC_HEALTH_NEEDS_RESET;
	check_same_machine("with 7 to be reset", machine, expected, GAP_NONE);
}

/* ---- sick drivers ---- */

static size_t count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	CHECK(directory != NULL);
	while (readdir(directory))
		count++;
	(void)closedir(directory);
	return count;
}

static void check_nothing_is_left(size_t descriptors)
{
	CHECK_INT(count_descriptors(), descriptors);
	CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
	CHECK_INT(errno, ECHILD);
}

static void a_hung_driver_is_given_up_at_the_deadline(void)
{
	ga_auto_machine gpualloc_machine *expected = show_spec("dgx1-volta");
	size_t descriptors = count_descriptors();

	(void)expected;
	CHECK_INT(setenv("FAKE_HANG", "3", 1), 0);
	expect_failure(NULL, SHORT_DEADLINE_MS,
		       "did not answer within 0.3 s (it was asked for GPU 3 last)");
	CHECK_INT(setenv("FAKE_HANG", "init", 1), 0);
	expect_failure(NULL, SHORT_DEADLINE_MS, "did not answer within 0.3 s: the driver hangs");
	check_nothing_is_left(descriptors);
}

static void a_library_that_crashes_ends_nobody_else(void)
{
	ga_auto_machine gpualloc_machine *expected = show_spec("dgx1-volta");
	size_t descriptors = count_descriptors();

	(void)expected;
	CHECK_INT(setenv("FAKE_CRASH", "6", 1), 0);
	expect_failure(NULL, DEADLINE_MS, "crashed (signal 9, Killed, asked for GPU 6 last)");
	check_nothing_is_left(descriptors);
}

static void a_query_leaves_nothing_behind(void)
{
	ga_auto_machine gpualloc_machine *expected = show_spec("dgx1-volta");
	size_t descriptors = count_descriptors();

	(void)expected;
	for (int i = 0; i < 5; i++)
		ga_machine_free(ask(NULL));
	check_nothing_is_left(descriptors);
}

static void a_mismatch_says_what_to_do(void)
{
	ga_auto_machine gpualloc_machine *expected = show_spec("dgx1-volta");

	(void)expected;
	CHECK_INT(setenv("FAKE_MISMATCH", "1", 1), 0);
	expect_failure(
		NULL, DEADLINE_MS,
		"\"Driver/library version mismatch\" (18): the library is newer or older than "
		"the loaded kernel module, as after an update; reboot");
}

static void no_kernel_module_says_what_to_do(void)
{
	CHECK_INT(unsetenv("FAKE_MACHINE"), 0);
	expect_failure(NULL, DEADLINE_MS, "\"Driver Not Loaded\" (9)");
}

/* ---- MIG ---- */

static void without_permission_the_instances_still_tell(void)
{
	ga_auto_machine gpualloc_machine *expected = show_file("mig-kinds"), *machine = NULL;

	CHECK_INT(setenv("FAKE_NO_MIG_PERMISSION", "1", 1), 0);
	machine = ask(NULL);
	CHECK_INT(machine->devices[1].memory.total, GA_UNKNOWN);
	CHECK(!machine->devices[1].processes_known);
	CHECK_INT(machine->devices[1].health, GPUALLOC_HEALTH_OK);
	CHECK_INT(machine->devices[1].mig_count, 4);
	CHECK_INT(machine->devices[1].mig[3].process_count, 2);
	check_same_machine("without permission", machine, expected, GAP_MIG_PARENT);
}

static void a_process_on_an_instance_is_not_on_its_gpu_too(void)
{
	ga_auto_machine gpualloc_machine *expected = show_file("mig-kinds"), *machine = NULL;

	(void)expected;
	for (size_t i = 2; i < sizeof drivers / sizeof *drivers; i++) {
		test_about("driver %s", drivers[i].name ? drivers[i].name : "580");
		machine = ask(drivers[i].name);
		CHECK_INT(machine->devices[1].process_count, 0);
		CHECK_INT(machine->devices[1].mig[0].process_count, 1);
		CHECK_INT(machine->devices[1].mig[0].processes[0].pid, 900);
		CHECK_TEXT(machine->devices[1].mig[0].processes[0].name, "train");
		ga_machine_free(ga_steal(&machine));
	}
}

static void instances_that_vanish_are_left_out(void)
{
	ga_auto_machine gpualloc_machine *expected = show_file("mig-kinds"), *machine = NULL;

	(void)expected;
	CHECK_INT(setenv("FAKE_MIG_VANISH", "1", 1), 0);
	machine = ask(NULL);
	CHECK(machine->devices[1].mig_enabled);
	CHECK_INT(machine->devices[1].mig_count, 0);
	CHECK_INT(machine->devices[1].health, GPUALLOC_HEALTH_OK);
	CHECK_TEXT(machine->devices[0].uuid, expected->devices[0].uuid);
}

static void a_profile_is_concluded_where_the_name_has_none(void)
{
	ga_auto_machine gpualloc_machine *expected = show_file("mig-kinds"), *machine = NULL;

	(void)expected;
	CHECK_INT(setenv("FAKE_MIG_PLAIN_NAMES", "1", 1), 0);
	machine = ask(NULL);
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
		ga_auto_machine gpualloc_machine *expected = show_spec(machines[m]);

		for (size_t i = 0; i < 3; i++) {
			ga_auto_machine gpualloc_machine *machine = NULL, *guest = NULL;

			test_about("%s %s", machines[m], forms[i]);
			CHECK_INT(setenv("FAKE_SWITCH", forms[i], 1), 0);
			machine = ask(NULL);
			check_same_machine(forms[i], machine, expected, GAP_NONE);
			/* A virtual machine has no switch on its bus, and no driver before 470
			   tells types. */
			guest = ask_below("450", "machines/sysfs/two-nodes");
			check_same_machine(forms[i], guest, expected, GAP_DRIVER | GAP_RESERVED);
		}
	}
}

/* In a container Linux shows all GPUs, and NVML only those that were given to it. */
static void a_gpu_that_is_hidden_is_no_switch(void)
{
	ga_auto_machine gpualloc_machine *expected = show_spec("hgx-h100"), *machine = NULL;

	(void)expected;
	CHECK_INT(setenv("FAKE_SWITCH", "foreign", 1), 0);
	machine = ask_below(NULL, "machines/sysfs/hidden-gpus");
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 1), 0);
}

/* The first link of GPU 0 leads to GPU 1, which still believes in it. */
static void a_link_counts_where_both_its_ends_are_up(void)
{
	ga_auto_machine gpualloc_machine *expected = show_spec("dgx1-volta"), *machine = NULL;

	CHECK_INT(setenv("FAKE_DEAD_LINK", "0", 1), 0);
	machine = ask(NULL);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 1), 0);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 3), 2);
	ga_machine_free(expected);
	ga_machine_free(ga_steal(&machine));
	expected = show_spec("hgx-h100");
	machine = ask(NULL);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 1), 17);
	CHECK_INT(ga_links_nvlinks(&machine->links, 1, 2), 18);
}

static void of_an_end_that_cannot_be_read_the_other_tells(void)
{
	ga_auto_machine gpualloc_machine *expected = show_spec("dgx1-volta"), *machine = NULL;

	CHECK_INT(setenv("FAKE_LINKS_UNREADABLE", "0,2", 1), 0);
	machine = ask(NULL);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 1), 1);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 5), 0);
	CHECK_INT(ga_links_nvlinks(&machine->links, 0, 2), GA_UNKNOWN);
	ga_machine_free(expected);
	ga_machine_free(ga_steal(&machine));
	/* How many of its links reach the switches nobody else knows. */
	expected = show_spec("hgx-h100");
	machine = ask(NULL);
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
	ga_auto_machine gpualloc_machine *expected = show_spec(spec), *machine = NULL;
	char path[] = "/tmp/nvml-calls-XXXXXX", report[4096];
	ga_auto_close int fd = mkstemp(path);
	ssize_t length;

	(void)expected;
	CHECK(fd >= 0);
	CHECK_INT(setenv("FAKE_CALLS", path, 1), 0);
	machine = ask(NULL);
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

/* ---- the host ---- */

static void the_host_tells_what_the_driver_does_not(void)
{
	ga_auto_machine gpualloc_machine *expected = show_file("unplaced");
	ga_auto_machine gpualloc_machine *machine = ask_below(NULL, "machines/sysfs/two-nodes");

	(void)expected;
	CHECK_TEXT(machine->name, "node7");
	CHECK_TEXT(machine->source, "nvml");
	CHECK_INT(machine->sockets, 2);
	CHECK_INT(machine->cores_per_socket, 32);
	CHECK_INT(machine->threads_per_core, 2);
	CHECK_INT(machine->devices[0].numa, 0);
	CHECK_TEXT(machine->devices[0].cpus, "0-31,64-95");
	CHECK_INT(machine->devices[1].numa, 1);
	CHECK_TEXT(machine->devices[1].cpus, "32-63,96-127");
	CHECK_INT(machine->devices[2].numa, GA_UNKNOWN);
	CHECK(!machine->devices[0].processes_hidden);
	CHECK_TEXT(machine->devices[0].processes[0].name, "train.py");
}

/* LD_LIBRARY_PATH leads to our library under the driver's soname. */
static int query_soname(const char *root, gpualloc_machine **ret_machine, gpualloc_error *error)
{
	struct ga_source_request request = {.root = test_path(root), .deadline_ms = DEADLINE_MS};

	return ga_source_nvml.query(&request, ret_machine, error);
}

static void the_library_is_left_alone_without_a_driver(void)
{
	ga_auto_machine gpualloc_machine *expected = show_spec("dgx1-volta"), *machine = NULL;
	gpualloc_error error = {0};

	(void)expected;
	CHECK_INT(query_soname("machines/sysfs/switches", &machine, &error), GPUALLOC_ENOSOURCE);
	CHECK_TEXT(error.message, "NVML: there is no NVIDIA driver here (no "
				  "/proc/driver/nvidia/version)");
	CHECK(machine == NULL);
	CHECK_INT(query_soname("machines/sysfs/two-nodes", &machine, &error), 0);
	CHECK_INT(machine->device_count, 8);
}

static void what_is_no_nvml_is_refused(void)
{
	struct ga_source_request request = {.root = "", .deadline_ms = DEADLINE_MS};
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	request.nvml_library = "/nowhere/libnvidia-ml.so.1";
	CHECK_INT(ga_source_nvml.query(&request, &machine, &error), GPUALLOC_ENOSOURCE);
	CHECK_HAS(error.message, "NVML: the driver's library cannot be loaded (/nowhere/");
	request.nvml_library = "libm.so.6";
	CHECK_INT(ga_source_nvml.query(&request, &machine, &error), GPUALLOC_ENOSOURCE);
	CHECK_HAS(error.message, "NVML: the library libm.so.6 has no nvmlInit_v2: it is no NVML");
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
	{"a lost GPU is one device with a reason", a_lost_gpu_is_one_device_with_a_reason},
	{"a lost GPU is no switch for its neighbours", a_lost_gpu_is_no_switch_for_its_neighbours},
	{"a GPU that needs a reset says so", a_gpu_that_needs_a_reset_says_so},
	{"a hung driver is given up at the deadline", a_hung_driver_is_given_up_at_the_deadline},
	{"a library that crashes ends nobody else", a_library_that_crashes_ends_nobody_else},
	{"a query leaves nothing behind", a_query_leaves_nothing_behind},
	{"a mismatch says what to do", a_mismatch_says_what_to_do},
	{"no kernel module says what to do", no_kernel_module_says_what_to_do},
	{"without permission the instances still tell",
	 without_permission_the_instances_still_tell},
	{"a process on an instance is not on its GPU too",
	 a_process_on_an_instance_is_not_on_its_gpu_too},
	{"instances that vanish are left out", instances_that_vanish_are_left_out},
	{"a profile is concluded where the name has none",
	 a_profile_is_concluded_where_the_name_has_none},
	{"switches are recognised in every form", switches_are_recognised_in_every_form},
	{"a GPU that is hidden is no switch", a_gpu_that_is_hidden_is_no_switch},
	{"a link counts where both its ends are up", a_link_counts_where_both_its_ends_are_up},
	{"of an end that cannot be read the other tells",
	 of_an_end_that_cannot_be_read_the_other_tells},
	{"a mesh is asked for each pair and link once",
	 a_mesh_is_asked_for_each_pair_and_link_once},
	{"switched GPUs are asked for all their links at once",
	 switched_gpus_are_asked_for_all_their_links_at_once},
	{"the host tells what the driver does not", the_host_tells_what_the_driver_does_not},
	{"the library is left alone without a driver", the_library_is_left_alone_without_a_driver},
	{"what is no NVML is refused", what_is_no_nvml_is_refused},
};

TEST_MAIN(cases)
