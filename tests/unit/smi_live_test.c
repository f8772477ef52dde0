/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nvidia-smi source against an nvidia-smi of our own: what that shows of a machine file is the
 * machine in the file, apart from what nvidia-smi cannot know; also of sick GPUs, and of instances
 * that come and go meanwhile.
 */
#include "buffer.h"
#include "cleanup.h"
#include "device_state.h"
#include "file.h"
#include "machine_compare.h"
#include "smi_fake.h"
#include "source.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- machines ---- */

static void machine_files_come_back(void)
{
	static const char *const texts[] = {smi_two_gpus, smi_mig_gpus, smi_four_gpus};
	static const char *const drivers[] = {"470", "510", "535", "550", "580", "610"};

	smi_set_up();
	for (size_t i = 0; i < COUNT(texts); i++)
		for (size_t d = 0; d < COUNT(drivers); d++) {
			ga_auto_machine gpualloc_machine *expected = smi_machine_of(texts[i]);
			ga_auto_machine gpualloc_machine *actual = NULL;
			bool old = strcmp(drivers[d], "470") == 0;

			smi_show_text(texts[i]);
			(void)setenv("FAKE_DRIVER", drivers[d], 1);
			actual = smi_ask();
			CHECK_INT(actual->note_count, 0);
			check_same_machine(drivers[d], actual, expected,
					   SMI_GAPS | (old ? GAP_RESERVED : 0));
		}
}

static void old_drivers_name_instances_by_their_place(void)
{
	ga_auto_machine gpualloc_machine *expected = smi_machine_of(smi_mig_gpus), *actual = NULL;

	smi_set_up();
	smi_show_text(smi_mig_gpus);
	(void)setenv("FAKE_DRIVER", "450", 1);
	actual = smi_ask();
	check_same_machine("450", actual, expected, SMI_GAPS | GAP_RESERVED | GAP_MIG_UUID_OLD);
}

static void builtin_machines_come_back(void)
{
	smi_set_up();
	for (size_t i = 0; ga_source_builtin.machine_name(i); i++) {
		ga_auto_machine gpualloc_machine *expected = NULL, *actual = NULL;

		CHECK_INT(ga_source_builtin.make(i, &expected, NULL), 0);
		smi_show_machine(expected);
		actual = smi_ask();
		check_same_machine(ga_source_builtin.machine_name(i), actual, expected, SMI_GAPS);
	}
}

/* ---- how it is asked ---- */

static void it_is_asked_no_more_than_needed(void)
{
	ga_auto_machine gpualloc_machine *two = NULL;

	smi_set_up();
	smi_show_text(smi_two_gpus);
	two = smi_ask();
	CHECK(!two->devices[0].processes_hidden);
	smi_check_calls(SMI_QUERY "-q -x\ntopo -m\ntopo -p2p r\n");
}

static void one_gpu_has_no_links_to_ask_for(void)
{
	ga_auto_machine gpualloc_machine *one = NULL;

	smi_set_up();
	smi_show_text("{\"gpualloc_machine\": 1, \"devices\": [{\"index\": 0, \"uuid\": \"GPU-a\","
		      " \"mig\": []}], \"pcie\": [[\"X\"]]}");
	one = smi_ask();
	CHECK(one->devices[0].mig_enabled);
	smi_check_calls(SMI_QUERY "-q -x\n-L\n");
}

static void unknown_fields_are_left_out(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	ga_auto_buffer struct ga_buffer calls = GA_BUFFER_INIT(0);

	smi_set_up();
	smi_show_text(smi_two_gpus);
	(void)setenv("FAKE_DRIVER", "430", 1);
	machine = smi_ask();
	CHECK_INT(machine->device_count, 2);
	CHECK_INT(machine->devices[0].memory.reserved, GA_UNKNOWN);
	CHECK_INT(machine->devices[0].memory.used >> 20, (634388480 + 39845889) >> 20);
	CHECK_INT(ga_file_read(smi_in_folder("calls"), 1 << 20, &calls, NULL), 0);
	CHECK_HAS(calls.data,
		  "memory.total,memory.used,utilization.gpu,compute_mode,display_active ");
}

/* ---- sick GPUs ---- */

static void a_lost_gpu_is_one_device(void)
{
	static const char *const drivers[] = {"535", "550"};
	static const char *const reasons[] = {"GPU is lost.  Reboot the system to recover this GPU",
					      "Unknown Error"};

	smi_set_up();
	smi_show_text(smi_four_gpus);
	(void)setenv("FAKE_LOST", "1", 1);
	for (size_t d = 0; d < COUNT(drivers); d++) {
		ga_auto_machine gpualloc_machine *expected = smi_machine_of(smi_four_gpus),
						 *actual = NULL;

		(void)setenv("FAKE_DRIVER", drivers[d], 1);
		expected->devices[1].health = GPUALLOC_HEALTH_LOST;
		actual = smi_ask();
		check_same_machine(drivers[d], actual, expected, SMI_GAPS);
		CHECK_TEXT(actual->devices[1].pci, "00000000:02:00.0");
		CHECK_TEXT(actual->devices[1].reason, reasons[d]);
	}
}

