/* SPDX-License-Identifier: Apache-2.0 */
/* The exported face of the list of leases and of who has them: each call hands on. */
#include "environment.h"
#include "holders.h"
#include "keep.h"
#include "lease.h"

#include <stdlib.h>

/* ---- the list ---- */

int gpualloc_leases_read(const gpualloc_store *store, gpualloc_leases **ret_leases,
			 gpualloc_error *error)
{
	return ga_leases_read(&store->files, ret_leases, error);
}

void gpualloc_leases_free(gpualloc_leases *leases)
{
	ga_leases_free(leases);
}

size_t gpualloc_leases_count(const gpualloc_leases *leases)
{
	return leases->count;
}

static const struct ga_record *record_at(const gpualloc_leases *leases, size_t i)
{
	return i < leases->count ? &leases->list[i].record : NULL;
}

const char *gpualloc_leases_id(const gpualloc_leases *leases, size_t i)
{
	return i < leases->count && leases->list[i].has_id ? leases->list[i].id : NULL;
}

const char *gpualloc_leases_user(const gpualloc_leases *leases, size_t i)
{
	const struct ga_record *record = record_at(leases, i);

	return record ? record->user : NULL;
}

int64_t gpualloc_leases_pid(const gpualloc_leases *leases, size_t i)
{
	const struct ga_record *record = record_at(leases, i);

	return record ? record->pid : GA_UNKNOWN;
}

int64_t gpualloc_leases_since(const gpualloc_leases *leases, size_t i)
{
	const struct ga_record *record = record_at(leases, i);

	return record ? record->since : GA_UNKNOWN;
}

const char *gpualloc_leases_command(const gpualloc_leases *leases, size_t i)
{
	const struct ga_record *record = record_at(leases, i);

	return record ? record->command : NULL;
}

const char *gpualloc_leases_note(const gpualloc_leases *leases, size_t i)
{
	const struct ga_record *record = record_at(leases, i);

	return record ? record->note : NULL;
}

int64_t gpualloc_leases_memory(const gpualloc_leases *leases, size_t i)
{
	const struct ga_record *record = record_at(leases, i);

	return record ? record->memory : GA_UNKNOWN;
}

size_t gpualloc_leases_device_count(const gpualloc_leases *leases, size_t i)
{
	const struct ga_record *record = record_at(leases, i);

	return record ? record->piece_count : 0;
}

const char *gpualloc_leases_device(const gpualloc_leases *leases, size_t i, size_t device)
{
	const struct ga_record *record = record_at(leases, i);

	return record && device < record->piece_count ? record->pieces[device].uuid : NULL;
}

/* ---- who waits ---- */

size_t gpualloc_leases_waiting_count(const gpualloc_leases *leases)
{
	return leases->waiting_count;
}

const char *gpualloc_leases_waiting_user(const gpualloc_leases *leases, size_t i)
{
	return i < leases->waiting_count ? leases->waiting[i].user : NULL;
}

int64_t gpualloc_leases_waiting_pid(const gpualloc_leases *leases, size_t i)
{
	return i < leases->waiting_count ? leases->waiting[i].pid : GA_UNKNOWN;
}

int64_t gpualloc_leases_waiting_since(const gpualloc_leases *leases, size_t i)
{
	return i < leases->waiting_count ? leases->waiting[i].since : GA_UNKNOWN;
}

const char *gpualloc_leases_waiting_request(const gpualloc_leases *leases, size_t i)
{
	return i < leases->waiting_count ? leases->waiting[i].request : NULL;
}

int gpualloc_leases_add_machine(gpualloc_leases *leases, const gpualloc_store *store,
				gpualloc_machine *machine, gpualloc_error *error)
{
	return ga_leases_add_keeps(leases, &store->files, machine, error);
}

const char *gpualloc_leases_waiting_keep(const gpualloc_leases *leases, size_t i, size_t device)
{
	const struct ga_waiting *waiting = i < leases->waiting_count ? &leases->waiting[i] : NULL;

	return waiting && device < waiting->keep_count ? waiting->keeps[device] : NULL;
}

/* ---- the processes ---- */

int gpualloc_lease_processes(const gpualloc_store *store, const char *id, int64_t **ret_pids,
			     size_t *ret_count, gpualloc_error *error)
{
	ga_auto_holders struct ga_holders holders = {0};
	int64_t *pids;
	int result = ga_holders_find(&store->files, id, &holders, error);

	if (result < 0)
		return result;
	pids = calloc(holders.count + 1, sizeof *pids);
	if (!pids)
		return ga_error_memory(error);
	for (size_t i = 0; i < holders.count; i++)
		pids[i] = holders.list[i].pid;
	*ret_pids = pids;
	*ret_count = holders.count;
	return 0;
}

int gpualloc_lease_join(const gpualloc_store *store, const char *id, int *ret_fd,
			char **ret_variables, gpualloc_error *error)
{
	return ga_holders_join(&store->files, id, ga_environment_tells_of_lease, ret_fd,
			       ret_variables, error);
}

int gpualloc_lease_has_variable(const char *entry)
{
	return ga_environment_tells_of_lease(entry);
}
