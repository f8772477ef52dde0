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
	return held ? held->id : NULL;
}

const char *gpualloc_held_user(const gpualloc_held *held)
{
	return held ? held->user : NULL;
}

int64_t gpualloc_held_uid(const gpualloc_held *held)
{
	return held ? held->uid : GA_UNKNOWN;
}

int64_t gpualloc_held_pid(const gpualloc_held *held)
{
	return held ? held->pid : GA_UNKNOWN;
}

int64_t gpualloc_held_since(const gpualloc_held *held)
{
	return held ? held->since : GA_UNKNOWN;
}

int64_t gpualloc_held_until(const gpualloc_held *held)
{
	return held ? held->until : GA_UNKNOWN;
}

int gpualloc_lease_announce_end(const gpualloc_store *store, const char *id, int64_t until,
				gpualloc_error *error)
{
	uint64_t number;

	if (!store || !id)
		return ga_error_missing(error, "the store or the id");
	if (!ga_id_parse(id, &number) || until < 0)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    until < 0 ? "the end of a lease is before 1970"
					      : "this is not the id of a lease");
	return ga_record_set_until(&store->files, number, until, error);
}

const char *gpualloc_held_command(const gpualloc_held *held)
{
	return held ? held->command : NULL;
}

const char *gpualloc_held_note(const gpualloc_held *held)
{
	return held ? held->note : NULL;
}

const char *gpualloc_held_agent(const gpualloc_held *held)
{
	return held ? held->agent : NULL;
}

int64_t gpualloc_held_memory(const gpualloc_held *held)
{
	return held ? held->memory : GA_UNKNOWN;
}

size_t gpualloc_held_device_count(const gpualloc_held *held)
{
	return held ? held->device_count : 0;
}

const char *gpualloc_held_device(const gpualloc_held *held, size_t i)
{
	return held && i < held->device_count ? held->devices[i] : NULL;
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

const char *gpualloc_waiter_command(const gpualloc_waiter *waiter)
{
	return waiter ? waiter->command : NULL;
}

const char *gpualloc_waiter_note(const gpualloc_waiter *waiter)
{
	return waiter ? waiter->note : NULL;
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

int gpualloc_lease_adopt(const gpualloc_store *store, const char *id, int *ret_fd,
			 gpualloc_error *error)
{
	if (!store || !id)
		return ga_error_missing(error, "the store or the id");
	return ga_holders_adopt(&store->files, id, ret_fd, error);
}

int gpualloc_lease_has_variable(const char *entry)
{
	return entry && ga_environment_tells_of_lease(entry);
}
