/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The constants of predicted bandwidth. Only their order and ratio matter: they decide between sets
 * and promise nothing to a program.
 *
 * NVLink, for each link one way: what NCCL assumes (graph/topo.h), about 4/5 of the nominal rate.
 * Measured: 18.4 GB/s on one link between two P100 (Tartan), 208 of 240 on the 12 of two bridged
 * A100.
 *
 * PCIe: a Gen3 x16 slot carries 12 GB/s (NCCL again; 11.9 to 12.4 measured). Through the host
 * bridge it is 5/6 of that, as Intel's peer-to-peer writes are; across the sockets 6, as QPI
 * measures (5.6 where NCCL's ring had to cross it on a DGX-1). PXB and NODE lie between their
 * neighbours: their uplink is shared with others. Newer generations are faster throughout, in
 * about the same ratio, and a machine has one generation.
 *
 * Without peer-to-peer: all-reduce on eight RTX 4090 (PCIe Gen4; arXiv 2506.15595). One GPU below
 * each switch 10.9 GB/s; two, three and four 7.6, 5.5 and 4.2 each, so 15.2, 16.5 and 16.8
 * together, of which 16 is the round mean. Across the sockets it is no less than 10.9. Nobody has
 * measured what a socket carries besides its switches. Two switches' worth keeps sets apart if GPUs
 * are on the root complex, and changes nothing if one switch has them all.
 */
#include "rates.h"

#include <ctype.h>
#include <string.h>

enum {
	RATE_PASCAL = 18000,
	RATE_VOLTA = 20000,
	RATE_AMPERE = 20000,
	RATE_AMPERE_SMALL = 12000, /* compute capability 8.6: narrower links of the same version */
	RATE_HOPPER = 20600,
	RATE_BLACKWELL = 40100,
	RATE_SLOWEST = RATE_AMPERE_SMALL,
};

static const struct {
	const char *model;
	int32_t rate;
} models[] = {
	{"P100", RATE_PASCAL},
	{"GP100", RATE_PASCAL},
	{"V100", RATE_VOLTA},
	{"V100S", RATE_VOLTA},
	{"GV100", RATE_VOLTA},
	{"TITAN RTX", RATE_VOLTA},
	{"TITAN V", RATE_VOLTA},
	{"RTX 2070", RATE_VOLTA},
	{"RTX 2080", RATE_VOLTA},
	{"Quadro RTX", RATE_VOLTA},
	{"A100", RATE_AMPERE},
	{"A100X", RATE_AMPERE},
	{"A800", RATE_AMPERE},
	{"A30", RATE_AMPERE},
	{"A30X", RATE_AMPERE},
	{"A10", RATE_AMPERE_SMALL},
	{"A16", RATE_AMPERE_SMALL},
	{"A40", RATE_AMPERE_SMALL},
	{"A4500", RATE_AMPERE_SMALL},
	{"A5000", RATE_AMPERE_SMALL},
	{"A5500", RATE_AMPERE_SMALL},
	{"A6000", RATE_AMPERE_SMALL},
	{"RTX 3090", RATE_AMPERE_SMALL},
	{"H20", RATE_HOPPER},
	{"H100", RATE_HOPPER},
	{"H200", RATE_HOPPER},
	{"H800", RATE_HOPPER},
	{"GH200", RATE_HOPPER},
	{"B100", RATE_BLACKWELL},
	{"B200", RATE_BLACKWELL},
	{"B300", RATE_BLACKWELL},
	{"GB200", RATE_BLACKWELL},
	{"GB300", RATE_BLACKWELL},
};
enum { MODEL_COUNT = sizeof models / sizeof *models };

/* As a separate word: "A10" does not match "A100", nor "V100" "GV100". */
static bool names_model(const char *name, const char *model)
{
	size_t size = strlen(model);

	for (const char *at = strstr(name, model); at; at = strstr(at + 1, model))
		if ((at == name || !isalnum((unsigned char)at[-1])) &&
		    !isalnum((unsigned char)at[size]))
			return true;
	return false;
}

static int32_t rate_by_name(const char *name, int32_t otherwise)
{
	for (size_t i = 0; name && i < MODEL_COUNT; i++)
		if (names_model(name, models[i].model))
			return models[i].rate;
	return otherwise;
}

int32_t ga_rate_nvlink(const struct gpualloc_device *device)
{
	static const int32_t generations[] = {0, RATE_PASCAL, RATE_VOLTA, 0, RATE_HOPPER};
	enum { KNOWN = sizeof generations / sizeof *generations };

	if (device->nvlink_version == 3) /* two widths, which only the name tells apart */
		return rate_by_name(device->name, RATE_AMPERE) == RATE_AMPERE_SMALL
			       ? RATE_AMPERE_SMALL
			       : RATE_AMPERE;
	if (device->nvlink_version >= KNOWN)
		return RATE_BLACKWELL;
	if (device->nvlink_version >= 1)
		return generations[device->nvlink_version];
	return rate_by_name(device->name, RATE_SLOWEST);
}

int32_t ga_rate_pcie(enum gpualloc_level level)
{
	switch (level) {
	case GPUALLOC_LEVEL_SELF:
	case GPUALLOC_LEVEL_BOARD:
	case GPUALLOC_LEVEL_PIX: return GA_RATE_PCIE_MAX;
	case GPUALLOC_LEVEL_PXB: return 11000;
	case GPUALLOC_LEVEL_PHB: return 10000;
	case GPUALLOC_LEVEL_NODE: return 9000;
	case GPUALLOC_LEVEL_SYS:
	case GPUALLOC_LEVEL_UNKNOWN: break;
	}
	return 6000;
}
