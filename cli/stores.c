/* SPDX-License-Identifier: Apache-2.0 */
/* Which store; see stores.h. */
#include "stores.h"

#include "fence_probe.h"
#include "message.h"
#include "owned.h"
#include "owner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool is_real_machine(const struct call *call)
{
	return gpualloc_spec_is_live(call->value[OPTION_MACHINE]);
}

bool store_is_absent(const char *path)
{
	return access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

bool store_is_for_everybody(void)
{
	const char *named = getenv("GPUALLOC_STATE_DIR");

	return !named || !*named;
}

/* The environment names a store, or the one for everybody has been set up. */
static bool has_default(void)
{
	return !store_is_for_everybody() || !store_is_absent(gpualloc_store_default());
}

static bool wants_own(const struct call *call)
{
	return call->value[OPTION_PRIVATE] || (!is_real_machine(call) && !has_default());
}

/* On a machine without a GPU a store does not help. */
static int no_store(const struct call *call, const gpualloc_error *store_error, int status)
{
	auto_machine gpualloc_machine *machine = NULL;
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = 0;

	if (!has_default())
		result = gpualloc_machine_open(call->value[OPTION_MACHINE], call->deadline_ms,
					       &machine, error);
	return result < 0 ? fail_error(result, error) : fail_error(status, store_error);
}

/*
 * Two stores know nothing of each other. If everybody's store can be used, a lease in another would
 * be a double grant. If it exists but cannot be used, the user is at least told.
 */
static int check_shared(const struct call *call)
{
	const char *shared = gpualloc_store_default();

	if (store_is_absent(shared))
		return 0;
	if (gpualloc_store_check(NULL, NULL) == 0)
		return fail(gpualloc_exit_status(GPUALLOC_EPERM),
			    "this machine has a store for everybody, %s: people who lease there "
			    "could get the same devices as your --private lease; leave out "
			    "--private",
			    shared);
	if (!call->value[OPTION_QUIET])
		say("note: there is a store for everybody, %s, but you cannot use it: people who "
		    "lease there may get the same devices",
		    shared);
	return 0;
}

/* Root is never refused. Whether somebody is exempt, only root can know. */
void store_warn_of_fence(const struct call *call, const char *store)
{
	static const char asked[] = "/run/gpualloc";

	if (call->value[OPTION_QUIET] || !is_real_machine(call) || ga_is_root_outside() ||
	    (store && strcmp(store, asked) == 0) || !fence_probe_is_set())
		return;
	say("note: a fence stands around this machine's GPUs and asks the leases in %s: without "
	    "one there, only who is exempt can open a GPU",
	    asked);
}

int store_to_lease(const struct call *call, gpualloc_store **ret_store)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	bool own = wants_own(call);
	int result = own && is_real_machine(call) ? check_shared(call) : 0;

	if (result)
		return result;
	result = gpualloc_store_open(NULL, own, ret_store, error);
	if (result < 0)
		return no_store(call, error, result);
	if (own && is_real_machine(call) && !call->value[OPTION_QUIET])
		say("note: this lease is in your own store, %s; others do not see it",
		    gpualloc_store_path(*ret_store));
	store_warn_of_fence(call, gpualloc_store_path(*ret_store));
	return 0;
}

/* Where everybody leases in a store of their own, each sees their own leases. */
static int open_to_look(const struct call *call, gpualloc_store **ret_store, gpualloc_error *error)
{
	bool own = wants_own(call);

	*ret_store = NULL;
	if (!own && !has_default())
		return gpualloc_store_open_own(ret_store, error);
	if (own || !store_is_absent(gpualloc_store_default()))
		return gpualloc_store_open(NULL, own, ret_store, error);
	return 0;
}

gpualloc_store *store_quietly(const struct call *call)
{
	gpualloc_store *store = NULL;

	(void)open_to_look(call, &store, NULL);
	return store;
}

int store_to_look(const struct call *call, enum store_use use, gpualloc_store **ret_store)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	bool own = wants_own(call);
	int result;

	*ret_store = NULL;
	/* Where everybody leases in a store of their own, each sees their own leases. */
	if (!own && !has_default())
		result = gpualloc_store_open_own(ret_store, error);
	else if (own || !store_is_absent(gpualloc_store_default()))
		result = gpualloc_store_open(NULL, own, ret_store, error);
	else
		return 0;
	if (result < 0 && (use == STORE_FOR_LEASES || result == GPUALLOC_ENOMEM))
		return fail_error(result, error);
	if (result < 0 && !wants_own(call) && !call->value[OPTION_QUIET])
		say("note: leases are not shown: %s", gpualloc_error_message(error));
	return 0;
}

int add_leases(const struct call *call, gpualloc_machine *machine)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_store gpualloc_store *store = NULL;
	int result = store_to_look(call, STORE_FOR_DEVICES, &store);

	if (result || !store)
		return result;
	result = gpualloc_machine_add_leases(machine, store, error);
	return result < 0 ? fail_error(result, error) : 0;
}

static void say_lines(const char *lines)
{
	for (size_t length; *lines; lines += length + (lines[length] == '\n')) {
		length = strcspn(lines, "\n");
		say("note: %.*s", (int)length, lines);
	}
}

int add_config(const struct call *call, gpualloc_machine *machine, bool only_notes)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	size_t before = 0;
	const char *note;
	int result;

	while (gpualloc_machine_note(machine, before))
		before++;
	result = gpualloc_machine_add_config(machine, error);
	for (size_t i = before; (note = gpualloc_machine_note(machine, i)); i++)
		if (!call->value[OPTION_QUIET])
			say("note: %s", note);
	if (result != GPUALLOC_EIMPOSSIBLE || !only_notes)
		return result < 0 ? fail_error(result, error) : 0;
	if (!call->value[OPTION_QUIET])
		say_lines(gpualloc_error_message(error));
	return 0;
}
