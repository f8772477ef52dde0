/* SPDX-License-Identifier: Apache-2.0 */
/* Free or not, and the reason that a person reads. */
#include "cleanup.h"
#include "device_state.h"
#include "machine_file.h"
#include "test.h"

#include <string.h>

static const struct {
	const char *device; /* its fields in a machine file */
	enum gpualloc_state state;
	const char *reason;
} devices[] = {
	{"", GPUALLOC_STATE_FREE, ""},
	{"\"processes\":[]", GPUALLOC_STATE_FREE, ""},
	{"\"processes\":[],\"memory\":{\"total\":8589934592,\"used\":8000000000}",
	 GPUALLOC_STATE_FREE, ""},
	{"\"memory\":{\"total\":8589934592,\"used\":8000000000}", GPUALLOC_STATE_IN_USE,
	 "7629 MiB in use by processes that cannot be seen from here"},
	{"\"memory\":{\"total\":8589934592,\"used\":600000000}", GPUALLOC_STATE_FREE, ""},
	{"\"memory\":{\"total\":8589934592,\"used\":8000000000},\"memory_unified\":true",
	 GPUALLOC_STATE_FREE, ""},
	{"\"health\":\"unresponsive\",\"reason\":\"NVML said nothing\"", GPUALLOC_STATE_UNHEALTHY,
	 "does not answer: NVML said nothing"},
	{"\"health\":\"blocked\"", GPUALLOC_STATE_UNHEALTHY,
	 "the operating system blocks the GPU, perhaps by a cgroup"},
	{"\"processes\":[{\"pid\":1,\"type\":\"G\"}]", GPUALLOC_STATE_FREE, ""},
	{"\"processes\":[{\"pid\":1,\"type\":\"C\"}]", GPUALLOC_STATE_IN_USE, "process 1"},
	{"\"processes\":[{\"pid\":8,\"type\":\"G\"},{\"pid\":9,\"type\":\"C+G\",\"user\":\"eve\","
	 "\"name\":\"blender\"},{\"pid\":10,\"type\":\"M+C\"}]",
	 GPUALLOC_STATE_IN_USE, "process 9 of eve (blender) and 1 more"},
	{"\"compute_mode\":\"prohibited\"", GPUALLOC_STATE_EXCLUDED,
	 "its compute mode is prohibited"},
	{"\"health\":\"lost\",\"processes\":[{\"pid\":1,\"type\":\"C\"}]", GPUALLOC_STATE_UNHEALTHY,
	 "the driver has lost this GPU; reboot to recover it"},
	{"\"health\":\"needs-reset\",\"reason\":\"Xid 119\"", GPUALLOC_STATE_UNHEALTHY,
	 "the GPU needs a reset: Xid 119"},
	{"\"processes_hidden\":true,\"memory\":{\"total\":8589934592,\"used\":671088640}",
	 GPUALLOC_STATE_FREE, ""},
	{"\"processes_hidden\":true,\"memory\":{\"total\":8589934592,\"used\":2147483648}",
	 GPUALLOC_STATE_IN_USE, "2048 MiB in use by processes that cannot be seen from here"},
};

static gpualloc_machine *machine_of(const char *device)
{
	struct ga_buffer text = GA_BUFFER_INIT(1 << 16);
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	ga_buffer_format(&text,
			 "{\"gpualloc_machine\":1,\"devices\":[{\"index\":0%s%s}],"
			 "\"pcie\":[[\"X\"]]}",
			 *device ? "," : "", device);
	(void)ga_machine_file_read(text.data, text.size, GA_FORM_COMPLETE, &machine, &error);
	CHECK_TEXT(error.message, "");
	ga_buffer_free(&text);
	return machine;
}

static void check_device(const struct gpualloc_device *device, enum gpualloc_state state,
			 const char *reason)
{
	char text[256];

	CHECK_TEXT(ga_state_name(ga_device_state(device)), ga_state_name(state));
	CHECK_INT(ga_device_reason(device, text, sizeof text), strlen(reason));
	CHECK_TEXT(text, reason);
}

