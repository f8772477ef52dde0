/* SPDX-License-Identifier: Apache-2.0 */
/* The quirks of each output of nvidia-smi, in texts as small as they can be, and how parts merge.
 */
#include "cleanup.h"
#include "smi/smi.h"
#include "source.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LOG(gpus) "<?xml version=\"1.0\" ?>\n<nvidia_smi_log>" gpus "</nvidia_smi_log>\n"

static gpualloc_machine *read_table(const char *text)
{
	gpualloc_machine *part = NULL;
	gpualloc_error error = {0};

	test_about("%.60s", text);
	(void)ga_smi_csv_read(text, strlen(text), NULL, 0, &part, &error);
	CHECK_TEXT(error.message, "");
	return part;
}

static gpualloc_machine *read_text(const char *text)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	test_about("%.60s", text);
	(void)ga_source_nvidia_smi.read(text, strlen(text), &machine, &error);
	CHECK_TEXT(error.message, "");
	return machine;
}

static void refuses_text(const char *text, const char *message)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	test_about("%.60s", text);
	CHECK_INT(ga_source_nvidia_smi.read(text, strlen(text), &machine, &error), GPUALLOC_EDATA);
	CHECK_HAS(error.message, message);
}

/* ---- cells ---- */

static void odd_cells_are_no_values(void)
{
	static const struct {
		const char *cell;
		enum ga_smi_word word;
	} cells[] = {
		{"[N/A]", GA_SMI_UNKNOWN},
		{"N/A", GA_SMI_UNKNOWN},
		{"", GA_SMI_UNKNOWN},
		{" [Not Supported] ", GA_SMI_UNKNOWN},
		{"Not Supported", GA_SMI_UNKNOWN},
		{"[Insufficient Permissions]", GA_SMI_UNKNOWN},
		{"Insufficient Permissions", GA_SMI_UNKNOWN},
		{"[Unknown Error]", GA_SMI_UNKNOWN},
		{"Unknown Error", GA_SMI_UNKNOWN},
		{"[Function Not Found]", GA_SMI_UNKNOWN},
		{"[Requested functionality has been deprecated]", GA_SMI_UNKNOWN},
		{"[REDACTED]", GA_SMI_UNKNOWN},
		{"REDACTED", GA_SMI_UNKNOWN},
		{"GPU Not Supported", GA_SMI_UNKNOWN},
		{"[Some Words Of Tomorrow]", GA_SMI_UNKNOWN},
		{"[GPU requires reset]", GA_SMI_RESET},
		{"GPU requires reset", GA_SMI_RESET},
		{"[GPU is lost]", GA_SMI_LOST},
		{"GPU is lost.  Reboot the system to recover this GPU", GA_SMI_LOST},
		{"ERR!", GA_SMI_FAULT},
		{"[ERR!]", GA_SMI_FAULT},
		{"0", GA_SMI_VALUE},
		{"Graphics Device", GA_SMI_VALUE},
	};

	for (size_t i = 0; i < COUNT(cells); i++) {
		test_about("%s", cells[i].cell);
		CHECK_INT(ga_smi_word((struct ga_view){cells[i].cell, strlen(cells[i].cell)}),
			  cells[i].word);
	}
}

static void amounts_have_units(void)
{
	static const struct {
		const char *cell;
		int64_t bytes;
	} amounts[] = {
		{"576 MiB", INT64_C(576) << 20},
		{"576", INT64_C(576) << 20},
		{"8 GiB", INT64_C(8) << 30},
		{"4 KiB", 4096},
		{"0 MiB", 0},
		{"-1 MiB", -7},
		{"MiB", -7},
		{"12.5 MiB", -7},
		{"12 parsecs", -7},
		{"99999999999999999999 MiB", -7},
		{"72057594037927936 MiB", -7},
		{"", -7},
	};

	for (size_t i = 0; i < COUNT(amounts); i++) {
		int64_t bytes = -7;

		test_about("%s", amounts[i].cell);
		CHECK_INT(ga_smi_bytes((struct ga_view){amounts[i].cell, strlen(amounts[i].cell)},
				       &bytes),
			  amounts[i].bytes != -7);
		CHECK_INT(bytes, amounts[i].bytes);
	}
}

/* ---- the table ---- */

