/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the nvidia-smi source share. Each output (a CSV table, the XML log, the list of
 * -L) is read into its own machine, which knows only what that output says. These parts are then
 * merged and settled into one. A cell without a value leaves its field unknown; one that means a
 * sick GPU sets its health.
 */
#ifndef GA_SOURCE_SMI_SMI_H
#define GA_SOURCE_SMI_SMI_H

#include "child.h"
#include "machine.h"
#include "text.h"

/* ---- cells: field.c ---- */

enum ga_smi_word {
	GA_SMI_VALUE,
	GA_SMI_UNKNOWN, /* [N/A], Insufficient Permissions and their like */
	GA_SMI_RESET,   /* GPU requires reset */
	GA_SMI_LOST,    /* GPU is lost */
	GA_SMI_FAULT,   /* ERR! */
};

enum ga_smi_word ga_smi_word(struct ga_view cell);

/* One fact about a GPU, with the names that the table and the log have for it. */
struct ga_smi_field {
	const char *query; /* of --query-gpu; NULL if only the log has it */
	const char *alias;
	const char *path; /* below <gpu>; NULL if only the table has it */
	bool asked;       /* part of our own query; others are read if they are there */
	int (*take)(struct gpualloc_device *device, struct ga_view value);
};

/* The i-th; NULL after the last. */
const struct ga_smi_field *ga_smi_field(size_t i);
const struct ga_smi_field *ga_smi_field_by_query(struct ga_view name);
const struct ga_smi_field *ga_smi_field_by_path(const char *path);

/* Both take NULL for a field that we do not know: every cell can report health. */
int ga_smi_take(const struct ga_smi_field *field, struct gpualloc_device *device,
		struct ga_view cell);

/* "576 MiB", "576" (MiB as well); false if it is not an amount. */
bool ga_smi_bytes(struct ga_view cell, int64_t *ret_bytes);
/* Keeps the worse of the old and the new health; reason may be NULL. 0 or GPUALLOC_ENOMEM. */
int ga_smi_ail(struct gpualloc_device *device, enum gpualloc_health health, const char *reason);

/* ---- running it: tool.c ---- */

/* One deadline for all calls. */
struct ga_smi_tool {
	const char *program;
	int64_t patience_ms; /* with each */
	int64_t until_ms;
};

struct ga_smi_tool ga_smi_tool(const char *program, unsigned deadline_ms);
/* For a call that others follow: it leaves them half of the time that is left. */
struct ga_smi_tool ga_smi_tool_share(const struct ga_smi_tool *tool);
/* Runs it with words (NULL after the last). It may end with any status; GPUALLOC_ENOSOURCE if it
 * cannot be run or does not answer in time. */
int ga_smi_tool_run(const struct ga_smi_tool *tool, const char *const words[],
		    struct ga_child_result *ret_result, gpualloc_error *error);
/* The error for output in which nothing was found: what the tool said, or else why, the reader's
 * reason. */
int ga_smi_tool_complain(const struct ga_child_result *result, const char *why,
			 gpualloc_error *error);
/* Whether it ended in a way that makes other calls useless: no driver, no library. */
bool ga_smi_tool_is_hopeless(const struct ga_child_result *result);
/* The part of the message `Field "x" is not a valid field to query.` in quotes. */
bool ga_smi_tool_refuses_field(const struct ga_child_result *result, struct ga_view *ret_name);

/* ---- its outputs ---- */

/* asked: the names queried, in order, for a table that comes without a header. csv.c */
int ga_smi_csv_read(const char *text, size_t size, const char *const *asked, size_t asked_count,
		    gpualloc_machine **ret_part, gpualloc_error *error);
/* smi_xml.c */
int ga_smi_xml_read(const char *text, size_t size, gpualloc_machine **ret_part,
		    gpualloc_error *error);
bool ga_smi_xml_recognises(const char *text, size_t size);
/* smi_list.c */
int ga_smi_list_read(const char *text, size_t size, gpualloc_machine **ret_part,
		     gpualloc_error *error);
bool ga_smi_list_recognises(const char *text, size_t size);

/*
 * "Unable to determine the device handle for GPU 0000:03:00.0: GPU is lost." in any spelling: each
 * becomes a lost device, unless part already has one with that address. lost.c
 */
int ga_smi_lost_read(const char *text, size_t size, gpualloc_machine *part);

/* ---- parts into a machine: merge.c ---- */

/* Moves what part knows and machine does not; the rest of part must still be freed. */
int ga_smi_merge(gpualloc_machine *machine, gpualloc_machine *part);
/*
 * Adds the UUIDs and profiles of MIG instances, which only the list has, to the instances of the
 * log. If instances came or went between the two calls, their ordinals do not match: then nothing
 * is taken for that GPU, and ret_differ is set if given, otherwise a note is made.
 */
int ga_smi_merge_instances(gpualloc_machine *machine, gpualloc_machine *list, bool *ret_differ);
/* Indices, order, duplicates, links: what every machine has. */
int ga_smi_settle(gpualloc_machine *machine, gpualloc_error *error);

#endif
