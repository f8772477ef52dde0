/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to say of peer-to-peer between the GPUs of a set. */
#ifndef CLI_P2P_H
#define CLI_P2P_H

#include "buffer.h"

#include <gpualloc/gpualloc.h>

struct p2p_seen {
	size_t ok, no, unknown; /* pairs */
	size_t inferred;        /* of them, concluded from the models */
};

/* Of all GPUs of the machine, and of those that were chosen; MIG instances have no pairs. */
struct p2p_seen p2p_of_machine(const gpualloc_machine *machine);
struct p2p_seen p2p_of_choice(const gpualloc_machine *machine, const gpualloc_choice *choice);

/*
 * "peer-to-peer between no two of them, as their models tell": nothing where nothing is known.
 * Whether something was added.
 */
bool p2p_sentence(struct ga_buffer *text, const struct p2p_seen *seen);

#endif
