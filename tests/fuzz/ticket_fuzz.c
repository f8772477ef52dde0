/* SPDX-License-Identifier: Apache-2.0 */
/* A ticket that somebody left in queue/, and waits: what it keeps, and what is said of it. */
#include "fuzz.h"
#include "fuzz_store.h"
#include "keep.h"
#include "queue.h"

#include <string.h>
#include <unistd.h>

enum { NUMBER = 7, COUNT_MOST = 4096, PLACES_MOST = 256, PLACES_TRIED = 4 };

static struct fuzz_store *store_with_waiter(gpualloc_machine *machine)
{
	static bool is_waiting;
	struct fuzz_store *at = fuzz_store();

	if (!is_waiting)
		fuzz_require(ga_ledger_lock(at->ledger, ga_ledger_ticket(NUMBER), NULL) == 0 &&
				     ga_ledger_lock(at->ledger,
						    ga_ledger_device(&machine->devices[0], 0),
						    NULL) == 0,
			     "it can be locked");
	is_waiting = true;
	return at;
}

static void check_ticket(const struct ga_store *store, const struct ga_ticket *ticket)
{
	fuzz_require(ticket->number == NUMBER && ticket->uid == geteuid() && ticket->user,
		     "whose it is the file's owner says");
	fuzz_require(ticket->count >= 1 && ticket->count <= COUNT_MOST, "so many are wanted");
	fuzz_require(ticket->mebibytes >= 0 && ticket->mebibytes <= INT64_C(1) << 32, "so much");
	fuzz_require(ticket->place_count <= PLACES_MOST, "so many places are looked at");
	fuzz_require_clean(ticket->request);
	for (size_t i = 0; i < ticket->place_count; i++) {
		struct ga_range place = ticket->places[i];

		fuzz_require(place.start >= 0 && place.start >> 62 == 0 && place.length > 0 &&
				     place.length >> 32 == 0,
			     "a place lies on the ledger");
		if (i < PLACES_TRIED)
			fuzz_require(ga_ticket_fits(store, ticket, i) >= -1, "it fits or not");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ga_auto_machine gpualloc_machine *machine = fuzz_machine();
	struct ga_store *store = &store_with_waiter(machine)->store;
	ga_auto_tickets struct ga_tickets tickets = {0};
	const struct ga_nest nowhere = {0};
	gpualloc_leases *leases = NULL;
	gpualloc_error error = {0};

	fuzz_put(store->queue, "7", data, size);
	fuzz_require(ga_queue_read(store, 0, true, &tickets, &error) == 0, "the queue can be read");
	fuzz_require(tickets.count <= 1, "one file is one ticket");
	if (tickets.count == 1)
		check_ticket(store, &tickets.list[0]);
	fuzz_require(ga_leases_read(store, &leases, &error) == 0, "the list can be read");
	fuzz_require(ga_leases_note(store, machine, &nowhere, true, &error) == 0, "and noted");
	fuzz_require(ga_leases_add_keeps(leases, store, machine, &error) == 0, "and what is kept");
	ga_leases_free(leases);
	return 0;
}