static void columns_are_found_by_name(void)
{
	ga_auto_machine gpualloc_machine *part = read_table(
		"$ nvidia-smi --query-gpu=index,name --format=csv\n"
		"future.field [furlongs], memory.used [MiB], gpu_name, index, compute_mode\r\n"
		"7, 12 MiB, Tesla, the V, Gen 2, 3, Exclusive_Process\r\n"
		"WARNING: infoROM is corrupted at gpu 0000:01:00.0, which is odd\r\n"
		"7, 13 MiB, \"A, B\", 4, Prohibited");

	CHECK_INT(part->device_count, 2);
	CHECK_TEXT(part->devices[0].name, "Tesla, the V, Gen 2");
	CHECK_INT(part->devices[0].index, 3);
	CHECK_INT(part->devices[0].compute_mode, GA_COMPUTE_EXCLUSIVE_PROCESS);
	CHECK_INT(part->devices[0].memory.used, 12 << 20);
	CHECK_INT(part->devices[0].memory.total, GA_UNKNOWN);
	CHECK_TEXT(part->devices[1].name, "A, B");
	CHECK_INT(part->devices[1].compute_mode, GA_COMPUTE_PROHIBITED);
}

static void the_last_row_of_a_gpu_counts(void)
{
	ga_auto_machine gpualloc_machine *part = read_table("index, utilization.gpu [%]\n"
							    "0, 26 %\n1, 50 %\n"
							    "index, utilization.gpu [%]\n"
							    "0, 25 %\n1, [N/A]\n");

	CHECK_INT(part->device_count, 2);
	CHECK_INT(part->devices[0].utilization, 25);
	CHECK_INT(part->devices[1].utilization, GA_UNKNOWN);
}

static void sick_cells_are_heard(void)
{
	ga_auto_machine gpualloc_machine *part =
		read_table("index, memory.total [MiB], utilization.gpu [%], temperature.gpu\n"
			   "0, ERR!, 5 %, 40\n"
			   "1, 8 MiB, 5 %, ERR!\n"
			   "2, 8 MiB, 5 %, [GPU requires reset]\n"
			   "3, [GPU is lost], [GPU is lost], [GPU is lost]\n"
			   "4, [Unknown Error], 101 %, 40\n");

	CHECK_INT(part->devices[0].health, GPUALLOC_HEALTH_NEEDS_RESET);
	CHECK_TEXT(part->devices[0].reason, "nvidia-smi shows ERR! for memory.total");
	CHECK_INT(part->devices[0].memory.total, GA_UNKNOWN);
	CHECK_INT(part->devices[0].utilization, 5);
	/* A fan that is broken says nothing of what we use. */
	CHECK_INT(part->devices[1].health, GPUALLOC_HEALTH_OK);
	CHECK_INT(part->devices[2].health, GPUALLOC_HEALTH_NEEDS_RESET);
	CHECK_INT(part->devices[3].health, GPUALLOC_HEALTH_LOST);
	CHECK_INT(part->devices[4].health, GPUALLOC_HEALTH_FAILED);
	CHECK_INT(part->devices[4].utilization, GA_UNKNOWN);
}

static void health_columns_of_newer_versions(void)
{
	ga_auto_machine gpualloc_machine *part = read_table(
		"index, gpu_recovery_action, remapped_rows.failure, retired_pages.pending\n"
		"0, None, No, No\n1, Reset, No, No\n2, None, Yes, Yes\n3, [N/A], [N/A], Yes\n");

	CHECK_INT(part->devices[0].health, GPUALLOC_HEALTH_OK);
	CHECK_INT(part->devices[1].health, GPUALLOC_HEALTH_NEEDS_RESET);
	CHECK_TEXT(part->devices[1].reason, "recovery action \"Reset\"");
	CHECK_INT(part->devices[2].health, GPUALLOC_HEALTH_ROW_REMAP_FAILED);
	CHECK_INT(part->devices[3].health, GPUALLOC_HEALTH_RETIRED_PENDING);
}

static void what_is_no_uuid_names_nothing(void)
{
	ga_auto_machine gpualloc_machine *part =
		read_table("index, uuid, pci.bus_id, serial\n0, 4711, 7, [N/A]\n");

	CHECK_TEXT(part->devices[0].uuid, NULL);
	CHECK_TEXT(part->devices[0].pci, NULL);
	CHECK_TEXT(part->devices[0].serial, NULL);
}

