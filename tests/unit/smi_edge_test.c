/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of machines at the edge: UUIDs without "GPU-", memory that is the machine's, a fabric that
 * is not ready, GPUs that are refused, and the matrix of peer-to-peer.
 */
#include "smi_fake.h"

#include "cleanup.h"
#include "device_state.h"
#include "machine_compare.h"
#include "source.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORIN "a9485f58-0a6e-5a97-b73d-87cdf435c65e"

static gpualloc_machine *read_text(const char *text)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result = ga_source_read(text, strlen(text), "text", &machine, &error);

	CHECK_TEXT(error.message, "");
	CHECK_INT(result, 0);
	return machine;
}

static void refuses(const char *text, const char *sentence)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	CHECK_INT(ga_source_read(text, strlen(text), "text", &machine, &error), GPUALLOC_EDATA);
	CHECK_HAS(error.message, sentence);
	CHECK(machine == NULL);
}

static void a_uuid_needs_no_gpu_before_it(void)
{
	ga_auto_machine gpualloc_machine *machine =
		read_text("GPU 0: Orin (nvgpu) (UUID: " ORIN ")\n");

	CHECK_TEXT(machine->devices[0].uuid, ORIN);
	CHECK_TEXT(machine->devices[0].name, "Orin (nvgpu)");
	CHECK(machine->devices[0].memory_unified);
	CHECK_INT(ga_device_state(&machine->devices[0]), GPUALLOC_STATE_FREE);
	ga_machine_free(ga_steal(&machine));
	/* Something that is not a UUID does not become one without "GPU-". */
	machine = read_text("GPU 0: Orin (nvgpu) (UUID: a9485f58-0a6e-5a97-b73d)\n");
	CHECK(machine->devices[0].uuid == NULL);
}

static void memory_of_a_machine_without_its_own_is_the_systems(void)
{
	static const char meminfo[] = "MemTotal:  1000000 kB\nMemAvailable:  400000 kB\n";
	ga_auto_machine gpualloc_machine *machine = NULL;

	smi_set_up();
	smi_show_text("{\"gpualloc_machine\":1,\"devices\":[{\"index\":0,\"uuid\":\"" ORIN
		      "\",\"name\":\"NVIDIA Thor\"}],\"pcie\":[[\"X\"]]}");
	smi_write_file("proc/meminfo", meminfo, sizeof meminfo - 1);
	machine = smi_ask();
	CHECK_TEXT(machine->devices[0].uuid, ORIN);
	CHECK(machine->devices[0].memory_unified);
	CHECK_INT(machine->devices[0].memory.total, 1000000 * 1024);
	CHECK_INT(machine->devices[0].memory.used, 600000 * 1024);
	CHECK_INT(ga_device_state(&machine->devices[0]), GPUALLOC_STATE_FREE);
	CHECK_HAS(machine->notes[0], "share one memory");
}

#define LOG(inside)                                                                      \
	"<?xml version=\"1.0\" ?>\n<nvidia_smi_log><gpu id=\"00000000:01:00.0\">" inside \
	"</gpu></nvidia_smi_log>\n"

static void a_fabric_that_is_not_ready_is_a_reason(void)
{
	static const struct {
		const char *text;
		enum gpualloc_health health;
	} logs[] = {
		{LOG("<fabric><state>Completed</state></fabric>"), GPUALLOC_HEALTH_OK},
		{LOG("<fabric><state>N/A</state></fabric>"), GPUALLOC_HEALTH_OK},
		{LOG("<fabric><state>In Progress</state></fabric>"),
		 GPUALLOC_HEALTH_FABRIC_NOT_READY},
		{LOG("<fabric><state>Not Started</state></fabric>"),
		 GPUALLOC_HEALTH_FABRIC_NOT_READY},
	};

	for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
		ga_auto_machine gpualloc_machine *machine = read_text(logs[i].text);

		test_about("%s", logs[i].text);
		CHECK_INT(machine->devices[0].health, logs[i].health);
	}
}

