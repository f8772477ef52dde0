/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GPU that hangs, crashes the library or is slow is lost alone, without the others; what the
 * driver refuses is reported by name. Times are measured only to tell one deadline from several.
 */
#include "nvml_fake.h"

#include "child.h"
#include "cleanup.h"
#include "clock.h"
#include "device_state.h"
#include "source.h"
#include "test.h"
#include "text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* Long enough for a busy machine to answer for GPUs that are well. */
enum { PATIENCE_MS = 2000 };

static gpualloc_machine *ask(unsigned deadline_ms)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result = nvml_query(NULL, "machines/sysfs/switches", deadline_ms, &machine, &error);
	int status;

	CHECK_TEXT(error.message, "");
	CHECK_INT(result, 0);
	/* On a busy machine a child that was killed may need longer than anybody waits for it. One
	 * that was not would be waited for here for ever. */
	while (waitpid(-1, &status, 0) > 0) {
		CHECK(WIFSIGNALED(status));
		CHECK_INT(WTERMSIG(status), SIGKILL);
	}
	CHECK_INT(errno, ECHILD);
	return machine;
}

static bool is_among(const char *list, size_t number)
{
	return strchr(list, (int)('0' + number)) != NULL;
}

/* All but these are as the machine has them, and the links between those. */
static void only_these_are_sick(const gpualloc_machine *machine, const gpualloc_machine *expected,
				const char *sick, const char *reason)
{
	CHECK_INT(machine->device_count, expected->device_count);
	for (size_t i = 0; i < machine->device_count; i++) {
		const struct gpualloc_device *device = &machine->devices[i];
		char text[512];

		test_about("GPU %zu of those but %s", i, sick);
		(void)ga_device_reason(device, text, sizeof text);
		if (is_among(sick, i)) {
			CHECK_INT(device->health, GPUALLOC_HEALTH_UNRESPONSIVE);
			CHECK(ga_text_starts(text, "does not answer: "));
			CHECK_HAS(text, reason);
			continue;
		}
		CHECK_TEXT(text, "");
		CHECK_TEXT(device->uuid, expected->devices[i].uuid);
		for (size_t j = 0; j < i; j++)
			if (!is_among(sick, j)) {
				CHECK_INT(ga_links_nvlinks(&machine->links, i, j),
					  ga_links_nvlinks(&expected->links, i, j));
				CHECK_INT(ga_links_level(&machine->links, i, j),
					  ga_links_level(&expected->links, i, j));
			}
	}
}

static void a_hung_gpu_costs_itself_only(void)
{
	static const char *const sick[] = {"2", "0", "7"};
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta");

	for (size_t i = 0; i < sizeof sick / sizeof *sick; i++) {
		ga_auto_machine gpualloc_machine *machine = NULL;

		CHECK_INT(setenv("FAKE_HANG", sick[i], 1), 0);
		machine = ask(PATIENCE_MS);
		only_these_are_sick(machine, expected, sick[i],
				    "NVML was silent for 2 s when asked for a handle");
	}
}

static void several_hung_gpus_do_not_add_up(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta"),
					 *machine = NULL;
	int64_t before = ga_clock_ms();

	CHECK_INT(setenv("FAKE_HANG", "1,3,4,6", 1), 0);
	machine = ask(PATIENCE_MS);
	CHECK(ga_clock_ms() - before < 2 * PATIENCE_MS);
	only_these_are_sick(machine, expected, "1346", "when asked for a handle");
	ga_machine_free(ga_steal(&machine));
	CHECK_INT(setenv("FAKE_HANG", "0,1,2,3,4,5,6,7", 1), 0);
	machine = ask(PATIENCE_MS);
	only_these_are_sick(machine, expected, "01234567", "when asked for a handle");
}

