/* SPDX-License-Identifier: Apache-2.0 */
/* The link matrix, symmetric by construction; see links.h. */
#include "links.h"

#include "text.h"

#include <stdlib.h>

static const char *const level_names[] = {
	[GPUALLOC_LEVEL_UNKNOWN] = "?",   [GPUALLOC_LEVEL_SYS] = "SYS",
	[GPUALLOC_LEVEL_NODE] = "NODE",   [GPUALLOC_LEVEL_PHB] = "PHB",
	[GPUALLOC_LEVEL_PXB] = "PXB",     [GPUALLOC_LEVEL_PIX] = "PIX",
	[GPUALLOC_LEVEL_BOARD] = "BOARD", [GPUALLOC_LEVEL_SELF] = "X",
};

bool ga_links_init(struct ga_links *links, size_t count)
{
	*links = (struct ga_links){.count = count};
	if (count == 0)
		return true;
	links->levels = calloc(count, count * sizeof *links->levels);
	links->nvlinks = calloc(count, count * sizeof *links->nvlinks);
	links->inferred = calloc(count, count * sizeof *links->inferred);
	links->p2p = calloc(count, count * sizeof *links->p2p);
	links->p2p_inferred = calloc(count, count * sizeof *links->p2p_inferred);
	if (!links->levels || !links->nvlinks || !links->inferred || !links->p2p ||
	    !links->p2p_inferred) {
		ga_links_free(links);
		return false;
	}
	for (size_t i = 0; i < count; i++)
		links->levels[i * count + i] = GPUALLOC_LEVEL_SELF;
	return true;
}

void ga_links_free(struct ga_links *links)
{
	free(links->levels);
	free(links->nvlinks);
	free(links->inferred);
	free(links->p2p);
	free(links->p2p_inferred);
	*links = (struct ga_links){0};
}

void ga_links_set_level(struct ga_links *links, size_t i, size_t j, enum gpualloc_level level)
{
	links->levels[i * links->count + j] = (uint8_t)level;
	links->levels[j * links->count + i] = (uint8_t)level;
}

void ga_links_set_nvlinks(struct ga_links *links, size_t i, size_t j, int nvlinks)
{
	links->nvlinks[i * links->count + j] = (int16_t)nvlinks;
	links->nvlinks[j * links->count + i] = (int16_t)nvlinks;
}

void ga_links_set_inferred(struct ga_links *links, size_t i, size_t j, bool inferred)
{
	links->inferred[i * links->count + j] = inferred;
	links->inferred[j * links->count + i] = inferred;
}

void ga_links_set_p2p(struct ga_links *links, size_t i, size_t j, enum gpualloc_p2p p2p)
{
	links->p2p[i * links->count + j] = (uint8_t)p2p;
	links->p2p[j * links->count + i] = (uint8_t)p2p;
}

void ga_links_infer_p2p(struct ga_links *links, size_t i, size_t j, enum gpualloc_p2p p2p)
{
	links->p2p_inferred[i * links->count + j] = (uint8_t)p2p;
	links->p2p_inferred[j * links->count + i] = (uint8_t)p2p;
}

const char *ga_p2p_name(enum gpualloc_p2p p2p)
{
	return p2p == GPUALLOC_P2P_OK ? "ok" : p2p == GPUALLOC_P2P_NO ? "no" : NULL;
}

const char *ga_level_name(enum gpualloc_level level)
{
	return (size_t)level < sizeof level_names / sizeof *level_names ? level_names[level] : "?";
}

bool ga_level_find(const char *text, size_t size, enum gpualloc_level *ret_level)
{
	if (ga_text_equal(text, size, "SOC")) {
		*ret_level = GPUALLOC_LEVEL_SYS;
		return true;
	}
	for (int level = GPUALLOC_LEVEL_SYS; level <= GPUALLOC_LEVEL_BOARD; level++)
		if (ga_text_equal(text, size, level_names[level])) {
			*ret_level = (enum gpualloc_level)level;
			return true;
		}
	return false;
}
