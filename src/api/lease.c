/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exported face of stores and leases: the calls pass on what they are given and decide nothing.
 */
#include "lease.h"
#include "config.h"
#include "keep.h"
#include "ledger.h"
#include "settle.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- stores ---- */

static const char *state_dir(void)
{
	/* secure_getenv() answers NULL in a set-uid process. */
	const char *path = secure_getenv("GPUALLOC_STATE_DIR");

	return path && *path ? path : NULL;
}

const char *gpualloc_store_default(void)
{
	const char *path = state_dir();

	return path ? path : GA_STORE_DEFAULT;
}

static int open_store(const char *path, int own, struct ga_store *ret_store, gpualloc_error *error)
{
	ga_auto_free char *mine = NULL;
	int result = 0;

	if (!path && own) {
		result = ga_store_private_path(&mine, error);
		path = mine;
	} else if (!path) {
		path = gpualloc_store_default();
		if (*path != '/')
			return ga_error_set(
				error, GPUALLOC_EPERM,
				"GPUALLOC_STATE_DIR=%s depends on the current directory, "
				"so programs in other directories would lease in other "
				"stores: set it to a path that begins with /",
				path);
		/*
		 * A caller that may not create what is missing is told what it is when the store is
		 * opened.
		 */
		if (state_dir())
			(void)ga_store_make(path, geteuid() == 0, NULL);
	}
	if (result == 0 && own)
		result = ga_store_make(path, false, error);
	return result < 0 ? result : ga_store_open(path, ret_store, error);
}

int gpualloc_store_open(const char *path, int own, gpualloc_store **ret_store,
			gpualloc_error *error)
{
	gpualloc_store *store = calloc(1, sizeof *store);
	int result = store ? open_store(path, own, &store->files, error) : ga_error_memory(error);

	if (result < 0)
		free(store);
	else
		*ret_store = store;
	return result;
}

int gpualloc_store_open_own(gpualloc_store **ret_store, gpualloc_error *error)
{
	ga_auto_free char *path = NULL;
	int result = ga_store_private_path(&path, error);

	if (result < 0)
		return result;
	if (access(path, F_OK) == 0)
		return gpualloc_store_open(path, 0, ret_store, error);
	*ret_store = NULL;
	return 0;
}

void gpualloc_store_free(gpualloc_store *store)
{
	if (!store)
		return;
	ga_store_close(&store->files);
	free(store);
}

const char *gpualloc_store_path(const gpualloc_store *store)
{
	return store ? store->files.path : NULL;
}

int gpualloc_store_setup(const char *path, gpualloc_error *error)
{
	int result = ga_store_set_up(path ? path : gpualloc_store_default(), error);

	return result < 0 ? result : gpualloc_store_check(path, error);
}

int gpualloc_store_check(const char *path, gpualloc_error *error)
{
	return ga_store_check(path ? path : gpualloc_store_default(), error);
}

int gpualloc_store_remove(const char *path, gpualloc_error *error)
{
	return ga_store_remove(path ? path : gpualloc_store_default(), error);
}

/* ---- wishes ---- */

gpualloc_lease_wish *gpualloc_lease_wish_new(void)
{
	gpualloc_lease_wish *wish = calloc(1, sizeof(gpualloc_lease_wish));

	if (wish)
		wish->place = wish->stop = -1;
	return wish;
}

void gpualloc_lease_wish_free(gpualloc_lease_wish *wish)
{
	if (!wish)
		return;
	free(wish->machine);
	free(wish->note);
	free(wish->command);
	free(wish);
}

/* A path must stay the same to the byte. */
int gpualloc_lease_wish_set_machine(gpualloc_lease_wish *wish, const char *spec,
				    unsigned deadline_ms)
{
	char *copy;

	if (!wish)
		return GPUALLOC_EUSAGE;
	copy = spec ? strdup(spec) : NULL;
	if (spec && !copy)
		return GPUALLOC_ENOMEM;
	free(wish->machine);
	wish->machine = copy;
	wish->deadline_ms = deadline_ms;
	return 0;
}

void gpualloc_lease_wish_set_stop(gpualloc_lease_wish *wish, int fd)
{
	if (!wish)
		return;
	wish->stop = fd;
}

void gpualloc_lease_wish_set_asking(gpualloc_lease_wish *wish, gpualloc_waiting_function *function,
				    void *context)
{
	if (!wish)
		return;
	wish->asking = function;
	wish->asking_context = context;
}

void gpualloc_lease_wish_set_wait(gpualloc_lease_wish *wish, int64_t wait_ms,
				  gpualloc_wait_function *function, void *context)
{
	if (!wish)
		return;
	wish->wait_ms = wait_ms;
	wish->function = function;
	wish->context = context;
}

void gpualloc_lease_wish_set_keep(gpualloc_lease_wish *wish, int64_t seconds)
{
	if (!wish)
		return;
	wish->keep_s = seconds;
}

void gpualloc_lease_wish_set_hold(gpualloc_lease_wish *wish, int64_t hold_ms)
{
	if (!wish)
		return;
	wish->hold_ms = hold_ms;
}

void gpualloc_lease_wish_set_time_limit(gpualloc_lease_wish *wish, int64_t time_limit_ms)
{
	if (wish)
		wish->limit_ms = time_limit_ms > 0 ? time_limit_ms : 0;
}

int gpualloc_lease_wish_set_note(gpualloc_lease_wish *wish, const char *note)
{
	return wish ? ga_set_text(&wish->note, note) : GPUALLOC_EUSAGE;
}

int gpualloc_lease_wish_set_command(gpualloc_lease_wish *wish, const char *command)
{
	return wish ? ga_set_text(&wish->command, command) : GPUALLOC_EUSAGE;
}