/* Its identity was reported before. */
static void a_process_list_that_hangs_costs_its_gpu(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta"),
					 *machine = NULL;

	CHECK_INT(setenv("FAKE_HANG", "2", 1), 0);
	CHECK_INT(setenv("FAKE_HANG_IN", "ComputeRunningProcesses", 1), 0);
	machine = ask(PATIENCE_MS);
	only_these_are_sick(machine, expected, "2", "when asked for its processes");
	CHECK_TEXT(machine->devices[2].uuid, expected->devices[2].uuid);
	CHECK_TEXT(machine->devices[2].name, expected->devices[2].name);
	CHECK_TEXT(machine->devices[2].pci, expected->devices[2].pci);
}

static void links_that_hang_cost_their_gpu(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta"),
					 *machine = NULL;

	CHECK_INT(setenv("FAKE_HANG", "5", 1), 0);
	CHECK_INT(setenv("FAKE_HANG_IN", "NvLinkRemoteDeviceType", 1), 0);
	machine = ask(PATIENCE_MS);
	only_these_are_sick(machine, expected, "5", "when asked for its NVLinks");
	ga_machine_free(ga_steal(&machine));
	/* A pair has no single owner: the GPU that was asked is blamed, and not asked again. */
	CHECK_INT(setenv("FAKE_HANG", "3", 1), 0);
	CHECK_INT(setenv("FAKE_HANG_IN", "TopologyCommonAncestor", 1), 0);
	machine = ask(PATIENCE_MS);
	only_these_are_sick(machine, expected, "3", "when asked for its links");
}

static void a_library_that_crashes_costs_its_gpu(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta"),
					 *machine = NULL;

	CHECK_INT(setenv("FAKE_CRASH", "6,0", 1), 0);
	machine = ask(NVML_DEADLINE_MS);
	only_these_are_sick(machine, expected, "60",
			    "the driver's library crashed (signal 9, Killed) when asked for");
	ga_machine_free(ga_steal(&machine));
	CHECK_INT(unsetenv("FAKE_CRASH"), 0);
	CHECK_INT(setenv("FAKE_EXIT", "6,0", 1), 0);
	machine = ask(NVML_DEADLINE_MS);
	only_these_are_sick(machine, expected, "60",
			    "the driver's library ended (status 0) when asked for");
}

static void what_happens_at_the_end_costs_nothing(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta"),
					 *machine = NULL;

	CHECK_INT(setenv("FAKE_HANG", "shutdown", 1), 0);
	machine = ask(NVML_DEADLINE_MS);
	check_same_machine("a shutdown that hangs", machine, expected, GAP_NONE);
	ga_machine_free(ga_steal(&machine));
	CHECK_INT(unsetenv("FAKE_HANG"), 0);
	CHECK_INT(setenv("FAKE_CRASH", "shutdown", 1), 0);
	machine = ask(NVML_DEADLINE_MS);
	check_same_machine("a shutdown that crashes", machine, expected, GAP_NONE);
}

/* Nor does a version that is never told. */
static void the_version_costs_itself_only(void)
{
	static const char *const plays[] = {"FAKE_HANG", "FAKE_CRASH"};
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta");

	for (size_t i = 0; i < sizeof plays / sizeof *plays; i++) {
		ga_auto_machine gpualloc_machine *machine = NULL;

		test_about("%s", plays[i]);
		CHECK_INT(setenv(plays[i], "version", 1), 0);
		machine = ask(PATIENCE_MS);
		CHECK_INT(unsetenv(plays[i]), 0);
		CHECK(machine->driver == NULL);
		check_same_machine(plays[i], machine, expected, GAP_DRIVER);
		CHECK_INT(machine->note_count, 1);
		CHECK_HAS(machine->notes[0], "asked for its version");
	}
}

/* ---- slow ---- */

struct heard {
	size_t times, ends;
	char last[192];
};

static void hear(void *context, const char *text)
{
	struct heard *heard = context;

	heard->times += text != NULL;
	heard->ends += text == NULL;
	if (text)
		(void)snprintf(heard->last, sizeof heard->last, "%s", text);
}

