/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `gpualloc --agent FD ends|stays COMMAND...`: what the server of `gpualloc mcp` starts for its
 * client. FD is one end of a socket, the tether. Once the other end is closed nobody waits any
 * more, and a hold that ends with its session is over. What is got is told through it.
 */
#ifndef CLI_AGENT_H
#define CLI_AGENT_H

#include "buffer.h"
#include "json_writer.h"

#include <gpualloc/gpualloc.h>

/* The hidden first word, and what its second word may be. */
#define AGENT_WORD "--agent"
#define AGENT_ENDS "ends"
#define AGENT_STAYS "stays"

/* What stands after AGENT_WORD; false if it makes no sense. */
bool agent_begin(char *const *words);

/* The tether, close-on-exec; -1: nobody's agent. */
int agent_tether(void);
/* The tether has another number now, in this process. */
void agent_tether_moved(int fd);
/* The one that a hold needs, which ends with the session; -1: it stays, or it is nobody's. */
int agent_tether_of_hold(void);

/* A lease that was got, as members of an object that is open. */
void agent_lease_json(struct ga_json *json, const gpualloc_lease *lease);
/* Tells the session of a job's lease, before the command starts. */
void agent_tell_lease(const gpualloc_lease *lease);
/* The same for a lease that was there already. */
void agent_tell_joined(const char *id);

#endif
