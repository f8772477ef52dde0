/* SPDX-License-Identifier: Apache-2.0 */
/* The quirks of each output of nvidia-smi, in texts as small as they can be, and how parts merge.
 */
#include "cleanup.h"
#include "smi.h"
#include "source.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

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
	CHECK_INT(part->devices[4].health, GPUALLOC_HEALTH_OK);
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
		{"index, uuid, name\n0, GPU-1\n", "row 1 has 2 cells where there are 3 columns"},
		{"index, uuid\n0, GPU-1, more\n", "row 1 has 3 cells where there are 2 columns"},
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

/* ---- the log ---- */

#define LOG(gpus) "<?xml version=\"1.0\" ?>\n<nvidia_smi_log>" gpus "</nvidia_smi_log>\n"
#define PROCESS(type, name)                                                  \
	"<process_info><pid>1</pid><type>" type "</type><process_name>" name \
	"</process_name><used_memory>N/A</used_memory></process_info>"

static void processes_go_to_their_instance(void)
{
	ga_auto_machine gpualloc_machine *machine = read_text(
		LOG("<gpu id=\"0:1:0.0\"><processes>"
		    "<process_info><gpu_instance_id>2</gpu_instance_id><compute_instance_id>1"
		    "</compute_instance_id><pid>5</pid><type>C</type></process_info>"
		    "<process_info><gpu_instance_id>N/A</gpu_instance_id><pid>6</pid><type>G</type>"
		    "</process_info></processes>"
		    "<mig_mode><current_mig>Enabled</current_mig></mig_mode><mig_devices>"
		    "<mig_device><index>0</index><gpu_instance_id>2</gpu_instance_id>"
		    "<compute_instance_id>0</compute_instance_id></mig_device>"
		    "<mig_device><index>1</index><gpu_instance_id>2</gpu_instance_id>"
		    "<compute_instance_id>1</compute_instance_id></mig_device>"
		    "</mig_devices></gpu>"));
	struct gpualloc_device *gpu = &machine->devices[0];

	CHECK_TEXT(gpu->pci, "00000000:01:00.0");
	CHECK_INT(gpu->process_count, 1);
	CHECK_INT(gpu->processes[0].pid, 6);
	CHECK_INT(gpu->mig[0].process_count, 0);
	CHECK_INT(gpu->mig[1].process_count, 1);
	CHECK_INT(gpu->mig[1].processes[0].pid, 5);
	/* What draws is on no instance: the lists are whole. */
	CHECK(gpu->processes_known && gpu->mig[0].processes_known);
}

static void a_process_on_an_unknown_instance_may_be_on_any(void)
{
	ga_auto_machine gpualloc_machine *machine = read_text(LOG(
		"<gpu id=\"0:1:0.0\"><mig_devices><mig_device><index>0</index>"
		"<gpu_instance_id>2</gpu_instance_id></mig_device></mig_devices><processes>" PROCESS(
			"C", "x") "</processes></gpu>"));

	CHECK(machine->devices[0].processes_known);
	CHECK(!machine->devices[0].mig[0].processes_known);
}

static void lists_that_could_not_be_had_are_unknown(void)
{
	static const struct {
		const char *text;
		bool known;
	} lists[] = {
		{LOG("<gpu id=\"0:1:0.0\"><processes></processes></gpu>"), true},
		{LOG("<gpu id=\"0:1:0.0\"><processes>None</processes></gpu>"), true},
		{LOG("<gpu id=\"0:1:0.0\"><processes>N/A</processes></gpu>"), false},
		{LOG("<gpu id=\"0:1:0.0\"><processes>Insufficient Permissions</processes></gpu>"),
		 false},
		{LOG("<gpu id=\"0:1:0.0\"></gpu>"), false},
		{LOG("<gpu id=\"0:1:0.0\"><processes><process_info><pid>N/A</pid></process_info>"
		     "</processes></gpu>"),
		 false},
	};

	for (size_t i = 0; i < COUNT(lists); i++) {
		ga_auto_machine gpualloc_machine *machine = read_text(lists[i].text);

		CHECK_INT(machine->devices[0].processes_known, lists[i].known);
		CHECK_INT(machine->devices[0].process_count, 0);
	}
}

