/* SPDX-License-Identifier: Apache-2.0 */
/* Leases by their names; see lease_find.h. */
#include "lease_find.h"

#include "buffer.h"
#include "message.h"
#include "owned.h"
#include "stores.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void lease_stores_free(struct lease_stores *stores)
{
	for (size_t i = 0; i < stores->count; i++)
		gpualloc_store_free(stores->list[i]);
	stores->count = 0;
}

static void add_store(const struct call *call, struct lease_stores *stores, gpualloc_store *store,
		      int result, const gpualloc_error *error)
{
	if (result == 0 && store)
		stores->list[stores->count++] = store;
	else if (result < 0 && !call->value[OPTION_QUIET])
		say("note: %s", gpualloc_error_message(error));
}

int lease_stores_open(const struct call *call, struct lease_stores *ret_stores)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	struct lease_stores stores = {0};
	gpualloc_store *store = NULL;
	int result;

	if (!store_is_absent(gpualloc_store_default())) {
		result = gpualloc_store_open(NULL, 0, &store, error);
		add_store(call, &stores, store, result, error);
	}
	store = NULL;
	result = gpualloc_store_open_own(&store, error);
	add_store(call, &stores, store, result, error);
	*ret_stores = stores;
	return 0;
}

/* ---- one of them ---- */

struct search {
	const char *word;
	size_t own, others; /* how many of these begin that way */
	bool is_exact;
	struct lease_found found; /* the last of the user's own, else the last of others */
	struct ga_buffer names;
};

static bool is_own(const gpualloc_held *held)
{
	int64_t user = gpualloc_held_uid(held);

	return user < 0 || user == (int64_t)geteuid();
}

static void consider(struct search *search, gpualloc_store *store, const gpualloc_held *held)
{
	const char *id = gpualloc_held_id(held), *user = gpualloc_held_user(held);
	struct lease_found *found = &search->found;
	bool counts;

	if (!id || search->is_exact || strncmp(id, search->word, strlen(search->word)) != 0)
		return;
	counts = is_own(held) || geteuid() == 0;
	search->is_exact = strcmp(id, search->word) == 0;
	if (!counts && search->own > 0 && !search->is_exact)
		return;
	*(counts ? &search->own : &search->others) += 1;
	ga_buffer_format(&search->names, "%s%s", search->names.size ? ", " : "", id);
	*found = (struct lease_found){.store = store, .is_own = is_own(held)};
	(void)snprintf(found->id, sizeof found->id, "%s", id);
	(void)snprintf(found->user, sizeof found->user, "%s", user ? user : "");
	if (search->is_exact) {
		search->own = counts;
		search->others = !counts;
	}
}

static int look_through(struct search *search, gpualloc_store *store)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_cleanup(free_leases) gpualloc_leases *leases = NULL;
	int result = gpualloc_leases_read(store, &leases, error);

	if (result < 0)
		return fail_error(result, error);
	for (size_t i = 0; i < gpualloc_leases_held_count(leases); i++)
		consider(search, store, gpualloc_leases_held(leases, i));
	return 0;
}

static int judge(const struct call *call, const struct search *search)
{
	if (search->own == 1)
		return 0;
	if (search->own > 1)
		return fail_usage(call->command, "several leases begin with \"%s\": %s",
				  search->word, search->names.failed ? "" : search->names.data);
	if (search->others == 1)
		return fail(gpualloc_exit_status(GPUALLOC_EPERM),
			    "%s is not your lease: it belongs to %s", search->found.id,
			    search->found.user);
	return fail(gpualloc_exit_status(GPUALLOC_EPERM),
		    "you have no lease \"%s\"; `gpualloc leases` lists the leases", search->word);
}

int lease_find(const struct call *call, const struct lease_stores *stores, const char *word,
	       struct lease_found *ret_found)
{
	struct search search = {.word = word, .names = GA_BUFFER_INIT(1 << 12)};
	int result = 0;

	for (size_t i = 0; *word && result == 0 && i < stores->count; i++)
		result = look_through(&search, stores->list[i]);
	if (result == 0)
		result = judge(call, &search);
	if (result == 0)
		*ret_found = search.found;
	ga_buffer_free(&search.names);
	return result;
}
