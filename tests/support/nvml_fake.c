/* SPDX-License-Identifier: Apache-2.0 */
/* Shows machines to the NVML source and asks it; see nvml_fake.h. */
#include "nvml_fake.h"

#include "cleanup.h"
#include "machine_file.h"
#include "source.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

const struct nvml_driver nvml_drivers[NVML_DRIVER_COUNT] = {
	{"390", GAP_DRIVER | GAP_RESERVED | GAP_NUMA | GAP_HEALTH, false, false},
	{"418", GAP_DRIVER | GAP_RESERVED | GAP_NUMA | GAP_HEALTH, false, false},
	{"450", GAP_DRIVER | GAP_RESERVED | GAP_MIG_UUID_OLD, true, false},
	{"470", GAP_DRIVER | GAP_RESERVED, true, false},
	{"525", GAP_DRIVER, true, true},
	{"535", GAP_DRIVER, true, true},
	{"550", GAP_DRIVER, true, true},
	{"615", GAP_DRIVER, true, true},
	{NULL, GAP_NONE, true, true},
};

/* ---- asking ---- */

/* A driver's library; NULL is 580. */
static const char *library(const char *driver)
{
	static char path[512];

	(void)snprintf(path, sizeof path, "%s/libnvidia-ml%s%s.so.1", getenv("FAKE_DIR"),
		       driver ? "-" : "", driver ? driver : "");
	return path;
}

int nvml_query(const char *driver, const char *root, unsigned deadline_ms,
	       gpualloc_machine **ret_machine, gpualloc_error *error)
{
	struct ga_source_request request = {
		.root = test_path(root),
		.nvml_library = library(driver),
		.deadline_ms = deadline_ms,
	};

	return ga_source_nvml.query(&request, ret_machine, error);
}

gpualloc_machine *nvml_ask_below(const char *driver, const char *root)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result = nvml_query(driver, root, NVML_DEADLINE_MS, &machine, &error);

	CHECK_TEXT(error.message, "");
	CHECK_INT(result, 0);
	return machine;
}

gpualloc_machine *nvml_ask(const char *driver)
{
	return nvml_ask_below(driver, "machines/sysfs/switches");
}

gpualloc_machine *nvml_open_machine(const char *spec)
{
	static const struct ga_source_request request = {.root = ""};
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result = ga_source_open(spec, &request, &machine, &error);

	CHECK_TEXT(error.message, "");
	CHECK_INT(result, 0);
	return machine;
}

/* ---- showing ---- */

/* The fake reads a file, so the machine is written to a file that is unlinked at the end. */
void nvml_show(const gpualloc_machine *machine)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX);
	static char path[64];
	static FILE *file;

	if (file)
		(void)fclose(file);
	file = tmpfile();
	CHECK(file != NULL);
	CHECK_INT(ga_machine_file_write(machine, GA_FORM_FILE, &text, NULL), 0);
	CHECK(fwrite(text.data, 1, text.size, file) == text.size && fflush(file) == 0);
	/* The child that reads it has closed its descriptors, but its parent has not. */
	(void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), fileno(file));
	CHECK_INT(setenv("FAKE_MACHINE", path, 1), 0);
}

gpualloc_machine *nvml_open_and_show(const char *spec)
{
	gpualloc_machine *machine = nvml_open_machine(spec);

	nvml_show(machine);
	return machine;
}

void nvml_show_spec(const char *spec)
{
	ga_machine_free(nvml_open_and_show(spec));
}

const char *nvml_file(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof path, "machines/files/%s.json", name);
	return test_path(path);
}
