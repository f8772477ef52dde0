/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ledger and the records say together, noted on a machine's devices and as a list. The
 * ledger alone says whether something is held; the records say who holds it.
 */
#ifndef GA_LEASE_LEASES_H
#define GA_LEASE_LEASES_H

#include "nest.h"
#include "queue.h"

struct gpualloc_leases {
	struct gpualloc_held *list;
	size_t count;
	struct gpualloc_waiter *waiting;
	size_t waiting_count;
};

/* What a record or a ticket says, as others may see it. Both write to one that is empty. */
int ga_held_of_record(const struct ga_record *record, struct gpualloc_held *held);
int ga_waiter_of_ticket(const struct ga_ticket *ticket, struct gpualloc_waiter *waiter);

int ga_leases_read(const struct ga_store *store, gpualloc_leases **ret_leases,
		   gpualloc_error *error);
void ga_leases_free(gpualloc_leases *leases);

/*
 * Notes on every device whether it is leased, and by whom. Inside a lease (nest has rooms), that
 * lease and those around it do not count, and devices outside it are barred; to_lease also bars
 * devices without a UUID.
 */
int ga_leases_note(const struct ga_store *store, gpualloc_machine *machine,
		   const struct ga_nest *nest, bool to_lease, gpualloc_error *error);

/* Where a lease may have a device; false if there is no place for it (no UUID). */
bool ga_leases_room(const gpualloc_device *device, const struct ga_nest *nest, bool share,
		    struct ga_room *ret_room);

#endif
