/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of chaos share: a plan says everything that will happen to one process, so a seed
 * decides everything that will be tried. Nothing here knows how leases work; only the public header
 * is used.
 */
#ifndef CHAOS_H
#define CHAOS_H

#include <gpualloc/gpualloc.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	MOST_AT_ONCE = 256,
	MOST_FROZEN = 8,  /* cgroups to freeze; a place beyond them is stopped by signal */
	IDS_A_RUNNER = 8, /* its own lease's, and those of leases inside it */
	MOST_WITHIN = 3,
	US = 1000,
	MS = 1000 * US
};

enum kind { LEASES, SETS_UP, CHECKS };
enum ending { RELEASES, FREES, EXITS, DIES, LEAVES_CHILD };

/* How the machine is described to it: each is a link that changes while chaos runs. */
enum form { FULL, UNPLACED, LISTED, FORMS };

struct plan {
	unsigned long id;
	enum kind kind;
	enum form form;
	int64_t count, memory, wait_ms;
	bool mig;
	enum ending ending;
	int64_t hold, child_hold;        /* ns */
	int64_t kill_at, stop_at, go_at; /* ns after its start, -1 for never */
	bool is_apart;                   /* in a pid namespace of its own */
	struct within {
		int64_t count, memory, wait_ms, hold;
		bool by_name;  /* it does not have the descriptor of the lease around it */
		bool outlives; /* lets go of that lease first */
		bool dies;
	} within[MOST_WITHIN];
	size_t within_count;
};

struct shared {
	_Atomic long grants;
};

struct chaos {
	char machines[FORMS][4096], folder[3072], store_path[4096];
	gpualloc_store *store;
	int witness;
	uint64_t random;
	struct shared *shared;
	long variants;
	bool has_frozen, has_apart; /* whether these work here */
	bool setup_runs, setup_was_killed;
	int frozen[MOST_FROZEN], freezers[MOST_FROZEN]; /* the cgroup, its switch */
	char cgroup[3072];
	unsigned long started;
};

/* chaos.c */
int64_t chaos_now(void);
void chaos_tell(const struct chaos *chaos, char what, unsigned long id, int64_t time,
		const char *format, ...) __attribute__((format(printf, 5, 6)));

/* chaos_plan.c */
int64_t chaos_below(struct chaos *chaos, int64_t end);
bool chaos_percent(struct chaos *chaos, int64_t share);
struct plan chaos_make_plan(struct chaos *chaos);

/* chaos_run.c: what a runner does. Does not return. */
_Noreturn void chaos_run(const struct chaos *chaos, const struct plan *plan);

/* chaos_around.c: cgroups, pid namespaces and the machine, which changes. */
int chaos_prepare(struct chaos *chaos);
void chaos_clean_up(struct chaos *chaos);
pid_t chaos_fork(struct chaos *chaos, size_t place, bool is_apart);
void chaos_stop(struct chaos *chaos, size_t place, pid_t pid);
void chaos_go_on(struct chaos *chaos, size_t place, pid_t pid);
int chaos_change_machine(struct chaos *chaos, enum form form);

#endif