static void process_names_lose_their_folders(void)
{
	static const struct {
		const char *text;
		const char *name;
		const char *type;
	} names[] = {
		{LOG("<gpu>"
		     "<processes>" PROCESS("C", "/usr/bin/python3 /a/b.py") "</processes></gpu>"),
		 "python3", "C"},
		{LOG("<gpu><processes>" PROCESS("G",
						"C:\\Program Files\\a b.exe") "</processes></gpu>"),
		 "a b.exe", "G"},
		{LOG("<gpu><processes>" PROCESS("C+G",
						"sshd: al [priv] @x/y") "</processes></gpu>"),
		 "sshd: al [priv] @x/y", "C+G"},
		{LOG("<gpu><processes>" PROCESS("M+C", "[Not Found]") "</processes></gpu>"), NULL,
		 "M+C"},
		{LOG("<gpu><processes>" PROCESS("?", "a\xff\x01&amp;&lt;") "</processes></gpu>"),
		 "a??&<", "C"},
	};

	for (size_t i = 0; i < COUNT(names); i++) {
		ga_auto_machine gpualloc_machine *machine = read_text(names[i].text);
		const struct gpualloc_process *process = machine->devices[0].processes;

		CHECK_INT(machine->devices[0].process_count, 1);
		CHECK_TEXT(process->name, names[i].name);
		CHECK_TEXT(ga_process_type_name(process->type), names[i].type);
		CHECK_INT(process->memory, GA_UNKNOWN);
	}
}

/* Any user may name a process after an ailment; only the driver's own cells are believed. */
static void a_process_cannot_make_its_gpu_look_sick(void)
{
	ga_auto_machine gpualloc_machine *machine = read_text(LOG("<gpu><processes>" PROCESS(
		"C",
		"GPU is lost") "</processes><accounted_processes>"
			       "<accounted_process_info><process_name>GPU requires reset</process_name>"
			       "</accounted_process_info></accounted_processes></gpu>"));

	CHECK_INT(machine->devices[0].health, GPUALLOC_HEALTH_OK);
}

static void the_log_tells_of_health(void)
{
	static const struct {
		const char *text;
		enum gpualloc_health health;
	} logs[] = {
		{LOG("<gpu><retired_pages><pending_retirement>Yes</pending_retirement>"
		     "</retired_pages></gpu>"),
		 GPUALLOC_HEALTH_RETIRED_PENDING},
		{LOG("<gpu><retired_pages><pending_blacklist>Yes</pending_blacklist>"
		     "</retired_pages></gpu>"),
		 GPUALLOC_HEALTH_RETIRED_PENDING},
		{LOG("<gpu><remapped_rows><remapped_row_failure>Yes</remapped_row_failure>"
		     "</remapped_rows></gpu>"),
		 GPUALLOC_HEALTH_ROW_REMAP_FAILED},
		{LOG("<gpu><gpu_reset_status><reset_required>Yes</reset_required>"
		     "</gpu_reset_status></gpu>"),
		 GPUALLOC_HEALTH_NEEDS_RESET},
		{LOG("<gpu><gpu_recovery_action>Drain and Reset</gpu_recovery_action></gpu>"),
		 GPUALLOC_HEALTH_NEEDS_RESET},
		{LOG("<gpu><gpu_recovery_action>None</gpu_recovery_action></gpu>"),
		 GPUALLOC_HEALTH_OK},
		{LOG("<gpu><gpu_recovery_action>N/A</gpu_recovery_action></gpu>"),
		 GPUALLOC_HEALTH_OK},
		{LOG("<gpu><temperature><gpu_temp>GPU requires reset</gpu_temp></temperature></gpu>"),
		 GPUALLOC_HEALTH_NEEDS_RESET},
		{LOG("<gpu><utilization><gpu_util>GPU is lost</gpu_util></utilization></gpu>"),
		 GPUALLOC_HEALTH_LOST},
		{LOG("<gpu><fan_speed>ERR!</fan_speed></gpu>"), GPUALLOC_HEALTH_OK},
	};

	for (size_t i = 0; i < COUNT(logs); i++) {
		ga_auto_machine gpualloc_machine *machine = read_text(logs[i].text);

		CHECK_INT(machine->devices[0].health, logs[i].health);
	}
}