int gpualloc_store_place(const gpualloc_store *store, int *ret_fd, gpualloc_error *error)
{
	if (!store)
		return ga_error_missing(error, "the store");
	return ga_store_open_ledger(&store->files, ret_fd, error);
}

void gpualloc_lease_wish_set_place(gpualloc_lease_wish *wish, int fd)
{
	if (!wish)
		return;
	wish->place = fd;
}

/* ---- leases ---- */

int gpualloc_lease_acquire(const gpualloc_store *store, const gpualloc_request *request,
			   const gpualloc_lease_wish *wish, gpualloc_lease **ret_lease,
			   gpualloc_error *error)
{
	static const gpualloc_lease_wish plain = {.place = -1, .stop = -1};

	if (!store || !request)
		return ga_error_missing(error, "the store or the request");
	return ga_lease_acquire(&store->files, request, wish ? wish : &plain, ret_lease, error);
}

int gpualloc_lease_settle(const gpualloc_lease *lease, const char *spec, unsigned deadline_ms,
			  gpualloc_error *error)
{
	if (!lease)
		return ga_error_missing(error, "the lease");
	return ga_lease_settle(lease, spec, deadline_ms, error);
}

int gpualloc_lease_release(gpualloc_lease *lease, gpualloc_error *error)
{
	if (!lease)
		return ga_error_missing(error, "the lease");
	return ga_lease_release(lease, error);
}

void gpualloc_lease_free(gpualloc_lease *lease)
{
	ga_lease_free(lease);
}

int gpualloc_lease_hand_on(gpualloc_lease *lease, int *ret_fd, gpualloc_error *error)
{
	if (!lease)
		return ga_error_missing(error, "the lease");
	return ga_lease_hand_on(lease, ret_fd, error);
}

const char *gpualloc_lease_id(const gpualloc_lease *lease)
{
	return lease ? lease->id : NULL;
}

const gpualloc_machine *gpualloc_lease_machine(const gpualloc_lease *lease)
{
	return lease ? lease->machine : NULL;
}

size_t gpualloc_lease_device_count(const gpualloc_lease *lease)
{
	return lease ? lease->count : 0;
}

const gpualloc_device *gpualloc_lease_device(const gpualloc_lease *lease, size_t i)
{
	return lease && i < lease->count ? lease->devices[i] : NULL;
}

int64_t gpualloc_lease_memory(const gpualloc_lease *lease)
{
	return lease ? lease->memory : GA_UNKNOWN;
}

size_t gpualloc_lease_note_count(const gpualloc_lease *lease)
{
	return lease ? lease->note_count : 0;
}

const char *gpualloc_lease_note(const gpualloc_lease *lease, size_t i)
{
	return lease && i < lease->note_count ? lease->notes[i] : NULL;
}

/* ---- rules and leases on the devices of a machine ---- */

int gpualloc_machine_add_config(gpualloc_machine *machine, gpualloc_error *error)
{
	ga_auto_config struct ga_config config = {0};

	if (!machine)
		return ga_error_missing(error, "the machine");
	return ga_config_settle(machine, &config, error);
}

int gpualloc_machine_add_leases(gpualloc_machine *machine, const gpualloc_store *store,
				gpualloc_error *error)
{
	ga_auto_nest struct ga_nest nest = {0};
	ga_auto_config struct ga_config config = {0};
	bool stale;
	int result;

	if (!machine || !store)
		return ga_error_missing(error, "the machine or the store");
	result = ga_nest_find(&store->files, &nest, &stale, error);
	if (result == 0)
		result = ga_leases_note(&store->files, machine, &nest, false, error);
	if (result == 0)
		result = ga_config_read(ga_config_path(machine->is_here), &config, error);
	return result < 0 ? result
			  : ga_keep_for_newcomer(&store->files, machine, &config, error);
}

const char *gpualloc_device_lease(const gpualloc_device *device)
{
	return device && device->lease.holder_count > 0 ? device->lease.holders[0]->id : NULL;
}

const char *gpualloc_device_lease_user(const gpualloc_device *device)
{
	return device ? device->lease.user : NULL;
}

size_t gpualloc_device_held_count(const gpualloc_device *device)
{
	return device ? device->lease.holder_count : 0;
}

const gpualloc_held *gpualloc_device_held(const gpualloc_device *device, size_t i)
{
	return device && i < device->lease.holder_count ? device->lease.holders[i] : NULL;
}

const gpualloc_waiter *gpualloc_device_kept_for(const gpualloc_device *device)
{
	if (!device)
		return NULL;
	return device->lease.kept ? device->lease.kept : device->lease.promised_to;
}

/* ---- where it lies in the ledger ---- */

int gpualloc_device_ledger_range(const gpualloc_device *gpu, int64_t gi, int64_t ci, unsigned level,
				 uint64_t *ret_start, uint64_t *ret_length, gpualloc_error *error)
{
	struct ga_range range;

	if (!gpu || !ret_start || !ret_length)
		return ga_error_missing(error, "the GPU or room for the range");
	if (gpu->parent)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "this is a MIG instance; its GPU is needed, and its numbers");
	if (gi < -1 || gi > GA_GI_MOST || ci < -1 || ci > GA_CI_MOST || (gi < 0 && ci >= 0))
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "no MIG instance has the numbers %lld:%lld", (long long)gi,
				    (long long)ci);
	if (level >= GA_LEVELS)
		return ga_error_set(error, GPUALLOC_EUSAGE, "leases lie on %d levels, from 0",
				    (int)GA_LEVELS);
	if (!gpu->uuid)
		return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				    "a GPU without UUID cannot be leased");
	range = ga_ledger_part(gpu, gi, ci, level);
	*ret_start = (uint64_t)range.start;
	*ret_length = (uint64_t)range.length;
	return 0;
}
