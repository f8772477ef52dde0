/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpualloc-probe, both of its ends. Behind the administrator's fence (docs/FENCE.md) a user cannot
 * open the GPUs of others, so NVML, which opens all of them, would not show them. The probe is a
 * program with a set-gid bit whose group may open them. It does nothing but ask, and writes what a
 * child of ours would have written (answer.h).
 */
#ifndef GA_SOURCE_NVML_PROBE_H
#define GA_SOURCE_NVML_PROBE_H

#include "source.h"

/*
 * The deadline is all that the probe is told: this many milliseconds, in decimal, in a pipe as its
 * standard input. Anything else there means the default.
 */
enum { GA_PROBE_DEADLINE_MOST_MS = 3600000 };

/*
 * Whether the administrator's fence stands between us and some GPU: the request's probe has its
 * bit, and we are not root. Root of a user namespace is behind it, too.
 */
bool ga_nvml_is_fenced(const struct ga_source_request *request);

/*
 * Whether to ask the request's probe, which only who is behind the fence needs, and which only as
 * root's file with the set-gid bit, which nobody else may write, has more rights. Not if the
 * request names a library, which the probe would not load.
 */
bool ga_nvml_has_probe(const struct ga_source_request *request);

/*
 * Asks the probe as ga_nvml_ask() would ask the driver. If it cannot answer, because it gets no
 * rights here or was ended, the driver is asked directly, and a note says so.
 */
int ga_nvml_ask_probe(const struct ga_source_request *request, gpualloc_machine **ret_machine,
		      gpualloc_error *error);

/* The probe's end: asks the driver and writes to out. Returns the status to exit with. */
int ga_nvml_serve(unsigned deadline_ms, int out);
/* Says why nothing can be asked; the status is GPUALLOC_EPERM. */
int ga_nvml_serve_refusal(const char *why, int out);

#endif
