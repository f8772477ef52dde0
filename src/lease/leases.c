/* SPDX-License-Identifier: Apache-2.0 */
/* The list that says who holds what; see leases.h. */
#include "leases.h"

#include "log.h"
#include "queue.h"

#include <string.h>

void ga_leases_free(gpualloc_leases *leases)
{
	if (!leases)
		return;
	for (size_t i = 0; i < leases->count; i++)
		ga_record_free(&leases->list[i].record);
	for (size_t i = 0; i < leases->waiting_count; i++) {
		free(leases->waiting[i].user);
		free(leases->waiting[i].request);
		for (size_t k = 0; k < leases->waiting[i].keep_count; k++)
			free(leases->waiting[i].keeps[k]);
		free(leases->waiting[i].keeps);
	}
	free(leases->list);
	free(leases->waiting);
	free(leases);
}

static int add_entry(gpualloc_leases *leases, struct ga_record *record, bool has_id)
{
	struct gpualloc_held *list = reallocarray(leases->list, leases->count + 1, sizeof *list);
	struct gpualloc_held *entry;

	if (!list)
		return GPUALLOC_ENOMEM;
	leases->list = list;
	entry = &list[leases->count++];
	*entry = (struct gpualloc_held){.record = *record, .has_id = has_id};
	ga_id_text(record->id, entry->id);
	*record = (struct ga_record){0};
	return 0;
}

/* A holder known only from the ledger. */
static int add_nameless(gpualloc_leases *leases, uint64_t id, bool has_id, const char *note)
{
	struct ga_record record = {.id = id,
				   .pid = GA_UNKNOWN,
				   .started = GA_UNKNOWN,
				   .pidns = GA_UNKNOWN,
				   .since = GA_UNKNOWN,
				   .memory = GA_UNKNOWN};

	if (ga_set_text(&record.note, note) < 0 || add_entry(leases, &record, has_id) < 0) {
		ga_record_free(&record);
		return GPUALLOC_ENOMEM;
	}
	return 0;
}

/* ---- what the ledger says beyond the records ---- */

enum { NAMELESS_MOST = 1000 };

static int check_id(void *context, struct ga_range part)
{
	gpualloc_leases *leases = context;
	uint64_t id = (uint64_t)(part.start - ga_ledger_all_ids().start);

	for (size_t i = 0; i < leases->count; i++)
		if (leases->list[i].has_id && leases->list[i].record.id == id)
			return 0;
	if (leases->count >= NAMELESS_MOST)
		return 1;
	return add_nameless(leases, id, true, "held, no record");
}

static bool is_explained(const gpualloc_leases *leases, struct ga_range part)
{
	for (size_t i = 0; i < leases->count; i++) {
		const struct ga_record *record = &leases->list[i].record;

		for (size_t p = 0; p < record->piece_count; p++)
			for (size_t r = 0; r < record->pieces[p].count; r++)
				if (ga_range_meets(record->pieces[p].ranges[r], part))
					return true;
	}
	return false;
}

static int check_part(void *context, struct ga_range part)
{
	gpualloc_leases *leases = context;

	if (is_explained(leases, part))
		return 0;
	return add_nameless(leases, 0, false, "held, no record") < 0 ? GPUALLOC_ENOMEM : 1;
}

/* Held ranges that no record explains, and that no id without a record can explain either. */
static int add_unexplained(const struct ga_store *store, gpualloc_leases *leases)
{
	size_t known = leases->count;
	int result = ga_ledger_probe(store->probe, ga_ledger_all_ids(), check_id, leases);

	if (result >= 0 && leases->count == known)
		result = ga_ledger_probe(store->probe, ga_ledger_all_devices(), check_part, leases);
	return result < 0 ? result : 0;
}

static int add_records(const struct ga_store *store, gpualloc_leases *leases, gpualloc_error *error)
{
	ga_auto_records struct ga_records records = {0};
	int result = ga_records_read(store, &records, error);

	for (size_t i = 0; result == 0 && i < records.count; i++)
		if (add_entry(leases, &records.list[i], true) < 0)
			result = ga_error_memory(error);
	return result;
}

static int add_waiting(const struct ga_store *store, gpualloc_leases *leases, gpualloc_error *error)
{
	ga_auto_tickets struct ga_tickets tickets = {0};
	int result = ga_queue_read(store, 0, true, &tickets, error);

	if (result < 0)
		return result;
	leases->waiting = calloc(tickets.count + 1, sizeof *leases->waiting);
	if (!leases->waiting)
		return ga_error_memory(error);
	for (size_t i = 0; i < tickets.count; i++) {
		struct gpualloc_waiter *waiting = &leases->waiting[leases->waiting_count++];

		waiting->number = tickets.list[i].number;
		waiting->pid = tickets.list[i].pid;
		waiting->since = tickets.list[i].since;
		waiting->user = ga_steal(&tickets.list[i].user);
		waiting->request = ga_steal(&tickets.list[i].request);
	}
	return 0;
}

int ga_leases_read(const struct ga_store *store, gpualloc_leases **ret_leases,
		   gpualloc_error *error)
{
	gpualloc_leases *leases = calloc(1, sizeof *leases);
	int result;

	/* Looking also tidies up: nobody else may come by for a long time. */
	ga_log_sweep(store);
	result = leases ? add_records(store, leases, error) : ga_error_memory(error);

	if (result == 0)
		result = add_waiting(store, leases, error);
	if (result == 0 && add_unexplained(store, leases) < 0)
		result = ga_error_memory(error);
	if (result < 0) {
		ga_leases_free(leases);
		return result;
	}
	*ret_leases = leases;
	return 0;
}
