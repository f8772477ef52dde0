/* SPDX-License-Identifier: Apache-2.0 */
/* Leases beside an error; see error_holders.h. It says nothing itself: it is part of a message. */
#include "error_holders.h"

#include "held_json.h"
#include "owned.h"
#include "stores.h"

void error_holders(struct ga_json *json, const struct call *call)
{
	auto_store gpualloc_store *store = store_quietly(call);
	auto_leases gpualloc_leases *leases = NULL;

	/* Who is busy elsewhere is not in the store here. */
	if (call->value[OPTION_ON] || !store || gpualloc_leases_read(store, &leases, NULL) < 0)
		return;
	ga_json_open(json, "holders", '[');
	for (size_t i = 0; i < gpualloc_leases_held_count(leases); i++) {
		ga_json_open(json, NULL, '{');
		held_json(json, gpualloc_leases_held(leases, i));
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}
