/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that compare gres.conf with slurm.conf, and both with the release of Slurm; see rules.h. */
#include "rules.h"

#include "text.h"
#include "version.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- Gres=gpu:TYPE:N ---- */

/* "8", "2K"; a bare name counts as one. */
static int64_t read_count(const char *word, size_t size)
{
	static const char units[] = "KMG";
	const char *unit = size > 0 ? memchr(units, word[size - 1] & ~0x20, 3) : NULL;
	int64_t count;

	if (!ga_text_number(word, unit ? size - 1 : size, UINT32_MAX, &count))
		return -1;
	for (ptrdiff_t i = 0; unit && i <= unit - units; i++)
		count *= 1024;
	return count;
}

struct item {
	const char *type; /* NULL if it names none */
	size_t type_size;
	int64_t count;
};

/* An item of a Gres; false if it is about something else. */
static bool read_item(const char *item, size_t size, struct item *ret_item)
{
	const char *end = item + size, *paren = memchr(item, '(', size), *part;

	if (paren)
		end = paren;
	if (end - item < 3 || strncasecmp(item, "gpu", 3) != 0 ||
	    (end - item > 3 && item[3] != ':'))
		return false;
	*ret_item = (struct item){.count = 1};
	for (part = item + 3; part < end;) {
		const char *word = part + 1, *colon = memchr(word, ':', (size_t)(end - word));
		size_t length = (size_t)((colon ? colon : end) - word);
		int64_t count = read_count(word, length);

		if (count >= 0 && !colon)
			ret_item->count = count;
		else if (!(length == 10 && strncasecmp(word, "no_consume", 10) == 0))
			*ret_item = (struct item){word, length, ret_item->count};
		part = word + length;
	}
	return true;
}

static bool take_item(const char **rest, struct item *ret_item)
{
	while (**rest) {
		const char *item = *rest;
		size_t size = strcspn(item, ",");

		*rest += size + (item[size] == ',');
		if (read_item(item, size, ret_item))
			return true;
	}
	return false;
}

int64_t gres_gpus(const char *gres)
{
	int64_t count = -1;
	struct item item;

	while (gres && take_item(&gres, &item))
		count = (count < 0 ? 0 : count) + item.count;
	return count;
}

/* ---- a node's two files ---- */

/* The devices of a type in the lines; if no line has a Type, slurm.conf decides. */
static int64_t count_type(const struct slurm_view *view, const struct item *item)
{
	int64_t count = 0;
	bool any = false;

	for (size_t i = 0; i < view->line_count; i++) {
		const char *type = view->lines[i]->type;

		any = any || type;
		if (type && strlen(type) == item->type_size &&
		    strncasecmp(type, item->type, item->type_size) == 0)
			count += (int64_t)view->lines[i]->device_count;
	}
	return any ? count : -1;
}

static void check_types(const struct slurm_view *view)
{
	const char *rest = view->node->gres;
	struct item item;

	while (take_item(&rest, &item)) {
		char type[SHOWN_SIZE + 1];
		int64_t there = item.type ? count_type(view, &item) : -1;

		if (there < 0 || there == item.count)
			continue;
		(void)snprintf(type, sizeof type, "%.*s",
			       (int)(item.type_size < SHOWN_SIZE ? item.type_size : SHOWN_SIZE),
			       item.type);
		findings_add(view->findings, view->node->file, view->node->line,
			     "Gres has %lld of type %s, but gres.conf has %lld",
			     (long long)item.count, SHOWN(type), (long long)there);
	}
}

/* Whether gres.conf is known to be what this node reads. */
static bool is_covered(const struct slurm_view *view, const struct slurm_site *site)
{
	return site->has_gres && view->node && view->node->gres && !view->detects;
}

void check_gres(const struct slurm_view *view, const struct slurm_site *site)
{
	int64_t wanted = view->node ? gres_gpus(view->node->gres) : -1;

	if (!is_covered(view, site) || wanted < 0)
		return;
	if (view->line_count == 0)
		findings_add(view->findings, view->node->file, view->node->line,
			     "Gres has %lld GPUs, but no line of gres.conf is for node %s",
			     (long long)wanted, SHOWN(view->name));
	else if ((size_t)wanted > view->device_count)
		findings_add(view->findings, view->node->file, view->node->line,
			     "Gres has %lld GPUs, but gres.conf only %zu: the node becomes invalid "
			     "(\"count reported lower than configured\")",
			     (long long)wanted, view->device_count);
	else if ((size_t)wanted < view->device_count)
		findings_add(view->findings, view->node->file, view->node->line,
			     "Gres has %lld GPUs, but gres.conf has %zu: no job gets the others",
			     (long long)wanted, view->device_count);
	else
		check_types(view);
}

/* ---- the site ---- */

