/* SPDX-License-Identifier: Apache-2.0 */
/* What the lines say about GPUs and nodes; see site.h. */
#include "site.h"

#include "names.h"
#include "numbers.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Slurm's own limit. */
enum { LINK_MOST = 1023 };

void site_free(struct slurm_site *site)
{
	for (size_t i = 0; i < site->gres_count; i++) {
		free(site->gres[i].minors);
		free(site->gres[i].link);
	}
	for (size_t i = 0; i < site->conf_count; i++)
		slurm_conf_free(&site->confs[i]);
	free(site->gres);
	free(site->nodes);
	free(site->confs);
}

/* A line whose nodes are not clear belongs to no node. */
static void check_nodes(struct slurm_site *site, size_t file, size_t line, const char *nodes)
{
	uint64_t count;

	if (nodes && !names_count(nodes, &count))
		findings_add(site->findings, file, line,
			     "NodeName=%s is not a list of nodes; put ranges in brackets, as in "
			     "n[1-4,7]",
			     SHOWN(nodes));
}

/* ---- a line of gres.conf ---- */

static bool is_one_of(const char *key, const char *const *names)
{
	for (; *names; names++)
		if (slurm_is(key, *names))
			return true;
	return false;
}

/* A line with one of these can only be from gres.conf. */
static const char *const gres_only[] = {"AutoDetect", "Cores", "File",          "Files", "Link",
					"Links",      "Name",  "MultipleFiles", NULL};
static const char *const gres_keys[] = {"AutoDetect", "Cores",         "Count",    "CPUs", "File",
					"Files",      "Flags",         "Ignore",   "Link", "Links",
					"Name",       "MultipleFiles", "NodeName", "Type", NULL};

static const char *either(const struct slurm_conf *conf, const struct slurm_line *line,
			  const char *name, const char *other)
{
	const char *value = slurm_value(conf, line, name);

	return value ? value : slurm_value(conf, line, other);
}

/* "/dev/nvidia12" is 12; -1 if it is not the file of a whole GPU. */
static int64_t minor_of(const char *file)
{
	static const char start[] = "/dev/nvidia";
	int64_t minor;

	if (strncmp(file, start, sizeof start - 1) != 0 ||
	    !ga_text_number(file + sizeof start - 1, strlen(file + sizeof start - 1), 4095, &minor))
		return -1;
	return minor;
}

static void read_files(struct slurm_site *site, struct slurm_gres *gres)
{
	struct names_walk walk = {.rest = gres->files};
	char name[NAME_SIZE];
	uint64_t count;

	if (!names_count(gres->files, &count)) {
		findings_add(site->findings, gres->file, gres->line,
			     "File=%s is not a list of files; put ranges in brackets, as in "
			     "/dev/nvidia[0-3]",
			     SHOWN(gres->files));
		return;
	}
	if (count > NODE_DEVICES_MOST || site->device_count + count > SITE_DEVICES_MOST) {
		findings_add(site->findings, gres->file, gres->line,
			     "File=%s names more devices than any node has", SHOWN(gres->files));
		return;
	}
	gres->minors = malloc((size_t)count * sizeof *gres->minors);
	if (!gres->minors) {
		site->failed = true;
		return;
	}
	for (size_t i = 0; i < count && names_next(&walk, name); i++)
		gres->minors[i] = minor_of(name);
	gres->device_count = gres->together ? 1 : (size_t)count;
	site->device_count += gres->device_count;
}

static bool read_link(const char *word, size_t size, int *ret_link)
{
	bool minus = size > 0 && *word == '-';
	int64_t number;

	if (!ga_text_number(word + minus, size - minus, minus ? 2 : LINK_MOST, &number))
		return false;
	*ret_link = minus ? -(int)number : (int)number;
	return true;
}

