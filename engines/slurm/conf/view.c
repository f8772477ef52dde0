/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each node reads in a site's files, and which nodes to check; see view.h. All nodes of one
 * NodeName are alike, so only the first of them is checked.
 */
#include "view.h"

#include "cleanup.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- as a node reads it ---- */

static bool is_off(const char *autodetect)
{
	return strcasecmp(autodetect, "off") == 0;
}

static bool is_of(const char *nodes, const char *name)
{
	return !nodes || (*name && names_have(nodes, name));
}

/* AutoDetect on the node's own lines overrides the one for all nodes. */
static const struct slurm_gres *find_detects(const struct slurm_site *site, const char *name)
{
	const struct slurm_gres *found = NULL;

	for (size_t i = 0; i < site->gres_count; i++) {
		const struct slurm_gres *gres = &site->gres[i];

		if (gres->autodetect && (gres->nodes || !gres->name) && is_of(gres->nodes, name) &&
		    (!found || gres->nodes))
			found = gres;
	}
	return found && !is_off(found->autodetect) ? found : NULL;
}

static const struct slurm_node *find_node(const struct slurm_site *site, const char *name)
{
	for (size_t i = 0; *name && i < site->node_count; i++)
		if (names_have(site->nodes[i].nodes, name))
			return &site->nodes[i];
	return NULL;
}

/* The sockets that slurm.conf gives the node, or else those of the machine. */
static void set_cpus(struct slurm_view *view, const struct slurm_machine *node)
{
	const struct slurm_node *line = view->node;

	view->cpus =
		(struct slurm_cpus){.sockets = -1, .cores_per_socket = -1, .threads_per_core = -1};
	if (node)
		view->cpus = node->cpus;
	if (!line || line->sockets <= 0 || line->cores_per_socket <= 0 ||
	    (line->sockets == view->cpus.sockets &&
	     line->cores_per_socket == view->cpus.cores_per_socket))
		return;
	view->cpus = (struct slurm_cpus){.sockets = line->sockets,
					 .cores_per_socket = line->cores_per_socket,
					 .threads_per_core = -1};
}

static void take_lines(struct slurm_view *view, const struct slurm_site *site)
{
	for (size_t i = 0; i < site->gres_count; i++) {
		const struct slurm_gres *gres = &site->gres[i];

		if (!gres->name || !is_of(gres->nodes, view->name))
			continue;
		if (view->device_count + gres->device_count > NODE_DEVICES_MOST) {
			findings_add(view->findings, gres->file, gres->line,
				     "with this line a node has more than %d devices",
				     NODE_DEVICES_MOST);
			return;
		}
		view->lines[view->line_count++] = gres;
		view->device_count += gres->device_count;
	}
}

/* machine is the node's own machine, or NULL. */
static bool check_view(const struct slurm_site *site, const char *name,
		       const struct slurm_machine *machine)
{
	ga_auto_free const struct slurm_gres **lines = calloc(site->gres_count + 1, sizeof(void *));
	struct slurm_view view = {.lines = lines, .findings = site->findings};

	if (!lines)
		return false;
	(void)snprintf(view.name, sizeof view.name, "%s", name);
	take_lines(&view, site);
	view.detects = find_detects(site, name);
	view.node = find_node(site, name);
	set_cpus(&view, machine);
	check_files(&view);
	check_links(&view);
	check_cores(&view, site);
	check_gres(&view, site);
	if (machine)
		check_machine(&view, machine);
	return true;
}

/* ---- which nodes there are ---- */

struct names {
	char (*list)[NAME_SIZE];
	size_t count, most;
	bool more;
	bool are_one; /* no line of gres.conf names nodes, so it belongs to one node */
};

static void add_name(struct names *names, const char *nodes)
{
	struct names_walk walk = {.rest = nodes};
	char name[NAME_SIZE];

	if (!names_next(&walk, name))
		return;
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->list[i], name) == 0)
			return;
	if (names->count == names->most)
		names->more = true;
	else
		memcpy(names->list[names->count++], name, sizeof name);
}

/* All nodes that a line names are alike, so only the first is checked. */
static void add_names(struct names *names, const struct slurm_site *site)
{
	size_t gpu_lines = 0;
	const char *gpu_nodes = NULL;
	bool named = false;

	for (size_t i = 0; i < site->gres_count; i++) {
		named = named || site->gres[i].nodes;
		if (site->gres[i].nodes)
			add_name(names, site->gres[i].nodes);
	}
	for (size_t i = 0; i < site->node_count; i++) {
		if (gres_gpus(site->nodes[i].gres) < 0)
			continue;
		gpu_lines++;
		gpu_nodes = site->nodes[i].nodes;
		if (named || !site->has_gres)
			add_name(names, gpu_nodes);
	}
	/* With only one kind of node it is clear whose file it is. */
	names->are_one = !named && site->has_gres;
	if (names->are_one && gpu_lines == 1)
		add_name(names, gpu_nodes);
	if (names->count == 0)
		names->list[names->count++][0] = '\0';
}

/* Finds the machine's node by the machine's name without domain; false if no line has it. */
static bool find_own_name(const struct slurm_site *site, const struct slurm_machine *machine,
			  char name[static NAME_SIZE])
{
	const char *host = machine ? gpualloc_machine_name(machine->machine) : NULL;

	if (!host)
		return false;
	(void)snprintf(name, NAME_SIZE, "%.*s", (int)strcspn(host, "."), host);
	for (size_t i = 0; i < site->gres_count; i++)
		if (site->gres[i].nodes && names_have(site->gres[i].nodes, name))
			return true;
	return find_node(site, name) != NULL;
}

static bool check_all_names(const struct slurm_site *site, const struct names *names,
			    const struct slurm_machine *machine)
{
	for (size_t i = 0; i < names->count; i++)
		if (!check_view(site, names->list[i], machine))
			return false;
	return true;
}

/* Each name is compared with every list of nodes, so long lists leave room for fewer names. */
static size_t most_names(const struct slurm_site *site)
{
	enum { WORK_MOST = 64 << 20, NAMES_LEAST = 16 };
	size_t bytes = 1, most;

	for (size_t i = 0; i < site->gres_count; i++)
		bytes += site->gres[i].nodes ? strlen(site->gres[i].nodes) : 0;
	for (size_t i = 0; i < site->node_count; i++)
		bytes += strlen(site->nodes[i].nodes);
	most = WORK_MOST / bytes;
	return most > VIEWS_MOST ? VIEWS_MOST : most < NAMES_LEAST ? NAMES_LEAST : most;
}

bool check_nodes(const struct slurm_site *site, const struct slurm_asked *asked,
		 struct slurm_looked *ret_looked)
{
	ga_auto_free char(*list)[NAME_SIZE] = calloc(VIEWS_MOST + 1, sizeof *list);
	struct names names = {.list = list, .most = most_names(site)};
	char own[NAME_SIZE];

	if (!list)
		return false;
	if (asked->node) {
		add_name(&names, asked->node);
		ret_looked->at_machine = true;
		return check_all_names(site, &names, asked->machine);
	}
	add_names(&names, site);
	ret_looked->left_out = names.more;
	if (find_own_name(site, asked->machine, own)) {
		ret_looked->at_machine = true;
		return check_view(site, own, asked->machine) && check_all_names(site, &names, NULL);
	}
	/* A single kind of node does not mean that this machine is one of them. */
	ret_looked->at_machine =
		names.count == 1 && (asked->is_machine_named || names.are_one || !*names.list[0]);
	return check_all_names(site, &names, ret_looked->at_machine ? asked->machine : NULL);
}
