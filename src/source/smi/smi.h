/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the nvidia-smi source share. Each of its outputs (a CSV table, the XML log, the
 * list of -L) is read into a machine of its own that knows only what that output tells; such parts
 * are then merged and settled into one. A cell that is no value leaves its field unknown, and one
 * that tells of a sick GPU is heard.
 */
#ifndef GA_SOURCE_SMI_SMI_H
#define GA_SOURCE_SMI_SMI_H

#include "child.h"
#include "machine.h"
#include "text.h"

/* ---- cells: smi_field.c ---- */

enum ga_smi_word {
	GA_SMI_VALUE,
	GA_SMI_UNKNOWN, /* [N/A], Insufficient Permissions and their like */
	GA_SMI_RESET,   /* GPU requires reset */
	GA_SMI_LOST,    /* GPU is lost */
	GA_SMI_FAULT,   /* ERR! */
};

enum ga_smi_word ga_smi_word(struct ga_view cell);

/* One thing known of a GPU, by the names that the table and the log have for it. */
struct ga_smi_field {
	const char *query; /* of --query-gpu; NULL where only the log has it */
	const char *alias;
	const char *path; /* below <gpu>; NULL where only the table has it */
	bool asked;       /* part of our own query; others are read where they stand */
	int (*take)(struct gpualloc_device *device, struct ga_view value);
};

/* The i-th, NULL after the last. */
const struct ga_smi_field *ga_smi_field(size_t i);
const struct ga_smi_field *ga_smi_field_by_query(struct ga_view name);
const struct ga_smi_field *ga_smi_field_by_path(const char *path);

/* Both take NULL for a field that is not among them: health is heard from every cell. */
int ga_smi_take(const struct ga_smi_field *field, struct gpualloc_device *device,
		struct ga_view cell);

/* "576 MiB", "576" (MiB as well); false where it is no amount. */
bool ga_smi_bytes(struct ga_view cell, int64_t *ret_bytes);
/* The worse of what it is and what is said now; reason may be NULL. 0 or GPUALLOC_ENOMEM. */
int ga_smi_ail(struct gpualloc_device *device, enum gpualloc_health health, const char *reason);

/* ---- running it: smi_tool.c ---- */

/* One deadline for all calls. */
struct ga_smi_tool {
	const char *program;
	int64_t patience_ms; /* with each */
	int64_t until_ms;
};

struct ga_smi_tool ga_smi_tool(const char *program, unsigned deadline_ms);
/* Runs it with words (NULL after the last). It may end with any status; that it cannot be run or
 * does not answer in time is GPUALLOC_ENOSOURCE. */
int ga_smi_tool_run(const struct ga_smi_tool *tool, const char *const words[],
		    struct ga_child_result *ret_result, gpualloc_error *error);
/* The error for output in which nothing was found: what the tool said, else why, its reader's. */
int ga_smi_tool_complain(const struct ga_child_result *result, const char *why,
			 gpualloc_error *error);
/* Whether it ended in a way that leaves no hope for other calls: no driver, no library. */
bool ga_smi_tool_is_hopeless(const struct ga_child_result *result);
/* The part of the message `Field "x" is not a valid field to query.` in quotes. */
bool ga_smi_tool_refuses_field(const struct ga_child_result *result, struct ga_view *ret_name);

/* ---- its outputs ---- */

/* asked: the names queried, in order, for a table that comes without a header. smi_csv.c */
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
 * becomes a device that is lost, where part has none with that address yet. smi_lost.c
 */
int ga_smi_lost_read(const char *text, size_t size, gpualloc_machine *part);

/* ---- parts into a machine: smi_merge.c ---- */

/* Moves what part knows and machine does not; part is left with scraps and has to be freed. */
int ga_smi_merge(gpualloc_machine *machine, gpualloc_machine *part);
/*
 * The UUIDs and profiles of MIG instances, which only the list has, into those that the log tells.
 * Instances that came or went between the two calls cannot be told apart by their ordinals: then
 * nothing is taken for that GPU, and where ret_differ is given it is set instead of a note made.
 */
int ga_smi_merge_instances(gpualloc_machine *machine, gpualloc_machine *list, bool *ret_differ);
/* Indices, order, duplicates, links: what every machine has. */
int ga_smi_settle(gpualloc_machine *machine, gpualloc_error *error);

#endif
