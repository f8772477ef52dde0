/* SPDX-License-Identifier: Apache-2.0 */
/* The quirks of the log of nvidia-smi -q -x, in documents as small as they can be; hostile ones. */
#include "buffer.h"
#include "cleanup.h"
#include "source.h"
#include "test.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

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

static void only_what_may_be_ours_is_recognised(void)
{
	static const struct {
		const char *text;
		bool recognised;
	} texts[] = {
		{"<html>", true}, /* refused with a better reason than any other source has */
		{"\n \t<nvidia_smi_log>", true},
		{"$ nvidia-smi -q -x\n<?xml version=\"1.0\" ?>", true},
		{"GPU 0: A (UUID: GPU-a)", true},
		{"hello\n<pre>\n        GPU0    GPU1\n", false},
		{"\tGPU0\tGPU1\nGPU0\t X \tPIX\n", false},
		{"{\"gpualloc_machine\": 1}", false},
		{"", false},
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		test_about("%s", texts[i].text);
		CHECK_INT(ga_source_nvidia_smi.recognises(texts[i].text, strlen(texts[i].text)),
			  texts[i].recognised);
	}
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
	refuses_text(text.data, "names that are too long");
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

static const struct test_case cases[] = {
	{"processes go to their instance", processes_go_to_their_instance},
	{"a process on an unknown instance may be on any",
	 a_process_on_an_unknown_instance_may_be_on_any},
	{"lists that could not be read are unknown", lists_that_could_not_be_had_are_unknown},
	{"process names lose their folders", process_names_lose_their_folders},
	{"a process cannot make its GPU look sick", a_process_cannot_make_its_gpu_look_sick},
	{"the log tells of health", the_log_tells_of_health},
	{"the index is the place in PCI order", the_index_is_the_place_in_pci_order},
	{"what surrounds the log is passed over", what_surrounds_the_log_is_passed_over},
	{"only what may be ours is recognised", only_what_may_be_ours_is_recognised},
	{"hostile logs are refused", hostile_logs_are_refused},
	{"long names and texts are bounded", long_names_and_texts_are_bounded},
	{"too many of anything are refused", too_many_of_anything_are_refused},
};

TEST_MAIN(cases)
