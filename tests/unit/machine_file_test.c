/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine file: reading it and writing it again gives the same bytes, and every refusal names
 * its place.
 */
#include "cleanup.h"
#include "machine_file.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char whole[] =
	"{\"gpualloc_machine\": 1, \"name\": \"node7\", \"source\": \"nvml\", \"driver\": \"550.54.15\",\n"
	" \"cpu\": {\"sockets\": 2, \"cores_per_socket\": 64, \"threads_per_core\": 2},\n"
	" \"devices\": [\n"
	"  {\"index\": 0, \"uuid\": \"GPU-a\", \"serial\": \"1\", \"name\": \"NVIDIA A100\", \"pci\": \"00000000:07:00.0\", \"minor\": 0,\n"
	"   \"numa\": 3, \"cpus\": \"48-63,176-191\", \"nvlink_version\": 3, \"display\": false, \"memory\": {\"total\": 42949672960, \"reserved\": 634388480, \"used\": 39845888}, \"utilization\": 0, \"compute_mode\": \"default\", \"health\": \"ok\",\n"
	"   \"processes\": [{\"pid\": 4711, \"type\": \"C\", \"memory\": 1048576, \"user\": \"alice\", \"name\": \"python\"}],\n"
	"   \"mig\": [\n"
	"    {\"uuid\": \"MIG-a\", \"profile\": \"1g.5gb\", \"gi\": 7, \"ci\": 0, \"memory\": {\"total\": 5100273664}, \"processes\": []}]},\n"
	"  {\"index\": 2, \"name\": \"caf\xc3\xa9 \\\"x\\\"\",\n"
	"   \"health\": \"lost\"}],\n"
	" \"pcie\": [\n"
	"  [\"X\", \"PXB\"],\n"
	"  [\"PXB\", \"X\"]],\n"
	" \"nvlink\": [\n"
	"  [0, 12],\n"
	"  [12, 0]],\n"
	" \"p2p\": [\n"
	"  [\"X\", \"ok\"],\n"
	"  [\"ok\", \"X\"]],\n"
	" \"inferred\": [[0, 1]]}\n";

static gpualloc_machine *read_text(const char *text)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result = ga_machine_file_read(text, strlen(text), GA_FORM_FILE, &machine, &error);

	CHECK_TEXT(error.message, "");
	CHECK_INT(result, 0);
	return machine;
}

static void reads_back_to_the_same_bytes(void)
{
	ga_auto_machine gpualloc_machine *machine = read_text(whole);
	ga_auto_buffer struct ga_buffer out = GA_BUFFER_INIT(1 << 20);

	CHECK_INT(ga_machine_file_write(machine, GA_FORM_FILE, &out, NULL), 0);
	CHECK_TEXT(out.data, whole);
}

static void reads_every_field(void)
{
	ga_auto_machine gpualloc_machine *machine = read_text(whole);
	const struct gpualloc_device *device = &machine->devices[0];

	CHECK_TEXT(machine->name, "node7");
	CHECK_INT(machine->cores_per_socket, 64);
	CHECK_INT(machine->device_count, 2);
	CHECK_INT(device->memory.reserved, 634388480);
	CHECK_INT(device->numa, 3);
	CHECK_INT(device->display, 0);
	CHECK_TEXT(device->processes[0].user, "alice");
	CHECK_TEXT(device->mig[0].profile, "1g.5gb");
	CHECK(device->mig[0].parent == device);
	CHECK_INT(device->mig[0].memory.used, GA_UNKNOWN);
	CHECK(device->mig[0].processes_known && !machine->devices[1].processes_known);
	CHECK_INT(machine->devices[1].index, 2);
	CHECK_INT(machine->devices[1].health, GPUALLOC_HEALTH_LOST);
	CHECK_INT(machine->devices[1].memory.total, GA_UNKNOWN);
	CHECK_INT(ga_links_level(&machine->links, 0, 1), GPUALLOC_LEVEL_PXB);
	CHECK_INT(ga_links_nvlinks(&machine->links, 1, 0), 12);
	CHECK(ga_links_inferred(&machine->links, 0, 1));
	CHECK_INT(ga_links_p2p(&machine->links, 1, 0), GPUALLOC_P2P_OK);
	CHECK(!ga_links_p2p_inferred(&machine->links, 1, 0));
}

