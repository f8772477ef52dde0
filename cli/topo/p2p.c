/* SPDX-License-Identifier: Apache-2.0 */
/* Peer-to-peer in words; see p2p.h. */
#include "p2p.h"

static void look(const gpualloc_machine *machine, size_t i, size_t j, struct p2p_seen *seen)
{
	enum gpualloc_p2p p2p = gpualloc_machine_p2p(machine, i, j);

	seen->ok += p2p == GPUALLOC_P2P_OK;
	seen->no += p2p == GPUALLOC_P2P_NO;
	seen->unknown += p2p == GPUALLOC_P2P_UNKNOWN;
	seen->inferred += gpualloc_machine_p2p_is_inferred(machine, i, j) != 0;
}

struct p2p_seen p2p_of_machine(const gpualloc_machine *machine)
{
	struct p2p_seen seen = {0};

	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++)
		for (size_t j = 0; j < i; j++)
			look(machine, i, j, &seen);
	return seen;
}

/* Past the end for a MIG instance, so that the library knows no pair. */
static size_t place_of(const gpualloc_machine *machine, const gpualloc_device *device)
{
	size_t place = 0, count = gpualloc_machine_device_count(machine);

	while (place < count && gpualloc_machine_device(machine, place) != device)
		place++;
	return place;
}

struct p2p_seen p2p_of_choice(const gpualloc_machine *machine, const gpualloc_choice *choice)
{
	struct p2p_seen seen = {0};

	for (size_t a = 0; a < gpualloc_choice_device_count(choice); a++)
		for (size_t b = 0; b < a; b++)
			look(machine, place_of(machine, gpualloc_choice_device(choice, a)),
			     place_of(machine, gpualloc_choice_device(choice, b)), &seen);
	return seen;
}

bool p2p_sentence(struct ga_buffer *text, const struct p2p_seen *seen)
{
	size_t all = seen->ok + seen->no + seen->unknown;

	if (seen->ok + seen->no == 0)
		return false;
	if (seen->ok == all)
		ga_buffer_text(text, "peer-to-peer between any two");
	else if (seen->no == all)
		ga_buffer_text(text,
			       "no peer-to-peer: data between two of them goes through the host's "
			       "memory");
	else
		ga_buffer_format(text, "peer-to-peer between %zu of %zu pairs", seen->ok, all);
	if (seen->unknown)
		ga_buffer_format(text, ", not known for %zu", seen->unknown);
	if (seen->inferred == all)
		ga_buffer_text(text, " (inferred from the model, not read)");
	else if (seen->inferred)
		ga_buffer_format(text, " (%zu inferred from the model, not read)", seen->inferred);
	return true;
}
