/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scheduler may want to know of a node before it picks one: how many GPUs are free, and how
 * many of these are well connected. Kept at the node's object, as labels or as an annotation, when
 * it changes and not too often.
 */
#ifndef FACTS_FACTS_H
#define FACTS_FACTS_H

#include "agent.h"

#include <jansson.h>

/*
 * {"free": 5, "largest-linked": 4, "largest-pcie-switch": 2, "free-numa-0": 2, …}: of whole GPUs.
 * NULL: out of memory.
 */
json_t *facts_count(struct inventory *inventory, const struct settings *settings, int64_t now);

/* The device plugin, with facts beside it. */
extern const struct agent_front facts_front;

#endif
