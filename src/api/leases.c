/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exported face of the list of leases and their holders: the calls pass on what they are given.
 */
#include "environment.h"
#include "holders.h"
#include "keep.h"
#include "lease.h"

#include <stdlib.h>

/* ---- the list ---- */

int gpualloc_leases_read(const gpualloc_store *store, gpualloc_leases **ret_leases,
			 gpualloc_error *error)
{
	return store ? ga_leases_read(&store->files, ret_leases, error)
		     : ga_error_missing(error, "the store");
}

void gpualloc_leases_free(gpualloc_leases *leases)
{
	ga_leases_free(leases);
}

size_t gpualloc_leases_held_count(const gpualloc_leases *leases)
{
	return leases ? leases->count : 0;
}

const gpualloc_held *gpualloc_leases_held(const gpualloc_leases *leases, size_t i)
{
	return leases && i < leases->count ? &leases->list[i] : NULL;
}

const char *gpualloc_held_id(const gpualloc_held *held)
{
	return held && held->has_id ? held->id : NULL;
}

const char *gpualloc_held_user(const gpualloc_held *held)
{
	return held ? held->record.user : NULL;
}

int64_t gpualloc_held_uid(const gpualloc_held *held)
{
	/* Only a record has a user. */
	return held && held->record.user ? (int64_t)held->record.uid : GA_UNKNOWN;
}

int64_t gpualloc_held_pid(const gpualloc_held *held)
{
	return held ? held->record.pid : GA_UNKNOWN;
}

int64_t gpualloc_held_since(const gpualloc_held *held)
{
	return held ? held->record.since : GA_UNKNOWN;
}

const char *gpualloc_held_command(const gpualloc_held *held)
{
	return held ? held->record.command : NULL;
}

const char *gpualloc_held_note(const gpualloc_held *held)
{
	return held ? held->record.note : NULL;
}

int64_t gpualloc_held_memory(const gpualloc_held *held)
{
	return held ? held->record.memory : GA_UNKNOWN;
}

size_t gpualloc_held_device_count(const gpualloc_held *held)
{
	return held ? held->record.piece_count : 0;
}

const char *gpualloc_held_device(const gpualloc_held *held, size_t i)
{
	return held && i < held->record.piece_count ? held->record.pieces[i].uuid : NULL;
}

/* ---- who waits ---- */

size_t gpualloc_leases_waiter_count(const gpualloc_leases *leases)
{
	return leases ? leases->waiting_count : 0;
}

const gpualloc_waiter *gpualloc_leases_waiter(const gpualloc_leases *leases, size_t i)
{
	return leases && i < leases->waiting_count ? &leases->waiting[i] : NULL;
}

const char *gpualloc_waiter_user(const gpualloc_waiter *waiter)
{
	return waiter ? waiter->user : NULL;
}

int64_t gpualloc_waiter_pid(const gpualloc_waiter *waiter)
{
	return waiter ? waiter->pid : GA_UNKNOWN;
}

int64_t gpualloc_waiter_since(const gpualloc_waiter *waiter)
{
	return waiter ? waiter->since : GA_UNKNOWN;
}

const char *gpualloc_waiter_request(const gpualloc_waiter *waiter)
{
	return waiter ? waiter->request : NULL;
}

size_t gpualloc_waiter_keep_count(const gpualloc_waiter *waiter)
{
	return waiter ? waiter->keep_count : 0;
}

const char *gpualloc_waiter_keep(const gpualloc_waiter *waiter, size_t i)
{
	return waiter && i < waiter->keep_count ? waiter->keeps[i] : NULL;
}

int gpualloc_leases_add_machine(gpualloc_leases *leases, const gpualloc_store *store,
				gpualloc_machine *machine, gpualloc_error *error)
{
	if (!leases || !store || !machine)
		return ga_error_missing(error, "the list, the store or the machine");
	return ga_leases_add_keeps(leases, &store->files, machine, error);
}

/* ---- the processes ---- */

int gpualloc_lease_join(const gpualloc_store *store, const char *id, int *ret_fd,
			char **ret_variables, gpualloc_error *error)
{
	if (!store || !id)
		return ga_error_missing(error, "the store or the id");
	return ga_holders_join(&store->files, id, ga_environment_tells_of_lease, ret_fd,
			       ret_variables, error);
}

int gpualloc_lease_has_variable(const char *entry)
{
	return entry && ga_environment_tells_of_lease(entry);
}
