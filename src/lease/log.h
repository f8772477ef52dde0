/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system's log: one line when a lease is granted and one when its end is noticed, for
 * accounting. We send the datagram ourselves, because syslog(3) would change what the library's
 * caller has set up. A log that does not take a line at once loses it.
 */
#ifndef GA_LEASE_LOG_H
#define GA_LEASE_LOG_H

#include "config.h"
#include "record.h"

/* The socket for grants on this machine; NULL: nothing is logged. */
const char *ga_log_socket(const struct ga_config *config, bool is_here);

void ga_log_grant(const char *socket, const struct ga_record *record);
/* Logs that a lease has ended, now; the configuration says where the log is. */
void ga_log_end(const struct ga_record *record);

/*
 * Removes the record of a lease that has ended, or all such records that are ours to remove, and
 * logs the end of every lease whose start was logged.
 */
void ga_log_remove(const struct ga_store *store, uint64_t id);
void ga_log_sweep(const struct ga_store *store);

#endif