static void complete_form_keeps_reasons_and_notes(void)
{
	ga_auto_machine gpualloc_machine *machine = read_text(whole), *copy = NULL;
	ga_auto_buffer struct ga_buffer out = GA_BUFFER_INIT(1 << 20);

	CHECK_INT(ga_machine_note(machine, "odd %d", 1), 0);
	CHECK_INT(ga_set_text(&machine->devices[1].reason, "fell off"), 0);
	machine->devices[0].processes_hidden = true;
	CHECK_INT(ga_machine_file_write(machine, GA_FORM_COMPLETE, &out, NULL), 0);
	CHECK_INT(ga_machine_file_read(out.data, out.size, GA_FORM_COMPLETE, &copy, NULL), 0);
	CHECK_INT(copy->note_count, 1);
	CHECK_TEXT(copy->notes[0], "odd 1");
	CHECK_TEXT(copy->devices[1].reason, "fell off");
	CHECK(copy->devices[0].processes_hidden && !copy->devices[1].processes_hidden);
}

#define PAIR(one, other, rest)                                              \
	"{\"gpualloc_machine\":1,\"devices\":[{\"index\":0,\"name\":\"" one \
	"\"},{\"index\":1,\"name\":\"" other                                \
	"\"}],\"pcie\":[[\"X\",\"SYS\"],[\"SYS\",\"X\"]]" rest "}"
#define BRIDGED ",\"nvlink\":[[0,4],[4,0]]"
#define READ(word) ",\"p2p\":[[\"X\"," word "],[" word ",\"X\"]]"

/* Two GPUs of these models: what is known of the pair, and whether that was inferred. */
static const struct {
	const char *text;
	enum gpualloc_p2p p2p;
	bool inferred;
} pairs[] = {
	{PAIR("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090", ""), GPUALLOC_P2P_NO, true},
	{PAIR("NVIDIA GeForce RTX 4090 D", "NVIDIA A100-PCIE-40GB", ""), GPUALLOC_P2P_NO, true},
	{PAIR("NVIDIA GeForce RTX 5090", "NVIDIA GeForce RTX 5090", BRIDGED), GPUALLOC_P2P_NO,
	 true},
	{PAIR("NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 3090", ""), GPUALLOC_P2P_NO, true},
	{PAIR("NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 3090", BRIDGED), GPUALLOC_P2P_OK,
	 true},
	{PAIR("GeForce RTX 2080 Ti", "GeForce RTX 2080 Ti", READ("null")), GPUALLOC_P2P_NO, true},
	{PAIR("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090", READ("\"ok\"")),
	 GPUALLOC_P2P_OK, false},
	{PAIR("NVIDIA A100-PCIE-40GB", "NVIDIA A100-PCIE-40GB", READ("\"no\"")), GPUALLOC_P2P_NO,
	 false},
	{PAIR("NVIDIA RTX 6000 Ada Generation", "NVIDIA RTX A6000", ""), GPUALLOC_P2P_UNKNOWN,
	 false},
	{PAIR("NVIDIA GeForce GTX 1080 Ti", "GeForce RTX 40", ""), GPUALLOC_P2P_UNKNOWN, false},
};

