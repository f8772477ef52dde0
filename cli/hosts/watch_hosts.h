/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list --watch on several hosts: the painter is the same, and its asker asks the hosts, over one
 * connection each that stays as long as the screen.
 */
#ifndef CLI_HOSTS_WATCH_HOSTS_H
#define CLI_HOSTS_WATCH_HOSTS_H

#include "hosts/hosts.h"

/* The whole of it; ends the connections. Returns the exit status. */
int watch_hosts(const struct call *call, const struct hosts *hosts);

/* The asker; see watch_ask(). */
_Noreturn void watch_ask_hosts(const struct call *call, int from, int to);

#endif