static void the_index_is_the_place_in_pci_order(void)
{
	ga_auto_machine gpualloc_machine *machine =
		read_text(LOG("<gpu id=\"00000000:C1:00.0\"><minor_number>0</minor_number></gpu>"
			      "<gpu id=\"00000000:07:00.0\"><minor_number>1</minor_number></gpu>"));
	ga_auto_machine gpualloc_machine *unknown =
		read_text(LOG("<gpu id=\"N/A\"><serial>1</serial></gpu>"
			      "<gpu id=\"0:1:0.0\"><serial>2</serial></gpu>"));

	CHECK_TEXT(machine->devices[0].pci, "00000000:07:00.0");
	CHECK_INT(machine->devices[0].index, 0);
	CHECK_INT(machine->devices[0].minor, 1);
	CHECK_TEXT(unknown->devices[0].serial, "1");
}

static void what_surrounds_the_log_is_passed_over(void)
{
	ga_auto_machine gpualloc_machine *machine = read_text(
		"\xef\xbb\xbf$ nvidia-smi -q -x\n"
		"Unable to determine the device handle for GPU 0000:03:00.0: Unknown Error\n" LOG(
			"<gpu id=\"0:1:0.0\"/>") "user@host:~$ \n</gpu>");

	CHECK_INT(machine->device_count, 2);
	CHECK_TEXT(machine->devices[0].pci, "00000000:01:00.0");
	CHECK_TEXT(machine->devices[1].pci, "00000000:03:00.0");
	CHECK_INT(machine->devices[1].health, GPUALLOC_HEALTH_LOST);
	CHECK_TEXT(machine->devices[1].reason, "Unknown Error");
}

static void hostile_logs_are_refused(void)
{
	char deep[4096] = "<nvidia_smi_log><gpu>";

	for (int i = 0; i < 40; i++)
		(void)strcat(deep, "<a>");
	refuses_text(deep, "deep");
	refuses_text("<html><body/></html>", "line 1: the document is <html>");
	refuses_text(LOG(""), "the log describes no GPU");
	refuses_text("<!DOCTYPE nvidia_smi_log [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>"
		     "<nvidia_smi_log>&b;</nvidia_smi_log>",
		     "declares the entity a");
	refuses_text("<!DOCTYPE nvidia_smi_log [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>"
		     "<nvidia_smi_log><gpu>&a;</gpu></nvidia_smi_log>",
		     "declares the entity a");
	refuses_text("<nvidia_smi_log><gpu></nvidia_smi_log>", "line 1: mismatched tag");
	refuses_text("<nvidia_smi_log>\n<gpu>&nbsp;</gpu></nvidia_smi_log>", "line 2: ");
}

static void long_names_and_texts_are_bounded(void)
{
	enum { LONG = 1 << 20 };
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(4 * LONG);
	gpualloc_machine *machine = NULL;
	char *room;

	ga_buffer_text(&text, "<nvidia_smi_log><gpu><product_name>");
	room = ga_buffer_room(&text, LONG);
	memset(room, 'x', LONG);
	ga_buffer_grew(&text, LONG);
	ga_buffer_text(&text, "</product_name></gpu></nvidia_smi_log>");
	machine = read_text(text.data);
	CHECK_INT(strlen(machine->devices[0].name), GA_TEXT_MAX);
	ga_machine_free(machine);
	ga_buffer_free(&text);
	ga_buffer_text(&text, "<nvidia_smi_log><gpu><");
	room = ga_buffer_room(&text, 2000);
	memset(room, 'x', 2000);
	ga_buffer_grew(&text, 2000);
	ga_buffer_text(&text, "/></gpu></nvidia_smi_log>");
	refuses_text(text.data, "too long names");
}