static void peer_to_peer_is_concluded_where_it_is_certain(void)
{
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		ga_auto_machine gpualloc_machine *machine = read_text(pairs[i].text), *copy = NULL;
		ga_auto_buffer struct ga_buffer out = GA_BUFFER_INIT(1 << 20);

		test_about("%s", pairs[i].text);
		CHECK_INT(ga_links_p2p(&machine->links, 0, 1), pairs[i].p2p);
		CHECK_INT(ga_links_p2p(&machine->links, 1, 0), pairs[i].p2p);
		CHECK_INT(ga_links_p2p_inferred(&machine->links, 1, 0), pairs[i].inferred);
		/* Inferred values are not written as if they had been read. */
		CHECK_INT(ga_machine_file_write(machine, GA_FORM_FILE, &out, NULL), 0);
		CHECK_INT(ga_machine_file_read(out.data, out.size, GA_FORM_FILE, &copy, NULL), 0);
		CHECK_INT(ga_links_p2p_inferred(&copy->links, 0, 1), pairs[i].inferred);
	}
}

static void devices_may_stand_in_any_order(void)
{
	ga_auto_machine gpualloc_machine *machine = read_text(
		"{\"gpualloc_machine\":1,\"future\":{},\"devices\":[{\"index\":5,\"uuid\":\"b\"},"
		"{\"index\":1,\"uuid\":\"a\"}],\"pcie\":[[\"X\",null],[null,\"X\"]]}");

	CHECK_TEXT(machine->devices[0].uuid, "a");
	CHECK_TEXT(machine->devices[1].uuid, "b");
	CHECK_INT(ga_links_level(&machine->links, 0, 1), GPUALLOC_LEVEL_UNKNOWN);
}

/* Everything except the mistake: D stands for the list of devices, P for pcie and what follows. */
#define FILE_OF(devices, rest) "{\"gpualloc_machine\":1,\"devices\":[" devices "]," rest "}"
#define ONE "\"pcie\":[[\"X\"]]"
#define TWO "{\"index\":0},{\"index\":1}"

