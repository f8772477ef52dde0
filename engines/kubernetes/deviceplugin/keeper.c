/* SPDX-License-Identifier: Apache-2.0 */
/* One lease a unit, so that each can be given back by itself; see keeper.h. */
#include "keeper.h"

#include "error.h"
#include "file.h"
#include "owned.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Long enough for a job that is just ending; a pod's start waits for it. */
enum { WAIT_MS = 2000, NOTES_MOST = 1 << 16 };

#define KEEPER_COMMAND "gpualloc-k8s"

int units_wanted_add(struct units_wanted *wanted, const char *uuid, bool is_mig)
{
	struct held_unit *more;

	for (size_t i = 0; i < wanted->count; i++)
		if (strcmp(wanted->list[i].uuid, uuid) == 0)
			return 0;
	more = realloc(wanted->list, (wanted->count + 1) * sizeof *more);
	if (!more)
		return GPUALLOC_ENOMEM;
	wanted->list = more;
	more[wanted->count] = (struct held_unit){.is_mig = is_mig};
	(void)snprintf(more[wanted->count++].uuid, UNIT_ID, "%s", uuid);
	return 0;
}

void units_wanted_free(struct units_wanted *wanted)
{
	free(wanted->list);
	*wanted = (struct units_wanted){0};
}

int keeper_open(struct keeper *keeper, const struct settings *settings, gpualloc_error *error)
{
	const char *path = settings->store;

	*keeper = (struct keeper){.settings = settings};
	return gpualloc_store_open(*path ? path : NULL, 0, &keeper->store, error);
}

/* Our share; that ends the lease unless another agent has one too. */
static void give_back(struct keeper *keeper, size_t i)
{
	if (keeper->held[i].lease)
		gpualloc_lease_free(keeper->held[i].lease);
	else
		close(keeper->held[i].fd);
	keeper->held[i] = keeper->held[--keeper->count];
}

void keeper_close(struct keeper *keeper)
{
	while (keeper->count)
		give_back(keeper, keeper->count - 1);
	free(keeper->held);
	gpualloc_store_free(keeper->store);
	*keeper = (struct keeper){0};
}

struct keeping *keeping_new(struct keeper *keeper, int machine)
{
	struct keeping *keeping = calloc(1, sizeof *keeping);

	if (!keeping)
		return NULL;
	keeping->job.work = keeping_work;
	keeping->keeper = keeper;
	keeping->machine = machine < 0 ? -1 : fcntl(machine, F_DUPFD_CLOEXEC, 0);
	keeping->who = KEEPER_COMMAND;
	keeping->error = gpualloc_error_new();
	keeping->notes = GA_BUFFER_INIT(NOTES_MOST);
	return keeping;
}

void keeping_free(struct keeping *keeping)
{
	if (!keeping)
		return;
	if (keeping->machine >= 0)
		close(keeping->machine);
	units_wanted_free(&keeping->wanted);
	units_wanted_free(&keeping->taken_by_others);
	gpualloc_error_free(keeping->error);
	ga_buffer_free(&keeping->notes);
	free(keeping);
}

int snapshot_keep(const char *text, size_t size, gpualloc_error *error)
{
	int fd = memfd_create("gpualloc-machine", MFD_CLOEXEC);
	int result = fd < 0 ? -errno : ga_file_put(fd, text, size);

	if (result == 0)
		return fd;
	(void)ga_error_errno(error, GPUALLOC_EIO, -result, "cannot keep a snapshot");
	if (fd >= 0)
		close(fd);
	return -1;
}

/* For one more, which comes to lie at held[count]. */
static bool add_room(struct keeper *keeper)
{
	struct held_unit *more = realloc(keeper->held, (keeper->count + 1) * sizeof *more);

	if (!more)
		return false;
	keeper->held = more;
	return true;
}

/* ---- taking ---- */

static const struct held_unit *find(const struct held_unit *list, size_t count, const char *uuid)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].uuid, uuid) == 0)
			return &list[i];
	return NULL;
}

/* Exactly this unit, whoever uses it: the pod itself may do so already. */
static int make_request(const struct held_unit *unit, gpualloc_request *request)
{
	int result = request ? gpualloc_request_set_only(request, unit->uuid) : GPUALLOC_ENOMEM;

	if (result == 0 && unit->is_mig)
		result = gpualloc_request_set_mig(request, NULL);
	if (result < 0)
		return result;
	gpualloc_request_set_count(request, 1);
	gpualloc_request_set_ignore_processes(request, -1);
	gpualloc_request_set_mixed(request, 1);
	return 0;
}