static void read_links(struct slurm_site *site, struct slurm_gres *gres)
{
	size_t count = 1, selves = 0;
	const char *word = gres->links;

	for (const char *c = word; *c; c++)
		count += *c == ',';
	gres->link = malloc(count * sizeof *gres->link);
	if (!gres->link) {
		site->failed = true;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		size_t size = strcspn(word, ",");

		if (!read_link(word, size, &gres->link[i])) {
			findings_add(site->findings, gres->file, gres->line,
				     "Links=%s is not a list of numbers from 0 to %d with -1 for "
				     "the device itself",
				     SHOWN(gres->links), LINK_MOST);
			return;
		}
		if (gres->link[i] == -1 && selves++ == 0)
			gres->self = i;
		word += size + 1;
	}
	gres->link_count = count;
	if (selves == 1)
		return;
	gres->self = count;
	findings_add(site->findings, gres->file, gres->line,
		     "Links needs exactly one -1, at the place of the device itself, but has %zu: "
		     "slurmd ignores it all",
		     selves);
}

static void check_keys(struct slurm_site *site, const struct slurm_gres *gres,
		       const struct slurm_conf *conf, const struct slurm_line *line)
{
	for (size_t i = 0; i < line->pair_count; i++) {
		const char *key = conf->pairs[line->first_pair + i].key;

		if (!is_one_of(key, gres_keys))
			findings_add(site->findings, gres->file, gres->line,
				     "gres.conf has no key %s; slurmd does not start with it",
				     SHOWN(key));
	}
	if (gres->autodetect && gres->name && !gres->nodes)
		findings_add(site->findings, gres->file, gres->line,
			     "AutoDetect counts only on a line of its own or after NodeName; "
			     "slurmd ignores it here");
}

static void check_count(struct slurm_site *site, const struct slurm_gres *gres, const char *word)
{
	int64_t count;

	if (!word || !gres->files || gres->device_count == 0)
		return;
	if (!ga_text_number(word, strlen(word), INT32_MAX, &count) ||
	    (size_t)count != gres->device_count)
		findings_add(site->findings, gres->file, gres->line,
			     "Count=%s, but the line has %zu files; leave Count out", SHOWN(word),
			     gres->device_count);
}

/* Makes room for one more line of a list; lines beyond the limit get a note and are not checked. */
static bool make_room(struct slurm_site *site, void *list, size_t count, size_t *room, size_t size,
		      const char *about, size_t file, size_t line)
{
	if (count == SITE_LINES_MOST) {
		findings_add(site->notes, file, line,
			     "more than %d lines about %s; this one and those after it were not "
			     "checked",
			     SITE_LINES_MOST, about);
		return false;
	}
	if (!slurm_room(list, count, room, size))
		site->failed = true;
	return !site->failed;
}

static void take_gres(struct slurm_site *site, size_t file, const struct slurm_conf *conf,
		      const struct slurm_line *line)
{
	struct slurm_gres gres = {.file = file, .line = line->number};
	const char *multiple = slurm_value(conf, line, "MultipleFiles");

	site->has_gres = true;
	gres.nodes = slurm_value(conf, line, "NodeName");
	gres.name = slurm_value(conf, line, "Name");
	gres.type = slurm_value(conf, line, "Type");
	gres.cores = either(conf, line, "Cores", "CPUs");
	gres.links = either(conf, line, "Links", "Link");
	gres.autodetect = slurm_value(conf, line, "AutoDetect");
	gres.files = multiple ? multiple : either(conf, line, "File", "Files");
	gres.together = multiple != NULL;
	check_keys(site, &gres, conf, line);
	check_nodes(site, file, line->number, gres.nodes);
	if (!gres.name && !gres.autodetect)
		findings_add(site->findings, gres.file, gres.line,
			     "the line has no Name=gpu, so it does nothing");
	/* Other resources are none of our business. */
	if (gres.name ? !slurm_is(gres.name, "gpu") : !gres.autodetect)
		return;
	if (!make_room(site, &site->gres, site->gres_count, &site->gres_room, sizeof gres, "GPUs",
		       file, line->number))
		return;
	if (gres.name && gres.files)
		read_files(site, &gres);
	if (gres.name && gres.links)
		read_links(site, &gres);
	check_count(site, &gres, slurm_value(conf, line, "Count"));
	site->gres[site->gres_count++] = gres;
}

/* ---- a line of slurm.conf ---- */