static const struct {
	const char *text;
	const char *message;
} refused[] = {
	{"", "line 1"},
	{"{\"gpualloc_machine\": 1,\n \"devices\": [}\n", "line 2"},
	{"{\"a\":1,\"a\":2}", "duplicate"},
	{"[]", "the document: expected an object, found a list"},
	{"{}", "gpualloc_machine: is required"},
	{"{\"gpualloc_machine\":2}", "gpualloc_machine: 2 is out of range"},
	{"{\"gpualloc_machine\":\"1\"}", "gpualloc_machine: expected a whole number, found a text"},
	{"{\"gpualloc_machine\":1}", "devices: is required"},
	{"{\"gpualloc_machine\":1,\"devices\":{}}", "devices: expected a list, found an object"},
	{"{\"gpualloc_machine\":1,\"devices\":[]}", "pcie: is required"},
	{FILE_OF("4", ONE), "devices[0]: expected an object, found a whole number"},
	{FILE_OF("{}", ONE), "devices[0].index: is required"},
	{FILE_OF("{\"index\":-1}", ONE), "devices[0].index: -1 is out of range"},
	{FILE_OF("{\"index\":0.5}", ONE), "devices[0].index: expected a whole number"},
	{FILE_OF("{\"index\":1},{\"index\":1}", ONE), "devices[1].index: 1 is already"},
	{FILE_OF("{\"index\":0,\"uuid\":7}", ONE), "devices[0].uuid: expected a text"},
	{FILE_OF("{\"index\":0,\"uuid\":\"a\"},{\"index\":1,\"uuid\":\"a\"}",
		 "\"pcie\":[[\"X\",null],[null,\"X\"]]"),
	 "devices[1].uuid: the UUID a is already that of devices[0].uuid"},
	{FILE_OF("{\"index\":0,\"uuid\":\"a\",\"mig\":[{\"uuid\":\"a\"}]}", ONE),
	 "devices[0].mig[0].uuid: the UUID a is already that of"},
	{FILE_OF("{\"index\":0,\"memory\":{\"total\":\"8GiB\"}}", ONE),
	 "devices[0].memory.total: expected a whole number, found a text"},
	{FILE_OF("{\"index\":0,\"memory\":{\"used\":-5}}", ONE), "devices[0].memory.used: -5"},
	{FILE_OF("{\"index\":0,\"memory\":{\"used\":99999999999999999999}}", ONE),
	 "not valid JSON"},
	{FILE_OF("{\"index\":0,\"utilization\":101}", ONE), "devices[0].utilization: 101"},
	{FILE_OF("{\"index\":0,\"health\":\"fine\"}", ONE), "devices[0].health: \"fine\""},
	{FILE_OF("{\"index\":0,\"display\":1}", ONE), "devices[0].display: expected true or false"},
	{FILE_OF("{\"index\":0,\"compute_mode\":\"x\"}", ONE), "devices[0].compute_mode: \"x\""},
	{FILE_OF("{\"index\":0,\"processes\":[{\"type\":\"C\"}]}", ONE),
	 "devices[0].processes[0].pid: is required"},
	{FILE_OF("{\"index\":0,\"processes\":[{\"pid\":1,\"type\":\"Q\"}]}", ONE),
	 "devices[0].processes[0].type: \"Q\""},
	{FILE_OF("{\"index\":0,\"mig\":[{\"gi\":\"7\"}]}", ONE), "devices[0].mig[0].gi: expected"},
	{FILE_OF("{\"index\":0}", "\"cpu\":{\"sockets\":0}," ONE), "cpu.sockets: 0"},
	{FILE_OF(TWO, "\"pcie\":[[\"X\",\"PIX\"]]"), "pcie: 1 rows for 2 devices"},
	{FILE_OF(TWO, "\"pcie\":[[\"X\",\"PIX\"],[\"X\"]]"), "pcie[1]: 1 entries for 2 devices"},
	{FILE_OF(TWO, "\"pcie\":[[\"X\",\"PIX\"],\"X\"]"), "pcie[1]: expected a list"},
	{FILE_OF(TWO, "\"pcie\":[[\"X\",\"NV4\"],[\"NV4\",\"X\"]]"), "pcie[0][1]: \"NV4\""},
	{FILE_OF(TWO, "\"pcie\":[[\"X\",\"PIX\"],[\"SYS\",\"X\"]]"), "pcie[1][0]: differs"},
	{FILE_OF(TWO, "\"pcie\":[[\"PIX\",\"PIX\"],[\"PIX\",\"X\"]]"), "pcie[0][0]: \"PIX\" where"},
	{FILE_OF(TWO, "\"pcie\":[[\"X\",\"X\"],[\"X\",\"X\"]]"), "pcie[0][1]: \"X\" off"},
	{FILE_OF(TWO, "\"pcie\":[[\"X\",5],[5,\"X\"]]"), "pcie[0][1]: expected a text or null"},
	{FILE_OF("{\"index\":0}", ONE ",\"nvlink\":[[1]]"), "nvlink[0][0]: 1 is out of range"},
	{FILE_OF("{\"index\":0}", ONE ",\"nvlink\":[[\"a\"]]"), "nvlink[0][0]: expected a whole"},
	{FILE_OF("{\"index\":0}", ONE ",\"nvlink\":[]"), "nvlink: 0 rows for 1 devices"},
	{FILE_OF("{\"index\":0}", ONE ",\"p2p\":[]"), "p2p: 0 rows for 1 devices"},
	{FILE_OF("{\"index\":0}", ONE ",\"p2p\":[[\"ok\"]]"), "p2p[0][0]: \"ok\" where \"X\""},
	{FILE_OF("{\"index\":0}", ONE ",\"p2p\":[[\"yes\"]]"), "p2p[0][0]: \"yes\""},
	{FILE_OF("{\"index\":0}", ONE ",\"p2p\":[[1]]"), "p2p[0][0]: expected a text or null"},
	{FILE_OF("{\"index\":0},{\"index\":1}",
		 "\"pcie\":[[\"X\",null],[null,\"X\"]],\"p2p\":[[\"X\",\"ok\"],[\"no\",\"X\"]]"),
	 "p2p[1][0]: differs from p2p[0][1]"},
	{FILE_OF("{\"index\":0},{\"index\":1}",
		 "\"pcie\":[[\"X\",null],[null,\"X\"]],\"p2p\":[[\"X\",\"X\"],[\"X\",\"X\"]]"),
	 "p2p[0][1]: \"X\" off the diagonal"},
	{FILE_OF("{\"index\":0}", ONE ",\"inferred\":[[0,1]]"),
	 "inferred[0]: 0 and 1 are not a pair"},
	{FILE_OF("{\"index\":0}", ONE ",\"inferred\":[0]"), "inferred[0]: expected two"},
	{FILE_OF("{\"index\":0,\"name\":\"\xff\"}", ONE), "not valid JSON"},
};

