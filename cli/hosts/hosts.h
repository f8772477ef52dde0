/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which hosts --on means. The hosts file has a host a line: the name that ssh knows it by, the
 * groups it belongs to, and options. Names go to ssh as they are, so none begins with '-'.
 */
#ifndef CLI_HOSTS_HOSTS_H
#define CLI_HOSTS_HOSTS_H

#include "command.h"

struct host {
	char *name;
	char *program; /* gpualloc there: a word that every shell leaves alone */
	char **groups;
	size_t group_count;
	size_t line;   /* of the hosts file; 0: it is not in it */
	size_t number; /* among those that were named, from 0 */
};

struct hosts {
	struct host *list;
	size_t count;
};

void hosts_free(struct hosts *hosts);
#define auto_hosts ga_cleanup(hosts_free)

/* The whole file; none at all is no mistake. *ret_path is its name, for free(). Returns 0, or after
 * a message the exit status. */
int hosts_read(struct hosts *ret_hosts, char **ret_path);

/* Those that the value of --on names, each once, in that order. Returns as above. */
int hosts_named(const struct call *call, struct hosts *ret_hosts);

#endif