static void broken_tables_are_refused(void)
{
	static const char *const asked[] = {"index", "uuid"};
	static const struct {
		const char *text;
		const char *message;
	} tables[] = {
		{"", "no row"},
		{"index, uuid\n", "no row"},
		{"index, uuid, name\n0, GPU-1\n", "row 1 has 2 cells, but there are 3 columns"},
		{"index, uuid\n0, GPU-1, more\n", "row 1 has 3 cells, but there are 2 columns"},
		{"No devices were found\n", "no row"},
	};

	for (size_t i = 0; i < COUNT(tables); i++) {
		gpualloc_machine *part = NULL;
		gpualloc_error error = {0};

		CHECK_INT(ga_smi_csv_read(tables[i].text, strlen(tables[i].text), asked, 2, &part,
					  &error),
			  GPUALLOC_EDATA);
		CHECK_HAS(error.message, tables[i].message);
	}
}

/* ---- the list ---- */

static void lists_of_other_gpus_under_one_index_add_up(void)
{
	ga_auto_machine gpualloc_machine *machine = read_text("GPU 0: A (UUID: GPU-a)\n"
							      "GPU 0: B (UUID: GPU-b)\n"
							      "GPU 1: C (UUID: GPU-c)\n");

	CHECK_INT(machine->device_count, 3);
	CHECK_INT(machine->note_count, 1);
	CHECK_HAS(machine->notes[0], "several GPUs have the index 0");
	CHECK_INT(machine->devices[2].index, 2);
}

static void masked_uuids_are_left_out(void)
{
	ga_auto_machine gpualloc_machine *machine =
		read_text("GPU 0: A (UUID: GPU-0)\n"
			  "  MIG 1g.5gb Device 0: (UUID: MIG-0)\n"
			  "  MIG 1g.5gb+me Device 1: (UUID: MIG-0)\n"
			  "GPU 1: A (UUID: GPU-0)\n"
			  "GPU 2: A (UUID: GPU-2)\n"
			  "GPU 3: A (UUID: N/A)\n");

	CHECK_INT(machine->device_count, 4);
	CHECK_TEXT(machine->devices[0].uuid, NULL);
	CHECK_TEXT(machine->devices[1].uuid, NULL);
	CHECK_TEXT(machine->devices[2].uuid, "GPU-2");
	CHECK_TEXT(machine->devices[3].uuid, NULL);
	CHECK_TEXT(machine->devices[0].mig[1].uuid, NULL);
	CHECK_TEXT(machine->devices[0].mig[1].profile, "1g.5gb+me");
	CHECK_HAS(machine->notes[0], "4 devices share their UUID");
}

static void lines_may_have_a_prefix(void)
{
	ga_auto_machine gpualloc_machine *machine =
		read_text("$ kubectl logs pod\n"
			  "[pod/a] GPU 0: A100 (UUID: GPU-a)\n"
			  "[pod/a]   MIG 1g.5gb      Device  0: (UUID: MIG-a)\n");

	CHECK_TEXT(machine->devices[0].name, "A100");
	CHECK_TEXT(machine->devices[0].mig[0].profile, "1g.5gb");
}

static void broken_lists_are_refused(void)
{
	refuses_text("", "line 1");
	refuses_text("nothing here\n", "line 1: the list has no GPU");
	refuses_text("GPU 0: A (UUID: GPU-a\n", "line 1: the entry ends in the middle of its UUID");
	refuses_text("GPU 0: A (UUID: GPU-a)\nGPU 1: B\n", "line 2: the entry ends");
	refuses_text("GPU 0: A (UUID: GPU-a)\n  MIG 1g.5gb\n", "line 2: the entry ends");
}

/* ---- lost GPUs ---- */

