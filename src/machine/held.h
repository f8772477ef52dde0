/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has a device, and who waits for one: what is shown to people, in plain data. What is not
 * known is NULL or GA_UNKNOWN.
 */
#ifndef GA_MACHINE_HELD_H
#define GA_MACHINE_HELD_H

#include <gpualloc/gpualloc.h>
#include <stdbool.h>

/* A lease. All but its id may be missing: the holder may have left no record. */
struct gpualloc_held {
	char *id; /* NULL: only its locks were seen */
	char *user;
	int64_t uid;
	int64_t pid;
	int64_t since;  /* both in seconds since 1970 */
	int64_t until;  /* when it will end, if that was settled */
	int64_t memory; /* bytes of each device; GA_UNKNOWN: whole devices */
	char *command;
	char *note;
	char *agent;    /* the program that asks on behalf of the user; NULL: the user asks */
	char **devices; /* UUIDs */
	size_t device_count;
};

/* A process in the queue. */
struct gpualloc_waiter {
	uint64_t number; /* of its ticket */
	char *user;
	int64_t pid;
	int64_t since;
	char *request; /* in words */
	char *command;
	char *note;
	char **keeps; /* UUIDs of the devices kept for it */
	size_t keep_count;
};

void ga_held_init(struct gpualloc_held *held);
/* These free what it has, not the object. */
void ga_held_clear(struct gpualloc_held *held);
void ga_waiter_clear(struct gpualloc_waiter *waiter);

/*
 * "by alice, process 12 (python) since 2026-11-29 10:12 (lease 0123456789)"; brief: without the
 * process and the time. Both as snprintf would.
 */
size_t ga_held_words(const struct gpualloc_held *held, bool brief, char *text, size_t size);
/* "for alice (process 12), who has waited longer". */
size_t ga_waiter_words(const struct gpualloc_waiter *waiter, char *text, size_t size);

/* Appends a copy of a string to a list of them; GPUALLOC_ENOMEM or 0. */
int ga_add_text(char ***list, size_t *count, const char *text);

#endif