static bool has_word(const char *list, const char *word)
{
	while (list && *list) {
		size_t size = strcspn(list, ",");

		if (size == strlen(word) && strncasecmp(list, word, size) == 0)
			return true;
		list += size + (list[size] == ',');
	}
	return false;
}

static void check_types_of_gres(const struct slurm_site *site)
{
	if (!site->has_slurm || has_word(site->gres_types, "gpu"))
		return;
	for (size_t i = 0; i < site->node_count; i++)
		if (gres_gpus(site->nodes[i].gres) >= 0) {
			findings_add(site->findings, site->nodes[i].file, site->nodes[i].line,
				     "the node has GPUs, but %s; add GresTypes=gpu to slurm.conf",
				     site->gres_types ? "GresTypes does not have gpu"
						      : "there is no GresTypes line");
			return;
		}
	if (site->gres_types && site->gres_count > 0)
		findings_add(site->findings, site->types_file, site->types_line,
			     "gres.conf has GPUs, but GresTypes does not have gpu");
}

/* If all are alike, the wrong way round is as good as the right one. */
static bool have_best(const struct slurm_gres *line)
{
	int least = INT_MAX, most = INT_MIN;

	for (size_t i = 0; i < line->link_count; i++)
		if (i != line->self) {
			least = line->link[i] < least ? line->link[i] : least;
			most = line->link[i] > most ? line->link[i] : most;
		}
	return least < most;
}

const struct slurm_gres *site_links(const struct slurm_site *site)
{
	for (size_t i = 0; i < site->gres_count; i++)
		if (have_best(&site->gres[i]))
			return &site->gres[i];
	return NULL;
}

static void check_inversion(const struct slurm_site *site, int version)
{
	const struct slurm_gres *line = site_links(site);

	if (line && version >= SLURM_INVERTS_FROM && version <= SLURM_INVERTS_TO)
		findings_add(
			site->findings, line->file, line->line,
			"Links with Slurm %d.%02d: --gres=gpu:N and --gpus-per-node choose the "
			"worst linked pair (24.05 to 26.05 sort links the wrong way round); use "
			"--gpus=N or --gpus-per-task, or gpualloc's plugin",
			version / 100, version % 100);
}

/* Where Debian puts Slurm's plugins; if the folder lacks this one, Slurm was built without NVML. */
static bool lacks_nvml(const char *root)
{
	char pattern[512];
	glob_t found = {0};
	bool there, lacks = false;

	if ((size_t)snprintf(pattern, sizeof pattern, "%s/usr/lib/*/slurm-wlm/gpu_generic.so",
			     root) >= sizeof pattern)
		return false;
	there = glob(pattern, 0, NULL, &found) == 0;
	globfree(&found);
	if (there) {
		(void)snprintf(pattern, sizeof pattern, "%s/usr/lib/*/slurm-wlm/gpu_nvml.so", root);
		lacks = glob(pattern, 0, NULL, &found) == GLOB_NOMATCH;
		globfree(&found);
	}
	return lacks;
}

static void check_autodetect(const struct slurm_site *site, const struct slurm_gres *line,
			     int version, const struct slurm_machine *node)
{
	bool nvml = strcasecmp(line->autodetect, "nvml") == 0;

	if (nvml && node && node->root && lacks_nvml(node->root))
		findings_add(site->findings, line->file, line->line,
			     "AutoDetect=nvml finds no GPU here: Debian builds Slurm without "
			     "gpu_nvml.so; write AutoDetect=off and the lines of `gpualloc slurm "
			     "gres-conf`");
	if (strcasecmp(line->autodetect, "nvidia") != 0)
		return;
	if (version >= 0 && version < 2411)
		findings_add(site->findings, line->file, line->line,
			     "AutoDetect=nvidia came with Slurm 24.11; %d.%02d does not know it",
			     version / 100, version % 100);
	if (node && node->links == SLURM_LINKS_NVLINK)
		findings_add(site->findings, line->file, line->line,
			     "AutoDetect=nvidia does not see the NVLinks of this machine; write "
			     "AutoDetect=off and the lines of `gpualloc slurm gres-conf`");
	for (size_t i = 0; node && i < node->count; i++)
		if (slurm_device_is_instance(&node->devices[i])) {
			findings_add(site->findings, line->file, line->line,
				     "AutoDetect=nvidia does not see the MIG instances of this "
				     "machine; write AutoDetect=off and the lines of `gpualloc "
				     "slurm gres-conf`");
			return;
		}
}

void check_site(const struct slurm_site *site, int version, const struct slurm_machine *node)
{
	check_types_of_gres(site);
	check_inversion(site, version);
	for (size_t i = 0; i < site->gres_count; i++)
		if (site->gres[i].autodetect)
			check_autodetect(site, &site->gres[i], version, node);
}
