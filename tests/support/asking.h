/* SPDX-License-Identifier: Apache-2.0 */
/* Asks policies about machines by places, for tests. If asking goes wrong, the case ends. */
#ifndef ASKING_H
#define ASKING_H

#include "policy.h"

/* Places in a fixed array, filled from text: "0 2 3". */
enum { PLACES_MAX = 128 };
struct places {
	size_t count;
	size_t at[PLACES_MAX];
};
struct places places_of(const char *text);
struct places places_up_to(size_t count);
/* "0 2 3", in their order; valid until the next call. */
const char *places_text(const struct places *places);
void places_sort(struct places *places);

struct asking {
	const gpualloc_machine *machine;
	struct places offered;
	struct places required;
	const struct places *idle; /* NULL: as offered */
	size_t want;
	uint64_t seed;
	uint64_t budget;
};

struct answered {
	int result;
	struct places chosen;
	int64_t value;
	int64_t bound;
	bool proven;
	char message[512];
};
struct answered ask(const struct ga_policy *policy, const struct asking *asking);

gpualloc_machine *machine_built_in(const char *name);
gpualloc_machine *machine_empty(size_t count);
/* Eight A100, bridged in pairs, four to a socket. */
gpualloc_machine *machine_bridged_pairs(void);

/*
 * Eight GeForce GPUs in two sockets, with a switch in each, without peer-to-peer: PIX between the
 * first two of a socket, PXB among its four, SYS across. pairs: bridged by NVLink, 0-1, 2-3, …
 */
gpualloc_machine *machine_geforce(size_t pairs);

/* Random numbers, the same on every machine. */
uint32_t test_random(uint64_t *state, uint32_t below);
/* Links of every kind: nothing regular about them, NVLinks between density of 100 pairs. */
gpualloc_machine *machine_random(uint64_t *state, size_t count, uint32_t density);

#endif
