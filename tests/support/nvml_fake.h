/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines shown through our own libnvidia-ml.so.1 (tests/fakes/nvml): a test shows one, sets how
 * the fake behaves (FAKE_… in its environment) and asks. Any failure ends the test case.
 */
#ifndef NVML_FAKE_H
#define NVML_FAKE_H

#include "machine_compare.h"

enum { NVML_DEADLINE_MS = 60000 };

/* The drivers that the fakes imitate, oldest first, the default last, and what each cannot know. */
struct nvml_driver {
	const char *name; /* NULL is 580, the usual one */
	unsigned gaps;
	bool has_mig;
	bool has_fabric;
};
enum { NVML_DRIVER_COUNT = 9 };
extern const struct nvml_driver nvml_drivers[NVML_DRIVER_COUNT];

/* Shows a machine: an existing one, or a spec as for --machine. */
void nvml_show(const gpualloc_machine *machine);
void nvml_show_spec(const char *spec);
/* The machine of a spec, which the caller frees; the second also shows it. */
gpualloc_machine *nvml_open_machine(const char *spec);
gpualloc_machine *nvml_open_and_show(const char *spec);
/* The spec of a file below tests/machines/files, which is named without ".json". */
const char *nvml_file(const char *name);

/* Asks a driver on a host below tests/; nvml_ask() takes one with four NVSwitches on its bus. */
int nvml_query(const char *driver, const char *root, unsigned deadline_ms,
	       gpualloc_machine **ret_machine, gpualloc_error *error);
gpualloc_machine *nvml_ask(const char *driver);
gpualloc_machine *nvml_ask_below(const char *driver, const char *root);

#endif
