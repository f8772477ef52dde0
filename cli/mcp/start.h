/* SPDX-License-Identifier: Apache-2.0 */
/* Starting gpualloc itself for a session: never a shell, and nothing inherited but what is named.
 */
#ifndef CLI_MCP_START_H
#define CLI_MCP_START_H

#include "mcp/session.h"

#include <signal.h>

struct starter {
	const char *agent;    /* who its leases are said to be for */
	const sigset_t *mask; /* the signals that children block */
};

/* False if no process can be started. */
bool start_process(const struct starter *starter, struct process *process,
		   const struct words *words, bool has_tether, bool stays);
bool start_minder(const struct starter *starter, struct job *job, const struct words *words,
		  const char *folder);

#endif