static void too_many_of_anything_are_refused(void)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(1 << 24);

	ga_buffer_text(&text, "<nvidia_smi_log>");
	for (int i = 0; i < 4097; i++)
		ga_buffer_text(&text, "<gpu/>");
	refuses_text(text.data, "more than 4096 GPUs");
	ga_buffer_free(&text);
	ga_buffer_text(&text, "<nvidia_smi_log><gpu><mig_devices>");
	for (int i = 0; i < 65; i++)
		ga_buffer_text(&text, "<mig_device/>");
	refuses_text(text.data, "more than 64 MIG devices");
	ga_buffer_free(&text);
	ga_buffer_text(&text, "<nvidia_smi_log><gpu><processes>");
	for (int i = 0; i < 65537; i++)
		ga_buffer_text(&text, "<process_info/>");
	refuses_text(text.data, "more than 65536 processes");
	ga_buffer_free(&text);
	for (int i = 0; i < 4097; i++)
		ga_buffer_format(&text, "GPU %d: X (UUID: GPU-%d)\n", i, i);
	refuses_text(text.data, "more than 4096 GPUs");
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
	refuses_text("nothing here\n", "line 1: no GPU is listed");
	refuses_text("GPU 0: A (UUID: GPU-a\n", "line 1: the entry ends before its UUID");
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

	CHECK_INT(machine->device_count, 1);
	CHECK_HAS(machine->notes[0], "00000000:34:00.0 cannot be used: Insufficient Permissions");
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
	CHECK_HAS(log->notes[0], "lists 3 MIG devices where -q -x has 2");
}

static const struct test_case cases[] = {
	{"odd cells are no values", odd_cells_are_no_values},
	{"amounts have units", amounts_have_units},
	{"columns are found by name", columns_are_found_by_name},
	{"the last row of a GPU counts", the_last_row_of_a_gpu_counts},
	{"sick cells are heard", sick_cells_are_heard},
	{"health columns of newer versions", health_columns_of_newer_versions},
	{"what is no UUID names nothing", what_is_no_uuid_names_nothing},
	{"broken tables are refused", broken_tables_are_refused},
	{"processes go to their instance", processes_go_to_their_instance},
	{"a process on an unknown instance may be on any",
	 a_process_on_an_unknown_instance_may_be_on_any},
	{"lists that could not be had are unknown", lists_that_could_not_be_had_are_unknown},
	{"process names lose their folders", process_names_lose_their_folders},
	{"a process cannot make its GPU look sick", a_process_cannot_make_its_gpu_look_sick},
	{"the log tells of health", the_log_tells_of_health},
	{"the index is the place in PCI order", the_index_is_the_place_in_pci_order},
	{"what surrounds the log is passed over", what_surrounds_the_log_is_passed_over},
	{"hostile logs are refused", hostile_logs_are_refused},
	{"long names and texts are bounded", long_names_and_texts_are_bounded},
	{"too many of anything are refused", too_many_of_anything_are_refused},
	{"lists of other GPUs under one index add up", lists_of_other_gpus_under_one_index_add_up},
	{"masked UUIDs are left out", masked_uuids_are_left_out},
	{"lines may have a prefix", lines_may_have_a_prefix},
	{"broken lists are refused", broken_lists_are_refused},
	{"every spelling of a lost GPU is heard", every_spelling_of_a_lost_gpu_is_heard},
	{"a lost GPU takes the hole in the indices", a_lost_gpu_takes_the_hole_in_the_indices},
	{"a forbidden GPU is none that is lost", a_forbidden_gpu_is_none_that_is_lost},
	{"parts fill each other in", parts_fill_each_other_in},
	{"instances are matched by ordinal or place", instances_are_matched_by_ordinal_or_place},
	{"instances that changed get no other's UUID", instances_that_changed_get_no_others_uuid},
};

TEST_MAIN(cases)
