/* SPDX-License-Identifier: Apache-2.0 */
/* Asks our own nvidia-smi, or a program in its place; see smi_fake.h. */
#include "smi_fake.h"

#include "buffer.h"
#include "cleanup.h"
#include "file.h"
#include "machine_file.h"
#include "source.h"
#include "test.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/gpualloc-smi-XXXXXX";

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status, (void)type, (void)walk;
	return remove(path);
}

static void remove_folder(void)
{
	(void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *smi_in_folder(const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	(void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

void smi_write_file(const char *name, const char *text, size_t size)
{
	FILE *file = fopen(smi_in_folder(name), "w");

	CHECK(file != NULL);
	CHECK_INT(fwrite(text, 1, size, file), size);
	CHECK_INT(fclose(file), 0);
}

void smi_set_up(void)
{
	CHECK(mkdtemp(folder) != NULL);
	(void)atexit(remove_folder);
	/* The kernel's first pid namespace: there the driver's pids are ours. */
	(void)mkdir(smi_in_folder("proc"), 0755);
	(void)mkdir(smi_in_folder("proc/self"), 0755);
	(void)mkdir(smi_in_folder("proc/self/ns"), 0755);
	CHECK_INT(symlink("pid:[4026531836]", smi_in_folder("proc/self/ns/pid")), 0);
	(void)setenv("FAKE_CALLS", smi_in_folder("calls"), 1);
}

void smi_show_text(const char *json)
{
	smi_write_file("machine.json", json, strlen(json));
	(void)setenv("FAKE_MACHINE", smi_in_folder("machine.json"), 1);
}

void smi_show_machine(const gpualloc_machine *machine)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX);

	CHECK_INT(ga_machine_file_write(machine, GA_FORM_FILE, &text, NULL), 0);
	smi_show_text(text.data);
}

/* A program of its own in place of the fake. */
const char *smi_script(const char *text)
{
	static char path[256];

	smi_write_file("program", text, strlen(text));
	(void)snprintf(path, sizeof path, "%s", smi_in_folder("program"));
	CHECK_INT(chmod(path, 0755), 0);
	return path;
}

int smi_ask_program(const char *program, unsigned deadline_ms, gpualloc_machine **ret_machine,
		    gpualloc_error *error)
{
	struct ga_source_request request = {
		.root = folder, .nvidia_smi = program, .deadline_ms = deadline_ms};

	return ga_source_nvidia_smi.query(&request, ret_machine, error);
}

gpualloc_machine *smi_ask(void)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	(void)smi_ask_program(getenv("TEST_NVIDIA_SMI"), 20000, &machine, &error);
	CHECK_TEXT(error.message, "");
	CHECK_TEXT(machine->source, "nvidia-smi");
	/* The level under NV# is not shown; inferred levels are the matrix reader's business. */
	for (size_t i = 0; i < machine->device_count; i++)
		for (size_t j = 0; j < i; j++)
			if (ga_links_inferred(&machine->links, i, j))
				ga_links_set_level(&machine->links, i, j, GPUALLOC_LEVEL_UNKNOWN);
	return machine;
}

void smi_fails(const char *program, unsigned deadline_ms, const char *message)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	CHECK_INT(smi_ask_program(program, deadline_ms, &machine, &error), GPUALLOC_ENOSOURCE);
	CHECK_HAS(error.message, message);
	CHECK_INT(strncmp(error.message, "nvidia-smi: ", 12), 0);
	CHECK(machine == NULL);
}

const char *smi_fake(void)
{
	return getenv("TEST_NVIDIA_SMI");
}

void smi_check_calls(const char *expected)
{
	ga_auto_buffer struct ga_buffer calls = GA_BUFFER_INIT(0);

	CHECK_INT(ga_file_read(smi_in_folder("calls"), 1 << 20, &calls, NULL), 0);
	CHECK_TEXT(calls.data, expected);
}

gpualloc_machine *smi_machine_of(const char *json)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	(void)ga_machine_file_read(json, strlen(json), GA_FORM_FILE, &machine, &error);
	CHECK_TEXT(error.message, "");
	return machine;
}

/* The fake, but for one kind of call. */
const char *smi_fake_without(const char *words, const char *instead)
{
	char text[1024];

	(void)snprintf(text, sizeof text,
		       "#!/bin/sh\ncase \"$*\" in %s) %s ;; esac\nexec '%s' \"$@\"\n", words,
		       instead, smi_fake());
	return smi_script(text);
}

