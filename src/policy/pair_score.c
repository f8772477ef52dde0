/* SPDX-License-Identifier: Apache-2.0 */
/* The scores of pairs and sets, which best-effort and the static policies use; see policy.h. */
#include "policy.h"

int64_t ga_pair_score(const gpualloc_machine *machine, size_t a, size_t b)
{
	/* Two instances of one GPU are at least as near as two GPUs on one board. */
	if (a == b)
		return GA_SCORE_A_LEVEL * (int64_t)GPUALLOC_LEVEL_BOARD;

	int64_t level = ga_links_level(&machine->links, a, b);
	int64_t links = ga_links_nvlinks(&machine->links, a, b);

	return GA_SCORE_A_LEVEL * level + (links > 0 ? GA_SCORE_A_LINK * links : 0);
}