static int64_t number_of(const struct slurm_conf *conf, const struct slurm_line *line,
			 const char *key, int64_t otherwise)
{
	const char *word = slurm_value(conf, line, key);
	int64_t number;

	return word && ga_text_number(word, strlen(word), NUMBERS_MOST, &number) ? number
										 : otherwise;
}

static void take_node(struct slurm_site *site, size_t file, const struct slurm_conf *conf,
		      const struct slurm_line *line)
{
	struct slurm_node node = site->by_default;
	const char *gres = slurm_value(conf, line, "Gres");
	int64_t each = number_of(conf, line, "SocketsPerBoard", -1);

	node.file = file;
	node.line = line->number;
	node.nodes = slurm_value(conf, line, "NodeName");
	node.gres = gres ? gres : node.gres;
	node.cores_per_socket = number_of(conf, line, "CoresPerSocket", node.cores_per_socket);
	node.sockets = each > 0 ? each * number_of(conf, line, "Boards", 1)
				: number_of(conf, line, "Sockets", node.sockets);
	check_nodes(site, file, line->number, node.nodes);
	if (slurm_is(node.nodes, "DEFAULT")) {
		site->by_default = node;
		return;
	}
	if (make_room(site, &site->nodes, site->node_count, &site->node_room, sizeof node, "nodes",
		      file, line->number))
		site->nodes[site->node_count++] = node;
}

static bool take_setting(struct slurm_site *site, size_t file, const struct slurm_conf *conf,
			 const struct slurm_line *line)
{
	static const char *const known[] = {"AuthType",       "ClusterName",      "ControlMachine",
					    "GresTypes",      "NodeSet",          "PartitionName",
					    "SelectType",     "SlurmctldHost",    "SlurmctldPort",
					    "SlurmdSpoolDir", "SlurmdParameters", NULL};
	const char *types = slurm_value(conf, line, "GresTypes");
	const char *parameters = slurm_value(conf, line, "SlurmdParameters");
	bool any = false;

	for (size_t i = 0; i < line->pair_count; i++)
		any = any || is_one_of(conf->pairs[line->first_pair + i].key, known);
	if (types) {
		site->gres_types = types;
		site->types_file = file;
		site->types_line = line->number;
	}
	if (parameters)
		site->parameters = parameters;
	site->has_slurm = site->has_slurm || any;
	return any;
}

/* ---- a file ---- */

static bool is_gres(const struct slurm_conf *conf, const struct slurm_line *line)
{
	for (size_t i = 0; i < line->pair_count; i++)
		if (is_one_of(conf->pairs[line->first_pair + i].key, gres_only))
			return true;
	return false;
}

/* Lines that Slurm could not read, and an Include, which Slurm reads and we do not. */
static bool take_stray(struct slurm_site *site, size_t file, const struct slurm_line *line)
{
	char word[SHOWN_SIZE + 1];
	size_t size = strcspn(line->stray, " \t\r\f\v");

	size = size < sizeof word ? size : sizeof word - 1;
	memcpy(word, line->stray, size);
	word[size] = '\0';
	if (line->pair_count == 0 && strcasecmp(word, "Include") == 0) {
		findings_add(site->notes, file, line->number,
			     "the included file is not checked; name it on the command line too");
		return true;
	}
	findings_add(site->findings, file, line->number,
		     "\"%s\" is not KEY=VALUE, and Slurm stops reading here", SHOWN(word));
	return false;
}

bool site_take(struct slurm_site *site, size_t file, struct slurm_conf *conf)
{
	bool ours = conf->line_count == 0;

	for (size_t i = 0; i < conf->line_count && !site->failed; i++) {
		const struct slurm_line *line = &conf->lines[i];

		if (line->stray && take_stray(site, file, line))
			ours = true;
		if (is_gres(conf, line)) {
			take_gres(site, file, conf, line);
			ours = true;
		} else if (slurm_value(conf, line, "NodeName")) {
			site->has_slurm = ours = true;
			take_node(site, file, conf, line);
		} else if (take_setting(site, file, conf, line)) {
			ours = true;
		}
	}
	return ours;
}
