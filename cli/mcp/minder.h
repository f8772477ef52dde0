/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process between the server of `gpualloc mcp` and one job of its. It ends the job, and whatever
 * the job has started, when the server asks for it or has gone, however it went.
 */
#ifndef CLI_MCP_MINDER_H
#define CLI_MCP_MINDER_H

/* The hidden first word. */
#define MINDER_WORD "--mind"

/* What the server says, in one byte; its end of file says the same. */
#define MINDER_END 'e'

/* `gpualloc --mind TETHER_FD WORDS...`: runs `gpualloc WORDS...`. Returns the exit status. */
int minder_main(char *const *words);

#endif
