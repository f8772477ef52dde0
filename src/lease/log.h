/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system's log: a line when a lease is granted and one when it is seen to have ended, the
 * ground for accounting. A datagram of our own, for syslog(3) would change what the caller of the
 * library has set up; who does not take it at once misses it.
 */
#ifndef GA_LEASE_LOG_H
#define GA_LEASE_LOG_H

#include "config.h"
#include "record.h"

/* The socket for what is granted on a machine; NULL: nothing is logged. */
const char *ga_log_socket(const struct ga_config *config, bool is_here);

void ga_log_grant(const char *socket, const struct ga_record *record);
/* Until now; asks the configuration where the log is. */
void ga_log_end(const struct ga_record *record);

/* Removes the record of a lease that has ended, or all of them that are ours to remove, and tells
   the log of those it was told of. */
void ga_log_remove(const struct ga_store *store, uint64_t id);
void ga_log_sweep(const struct ga_store *store);

#endif
