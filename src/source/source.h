/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a machine comes from. A source is one const descriptor in the table of source.c: it knows
 * how to ask something live (nvml, nvidia-smi), how to read a text that it recognises (machine
 * file, topology matrix), or which machines it has by name (built-in). Absent functions are NULL.
 */
#ifndef GA_SOURCE_SOURCE_H
#define GA_SOURCE_SOURCE_H

#include "machine.h"

/* What a live source is told; environment and defaults have been settled by then. */
struct ga_source_request {
	const char *root; /* where /proc and /sys are looked for: "" on the machine itself */
	const char *nvml_library; /* GPUALLOC_NVML, or NULL for the usual soname */
	const char *nvidia_smi;   /* GPUALLOC_NVIDIA_SMI, or NULL for the usual name */
	unsigned deadline_ms;     /* of silence; one that goes on answering may take longer */
	/* Called each second once it takes long, with what is asked; NULL text: it is over. */
	gpualloc_waiting_function *waiting;
	void *waiting_context;
};

/*
 * How long a driver may be silent before its first word, when it starts all GPUs: as long as it may
 * be later, or where nobody set a shorter deadline than the usual, three times the usual.
 */
int64_t ga_source_start_patience(unsigned deadline_ms);

struct ga_source {
	const char *name;        /* as --machine takes it */
	const char *description; /* a line for --help */

	/* Asks the machine it runs on. Sources with this are tried in the order of the table. */
	int (*query)(const struct ga_source_request *request, gpualloc_machine **ret_machine,
		     gpualloc_error *error);

	/* A text whose beginning looks like its own, and reading it. */
	bool (*recognises)(const char *text, size_t size);
	int (*read)(const char *text, size_t size, gpualloc_machine **ret_machine,
		    gpualloc_error *error);

	/* Machines it has by name: the i-th, NULL after the last. */
	const char *(*machine_name)(size_t i);
	const char *(*machine_description)(size_t i);
	int (*make)(size_t i, gpualloc_machine **ret_machine, gpualloc_error *error);
};

extern const struct ga_source ga_source_builtin;
extern const struct ga_source ga_source_machine_file;
extern const struct ga_source ga_source_nvidia_smi;
extern const struct ga_source ga_source_nvml;
extern const struct ga_source ga_source_topo_matrix;

/* spec as gpualloc_machine_open() takes it, but no environment is looked at; NULL is automatic. */
int ga_source_open(const char *spec, const struct ga_source_request *request,
		   gpualloc_machine **ret_machine, gpualloc_error *error);
/* As gpualloc_machine_open(): with what the environment says. */
int ga_source_open_here(const char *spec, unsigned deadline_ms, gpualloc_machine **ret_machine,
			gpualloc_error *error);
/* The same, telling who waits what is asked. */
int ga_source_open_telling(const char *spec, unsigned deadline_ms,
			   gpualloc_waiting_function *waiting, void *context,
			   gpualloc_machine **ret_machine, gpualloc_error *error);
/* Any text that a source recognises; name is put in front of messages. */
int ga_source_read(const char *text, size_t size, const char *name, gpualloc_machine **ret_machine,
		   gpualloc_error *error);

/* Whether it means what is in this machine; NULL or "" as the environment says. */
bool ga_source_is_live(const char *spec);
/* What --machine takes besides paths, in the order of the table. */
const char *ga_source_spec_name(size_t i);
const char *ga_source_spec_description(size_t i);

#endif
