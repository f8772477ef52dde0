/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links between count devices: for each pair the PCIe level, the number of NVLinks, and
 * whether the level was concluded. Always symmetric: a pair is set, never a cell.
 */
#ifndef GA_MACHINE_LINKS_H
#define GA_MACHINE_LINKS_H

#include <gpualloc/gpualloc.h>

#include <stdbool.h>

enum { GA_NVLINKS_MAX = 1024 };

struct ga_links {
	size_t count;
	uint8_t *levels;  /* enum gpualloc_level */
	int16_t *nvlinks; /* -1: not known */
	uint8_t *inferred;
};

/* No level is known, and there is no NVLink; false when there is no memory. */
bool ga_links_init(struct ga_links *links, size_t count);
void ga_links_free(struct ga_links *links);

void ga_links_set_level(struct ga_links *links, size_t i, size_t j, enum gpualloc_level level);
void ga_links_set_nvlinks(struct ga_links *links, size_t i, size_t j, int nvlinks);
void ga_links_set_inferred(struct ga_links *links, size_t i, size_t j, bool inferred);

static inline enum gpualloc_level ga_links_level(const struct ga_links *links, size_t i, size_t j)
{
	return (enum gpualloc_level)links->levels[i * links->count + j];
}

static inline int ga_links_nvlinks(const struct ga_links *links, size_t i, size_t j)
{
	return links->nvlinks[i * links->count + j];
}

static inline bool ga_links_inferred(const struct ga_links *links, size_t i, size_t j)
{
	return links->inferred[i * links->count + j];
}

const char *ga_level_name(enum gpualloc_level level);
/* "SYS", "NODE" … and the old "SOC" for SYS; SELF, UNKNOWN and what is no level are refused. */
bool ga_level_find(const char *text, size_t size, enum gpualloc_level *ret_level);

#endif
