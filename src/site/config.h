/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the administrator says in /etc/gpualloc.conf: devices that nobody or only a group may have,
 * limits, and what does not count as use. It is about the machine it is on: for a machine file or a
 * built-in machine, only a file that GPUALLOC_CONFIG names counts.
 *
 * Nothing is silently ignored: every mistake is collected, with file and line. Code that gives out
 * devices stops there; code that only shows them continues with what could be understood.
 */
#ifndef GA_SITE_CONFIG_H
#define GA_SITE_CONFIG_H

#include "buffer.h"
#include "cleanup.h"
#include "machine.h"

#define GA_CONFIG_DEFAULT "/etc/gpualloc.conf"

/* A rule for one device, or for several that one ID names: nobody may have it, or only a group. */
struct ga_rule {
	unsigned line;
	char *id;
	char *reason;    /* of an exclusion */
	char *group;     /* NULL: an exclusion */
	bool is_for_us;  /* this process is in the group */
	bool names_none; /* matches no device of the machine */
};

/* Who opens devices behind the administrator's fence without a lease. */
struct ga_exempt {
	enum gpualloc_exempt kind;
	char *name; /* of a control group: its path below /sys/fs/cgroup, with a leading slash */
	int64_t id; /* of a user or a group; else GA_UNKNOWN */
};

struct ga_config {
	char *path; /* NULL: there is no file */
	struct ga_rule *rules;
	size_t rule_count;
	char **processes; /* names of those that do not count as use */
	size_t process_count;
	char *allow_list; /* the file; NULL: everything may be leased */
	char **allowed;   /* UUIDs, and nothing else */
	size_t allowed_count;
	int64_t max_devices; /* these seven are GA_UNKNOWN if not set */
	int64_t max_hold_ms;
	int64_t agent_max_devices; /* of all agents of a user together */
	int64_t agent_max_hold_ms;
	int64_t keep_ms;
	int64_t idle_memory;
	int64_t idle_warn_ms;
	char *idle_notify; /* the program that is told of idle leases; NULL: none */
	bool fences_jobs;  /* as if every run had --fence */
	struct ga_exempt *exempt;
	size_t exempt_count;
	bool fences_displays; /* the administrator's fence is around GPUs with a display too */
	char *log;            /* the socket to which leases are logged; NULL: none */
	struct ga_buffer mistakes;
	size_t mistake_count;
};

void ga_config_free(struct ga_config *config);
#define ga_auto_config ga_cleanup(ga_config_free)

/* The file that applies; NULL for another machine if the environment names no file. */
const char *ga_config_path(bool is_here);
/* Reads path (NULL: none); a missing file is like an empty one. Fails only when out of memory. */
int ga_config_read(const char *path, struct ga_config *ret_config, gpualloc_error *error);
/* Records on the devices what the configuration says about them. Fails only when out of memory. */
int ga_config_apply(struct ga_config *config, gpualloc_machine *machine, gpualloc_error *error);
/* GPUALLOC_EIMPOSSIBLE if there are mistakes, each on a line of its own. */
int ga_config_check(const struct ga_config *config, gpualloc_error *error);
/* All three, for a machine that was opened; *ret_config is filled in even on failure. */
int ga_config_settle(gpualloc_machine *machine, struct ga_config *ret_config,
		     gpualloc_error *error);

/* The value of fence-exempt, which it may change. 0 or GPUALLOC_ENOMEM. */
int ga_config_read_exempt(struct ga_config *config, unsigned line, char *value);

/* Adds "FILE:LINE: " and what is wrong there; line 0: the file itself. */
void ga_config_mistake(struct ga_config *config, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
