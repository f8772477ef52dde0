/* SPDX-License-Identifier: Apache-2.0 */
/* What each of several hosts could give for a request now, and which is best. */
#ifndef CLI_HOSTS_OFFERS_H
#define CLI_HOSTS_OFFERS_H

#include "hosts/ask.h"

enum { STATUS_BUSY_THERE = 75 };

struct offer {
	const struct host *host;
	char *ids;               /* what pick would print; NULL: none */
	int64_t bandwidth, left; /* predicted, and free devices for others; -1: not known */
	size_t place;            /* in which it was named */
	int status;              /* as pick's */
};

/*
 * Asks all of them with the options of choice that the call has. The offers, one a host, are in
 * order of worth: what fits now, by bandwidth, then by what is left for others, then as named. Says
 * why a host has none, except that it is busy if the call waits. Returns 0, or after a message the
 * exit status.
 */
int offers_find(const struct call *call, const struct hosts *hosts, struct offer *ret_offers);
void offers_free(struct offer *offers, size_t count);

/* 0, or why none of them can: their status if they agree; busy if any is, for that one may be free
 * some day. */
int offers_status(const struct offer *offers, size_t count);

#endif
