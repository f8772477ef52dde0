/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A claim's CDI file, which is also all that is remembered of it: its name has the claim's uid, the
 * names of its devices have their UUIDs. What is prepared has a file, and what has a file is
 * prepared, whenever the agent was killed.
 */
#ifndef DRA_CLAIM_FILE_H
#define DRA_CLAIM_FILE_H

#include "inventory.h"
#include "settings.h"

enum { CLAIM_UID = 64, CLAIM_UNITS_MOST = 512, CLAIM_DEVICE = CLAIM_UID + UNIT_ID + 8 };

struct claim_unit {
	char uuid[UNIT_ID];
	bool is_mig;
	bool is_admin; /* not leased */
	/* Of its device files; a claim that was read from its file has no numbers, -1. */
	int64_t minor, gi, ci;
};

struct claim_units {
	struct claim_unit *list;
	size_t count;
};

void claim_units_free(struct claim_units *units);
/* Each once; GPUALLOC_ENOMEM. */
int claim_units_add(struct claim_units *units, const struct claim_unit *unit);

/* Whether it is one that a file can be named after. */
bool claim_uid_is_valid(const char *uid);

/* "DRIVER/claim=UID:GPU-…", what the kubelet passes on to the container engine. */
void claim_device_id(const struct settings *settings, const char *uid,
		     const struct claim_unit *unit, char *text, size_t size);

/* driver: its version, NULL: not known. */
int claim_file_write(const struct settings *settings, const char *uid,
		     const struct claim_units *units, const char *driver, gpualloc_error *error);
int claim_file_remove(const struct settings *settings, const char *uid, gpualloc_error *error);
/* GPUALLOC_ENOTFOUND if there is none. */
int claim_file_read(const struct settings *settings, const char *uid, struct claim_units *ret_units,
		    gpualloc_error *error);
/* What a file's text says; name: for messages. */
int claim_file_parse(const char *text, size_t size, const char *name, const char *uid,
		     struct claim_units *ret_units, gpualloc_error *error);
bool claim_file_is_there(const struct settings *settings, const char *uid);
/* Calls found() for the uid of each file. */
void claim_file_each(const struct settings *settings, void (*found)(void *context, const char *uid),
		     void *context);

#endif
