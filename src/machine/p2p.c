/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pairs have peer-to-peer and which do not, if it was not read: inferred from the models, and
 * only where that is certain. Values that were read are never changed.
 */
#include "p2p.h"

#include "cleanup.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/*
 * Parts of model names, and where it was seen that the driver refuses peer-to-peer:
 *   RTX 20  NVIDIA/nccl-tests#117: p2pBandwidthLatencyTest on eight RTX 2080 Ti, no pair
 *   RTX 30  NVIDIA/nccl#1127: the same on eight RTX 3090
 *   RTX 40  NVIDIA/nccl-tests#307, tinygrad/open-gpu-kernel-modules#17: eight RTX 4090
 *   RTX 50  tinygrad/open-gpu-kernel-modules#29, NVIDIA/nccl#1637: RTX 5090
 * Models that can have an NVLink bridge have peer-to-peer across it (Puget Systems, labs article
 * 1253, RTX 2080 Ti). A driver that was modified to allow more is read, not inferred.
 */
static const struct {
	const char *words;
	bool bridged;
} without[] = {
	{"GeForce RTX 20", true},
	{"GeForce RTX 30", true},
	{"GeForce RTX 40", false},
	{"GeForce RTX 50", false},
};

enum kind { MAY_HAVE, ACROSS_BRIDGES, NEVER };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "GeForce RTX 20" followed by exactly two digits; not "GeForce RTX 200". */
static bool has_words(const char *name, const char *words)
{
	const char *found = name ? strstr(name, words) : NULL;

	return found && is_digit(found[strlen(words)]) && is_digit(found[strlen(words) + 1]) &&
	       !is_digit(found[strlen(words) + 2]);
}

static enum kind kind_of(const struct gpualloc_device *device)
{
	for (size_t i = 0; i < sizeof without / sizeof *without; i++)
		if (has_words(device->name, without[i].words))
			return without[i].bridged ? ACROSS_BRIDGES : NEVER;
	return MAY_HAVE;
}

int ga_p2p_infer(gpualloc_machine *machine)
{
	struct ga_links *links = &machine->links;
	ga_auto_free uint8_t *kinds = calloc(links->count + 1, sizeof *kinds);

	if (!kinds)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < links->count; i++)
		kinds[i] = (uint8_t)kind_of(&machine->devices[i]);
	for (size_t i = 0; i < links->count; i++)
		for (size_t j = 0; j < i; j++) {
			uint8_t worse = kinds[i] > kinds[j] ? kinds[i] : kinds[j];
			int bridges = ga_links_nvlinks(links, i, j);

			if (worse == NEVER || (worse == ACROSS_BRIDGES && bridges == 0))
				ga_links_infer_p2p(links, i, j, GPUALLOC_P2P_NO);
			else if (worse == ACROSS_BRIDGES && bridges > 0)
				ga_links_infer_p2p(links, i, j, GPUALLOC_P2P_OK);
		}
	return 0;
}