/* 8 GPUs of 0.4 s each: longer than the patience in all, and shorter each. */
static void a_slow_start_is_waited_for(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta"),
					 *machine = NULL;
	char path[512];
	struct heard heard = {0};
	struct ga_source_request request = {.root = test_path("machines/sysfs/switches"),
					    .nvml_library = path,
					    .deadline_ms = 2000,
					    .waiting = hear,
					    .waiting_context = &heard};
	gpualloc_error error = {0};

	(void)snprintf(path, sizeof path, "%s/libnvidia-ml.so.1", getenv("FAKE_DIR"));
	CHECK_INT(setenv("FAKE_SLOW_GPU", "400", 1), 0);
	CHECK_INT(ga_source_nvml.query(&request, &machine, &error), 0);
	check_same_machine("slow", machine, expected, GAP_NONE);
	CHECK(heard.times >= 1 && heard.ends == 1);
	CHECK_HAS(heard.last, "the driver (NVML) is slow to answer: asking GPU ");
	ga_machine_free(ga_steal(&machine));
	/* And with one that hangs among them. */
	CHECK_INT(setenv("FAKE_HANG", "4", 1), 0);
	machine = ask(2000);
	only_these_are_sick(machine, expected, "4", "when asked for a handle");
}

static void a_start_may_take_three_times_the_usual(void)
{
	CHECK_INT(ga_source_start_patience(GPUALLOC_DEADLINE_DEFAULT_MS),
		  3 * GPUALLOC_DEADLINE_DEFAULT_MS);
	CHECK_INT(ga_source_start_patience(300), 300);
	CHECK_INT(ga_source_start_patience(600000), 600000);
}

/* ---- refused ---- */

static void what_is_refused_is_told_by_its_name(void)
{
	static const struct {
		const char *play;
		enum gpualloc_health health;
		const char *says;
	} refusals[] = {
		{"4:1", GPUALLOC_HEALTH_NO_PERMISSION, "no permission"},
		{"8:1", GPUALLOC_HEALTH_NO_POWER, "power cables"},
		{"11:1", GPUALLOC_HEALTH_INTERRUPT, "interrupts"},
		{"15:1", GPUALLOC_HEALTH_LOST, "reboot"},
		{"16:1", GPUALLOC_HEALTH_NEEDS_RESET, "reset"},
		{"17:1", GPUALLOC_HEALTH_BLOCKED, "cgroup"},
		{"999:1", GPUALLOC_HEALTH_FAILED, "cannot use"},
	};

	nvml_show_spec("dgx1-volta");
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		ga_auto_machine gpualloc_machine *machine = NULL;
		char text[512];

		test_about("%s", refusals[i].play);
		CHECK_INT(setenv("FAKE_HANDLE", refusals[i].play, 1), 0);
		machine = nvml_ask(NULL);
		CHECK_INT(machine->devices[1].health, refusals[i].health);
		(void)ga_device_reason(&machine->devices[1], text, sizeof text);
		CHECK_HAS(text, refusals[i].says);
		CHECK((refusals[i].health == GPUALLOC_HEALTH_LOST) ==
		      (strstr(text, "reboot") != NULL));
		CHECK_INT(machine->devices[0].health, GPUALLOC_HEALTH_OK);
	}
}

static void a_fabric_that_is_not_ready_is_a_reason(void)
{
	static const struct {
		const char *play;
		enum gpualloc_health health;
	} states[] = {
		{"0", GPUALLOC_HEALTH_OK},
		{"1", GPUALLOC_HEALTH_FABRIC_NOT_READY},
		{"2", GPUALLOC_HEALTH_FABRIC_NOT_READY},
		{"3", GPUALLOC_HEALTH_OK},
		{"error", GPUALLOC_HEALTH_FABRIC_NOT_READY},
		{"refused", GPUALLOC_HEALTH_OK},
	};
	static const char *const drivers[] = {"525", "550", NULL, "615"};

	nvml_show_spec("hgx-h100");
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		for (size_t d = 0; d < sizeof drivers / sizeof *drivers; d++) {
			ga_auto_machine gpualloc_machine *machine = NULL;

			test_about("%s by %s", states[i].play, drivers[d] ? drivers[d] : "580");
			CHECK_INT(setenv("FAKE_FABRIC", states[i].play, 1), 0);
			machine = nvml_ask(drivers[d]);
			CHECK_INT(machine->devices[3].health, states[i].health);
		}
}

