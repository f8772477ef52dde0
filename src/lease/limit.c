/* SPDX-License-Identifier: Apache-2.0 */
/* Counting devices; see limit.h. */
#include "limit.h"

#include "holders.h"
#include "locks.h"

#include <fcntl.h>
#include <stdio.h>

int64_t ga_limit_held(const struct ga_records *records, uid_t user, bool only_agents)
{
	int64_t held = 0;

	for (size_t i = 0; i < records->count; i++) {
		const struct ga_record *record = &records->list[i];

		if (record->uid != user || (only_agents && !record->agent))
			continue;
		for (size_t p = 0; p < record->piece_count; p++)
			held += ga_ledger_level(record->pieces[p].ranges[0]) == 0;
	}
	return held;
}

/* ---- without records ---- */

enum { LOOKS_MOST = 64 };

struct counting {
	const struct ga_store *store;
	const struct ga_records *records;
	unsigned looks; /* each look goes through all processes */
	int64_t held;
};

static int64_t count_devices(const struct ga_locks *locks)
{
	enum { INSTANCE_BITS = 20 };
	off_t before = -1;
	int64_t count = 0;

	for (size_t i = 0; i < locks->count; i++) {
		struct ga_range range = locks->list[i];
		off_t place = range.start >> INSTANCE_BITS;

		/* A budget in several pieces counts as one device. */
		if (ga_range_meets(range, ga_ledger_all_devices()) && ga_ledger_level(range) == 0)
			count += place != before;
		before = place;
	}
	return count;
}

static int64_t count_through(const struct ga_holder *holder)
{
	ga_auto_locks struct ga_locks locks = {0};
	ga_auto_close int process = -1;
	char name[32];

	(void)snprintf(name, sizeof name, "/proc/%d", (int)holder->pid);
	process = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(name, sizeof name, "%d", holder->fd);
	return process >= 0 && ga_locks_read(process, name, &locks) == 1 ? count_devices(&locks)
									 : 0;
}

static int count_id(void *context, struct ga_range part)
{
	ga_auto_holders struct ga_holders holders = {0};
	struct counting *counting = context;
	uint64_t id = (uint64_t)(part.start - ga_ledger_all_ids().start);
	char name[GA_ID_TEXT];

	for (size_t i = 0; i < counting->records->count; i++)
		if (counting->records->list[i].id == id)
			return 0;
	if (counting->looks++ == LOOKS_MOST)
		return 1;
	ga_id_text(id, name);
	if (ga_holders_find(counting->store, name, &holders, NULL) == 0 && holders.count > 0)
		counting->held += count_through(&holders.list[0]);
	return 0;
}

int64_t ga_limit_unrecorded(const struct ga_store *store, const struct ga_records *records)
{
	struct counting counting = {.store = store, .records = records};

	if (geteuid() != 0)
		(void)ga_ledger_probe(store->probe, ga_ledger_all_ids(), count_id, &counting);
	return counting.held;
}