static void every_spelling_of_a_lost_gpu_is_heard(void)
{
	static const struct {
		const char *line;
		const char *pci;
		int64_t index;
		const char *reason;
	} lines[] = {
		{"Unable to determine the device handle for GPU 0000:03:00.0: GPU is lost.  Reboot "
		 "the system to recover this GPU",
		 "00000000:03:00.0", GA_UNKNOWN,
		 "GPU is lost.  Reboot the system to recover this GPU"},
		{"Unable to determine the device handle for GPU 0000:0B:00.0: Unknown Error",
		 "00000000:0B:00.0", GA_UNKNOWN, "Unknown Error"},
		{"Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error\r",
		 "00000000:34:00.0", 1, "Unknown Error"},
		{"Unable to determine the device handle for gpu 00000000:C1:00.0: Unknown Error",
		 "00000000:C1:00.0", GA_UNKNOWN, "Unknown Error"},
	};

	for (size_t i = 0; i < COUNT(lines); i++) {
		ga_auto_machine gpualloc_machine *part = NULL;

		test_about("%s", lines[i].line);
		CHECK_INT(ga_machine_new(0, &part, NULL), 0);
		CHECK_INT(ga_smi_lost_read(lines[i].line, strlen(lines[i].line), part), 0);
		CHECK_INT(part->device_count, 1);
		CHECK_TEXT(part->devices[0].pci, lines[i].pci);
		CHECK_INT(part->devices[0].index, lines[i].index);
		CHECK_INT(part->devices[0].health, GPUALLOC_HEALTH_LOST);
		CHECK_TEXT(part->devices[0].reason, lines[i].reason);
	}
}

static void a_lost_gpu_takes_the_hole_in_the_indices(void)
{
	ga_auto_machine gpualloc_machine *machine = read_text(
		"Unable to determine the device handle for GPU 0000:34:00.0: Unknown Error\n"
		"Unable to determine the device handle for GPU 0000:35:00.0: Unknown Error\n"
		"GPU 0: A (UUID: GPU-a)\nGPU 2: A (UUID: GPU-b)\n");

	CHECK_INT(machine->device_count, 4);
	CHECK_TEXT(machine->devices[1].pci, "00000000:34:00.0");
	CHECK_INT(machine->devices[1].index, 1);
	CHECK_TEXT(machine->devices[2].uuid, "GPU-b");
	CHECK_TEXT(machine->devices[3].pci, "00000000:35:00.0");
	CHECK_INT(machine->devices[3].index, 3);
}

static void a_forbidden_gpu_is_none_that_is_lost(void)
{
	ga_auto_machine gpualloc_machine *machine =
		read_text("Unable to determine the device handle for GPU 0000:34:00.0: "
			  "Insufficient Permissions\nGPU 0: A (UUID: GPU-a)\n");

	CHECK_INT(machine->device_count, 2);
	CHECK_TEXT(machine->devices[1].pci, "00000000:34:00.0");
	CHECK_INT(machine->devices[1].health, GPUALLOC_HEALTH_NO_PERMISSION);
	CHECK_TEXT(machine->devices[1].reason, "Insufficient Permissions");
}

/* ---- merging ---- */

static void parts_fill_each_other_in(void)
{
	ga_auto_machine gpualloc_machine *table =
		read_table("index, uuid, memory.total [MiB]\n0, GPU-b, 8 MiB\n1, GPU-a, 8 MiB\n");
	ga_auto_machine gpualloc_machine *log =
		read_text(LOG("<gpu id=\"0:1:0.0\"><uuid>GPU-a</uuid><serial>9</serial>"
			      "<fb_memory_usage><total>7 MiB</total><used>1 MiB</used>"
			      "</fb_memory_usage></gpu>"));

	CHECK_INT(ga_smi_merge(table, log), 0);
	CHECK_INT(table->device_count, 2);
	CHECK_TEXT(table->devices[0].serial, NULL);
	CHECK_TEXT(table->devices[1].serial, "9");
	CHECK_TEXT(table->devices[1].pci, "00000000:01:00.0");
	CHECK_INT(table->devices[1].memory.total, 8 << 20);
	CHECK_INT(table->devices[1].memory.used, 1 << 20);
}

#define INSTANCES(a, b)                                                                          \
	LOG("<gpu id=\"0:1:0.0\"><uuid>GPU-a</uuid><mig_devices><mig_device><index>0</index>"    \
	    "<gpu_instance_id>" a "</gpu_instance_id><compute_instance_id>0"                     \
	    "</compute_instance_id></mig_device><mig_device><index>1</index><gpu_instance_id>" b \
	    "</gpu_instance_id><compute_instance_id>0</compute_instance_id></mig_device>"        \
	    "</mig_devices></gpu>")