static void a_link_that_sleeps_is_up(void)
{
	static const char *const machines[] = {"dgx1-volta", "hgx-h100"};

	CHECK_INT(setenv("FAKE_SLEEPING_LINKS", "1", 1), 0);
	for (size_t i = 0; i < 2; i++) {
		ga_auto_machine gpualloc_machine *expected = nvml_open_and_show(machines[i]),
						 *machine = nvml_ask(NULL);

		check_same_machine(machines[i], machine, expected, GAP_NONE);
	}
}

/* A handle may still be given, and nothing be behind it. */
static void a_gpu_that_vanishes_between_calls_is_not_free(void)
{
	static const struct {
		const char *answer;
		enum gpualloc_health health;
	} plays[] = {{"1:2", GPUALLOC_HEALTH_FAILED},     {"2:2", GPUALLOC_HEALTH_FAILED},
		     {"8:2", GPUALLOC_HEALTH_NO_POWER},   {"10:2", GPUALLOC_HEALTH_UNRESPONSIVE},
		     {"11:2", GPUALLOC_HEALTH_INTERRUPT}, {"17:2", GPUALLOC_HEALTH_BLOCKED},
		     {"15:2", GPUALLOC_HEALTH_LOST},      {"999:2", GPUALLOC_HEALTH_FAILED}};
	static const char *const parts[][2] = {{"UUID", "its UUID"}, {"MemoryInfo", "its memory"}};

	nvml_show_spec("dgx1-volta");
	for (size_t i = 0; i < sizeof plays / sizeof *plays; i++)
		for (size_t p = 0; p < 2; p++) {
			ga_auto_machine gpualloc_machine *machine = NULL;

			test_about("%s: %s", parts[p][0], plays[i].answer);
			CHECK_INT(setenv("FAKE_ANSWER", plays[i].answer, 1), 0);
			CHECK_INT(setenv("FAKE_ANSWER_IN", parts[p][0], 1), 0);
			machine = nvml_ask(NULL);
			CHECK_INT(machine->devices[2].health, plays[i].health);
			CHECK_HAS(machine->devices[2].reason, parts[p][1]);
			CHECK_INT(ga_device_state(&machine->devices[1]), GPUALLOC_STATE_FREE);
		}
}

/* Which of the two is right nobody can tell; the machine is not lost with them. */
static void a_uuid_told_twice_costs_the_second_gpu(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta");
	static const char *const hangs[] = {NULL, "5"};

	CHECK_INT(setenv("FAKE_TWIN", "3", 1), 0);
	for (size_t i = 0; i < 2; i++) {
		ga_auto_machine gpualloc_machine *machine = NULL;
		char text[512];

		test_about("%s hangs", hangs[i] ? hangs[i] : "nothing");
		if (hangs[i])
			CHECK_INT(setenv("FAKE_HANG", hangs[i], 1), 0);
		machine = ask(hangs[i] ? PATIENCE_MS : NVML_DEADLINE_MS);
		CHECK_INT(machine->device_count, expected->device_count);
		CHECK(machine->devices[3].uuid == NULL);
		CHECK_INT(ga_device_state(&machine->devices[3]), GPUALLOC_STATE_UNHEALTHY);
		(void)ga_device_reason(&machine->devices[3], text, sizeof text);
		CHECK_HAS(text, "the same UUID (");
		CHECK_HAS(text, "for GPU 0");
		CHECK_TEXT(machine->devices[0].uuid, expected->devices[0].uuid);
		CHECK_INT(ga_device_state(&machine->devices[0]), GPUALLOC_STATE_FREE);
		CHECK_INT(ga_device_state(&machine->devices[7]), GPUALLOC_STATE_FREE);
	}
}

/* ---- whether a list of processes can be trusted ---- */

