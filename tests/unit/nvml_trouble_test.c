/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVML in trouble: a sick GPU is one device with a reason, a sick driver or none a sentence that
 * says what to do; and the host, which tells what the driver does not.
 */
#include "nvml_fake.h"

#include "cleanup.h"
#include "source.h"
#include "test.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { SHORT_DEADLINE_MS = 300 };

static void expect_failure(const char *driver, unsigned deadline_ms, const char *sentence)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	CHECK_INT(nvml_query(driver, "machines/sysfs/switches", deadline_ms, &machine, &error),
		  GPUALLOC_ENOSOURCE);
	CHECK_HAS(error.message, sentence);
	CHECK(ga_text_starts(error.message, "NVML: "));
	CHECK(machine == NULL);
}

/* ---- sick GPUs ---- */

static void a_lost_gpu_is_one_device_with_a_reason(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta"),
					 *machine = NULL;

	CHECK_INT(setenv("FAKE_LOST", "2,5", 1), 0);
	for (size_t i = 0; i < NVML_DRIVER_COUNT; i++) {
		machine = nvml_ask(nvml_drivers[i].name);
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
		check_same_machine("with 2 and 5 lost", machine, expected, nvml_drivers[i].gaps);
		ga_machine_free(ga_steal(&machine));
	}
}

/* On the host's bus the lost one is not to be seen, and the old driver tells no types. */
static void a_lost_gpu_is_no_switch_for_its_neighbours(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;

	nvml_show_spec("dgx1-volta");
	CHECK_INT(setenv("FAKE_LOST", "0", 1), 0);
	machine = nvml_ask_below("450", "machines/sysfs/two-nodes");
	CHECK_INT(ga_links_nvlinks(&machine->links, 1, 2), 2);
	CHECK_INT(ga_links_nvlinks(&machine->links, 2, 4), 0);
}

static void a_gpu_that_needs_a_reset_says_so(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("hgx-h100"),
					 *machine = NULL;

	CHECK_INT(setenv("FAKE_RESET", "7", 1), 0);
	machine = nvml_ask(NULL);
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

static void a_driver_that_hangs_at_the_start_is_given_up(void)
{
	size_t descriptors;

	nvml_show_spec("dgx1-volta");
	descriptors = count_descriptors();
	CHECK_INT(setenv("FAKE_HANG", "init", 1), 0);
	expect_failure(NULL, SHORT_DEADLINE_MS,
		       "did not answer within 0.3 s when asked to start: without persistence mode "
		       "a driver may need seconds for each GPU (`nvidia-smi -pm 1`, or "
		       "nvidia-persistenced");
	check_nothing_is_left(descriptors);
}

static void a_query_leaves_nothing_behind(void)
{
	size_t descriptors;

	nvml_show_spec("dgx1-volta");
	descriptors = count_descriptors();
	for (int i = 0; i < 5; i++)
		ga_machine_free(nvml_ask(NULL));
	check_nothing_is_left(descriptors);
}

static void a_mismatch_says_what_to_do(void)
{

	nvml_show_spec("dgx1-volta");
	CHECK_INT(setenv("FAKE_MISMATCH", "1", 1), 0);
	expect_failure(
		NULL, NVML_DEADLINE_MS,
		"\"Driver/library version mismatch\" (18): the library does not match the loaded kernel module, as after an update; reboot");
}

static void no_kernel_module_says_what_to_do(void)
{
	CHECK_INT(unsetenv("FAKE_MACHINE"), 0);
	expect_failure(NULL, NVML_DEADLINE_MS, "\"Driver Not Loaded\" (9)");
}

/* ---- the host ---- */

static void the_host_tells_what_the_driver_does_not(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;

	nvml_show_spec(nvml_file("unplaced"));
	machine = nvml_ask_below(NULL, "machines/sysfs/two-nodes");
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
	struct ga_source_request request = {.root = test_path(root),
					    .deadline_ms = NVML_DEADLINE_MS};

	return ga_source_nvml.query(&request, ret_machine, error);
}

/* As in a sandbox: no file of a driver, and its library works. */
static void the_library_is_tried_without_a_file_of_the_driver(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	nvml_show_spec("dgx1-volta");
	CHECK_INT(query_soname("machines/sysfs/switches", &machine, &error), 0);
	CHECK_INT(machine->device_count, 8);
	ga_machine_free(ga_steal(&machine));
	CHECK_INT(unsetenv("FAKE_MACHINE"), 0);
	CHECK_INT(query_soname("machines/sysfs/switches", &machine, &error), GPUALLOC_ENOSOURCE);
	CHECK_TEXT(error.message, "NVML: there is no NVIDIA driver here (no "
				  "/proc/driver/nvidia/version), and its library finds none");
	CHECK_INT(query_soname("machines/sysfs/two-nodes", &machine, &error), GPUALLOC_ENOSOURCE);
	CHECK_HAS(error.message, "\"Driver Not Loaded\" (9): the nvidia kernel module");
	CHECK(machine == NULL);
}

static void what_is_no_nvml_is_refused(void)
{
	struct ga_source_request request = {.root = "", .deadline_ms = NVML_DEADLINE_MS};
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	request.nvml_library = "/nowhere/libnvidia-ml.so.1";
	CHECK_INT(ga_source_nvml.query(&request, &machine, &error), GPUALLOC_ENOSOURCE);
	CHECK_HAS(error.message, "NVML: the driver's library cannot be loaded (/nowhere/");
	request.nvml_library = "libm.so.6";
	CHECK_INT(ga_source_nvml.query(&request, &machine, &error), GPUALLOC_ENOSOURCE);
	CHECK_HAS(error.message,
		  "NVML: the library libm.so.6 has no nvmlInit_v2, so it is not NVML");
}

static const struct test_case cases[] = {
	{"a lost GPU is one device with a reason", a_lost_gpu_is_one_device_with_a_reason},
	{"its neighbours do not take a lost GPU for a switch",
	 a_lost_gpu_is_no_switch_for_its_neighbours},
	{"a GPU that needs a reset says so", a_gpu_that_needs_a_reset_says_so},
	{"a driver that hangs at the start is given up",
	 a_driver_that_hangs_at_the_start_is_given_up},
	{"a query leaves nothing behind", a_query_leaves_nothing_behind},
	{"a mismatch says what to do", a_mismatch_says_what_to_do},
	{"no kernel module says what to do", no_kernel_module_says_what_to_do},
	{"the host tells what the driver does not", the_host_tells_what_the_driver_does_not},
	{"the library is tried without a file of the driver",
	 the_library_is_tried_without_a_file_of_the_driver},
	{"a library that is not NVML is refused", what_is_no_nvml_is_refused},
};

TEST_MAIN(cases)
