/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue: the tickets of waiters, in queue/NUMBER. A ticket is alive exactly as long as its byte
 * of the ledger is held. The waiter writes down what it could use, so that others can leave it
 * alone. Numbers give the order; they are taken under the arbiter, but are unique even without it.
 */
#ifndef GA_LEASE_QUEUE_H
#define GA_LEASE_QUEUE_H

#include "ledger.h"
#include "store.h"

struct ga_ticket {
	uint64_t number;
	uid_t uid;
	char *user;
	int64_t pid;
	int64_t pidns;
	int64_t since;           /* seconds since 1970 */
	int64_t queued;          /* the same, but from the file, not from the waiter */
	int64_t count;           /* how many devices it wants, 1 or more */
	int64_t mebibytes;       /* MiB of each; 0: whole devices */
	char *request;           /* in words */
	char *command;           /* what it will run */
	char *note;
	char *agent;             /* as in records */
	struct ga_range *places; /* the devices it could use, as rooms on the ledger */
	size_t place_count;
};

void ga_ticket_free(struct ga_ticket *ticket);
#define ga_auto_ticket ga_cleanup(ga_ticket_free)

/*
 * Takes the number after all others for the description ledger, and writes the ticket. If there is
 * no room for the file the waiter stays unseen: GPUALLOC_EIO, but it has the number.
 */
int ga_queue_join(const struct ga_store *store, int ledger, struct ga_ticket *ticket,
		  gpualloc_error *error);
void ga_queue_leave(const struct ga_store *store, int ledger, uint64_t number);

struct ga_tickets {
	struct ga_ticket *list; /* those alive, by number */
	size_t count;
};

void ga_tickets_free(struct ga_tickets *tickets);
#define ga_auto_tickets ga_cleanup(ga_tickets_free)

enum { GA_TICKETS_OF_A_USER = 64, GA_TICKETS_MOST = 256 };

/*
 * The tickets before a number (0: all) that count: 64 for each user, 256 in all. With all set there
 * are no such limits.
 */
int ga_queue_read(const struct ga_store *store, uint64_t before, bool all,
		  struct ga_tickets *ret_tickets, gpualloc_error *error);
/* The numbers before our own, read once: a later waiter has a higher one. */
struct ga_ahead {
	uint64_t *list;
	size_t count;
};

void ga_ahead_free(struct ga_ahead *ahead);
int ga_ahead_read(const struct ga_store *store, uint64_t number, struct ga_ahead *ret_ahead,
		  gpualloc_error *error);
/* Our place behind those that are still alive, from 1; only roughly if we are far behind. */
size_t ga_ahead_place(const struct ga_store *store, struct ga_ahead *ahead);

/*
 * Brings the list up to date: the tickets ahead that are alive and count. A ticket already on the
 * list is not read again.
 */
int ga_queue_follow(const struct ga_store *store, struct ga_ahead *ahead,
		    struct ga_tickets *tickets, gpualloc_error *error);

bool ga_ticket_is_alive(const struct ga_store *store, uint64_t number);
/*
 * Whether its waiter says that it is looking at the machine, which takes long with a slow driver.
 * It can lie, so nobody believes it for longer than a look may take.
 */
bool ga_ticket_is_looking(const struct ga_store *store, uint64_t number);
void ga_ticket_set_looking(int ledger, uint64_t number, bool is_looking);
/* Whether the device at a place of the ticket has what the ticket wants; -1: we cannot tell. */
int ga_ticket_fits(const struct ga_store *store, const struct ga_ticket *ticket, size_t place);

#endif
