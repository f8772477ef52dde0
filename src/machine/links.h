/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links between count devices: for each pair the PCIe level, the number of NVLinks, whether the
 * level was inferred, and whether the two have peer-to-peer. Always symmetric: values are set by
 * pair, never by cell.
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
	uint8_t *p2p;          /* enum gpualloc_p2p, as it was read */
	uint8_t *p2p_inferred; /* enum gpualloc_p2p, inferred; counts if nothing was read */
};

/* No level is known, and there is no NVLink; false when out of memory. */
bool ga_links_init(struct ga_links *links, size_t count);
void ga_links_free(struct ga_links *links);

void ga_links_set_level(struct ga_links *links, size_t i, size_t j, enum gpualloc_level level);
void ga_links_set_nvlinks(struct ga_links *links, size_t i, size_t j, int nvlinks);
void ga_links_set_inferred(struct ga_links *links, size_t i, size_t j, bool inferred);
void ga_links_set_p2p(struct ga_links *links, size_t i, size_t j, enum gpualloc_p2p p2p);
void ga_links_infer_p2p(struct ga_links *links, size_t i, size_t j, enum gpualloc_p2p p2p);

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

/* What was read, and nothing else. */
static inline enum gpualloc_p2p ga_links_p2p_read(const struct ga_links *links, size_t i, size_t j)
{
	return (enum gpualloc_p2p)links->p2p[i * links->count + j];
}

static inline bool ga_links_p2p_inferred(const struct ga_links *links, size_t i, size_t j)
{
	return ga_links_p2p_read(links, i, j) == GPUALLOC_P2P_UNKNOWN &&
	       links->p2p_inferred[i * links->count + j] != GPUALLOC_P2P_UNKNOWN;
}

/* What was read, else what was inferred; treat unknown as ok. */
static inline enum gpualloc_p2p ga_links_p2p(const struct ga_links *links, size_t i, size_t j)
{
	return ga_links_p2p_inferred(links, i, j)
		       ? (enum gpualloc_p2p)links->p2p_inferred[i * links->count + j]
		       : ga_links_p2p_read(links, i, j);
}

/* "ok" or "no"; NULL where it is not known. */
const char *ga_p2p_name(enum gpualloc_p2p p2p);

const char *ga_level_name(enum gpualloc_level level);
/* "SYS", "NODE" … and the old "SOC" for SYS; SELF, UNKNOWN and anything else are refused. */
bool ga_level_find(const char *text, size_t size, enum gpualloc_level *ret_level);

#endif