static void what_is_refused_is_told_by_its_name(void)
{
	static const struct {
		const char *word;
		enum gpualloc_health health;
	} words[] = {
		{"GPU is lost.  Reboot the system to recover this GPU", GPUALLOC_HEALTH_LOST},
		{"Unknown Error", GPUALLOC_HEALTH_LOST},
		{"Insufficient Permissions", GPUALLOC_HEALTH_NO_PERMISSION},
		{"Insufficient External Power", GPUALLOC_HEALTH_NO_POWER},
		{"Interrupt Request Issue", GPUALLOC_HEALTH_INTERRUPT},
		{"GPU access blocked by the operating system", GPUALLOC_HEALTH_BLOCKED},
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		ga_auto_machine gpualloc_machine *machine = NULL;
		char text[256];

		(void)snprintf(text, sizeof text,
			       "Unable to determine the device handle for GPU1: 0000:02:00.0: %s\n"
			       "GPU 0: A (UUID: GPU-a)\n",
			       words[i].word);
		test_about("%s", words[i].word);
		machine = read_text(text);
		CHECK_INT(machine->device_count, 2);
		CHECK_INT(machine->devices[1].health, words[i].health);
	}
}

/* As NVML's result for it does. */
static void memory_that_fails_is_not_free(void)
{
	static const struct {
		const char *text;
		enum gpualloc_health health;
	} logs[] = {
		{LOG("<fb_memory_usage><total>Unknown Error</total></fb_memory_usage>"),
		 GPUALLOC_HEALTH_FAILED},
		{LOG("<fb_memory_usage><total>8 MiB</total><used>[Timeout]</used>"
		     "</fb_memory_usage>"),
		 GPUALLOC_HEALTH_UNRESPONSIVE},
		{LOG("<fb_memory_usage><total>N/A</total><used>N/A</used></fb_memory_usage>"),
		 GPUALLOC_HEALTH_OK},
		{LOG("<fb_memory_usage><reserved>Unknown Error</reserved></fb_memory_usage>"),
		 GPUALLOC_HEALTH_OK},
	};
	ga_auto_machine gpualloc_machine *table = NULL;
	char reason[256];

	for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
		ga_auto_machine gpualloc_machine *machine = read_text(logs[i].text);

		test_about("%s", logs[i].text);
		CHECK_INT(machine->devices[0].health, logs[i].health);
	}
	smi_set_up();
	smi_show_text(smi_two_gpus);
	CHECK_INT(smi_ask_program(
			  smi_script("#!/bin/sh\ncase $1 in --query-gpu*) echo 'index, uuid, "
				     "memory.total [MiB]'; echo '0, GPU-a, [Unknown Error]';; "
				     "*) exit 1;; esac\n"),
			  60000, &table, NULL),
		  0);
	CHECK_INT(ga_device_state(&table->devices[0]), GPUALLOC_STATE_UNHEALTHY);
	(void)ga_device_reason(&table->devices[0], reason, sizeof reason);
	CHECK_HAS(reason, "nvidia-smi shows \"Unknown Error\" for memory.total");
}

/* ---- peer-to-peer ---- */

#define TOPO                                                \
	"\tGPU0\tGPU1\tGPU2\tCPU Affinity\tNUMA Affinity\n" \
	"GPU0\t X \tPIX\tSYS\t0-7\t0\n"                     \
	"GPU1\tPIX\t X \tSYS\t0-7\t0\n"                     \
	"GPU2\tSYS\tSYS\t X \t8-15\t1\n\nLegend:\n\n  X    = Self\n"
#define P2P(one, other, third)                                                                     \
	" \t\033[4mGPU0\tGPU1\tGPU2\t\033[0m\n"                                                    \
	" GPU0\tX\t" one "\t" other "\t\n GPU1\t" one "\tX\t" third "\t\n GPU2\t" other "\t" third \
	"\tX\t\n\nLegend:\n\n  X    = Self\n"                                                      \
	"  OK   = Status Ok\n"