static void an_unknown_list_is_not_an_empty_one(void)
{
	static const struct {
		const char *variable, *play;
	} plays[] = {{"FAKE_PROCESSES", "denied"},
		     {"FAKE_PROCESSES", "unsupported"},
		     {"FAKE_PROCESSES", "no-mps"},
		     {"FAKE_PROCESSES", "too-many"},
		     {"FAKE_VGPU", "1"}};
	ga_auto_machine gpualloc_machine *shown = nvml_open_machine("dgx1-volta");

	for (size_t d = 0; d < shown->device_count; d++) {
		shown->devices[d].memory.used = d == 0 ? INT64_C(700) << 20 : INT64_C(5) << 20;
		shown->devices[d].processes_known = true;
	}
	nvml_show(shown);
	for (size_t i = 0; i < sizeof plays / sizeof *plays; i++) {
		ga_auto_machine gpualloc_machine *machine = NULL;

		test_about("%s=%s", plays[i].variable, plays[i].play);
		CHECK_INT(setenv(plays[i].variable, plays[i].play, 1), 0);
		machine = nvml_ask(NULL);
		CHECK_INT(ga_device_state(&machine->devices[0]), GPUALLOC_STATE_IN_USE);
		CHECK_INT(ga_device_state(&machine->devices[1]), GPUALLOC_STATE_FREE);
		CHECK_INT(unsetenv(plays[i].variable), 0);
	}
	ga_machine_free(ga_steal(&shown));
	shown = nvml_ask(NULL);
	CHECK_INT(ga_device_state(&shown->devices[0]), GPUALLOC_STATE_FREE);
}

/* 4 refuses, as a driver does that tells it to root only; the others have the list and fail. */
static void a_list_that_fails_is_not_an_empty_one(void)
{
	static const char *const answers[] = {"4:0", "10:0", "17:0", "999:0"};
	static const char *const lists[] = {"Compute", "Graphics", "MPS"};
	ga_auto_machine gpualloc_machine *shown = nvml_open_machine("dgx1-volta");

	shown->devices[0].memory.used = INT64_C(700) << 20;
	shown->devices[0].processes_known = true;
	nvml_show(shown);
	for (size_t i = 0; i < 4; i++)
		for (size_t l = 0; l < 3; l++) {
			ga_auto_machine gpualloc_machine *machine = NULL;
			char name[64];

			test_about("%s: %s", lists[l], answers[i]);
			(void)snprintf(name, sizeof name, "Get%sRunningProcesses",
				       l == 2 ? "MPSCompute" : lists[l]);
			CHECK_INT(setenv("FAKE_ANSWER", answers[i], 1), 0);
			CHECK_INT(setenv("FAKE_ANSWER_IN", name, 1), 0);
			machine = nvml_ask(NULL);
			CHECK_INT(ga_device_state(&machine->devices[0]), GPUALLOC_STATE_IN_USE);
		}
}

static void what_tells_nothing_is_not_free(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	char text[512];

	nvml_show_spec("dgx1-volta");
	CHECK_INT(setenv("FAKE_PROCESSES", "denied", 1), 0);
	CHECK_INT(setenv("FAKE_ANSWER", "4:1", 1), 0);
	CHECK_INT(setenv("FAKE_ANSWER_IN", "MemoryInfo", 1), 0);
	machine = nvml_ask(NULL);
	CHECK_INT(machine->devices[1].health, GPUALLOC_HEALTH_OK);
	CHECK_INT(ga_device_state(&machine->devices[1]), GPUALLOC_STATE_IN_USE);
	(void)ga_device_reason(&machine->devices[1], text, sizeof text);
	CHECK_TEXT(text, "neither its processes nor its memory in use can be seen from here");
	CHECK_INT(ga_device_state(&machine->devices[0]), GPUALLOC_STATE_FREE);
	ga_machine_free(ga_steal(&machine));
	/* One of the two is enough. */
	CHECK_INT(unsetenv("FAKE_PROCESSES"), 0);
	machine = nvml_ask(NULL);
	CHECK_INT(ga_device_state(&machine->devices[1]), GPUALLOC_STATE_FREE);
}

