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
		ga_held_clear(&leases->list[i]);
	for (size_t i = 0; i < leases->waiting_count; i++)
		ga_waiter_clear(&leases->waiting[i]);
	free(leases->list);
	free(leases->waiting);
	free(leases);
}

int ga_held_of_record(const struct ga_record *record, struct gpualloc_held *held)
{
	char id[GA_ID_TEXT];
	int result;

	ga_id_text(record->id, id);
	held->uid = (int64_t)record->uid;
	held->pid = record->pid;
	held->since = record->since;
	held->until = record->until;
	held->memory = record->memory;
	result = ga_set_text(&held->id, id) < 0 || ga_set_text(&held->user, record->user) < 0 ||
				 ga_set_text(&held->command, record->command) < 0 ||
				 ga_set_text(&held->note, record->note) < 0 ||
				 ga_set_text(&held->agent, record->agent) < 0
			 ? GPUALLOC_ENOMEM
			 : 0;
	for (size_t i = 0; result == 0 && i < record->piece_count; i++)
		result = ga_add_text(&held->devices, &held->device_count, record->pieces[i].uuid);
	return result;
}

int ga_waiter_of_ticket(const struct ga_ticket *ticket, struct gpualloc_waiter *waiter)
{
	waiter->number = ticket->number;
	waiter->pid = ticket->pid;
	waiter->since = ticket->since;
	return ga_set_text(&waiter->user, ticket->user) < 0 ||
			       ga_set_text(&waiter->request, ticket->request) < 0 ||
			       ga_set_text(&waiter->command, ticket->command) < 0 ||
			       ga_set_text(&waiter->note, ticket->note) < 0
		       ? GPUALLOC_ENOMEM
		       : 0;
}

/* An empty one at the end of the list; NULL when out of memory. */
static struct gpualloc_held *add_entry(gpualloc_leases *leases)
{
	struct gpualloc_held *list = reallocarray(leases->list, leases->count + 1, sizeof *list);

	if (!list)
		return NULL;
	leases->list = list;
	ga_held_init(&list[leases->count]);
	return &list[leases->count++];
}

/* A holder known only from the ledger. */
static int add_nameless(gpualloc_leases *leases, const char *id)
{
	struct gpualloc_held *held = add_entry(leases);

	return held && ga_set_text(&held->id, id) == 0 &&
			       ga_set_text(&held->note, "held, no record") == 0
		       ? 0
		       : GPUALLOC_ENOMEM;
}

/* ---- what the ledger says beyond the records ---- */

enum { NAMELESS_MOST = 1000 };

/* What was read so far. */
struct reading {
	gpualloc_leases *leases;
	struct ga_records records;
};

static int check_id(void *context, struct ga_range part)
{
	struct reading *reading = context;
	uint64_t id = (uint64_t)(part.start - ga_ledger_all_ids().start);
	char text[GA_ID_TEXT];

	for (size_t i = 0; i < reading->records.count; i++)
		if (reading->records.list[i].id == id)
			return 0;
	if (reading->leases->count >= NAMELESS_MOST)
		return 1;
	ga_id_text(id, text);
	return add_nameless(reading->leases, text);
}

static int check_part(void *context, struct ga_range part)
{
	struct reading *reading = context;

	for (size_t i = 0; i < reading->records.count; i++)
		if (ga_record_meets(&reading->records.list[i], part))
			return 0;
	return add_nameless(reading->leases, NULL) < 0 ? GPUALLOC_ENOMEM : 1;
}

/* Held ranges that no record explains, and that no id without a record can explain either. */
static int add_unexplained(const struct ga_store *store, struct reading *reading)
{
	size_t known = reading->leases->count;
	int result = ga_ledger_probe(store->probe, ga_ledger_all_ids(), check_id, reading);

	if (result >= 0 && reading->leases->count == known)
		result =
			ga_ledger_probe(store->probe, ga_ledger_all_devices(), check_part, reading);
	return result < 0 ? result : 0;
}

static int add_records(const struct ga_store *store, struct reading *reading, gpualloc_error *error)
{
	int result = ga_records_read(store, &reading->records, error);

	for (size_t i = 0; result == 0 && i < reading->records.count; i++) {
		struct gpualloc_held *held = add_entry(reading->leases);

		if (!held || ga_held_of_record(&reading->records.list[i], held) < 0)
			result = ga_error_memory(error);
	}
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
	for (size_t i = 0; i < tickets.count; i++)
		if (ga_waiter_of_ticket(&tickets.list[i],
					&leases->waiting[leases->waiting_count++]) < 0)
			return ga_error_memory(error);
	return 0;
}

int ga_leases_read(const struct ga_store *store, gpualloc_leases **ret_leases,
		   gpualloc_error *error)
{
	struct reading reading = {.leases = calloc(1, sizeof(gpualloc_leases))};
	int result;

	/* Looking also tidies up: nobody else may come by for a long time. */
	ga_log_sweep(store);
	result = reading.leases ? add_records(store, &reading, error) : ga_error_memory(error);
	if (result == 0)
		result = add_waiting(store, reading.leases, error);
	if (result == 0 && add_unexplained(store, &reading) < 0)
		result = ga_error_memory(error);
	ga_records_free(&reading.records);
	if (result < 0) {
		ga_leases_free(reading.leases);
		return result;
	}
	*ret_leases = reading.leases;
	return 0;
}