static void each_state_has_its_reason(void)
{
	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
		ga_auto_machine gpualloc_machine *machine = machine_of(devices[i].device);

		test_about("%s", devices[i].device);
		check_device(&machine->devices[0], devices[i].state, devices[i].reason);
	}
}

static void an_instance_is_busy_by_its_own_processes(void)
{
	ga_auto_machine gpualloc_machine *machine =
		machine_of("\"mig\":[{\"processes\":[]},"
			   "{\"processes\":[{\"pid\":5,\"type\":\"C\"}]}]");
	const struct gpualloc_device *device = &machine->devices[0];

	check_device(&device->mig[0], GPUALLOC_STATE_FREE, "");
	check_device(&device->mig[1], GPUALLOC_STATE_IN_USE, "process 5");
	check_device(device, GPUALLOC_STATE_EXCLUDED,
		     "in MIG mode: only its 2 instances can be used");
}

static void a_process_of_no_known_instance_blocks_those_not_known(void)
{
	ga_auto_machine gpualloc_machine *machine = machine_of(
		"\"processes\":[{\"pid\":5,\"type\":\"C\"}],\"mig\":[{},{\"processes\":[]}]");
	const struct gpualloc_device *device = &machine->devices[0];

	check_device(&device->mig[0], GPUALLOC_STATE_IN_USE, "process 5, on an unknown instance");
	check_device(&device->mig[1], GPUALLOC_STATE_FREE, "");
}

static void hidden_use_of_a_gpu_blocks_instances_of_which_nothing_is_known(void)
{
	ga_auto_machine gpualloc_machine *machine = machine_of(
		"\"processes_hidden\":true,\"memory\":{\"total\":8589934592,\"used\":2147483648},"
		"\"mig\":[{},{\"memory\":{\"used\":0}},{\"processes\":[]}]");
	const struct gpualloc_device *device = &machine->devices[0];

	check_device(
		&device->mig[0], GPUALLOC_STATE_IN_USE,
		"2048 MiB of its GPU in use; which instance, and by whom, cannot be seen from here");
	check_device(&device->mig[1], GPUALLOC_STATE_FREE, "");
	check_device(&device->mig[2], GPUALLOC_STATE_FREE, "");
}

static void an_instance_is_as_sick_as_its_gpu(void)
{
	ga_auto_machine gpualloc_machine *machine =
		machine_of("\"health\":\"lost\",\"mig\":[{\"processes\":[]}]");

	check_device(&machine->devices[0].mig[0], GPUALLOC_STATE_UNHEALTHY,
		     "the driver has lost this GPU; reboot to recover it");
}

static void free_memory_is_what_neither_driver_nor_program_has(void)
{
	ga_auto_machine gpualloc_machine *machine =
		machine_of("\"memory\":{\"total\":1000,\"reserved\":100,\"used\":300}");
	ga_auto_machine gpualloc_machine *unknown = machine_of("\"memory\":{\"total\":1000}");
	ga_auto_machine gpualloc_machine *over =
		machine_of("\"memory\":{\"total\":1000,\"used\":1001}");

	CHECK_INT(ga_device_memory_free(&machine->devices[0]), 600);
	CHECK_INT(ga_device_memory_free(&unknown->devices[0]), GA_UNKNOWN);
	CHECK_INT(ga_device_memory_free(&over->devices[0]), 0);
}

static const struct test_case cases[] = {
	{"each state has its reason", each_state_has_its_reason},
	{"an instance is busy by its own processes", an_instance_is_busy_by_its_own_processes},
	{"a process of no known instance blocks those not known",
	 a_process_of_no_known_instance_blocks_those_not_known},
	{"hidden use of a GPU blocks instances of which nothing is known",
	 hidden_use_of_a_gpu_blocks_instances_of_which_nothing_is_known},
	{"an instance is as sick as its GPU", an_instance_is_as_sick_as_its_gpu},
	{"free memory is what neither driver nor program has",
	 free_memory_is_what_neither_driver_nor_program_has},
};

TEST_MAIN(cases)