static void unified_memory_is_the_systems(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;

	nvml_show_spec("dgx1-volta");
	CHECK_INT(setenv("FAKE_NO_MEMORY", "1", 1), 0);
	CHECK_INT(setenv("FAKE_PROCESSES", "unsupported", 1), 0);
	machine = nvml_ask_below(NULL, "machines/sysfs/two-nodes");
	CHECK(machine->devices[0].memory_unified);
	CHECK_INT(machine->devices[0].memory.total, INT64_C(125513920) << 10);
	CHECK_INT(machine->devices[0].memory.used, INT64_C(102057131) << 10);
	CHECK_INT(ga_device_state(&machine->devices[0]), GPUALLOC_STATE_FREE);
	CHECK_INT(machine->note_count, 1);
	CHECK_HAS(machine->notes[0], "share one memory");
}

/* ---- the environment, and peer-to-peer ---- */

static void settings_of_nvml_are_not_ours(void)
{
	ga_auto_machine gpualloc_machine *expected = nvml_open_and_show("dgx1-volta"),
					 *machine = NULL;

	CHECK_INT(setenv("NVML_MPS_DEVICE_ENUMERATION", "1", 1), 0);
	machine = nvml_ask(NULL);
	check_same_machine("with a setting", machine, expected, GAP_NONE);
	CHECK_TEXT(getenv("NVML_MPS_DEVICE_ENUMERATION"), "1");
}

static void peer_to_peer_is_asked_both_ways(void)
{
	ga_auto_machine gpualloc_machine *shown = nvml_open_machine("dgx1-volta"), *machine = NULL;

	ga_links_set_p2p(&shown->links, 0, 1, GPUALLOC_P2P_OK);
	ga_links_set_p2p(&shown->links, 0, 2, GPUALLOC_P2P_NO);
	nvml_show(shown);
	machine = nvml_ask(NULL);
	CHECK_INT(ga_links_p2p_read(&machine->links, 1, 0), GPUALLOC_P2P_OK);
	CHECK_INT(ga_links_p2p_read(&machine->links, 2, 0), GPUALLOC_P2P_NO);
	CHECK_INT(ga_links_p2p_read(&machine->links, 3, 0), GPUALLOC_P2P_UNKNOWN);
	ga_machine_free(ga_steal(&machine));
	CHECK_INT(setenv("FAKE_P2P_READ_ONLY", "1", 1), 0);
	machine = nvml_ask(NULL);
	CHECK_INT(ga_links_p2p_read(&machine->links, 1, 0), GPUALLOC_P2P_NO);
}

static const struct test_case cases[] = {
	{"a hung GPU costs itself only", a_hung_gpu_costs_itself_only},
	{"several hung GPUs do not add up", several_hung_gpus_do_not_add_up},
	{"a process list that hangs costs its GPU", a_process_list_that_hangs_costs_its_gpu},
	{"links that hang cost their GPU", links_that_hang_cost_their_gpu},
	{"a library that crashes costs its GPU", a_library_that_crashes_costs_its_gpu},
	{"what happens at the end costs nothing", what_happens_at_the_end_costs_nothing},
	{"the version costs itself only", the_version_costs_itself_only},
	{"a slow start is waited for", a_slow_start_is_waited_for},
	{"a start may take three times the usual", a_start_may_take_three_times_the_usual},
	{"refused queries are reported by name", what_is_refused_is_told_by_its_name},
	{"a GPU that vanishes between calls is not free",
	 a_gpu_that_vanishes_between_calls_is_not_free},
	{"a UUID told twice costs the second GPU", a_uuid_told_twice_costs_the_second_gpu},
	{"a fabric that is not ready is a reason", a_fabric_that_is_not_ready_is_a_reason},
	{"a link that sleeps is up", a_link_that_sleeps_is_up},
	{"an unknown list is not an empty one", an_unknown_list_is_not_an_empty_one},
	{"a list that fails is not an empty one", a_list_that_fails_is_not_an_empty_one},
	{"what tells nothing is not free", what_tells_nothing_is_not_free},
	{"unified memory is the system's", unified_memory_is_the_systems},
	{"settings of NVML are not ours", settings_of_nvml_are_not_ours},
	{"peer-to-peer is asked both ways", peer_to_peer_is_asked_both_ways},
};

TEST_MAIN(cases)