static int make_wish(const struct keeping *keeping, gpualloc_lease_wish *wish)
{
	char path[64];
	int result;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", keeping->machine);
	result = wish ? gpualloc_lease_wish_set_machine(wish, path, 0) : GPUALLOC_ENOMEM;
	if (result == 0)
		result = gpualloc_lease_wish_set_command(wish, KEEPER_COMMAND);
	if (result == 0)
		result = gpualloc_lease_wish_set_note(wish, keeping->who);
	if (result == 0 && !keeping->is_all)
		gpualloc_lease_wish_set_wait(wish, WAIT_MS, NULL, NULL);
	return result;
}

static int take(struct keeping *keeping, const struct held_unit *unit)
{
	struct keeper *keeper = keeping->keeper;
	auto_request gpualloc_request *request = gpualloc_request_new();
	auto_wish gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	struct held_unit taken = *unit;
	int result;

	if (!add_room(keeper))
		return ga_error_memory(keeping->error);
	result = make_request(unit, request);
	if (result == 0)
		result = make_wish(keeping, wish);
	if (result < 0)
		return ga_error_memory(keeping->error);
	result = gpualloc_lease_acquire(keeper->store, request, wish, &taken.lease, keeping->error);
	if (result < 0)
		return result;
	(void)snprintf(taken.id, sizeof taken.id, "%s", gpualloc_lease_id(taken.lease));
	keeper->held[keeper->count++] = taken;
	return 0;
}

/* All or nothing: what was new is given back again. */
static void take_all(struct keeping *keeping)
{
	struct keeper *keeper = keeping->keeper;
	size_t before = keeper->count;

	for (size_t i = 0; keeping->result == 0 && i < keeping->wanted.count; i++) {
		const struct held_unit *unit = &keeping->wanted.list[i];

		if (find(keeper->held, keeper->count, unit->uuid))
			continue;
		keeping->result = take(keeping, unit);
		if (keeping->result < 0)
			(void)ga_error_prefix(keeping->error, keeping->result,
					      "%s cannot be leased: ", unit->uuid);
	}
	while (keeping->result < 0 && keeper->count > before)
		give_back(keeper, keeper->count - 1);
}

static void give_all_back(struct keeping *keeping)
{
	struct keeper *keeper = keeping->keeper;

	for (size_t i = keeper->count; i-- > 0;)
		if (find(keeping->wanted.list, keeping->wanted.count, keeper->held[i].uuid))
			give_back(keeper, i);
}

/* ---- all that pods have ---- */

/* By this the leases of agents are told from those of people. */
static bool is_of_an_agent(const gpualloc_held *held)
{
	return gpualloc_held_uid(held) == (int64_t)geteuid() &&
	       ga_text_same(gpualloc_held_command(held), KEEPER_COMMAND);
}

static bool is_of_this_keeper(const struct keeper *keeper, const char *id)
{
	for (size_t i = 0; id && i < keeper->count; i++)
		if (strcmp(keeper->held[i].id, id) == 0)
			return true;
	return false;
}

/* Whether the agent that gave a lease this note serves what we do. */
static bool note_is_ours(const char *note, const struct settings *settings)
{
	size_t size = strlen(settings->driver);

	if (settings->api == API_DEVICE_PLUGIN)
		return resource_is_ours(note, settings);
	return strncmp(note, settings->driver, size) == 0 && (!note[size] || note[size] == ' ');
}

/* An agent that is about to be replaced, or about to replace us; others are as good as people. */
static bool is_of_a_twin(const struct keeper *keeper, const gpualloc_held *held)
{
	const char *note = gpualloc_held_note(held);

	return is_of_an_agent(held) && note && note_is_ours(note, keeper->settings);
}

/* The unit that another agent of our resource has by this lease; NULL: none, or we have it too. */
static const char *unit_of_agent(const struct keeper *keeper, const gpualloc_held *held)
{
	const char *id = gpualloc_held_id(held);
	const char *uuid =
		gpualloc_held_device_count(held) == 1 ? gpualloc_held_device(held, 0) : NULL;

	if (!is_of_a_twin(keeper, held) || !id || strlen(id) >= LEASE_ID ||
	    is_of_this_keeper(keeper, id) || !uuid || strlen(uuid) >= UNIT_ID ||
	    find(keeper->held, keeper->count, uuid))
		return NULL;
	return uuid;
}