static void peer_to_peer_behind_the_matrix_is_read(void)
{
	ga_auto_machine gpualloc_machine *machine = read_text(TOPO "\n" P2P("OK", "CNS", "U"));
	const struct ga_links *links = &machine->links;

	CHECK_INT(ga_links_level(links, 0, 1), GPUALLOC_LEVEL_PIX);
	CHECK_INT(ga_links_p2p_read(links, 0, 1), GPUALLOC_P2P_OK);
	CHECK_INT(ga_links_p2p_read(links, 0, 2), GPUALLOC_P2P_NO);
	CHECK_INT(ga_links_p2p_read(links, 1, 2), GPUALLOC_P2P_UNKNOWN);
	ga_machine_free(ga_steal(&machine));
	machine = read_text(P2P("GNS", "TNS", "NS") TOPO);
	CHECK_INT(ga_links_level(&machine->links, 0, 1), GPUALLOC_LEVEL_PIX);
	CHECK_INT(ga_links_p2p_read(&machine->links, 0, 1), GPUALLOC_P2P_NO);
	ga_machine_free(ga_steal(&machine));
	/* Of reading and writing both are needed, and NVLink is another thing. */
	machine = read_text(
		TOPO
		"$ nvidia-smi topo -p2p r\n" P2P("OK", "OK", "OK") "$ nvidia-smi topo -p2p w\n" P2P(
			"OK", "DR", "OK") "$ nvidia-smi topo -p2p n\n" P2P("NS", "NS", "NS"));
	CHECK_INT(ga_links_p2p_read(&machine->links, 0, 1), GPUALLOC_P2P_OK);
	CHECK_INT(ga_links_p2p_read(&machine->links, 0, 2), GPUALLOC_P2P_NO);
}

static void peer_to_peer_alone_is_named_and_refused(void)
{
	static const char sentence[] = "this is the matrix of `nvidia-smi topo -p2p`";

	refuses(P2P("OK", "OK", "OK"), sentence);
	refuses(" \tGPU0\tGPU1\t\n GPU0\tX\tNS\t\n GPU1\tNS\tX\t\n", sentence);
	/* Half of it is nothing. */
	refuses(" \tGPU0\tGPU1\t\n GPU0\tX\tNS\t\n", "line");
}

static void the_tool_is_asked_for_peer_to_peer(void)
{
	ga_auto_machine gpualloc_machine *shown = smi_machine_of(smi_two_gpus), *machine = NULL;

	smi_set_up();
	ga_links_set_p2p(&shown->links, 0, 1, GPUALLOC_P2P_NO);
	smi_show_machine(shown);
	machine = smi_ask();
	CHECK_INT(ga_links_p2p_read(&machine->links, 0, 1), GPUALLOC_P2P_NO);
	CHECK_INT(machine->note_count, 0);
	ga_machine_free(ga_steal(&machine));
	/* One that knows no such matrix says nothing worth a note. */
	CHECK_INT(setenv("FAKE_DRIVER", "418", 1), 0);
	machine = smi_ask();
	CHECK_INT(ga_links_p2p_read(&machine->links, 0, 1), GPUALLOC_P2P_UNKNOWN);
	CHECK_INT(machine->note_count, 0);
}

static const struct test_case cases[] = {
	{"a UUID needs no GPU- before it", a_uuid_needs_no_gpu_before_it},
	{"memory of a machine without its own is the system's",
	 memory_of_a_machine_without_its_own_is_the_systems},
	{"memory that fails is not free", memory_that_fails_is_not_free},
	{"a fabric that is not ready is a reason", a_fabric_that_is_not_ready_is_a_reason},
	{"refused queries are reported by name", what_is_refused_is_told_by_its_name},
	{"peer-to-peer after the matrix is read", peer_to_peer_behind_the_matrix_is_read},
	{"peer-to-peer alone is named and refused", peer_to_peer_alone_is_named_and_refused},
	{"the tool is asked for peer-to-peer", the_tool_is_asked_for_peer_to_peer},
};

TEST_MAIN(cases)