const char smi_two_gpus[] =
	"{\"gpualloc_machine\": 1, \"driver\": \"550.54.15\", \"devices\": ["
	"{\"index\": 0, \"uuid\": \"GPU-a\", \"serial\": \"17\", \"name\": \"NVIDIA A100, of sorts\","
	" \"pci\": \"00000000:07:00.0\", \"minor\": 1, \"numa\": 0, \"cpus\": \"0-7,16-23\","
	" \"display\": true, \"memory\": {\"total\": 42949672960, \"reserved\": 634388480,"
	" \"used\": 39845889}, \"utilization\": 33, \"compute_mode\": \"exclusive-process\","
	" \"health\": \"ok\", \"processes\": [{\"pid\": 4711, \"type\": \"C\", \"memory\": 1048577,"
	" \"name\": \"a <&> b\"}, {\"pid\": 4712, \"type\": \"M+C\"}, {\"pid\": 1, \"type\": \"G\"}]},"
	"{\"index\": 1, \"uuid\": \"GPU-b\", \"name\": \"NVIDIA A100\", \"pci\": \"00000001:0F:00.0\","
	" \"minor\": 0, \"compute_mode\": \"prohibited\", \"health\": \"row-remap-failed\","
	" \"processes\": []}],"
	" \"pcie\": [[\"X\", \"PXB\"], [\"PXB\", \"X\"]]}";

const char smi_mig_gpus[] =
	"{\"gpualloc_machine\": 1, \"driver\": \"550.54.15\", \"devices\": ["
	"{\"index\": 0, \"uuid\": \"GPU-a\", \"name\": \"A100\", \"pci\": \"00000000:07:00.0\","
	" \"memory\": {\"total\": 42949672960, \"reserved\": 634388480, \"used\": 39845888},"
	" \"health\": \"ok\", \"processes\": [], \"mig\": ["
	"{\"uuid\": \"MIG-0\", \"profile\": \"2g.10gb\", \"gi\": 3, \"ci\": 0, \"memory\":"
	" {\"total\": 10200547328, \"reserved\": 0, \"used\": 1073741824}, \"processes\":"
	" [{\"pid\": 12, \"type\": \"C\", \"memory\": 1048576, \"name\": \"python\"}]},"
	"{\"uuid\": \"MIG-1\", \"profile\": \"1g.5gb\", \"gi\": 9, \"ci\": 0, \"memory\":"
	" {\"total\": 5100273664, \"reserved\": 0, \"used\": 0}, \"processes\": []}]},"
	"{\"index\": 1, \"uuid\": \"GPU-b\", \"name\": \"A100\", \"pci\": \"00000000:0F:00.0\","
	" \"health\": \"retired-pending\", \"processes\": [], \"mig\": []}],"
	" \"pcie\": [[\"X\", \"SYS\"], [\"SYS\", \"X\"]]}";

const char smi_four_gpus[] =
	"{\"gpualloc_machine\": 1, \"driver\": \"550.54.15\", \"devices\": ["
	"{\"index\": 0, \"uuid\": \"GPU-0\", \"name\": \"V\", \"pci\": \"00000000:01:00.0\","
	" \"health\": \"ok\", \"processes\": []},"
	"{\"index\": 1, \"uuid\": \"GPU-1\", \"name\": \"V\", \"pci\": \"00000000:02:00.0\","
	" \"memory\": {\"total\": 42949672960, \"used\": 0}, \"utilization\": 5, \"health\": \"ok\","
	" \"processes\": []},"
	"{\"index\": 2, \"uuid\": \"GPU-2\", \"name\": \"V\", \"pci\": \"00000000:03:00.0\","
	" \"health\": \"needs-reset\", \"processes\": []},"
	"{\"index\": 3, \"uuid\": \"GPU-3\", \"name\": \"V\", \"pci\": \"00000000:04:00.0\","
	" \"health\": \"ok\"}],"
	" \"pcie\": [[\"X\", \"PIX\", \"PHB\", \"PHB\"], [\"PIX\", \"X\", \"PHB\", \"PHB\"],"
	" [\"PHB\", \"PHB\", \"X\", \"NODE\"], [\"PHB\", \"PHB\", \"NODE\", \"X\"]],"
	" \"nvlink\": [[0, 0, 2, 0], [0, 0, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]]}";