static void refusals_name_the_place(void)
{
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		gpualloc_machine *machine = NULL;
		gpualloc_error error = {0};
		int result = ga_machine_file_read(refused[i].text, strlen(refused[i].text),
						  GA_FORM_FILE, &machine, &error);

		test_about("%.80s", refused[i].text);
		CHECK_INT(result, GPUALLOC_EDATA);
		CHECK_HAS(error.message, refused[i].message);
		CHECK(machine == NULL);
	}
}

static void every_cut_is_refused_cleanly(void)
{
	for (size_t size = 0; size + 2 < sizeof whole; size++) {
		gpualloc_machine *machine = NULL;

		test_about("%zu bytes", size);
		CHECK_INT(ga_machine_file_read(whole, size, GA_FORM_FILE, &machine, NULL),
			  GPUALLOC_EDATA);
	}
}

static void a_flood_of_values_is_refused_before_it_is_parsed(void)
{
	size_t size = (size_t)32 << 20;
	gpualloc_machine *machine = NULL;
	char *text = malloc(size);
	gpualloc_error error = {0};

	CHECK(text != NULL);
	memset(text, '[', size);
	CHECK_INT(ga_machine_file_read(text, size, GA_FORM_FILE, &machine, &error), GPUALLOC_EDATA);
	CHECK_HAS(error.message, "too large");
	free(text);
}

static void a_thousand_devices_read_back(void)
{
	ga_auto_buffer struct ga_buffer out = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX), again = out;
	ga_auto_machine gpualloc_machine *machine = NULL, *copy = NULL;

	CHECK_INT(ga_machine_new(1000, &machine, NULL), 0);
	for (size_t i = 0; i < 1000; i++)
		for (size_t j = i + 1; j < 1000; j++) {
			ga_links_set_level(&machine->links, i, j, 1 + (i + j) % 6);
			ga_links_set_nvlinks(&machine->links, i, j, (int)((i ^ j) % 19));
		}
	CHECK_INT(ga_machine_file_write(machine, GA_FORM_FILE, &out, NULL), 0);
	CHECK_INT(ga_machine_file_read(out.data, out.size, GA_FORM_FILE, &copy, NULL), 0);
	CHECK_INT(ga_machine_file_write(copy, GA_FORM_FILE, &again, NULL), 0);
	CHECK(out.size == again.size && memcmp(out.data, again.data, out.size) == 0);
}

static const struct test_case cases[] = {
	{"reads back to the same bytes", reads_back_to_the_same_bytes},
	{"reads every field", reads_every_field},
	{"complete form keeps reasons and notes", complete_form_keeps_reasons_and_notes},
	{"peer-to-peer is concluded where it is certain",
	 peer_to_peer_is_concluded_where_it_is_certain},
	{"devices may stand in any order", devices_may_stand_in_any_order},
	{"refusals name the place", refusals_name_the_place},
	{"every cut is refused cleanly", every_cut_is_refused_cleanly},
	{"a flood of values is refused", a_flood_of_values_is_refused_before_it_is_parsed},
	{"a thousand devices read back", a_thousand_devices_read_back},
};

TEST_MAIN(cases)