static int share(struct keeper *keeper, const gpualloc_held *held, const char *uuid,
		 gpualloc_error *error)
{
	struct held_unit shared = {.is_mig = ga_text_starts(uuid, "MIG-")};
	int result;

	if (!add_room(keeper))
		return ga_error_memory(error);
	result = gpualloc_lease_adopt(keeper->store, gpualloc_held_id(held), &shared.fd, error);
	if (result < 0)
		return result;
	(void)snprintf(shared.uuid, sizeof shared.uuid, "%s", uuid);
	(void)snprintf(shared.id, sizeof shared.id, "%s", gpualloc_held_id(held));
	keeper->held[keeper->count++] = shared;
	return 0;
}

size_t keeper_inherit(struct keeper *keeper, gpualloc_error *error)
{
	auto_leases gpualloc_leases *leases = NULL;
	size_t missed = 0;

	if (gpualloc_leases_read(keeper->store, &leases, error) < 0)
		return 1;
	for (size_t i = 0; i < gpualloc_leases_held_count(leases); i++) {
		const gpualloc_held *held = gpualloc_leases_held(leases, i);
		const char *uuid = unit_of_agent(keeper, held);

		if (uuid)
			missed += share(keeper, held, uuid, error) < 0;
	}
	return missed;
}

/* What an older agent gave out before the kubelet knew us, and still holds. */
static void share_wanted(struct keeping *keeping)
{
	auto_leases gpualloc_leases *leases = NULL;

	if (gpualloc_leases_read(keeping->keeper->store, &leases, keeping->error) < 0)
		return;
	for (size_t i = 0; i < gpualloc_leases_held_count(leases); i++) {
		const gpualloc_held *held = gpualloc_leases_held(leases, i);
		const char *uuid = unit_of_agent(keeping->keeper, held);

		if (uuid && find(keeping->wanted.list, keeping->wanted.count, uuid))
			(void)share(keeping->keeper, held, uuid, keeping->error);
	}
}

static bool has_all(const struct keeping *keeping)
{
	for (size_t i = 0; i < keeping->wanted.count; i++)
		if (!find(keeping->keeper->held, keeping->keeper->count,
			  keeping->wanted.list[i].uuid))
			return false;
	return true;
}

static void settle(struct keeping *keeping)
{
	struct keeper *keeper = keeping->keeper;

	for (size_t i = keeper->count; keeping->gives_back && i-- > 0;)
		if (!find(keeping->wanted.list, keeping->wanted.count, keeper->held[i].uuid))
			give_back(keeper, i);
	if (!has_all(keeping))
		share_wanted(keeping);
	for (size_t i = 0; keeping->machine >= 0 && i < keeping->wanted.count; i++) {
		const struct held_unit *unit = &keeping->wanted.list[i];

		if (find(keeper->held, keeper->count, unit->uuid) || unit->is_being_leased ||
		    take(keeping, unit) == 0)
			continue;
		ga_buffer_format(&keeping->notes, "%s, which a pod has, cannot be leased: %s",
				 unit->uuid, gpualloc_error_message(keeping->error));
		ga_buffer_char(&keeping->notes, '\0');
	}
}

static void look_at_others(struct keeping *keeping)
{
	auto_leases gpualloc_leases *leases = NULL;

	keeping->result = gpualloc_leases_read(keeping->keeper->store, &leases, keeping->error);
	if (keeping->result < 0)
		return;
	for (size_t i = 0; i < gpualloc_leases_held_count(leases); i++) {
		const gpualloc_held *held = gpualloc_leases_held(leases, i);

		if (is_of_this_keeper(keeping->keeper, gpualloc_held_id(held)) ||
		    is_of_a_twin(keeping->keeper, held))
			continue;
		for (size_t j = 0; j < gpualloc_held_device_count(held); j++) {
			const char *uuid = gpualloc_held_device(held, j);

			if (uuid && !find(keeping->keeper->held, keeping->keeper->count, uuid) &&
			    units_wanted_add(&keeping->taken_by_others, uuid, false) < 0)
				keeping->result = ga_error_memory(keeping->error);
		}
	}
}

void keeping_work(struct job *job)
{
	struct keeping *keeping = (struct keeping *)job;

	if (keeping->is_return) {
		give_all_back(keeping);
	} else if (keeping->is_all) {
		settle(keeping);
		look_at_others(keeping);
	} else {
		take_all(keeping);
	}
}