static void instances_are_matched_by_ordinal_or_place(void)
{
	ga_auto_machine gpualloc_machine *log = read_text(INSTANCES("3", "9"));
	ga_auto_machine gpualloc_machine *other = read_text(INSTANCES("3", "9"));
	ga_auto_machine gpualloc_machine *list =
		read_text("GPU 0: A (UUID: GPU-a)\n"
			  "  MIG 2g.10gb     Device  0: (UUID: MIG-x)\n"
			  "  MIG 1g.5gb      Device  1: (UUID: MIG-y)\n");
	ga_auto_machine gpualloc_machine *old =
		read_text("GPU 0: A (UUID: GPU-a)\n"
			  "  MIG 1g.5gb Device 0: (UUID: MIG-GPU-a/9/0)\n"
			  "  MIG 2g.10gb Device 1: (UUID: MIG-GPU-a/3/0)\n");
	bool differ = true;

	CHECK_INT(ga_smi_merge_instances(log, list, &differ), 0);
	CHECK(!differ);
	CHECK_TEXT(log->devices[0].mig[0].uuid, "MIG-x");
	CHECK_TEXT(log->devices[0].mig[1].profile, "1g.5gb");
	CHECK_INT(ga_smi_merge_instances(other, old, &differ), 0);
	CHECK(!differ);
	CHECK_TEXT(other->devices[0].mig[0].uuid, "MIG-GPU-a/3/0");
	CHECK_TEXT(other->devices[0].mig[1].profile, "1g.5gb");
}

static void instances_that_changed_get_no_others_uuid(void)
{
	ga_auto_machine gpualloc_machine *log = read_text(INSTANCES("3", "9"));
	ga_auto_machine gpualloc_machine *list =
		read_text("GPU 0: A (UUID: GPU-a)\n"
			  "  MIG 2g.10gb     Device  0: (UUID: MIG-x)\n"
			  "  MIG 1g.5gb      Device  1: (UUID: MIG-y)\n"
			  "  MIG 1g.5gb      Device  2: (UUID: MIG-z)\n");
	bool differ = false;

	CHECK_INT(ga_smi_merge_instances(log, list, &differ), 0);
	CHECK(differ);
	CHECK_INT(ga_smi_merge_instances(log, list, NULL), 0);
	CHECK_TEXT(log->devices[0].mig[0].uuid, NULL);
	CHECK_TEXT(log->devices[0].mig[1].uuid, NULL);
	CHECK_HAS(log->notes[0], "lists 3 MIG devices but -q -x has 2");
}

/* As many, but one went and another came: no ordinal can be trusted. */
static void instances_of_other_ordinals_get_no_uuid(void)
{
	ga_auto_machine gpualloc_machine *log = read_text(INSTANCES("3", "9"));
	ga_auto_machine gpualloc_machine *list = read_table("index, uuid\n0, GPU-a\n");
	bool differ = false;

	for (int64_t ordinal = 0; ordinal <= 2; ordinal += 2) {
		struct gpualloc_device *instance = ga_device_add_mig(&list->devices[0]);

		instance->index = ordinal;
		CHECK_INT(ga_set_text(&instance->uuid, ordinal ? "MIG-y" : "MIG-x"), 0);
	}
	CHECK_INT(ga_smi_merge_instances(log, list, &differ), 0);
	CHECK(differ);
}

static const struct test_case cases[] = {
	{"odd cells are not values", odd_cells_are_no_values},
	{"amounts have units", amounts_have_units},
	{"columns are found by name", columns_are_found_by_name},
	{"the last row of a GPU counts", the_last_row_of_a_gpu_counts},
	{"sick cells are heard", sick_cells_are_heard},
	{"health columns of newer versions", health_columns_of_newer_versions},
	{"text that is not a UUID names nothing", what_is_no_uuid_names_nothing},
	{"broken tables are refused", broken_tables_are_refused},
	{"lists of other GPUs under one index add up", lists_of_other_gpus_under_one_index_add_up},
	{"masked UUIDs are left out", masked_uuids_are_left_out},
	{"lines may have a prefix", lines_may_have_a_prefix},
	{"broken lists are refused", broken_lists_are_refused},
	{"every spelling of a lost GPU is heard", every_spelling_of_a_lost_gpu_is_heard},
	{"a lost GPU takes the hole in the indices", a_lost_gpu_takes_the_hole_in_the_indices},
	{"a forbidden GPU is not a lost one", a_forbidden_gpu_is_none_that_is_lost},
	{"parts fill each other in", parts_fill_each_other_in},
	{"instances are matched by ordinal or place", instances_are_matched_by_ordinal_or_place},
	{"instances that changed get no other's UUID", instances_that_changed_get_no_others_uuid},
	{"instances of other ordinals get no UUID", instances_of_other_ordinals_get_no_uuid},
};

TEST_MAIN(cases)
