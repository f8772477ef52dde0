/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to say about peer-to-peer between the GPUs of a set. */
#ifndef CLI_P2P_H
#define CLI_P2P_H

#include "buffer.h"

#include <gpualloc/gpualloc.h>

struct p2p_seen {
	size_t ok, no, unknown; /* pairs */
	size_t inferred;        /* how many of them are inferred from the models */
};

/* Of all GPUs of the machine, and of those that were chosen; MIG instances have no pairs. */
struct p2p_seen p2p_of_machine(const gpualloc_machine *machine);
struct p2p_seen p2p_of_choice(const gpualloc_machine *machine, const gpualloc_choice *choice);

/*
 * "peer-to-peer between any two"; adds nothing if nothing is known. Returns whether it added
 * something.
 */
bool p2p_sentence(struct ga_buffer *text, const struct p2p_seen *seen);

#endif