static void a_machine_that_lost_all_gpus_is_none(void)
{
	smi_set_up();
	smi_show_text(smi_two_gpus);
	(void)setenv("FAKE_LOST", "0,1", 1);
	smi_fails(smi_fake(), 5000, "GPU0: 0000:07:00.0: Unknown Error");
	smi_fails(smi_fake(), 5000, "No devices were found");
}

static void a_gpu_that_requires_reset_is_unhealthy(void)
{
	ga_auto_machine gpualloc_machine *expected = smi_machine_of(smi_four_gpus), *actual = NULL;

	smi_set_up();
	smi_show_text(smi_four_gpus);
	(void)setenv("FAKE_RESET", "1", 1);
	expected->devices[1].health = GPUALLOC_HEALTH_NEEDS_RESET;
	actual = smi_ask();
	check_same_machine("reset", actual, expected, SMI_GAPS);
	CHECK_INT(actual->devices[1].utilization, GA_UNKNOWN);
	CHECK_INT(actual->devices[1].memory.total, GA_UNKNOWN);
	CHECK_INT(ga_device_state(&actual->devices[1]), GPUALLOC_STATE_UNHEALTHY);
}

static void mig_parents_may_be_secret(void)
{
	ga_auto_machine gpualloc_machine *expected = smi_machine_of(smi_mig_gpus), *actual = NULL;

	smi_set_up();
	smi_show_text(smi_mig_gpus);
	(void)setenv("FAKE_NO_MIG_PERMISSION", "1", 1);
	actual = smi_ask();
	check_same_machine("secret", actual, expected,
			   SMI_GAPS | GAP_MIG_PARENT | GAP_MIG_PROCESSES);
	CHECK_INT(actual->devices[0].memory.total, GA_UNKNOWN);
	CHECK(!actual->devices[0].mig[0].processes_known);
	/* 1 GiB in use, and no list to say by whom: not free. */
	CHECK_INT(ga_device_state(&actual->devices[0].mig[0]), GPUALLOC_STATE_IN_USE);
}

/* ---- instances that come and go between two calls ---- */

static void instances_that_vanished_are_not_shown(void)
{
	ga_auto_machine gpualloc_machine *actual = NULL;

	smi_set_up();
	smi_show_text(smi_mig_gpus);
	(void)setenv("FAKE_MIG_VANISH", "1", 1);
	actual = smi_ask();
	CHECK_INT(actual->devices[0].mig_count, 1);
	CHECK_TEXT(actual->devices[0].mig[0].uuid, NULL);
	CHECK_INT(actual->devices[0].mig[0].gi, 3);
	CHECK_HAS(actual->notes[0], "GPU 0: nvidia-smi -L lists 2 MIG devices but -q -x has 1");
}

static void a_second_look_settles_what_changed(void)
{
	ga_auto_machine gpualloc_machine *actual = NULL;

	smi_set_up();
	smi_show_text(smi_mig_gpus);
	(void)setenv("FAKE_MIG_VANISH", "once", 1);
	actual = smi_ask();
	CHECK_INT(actual->devices[0].mig_count, 1);
	CHECK_TEXT(actual->devices[0].mig[0].uuid, "MIG-0");
	CHECK_INT(actual->note_count, 0);
	smi_check_calls(SMI_QUERY "-q -x\n-L\n-q -x\n-L\ntopo -m\ntopo -p2p r\n");
}

static const struct test_case cases[] = {
	{"machine files come back", machine_files_come_back},
	{"old drivers name instances by their place", old_drivers_name_instances_by_their_place},
	{"built-in machines come back", builtin_machines_come_back},
	{"it is asked no more than needed", it_is_asked_no_more_than_needed},
	{"one GPU has no links to ask for", one_gpu_has_no_links_to_ask_for},
	{"unknown fields are left out", unknown_fields_are_left_out},
	{"a lost GPU is one device", a_lost_gpu_is_one_device},
	{"a machine that lost all GPUs is not accepted", a_machine_that_lost_all_gpus_is_none},
	{"a GPU that requires reset is unhealthy", a_gpu_that_requires_reset_is_unhealthy},
	{"MIG parents may be secret", mig_parents_may_be_secret},
	{"instances that vanished are not shown", instances_that_vanished_are_not_shown},
	{"a second look settles what changed", a_second_look_settles_what_changed},
};

TEST_MAIN(cases)
