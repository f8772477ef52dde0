/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: what holders say about their leases, in records/ID. A record is alive exactly as long as
 * the byte of its id is held. The rest are ignored, and removed by anybody who may. Everything but
 * the uid is what the holder claims.
 */
#ifndef GA_LEASE_RECORD_H
#define GA_LEASE_RECORD_H

#include "ledger.h"
#include "store.h"

enum { GA_ID_TEXT = 11 };

/* What a lease has of one device: one range, or several for a memory budget. */
struct ga_piece {
	char *uuid;
	struct ga_range *ranges;
	size_t count;
};

/* Appends one; GPUALLOC_ENOMEM or 0. */
int ga_piece_add(struct ga_piece *piece, struct ga_range range);

struct ga_record {
	uint64_t id;
	uid_t uid;
	char *user;
	int64_t pid;     /* GA_UNKNOWN if it is not given */
	int64_t started; /* when the process started, in ticks since boot */
	int64_t pidns;   /* the pid namespace of pid */
	int64_t since;   /* both in seconds since 1970 */
	int64_t until;   /* when it will end; GA_UNKNOWN: nobody knows */
	int64_t memory;  /* bytes of each device; GA_UNKNOWN: whole */
	int64_t logged;  /* 1: its start was logged, so its end must be logged too */
	char *boot;
	char *cgroup;
	char *command;
	char *note;
	char *agent; /* the program that asks on behalf of the user; NULL: the user asks */
	struct ga_piece *pieces;
	size_t piece_count;
};

void ga_record_free(struct ga_record *record);
#define ga_auto_record ga_cleanup(ga_record_free)

void ga_pieces_free(struct ga_piece *pieces, size_t count);

/* Whether it has some of a range. */
bool ga_record_meets(const struct ga_record *record, struct ga_range part);

void ga_id_text(uint64_t id, char text[static GA_ID_TEXT]);
bool ga_id_parse(const char *text, uint64_t *ret_id);

/* GPUALLOC_AGENT: the program on whose behalf this process asks; NULL if it is the user. */
const char *ga_agent(void);
/* The same as others may see it, in new memory; GPUALLOC_ENOMEM or 0. */
int ga_agent_set(char **field);

/* Fills in what can be known about this process; command NULL: its own. */
int ga_record_of_self(struct ga_record *ret_record, const char *command, const char *note,
		      gpualloc_error *error);

/*
 * What a process says about itself to others: a command (NULL: its own) and a note (NULL: none), no
 * longer than they may be.
 */
int ga_record_words(const char *command, const char *note, char **ret_command, char **ret_note);

/*
 * Called after all locks are taken; GPUALLOC_EBUSY if somebody has taken the record's name,
 * GPUALLOC_EIO with a sentence if there is no room. If a budget has hundreds of pieces, the record
 * names as many as fit.
 */
int ga_record_write(const struct ga_store *store, const struct ga_record *record,
		    gpualloc_error *error);
/*
 * Says in the record of a live lease of our own when it will end. Only a process that holds the lease
 * may call this: its record cannot be taken for a dead one meanwhile.
 */
int ga_record_set_until(const struct ga_store *store, uint64_t id, int64_t until,
			gpualloc_error *error);
/* For a lease that has ended: 1 and what the record said if this call removed it, else 0. */
int ga_record_remove(const struct ga_store *store, uint64_t id, struct ga_record *ret_record);

/* 1 and the record of a live lease; 0 if there is none that can be believed; GPUALLOC_ENOMEM. */
int ga_record_read(const struct ga_store *store, uint64_t id, struct ga_record *ret_record);

struct ga_records {
	struct ga_record *list; /* in order of since, then id */
	size_t count;
};

void ga_records_free(struct ga_records *records);
#define ga_auto_records ga_cleanup(ga_records_free)

/* Removes dead records that are ours to remove, and returns what it removed. */
void ga_records_sweep(const struct ga_store *store, struct ga_records *ret_swept);

/* Reads all live records and changes nothing. */
int ga_records_read(const struct ga_store *store, struct ga_records *ret_records,
		    gpualloc_error *error);

#endif
