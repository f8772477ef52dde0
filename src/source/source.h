/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a machine comes from. A source is one const descriptor in the table of source.c: it knows
 * how to ask something live (nvml, nvidia-smi), how to read a text that it recognises (machine
 * file, topology matrix), or which machines it has by name (built-in). Absent functions are NULL.
 */
#ifndef GA_SOURCE_SOURCE_H
#define GA_SOURCE_SOURCE_H

#include "machine.h"

/* What a live source is told; by then the environment and defaults have been read. */
struct ga_source_request {
	const char *root;         /* the folder above /proc and /sys: "" on the machine itself */
	const char *nvml_library; /* GPUALLOC_NVML, or NULL for the usual soname */
	const char *nvidia_smi;   /* GPUALLOC_NVIDIA_SMI, or NULL for the usual name */
	const char *probe;        /* gpualloc-probe, asked if it is fit for it; NULL: never */
	bool users_later;         /* the asker looks up who runs the processes, not the child */
	unsigned deadline_ms;     /* of silence; a driver that keeps answering may take longer */
	/* Called each second once it takes long, with what is being asked; a NULL text means that
	 * it is over. */
	gpualloc_waiting_function *waiting;
	void *waiting_context;
};

/*
 * How long a driver may be silent before its first word, while it starts all GPUs: as long as later
 * on, or three times the default if nobody set a deadline below the default.
 */
int64_t ga_source_start_patience(unsigned deadline_ms);

struct ga_source {
	const char *name;        /* as --machine takes it */
	const char *description; /* a line for --help */

	/* Asks the machine it runs on. Sources that can are tried in the order of the table. */
	int (*query)(const struct ga_source_request *request, gpualloc_machine **ret_machine,
		     gpualloc_error *error);

	/* Whether a text begins like one of its own, and reading such a text. */
	bool (*recognises)(const char *text, size_t size);
	int (*read)(const char *text, size_t size, gpualloc_machine **ret_machine,
		    gpualloc_error *error);

	/* Machines it has by name: the i-th; NULL after the last. */
	const char *(*machine_name)(size_t i);
	const char *(*machine_description)(size_t i);
	int (*make)(size_t i, gpualloc_machine **ret_machine, gpualloc_error *error);
};

extern const struct ga_source ga_source_builtin;
extern const struct ga_source ga_source_machine_file;
extern const struct ga_source ga_source_nvidia_smi;
extern const struct ga_source ga_source_nvml;
extern const struct ga_source ga_source_topo_matrix;

/* spec is as for gpualloc_machine_open(), but the environment is ignored; NULL is automatic. */
int ga_source_open(const char *spec, const struct ga_source_request *request,
		   gpualloc_machine **ret_machine, gpualloc_error *error);
/* Like gpualloc_machine_open(), with the environment. */
int ga_source_open_here(const char *spec, unsigned deadline_ms, gpualloc_machine **ret_machine,
			gpualloc_error *error);
/* The same, but tells the caller what is being asked while it waits. */
int ga_source_open_telling(const char *spec, unsigned deadline_ms,
			   gpualloc_waiting_function *waiting, void *context,
			   gpualloc_machine **ret_machine, gpualloc_error *error);
/* Reads any text that a source recognises; name goes in front of messages. */
int ga_source_read(const char *text, size_t size, const char *name, gpualloc_machine **ret_machine,
		   gpualloc_error *error);

/* Whether spec means the GPUs of this machine; NULL or "" means what the environment says. */
bool ga_source_is_live(const char *spec);
/* What --machine takes besides paths, in the order of the table. */
const char *ga_source_spec_name(size_t i);
const char *ga_source_spec_description(size_t i);

#endif
