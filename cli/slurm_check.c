/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpualloc slurm check: reads a site's files, makes of them what each kind of node reads, and holds
 * that against the rules, and against a machine where one is known.
 */
#include "slurm.h"

#include "cleanup.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "read_file.h"
#include "slurm_view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Kinds of nodes that are looked at; --node looks at any. */
enum { VIEWS_MOST = 1024 };

struct checking {
	const struct call *call;
	struct slurm_site site;
	struct slurm_findings findings, notes;
	gpualloc_machine *machine; /* NULL where there is none */
	struct slurm_machine node;
	int version;
};

static void checking_free(struct checking *checking)
{
	site_free(&checking->site);
	findings_free(&checking->findings);
	findings_free(&checking->notes);
	slurm_machine_free(&checking->node);
	gpualloc_machine_free(checking->machine);
}

/* ---- what is read ---- */

static int bad_data(void)
{
	return gpualloc_exit_status(GPUALLOC_EDATA);
}

static int cannot_read(const char *path, int reason)
{
	int status = reason == ENOENT || reason == ENOTDIR ? GPUALLOC_EUSAGE
		     : reason == EACCES || reason == EPERM ? GPUALLOC_EPERM
		     : reason == EISDIR || reason == EFBIG ? GPUALLOC_EDATA
							   : GPUALLOC_EIO;

	if (reason == EFBIG)
		return fail(bad_data(), "%s: more than %d bytes, too large for what it should be",
			    path, SLURM_FILE_MOST);
	return fail(gpualloc_exit_status(status), "%s: %s", path, strerror(reason));
}

static int read_site_file(struct checking *checking, size_t file, const char *path)
{
	auto_text struct text text = {0};
	struct slurm_site *site = &checking->site;
	struct slurm_conf *conf = &site->confs[site->conf_count];
	size_t line;
	int reason = read_file(path, SLURM_FILE_MOST, &text);

	if (reason)
		return cannot_read(path, reason);
	if (text.failed)
		return fail_memory();
	switch (slurm_conf_read(path, text.data, text.size, conf, &line)) {
	case SLURM_READ_MEMORY: return fail_memory();
	case SLURM_READ_NO_TEXT:
		return fail(bad_data(), "%s:%zu: there is a NUL in it, so it is no text", path,
			    line);
	case SLURM_READ: site->conf_count++; break;
	}
	if (!site_take(site, file, conf) && !site->failed)
		return fail(bad_data(), "%s is neither a gres.conf nor a slurm.conf", path);
	return site->failed ? fail_memory() : 0;
}

static int read_site(struct checking *checking)
{
	struct slurm_site *site = &checking->site;
	size_t count = checking->call->operand_count - 1;
	char *const *paths = checking->call->operands + 1;
	int result = 0;

	site->by_default.sockets = site->by_default.cores_per_socket = -1;
	site->findings = &checking->findings;
	site->notes = &checking->notes;
	site->confs = calloc(count, sizeof *site->confs);
	checking->findings.files = checking->notes.files = (const char *const *)paths;
	if (!site->confs)
		return fail_memory();
	for (size_t i = 0; i < count && result == 0; i++)
		result = read_site_file(checking, i, paths[i]);
	return result;
}

/* One that was named has to be there; else whether there is one is seen. */
static bool names_machine(const struct call *call)
{
	return call->value[OPTION_MACHINE] || getenv("GPUALLOC_MACHINE");
}

static int find_machine(struct checking *checking)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	const struct call *call = checking->call;
	int result;

	if (names_machine(call))
		return open_machine(call, &checking->machine);
	result = gpualloc_machine_open(NULL, call->deadline_ms, &checking->machine, error);
	if (result == 0)
		return 0;
	checking->machine = NULL;
	if (result != GPUALLOC_ENOSOURCE)
		return fail_error(result, error);
	if (!call->value[OPTION_QUIET])
		say("note: no GPU driver answers here, so the files are held against no machine; "
		    "--machine names one");
	return 0;
}

/* ---- as a node reads it ---- */

static bool is_off(const char *autodetect)
{
	return strcasecmp(autodetect, "off") == 0;
}

static bool is_of(const char *nodes, const char *name)
{
	return !nodes || (*name && names_have(nodes, name));
}

/* AutoDetect of the node's own lines counts more than that of all. */
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

/* The sockets that slurm.conf gives the node, or those that the machine has. */
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

/* node is the machine that it is, or NULL. */
static int check_view(struct checking *checking, const char *name, const struct slurm_machine *node)
{
	const struct slurm_site *site = &checking->site;
	auto_free const struct slurm_gres **lines = calloc(site->gres_count + 1, sizeof(void *));
	struct slurm_view view = {.lines = lines, .findings = &checking->findings};

	if (!lines)
		return fail_memory();
	(void)snprintf(view.name, sizeof view.name, "%s", name);
	take_lines(&view, site);
	view.detects = find_detects(site, name);
	view.node = find_node(site, name);
	set_cpus(&view, node);
	check_files(&view);
	check_links(&view);
	check_cores(&view, site);
	check_gres(&view, site);
	if (node)
		check_machine(&view, node);
	return 0;
}

/* ---- which nodes there are ---- */

struct names {
	char (*list)[NAME_SIZE];
	size_t count;
	bool more;
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
	if (names->count == VIEWS_MOST)
		names->more = true;
	else
		memcpy(names->list[names->count++], name, sizeof name);
}

/* Of the nodes that a line names all are alike, so that the first stands for them. */
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
	/* A gres.conf without names is one node's; whose can be said where there is one kind. */
	if (!named && site->has_gres && gpu_lines == 1)
		add_name(names, gpu_nodes);
	if (names->count == 0)
		names->list[names->count++][0] = '\0';
}

/* The node that the machine is, by its name without domain; NULL where no line has it. */
static const char *own_name(const struct checking *checking, char name[static NAME_SIZE])
{
	const struct slurm_site *site = &checking->site;
	const char *host = checking->machine ? gpualloc_machine_name(checking->machine) : NULL;

	if (!host)
		return NULL;
	(void)snprintf(name, NAME_SIZE, "%.*s", (int)strcspn(host, "."), host);
	for (size_t i = 0; i < site->gres_count; i++)
		if (site->gres[i].nodes && names_have(site->gres[i].nodes, name))
			return name;
	return find_node(site, name) ? name : NULL;
}

static int check_nodes(struct checking *checking, const struct names *names)
{
	/* The machine that we run on is not the node just because there is one kind of nodes. */
	bool certain = checking->machine && names->count == 1 &&
		       (names_machine(checking->call) || !*names->list[0] ||
			checking->call->value[OPTION_NODE]);
	char name[NAME_SIZE];
	const char *own = own_name(checking, name);
	int result = 0;

	if (own && !checking->call->value[OPTION_NODE])
		result = check_view(checking, own, &checking->node);
	for (size_t i = 0; i < names->count && result == 0; i++)
		result = check_view(checking, names->list[i],
				    certain && !own ? &checking->node : NULL);
	if (checking->machine && !certain && !own && !checking->call->value[OPTION_QUIET])
		say("note: which of the nodes this machine is, is not known, so the files are not "
		    "held against it; --node names it");
	if (names->more && !checking->call->value[OPTION_QUIET])
		say("note: more than %d kinds of nodes; the others were not looked at, --node "
		    "looks at one",
		    VIEWS_MOST);
	return result;
}

static int check_all(struct checking *checking)
{
	const char *node = checking->call->value[OPTION_NODE];
	auto_free char(*list)[NAME_SIZE] = calloc(VIEWS_MOST + 1, sizeof *list);
	struct names names = {.list = list};

	if (!list)
		return fail_memory();
	if (node)
		add_name(&names, node);
	else
		add_names(&names, &checking->site);
	check_site(&checking->site, checking->version, checking->machine ? &checking->node : NULL);
	return check_nodes(checking, &names);
}

/* ---- what is said ---- */

static void note_version(struct checking *checking)
{
	const struct slurm_gres *line = site_links(&checking->site);

	if (line && checking->version < 0)
		findings_add(&checking->notes, line->file, line->line,
			     "which Slurm reads this is not known (--slurm-version); 24.05 to "
			     "26.05 take Links the wrong way round for --gres=gpu:N");
}

static void add_json(struct text *text, struct checking *checking)
{
	struct json json = {.out = text};
	char version[16];

	(void)snprintf(version, sizeof version, "%d.%02d", checking->version / 100,
		       checking->version % 100);
	open_document(&json, checking->call, checking->machine);
	json_text(&json, "slurm", checking->version < 0 ? NULL : version);
	json_line(&json, "\n ");
	findings_json(&json, "findings", &checking->findings);
	json_line(&json, "\n ");
	findings_json(&json, "notes", &checking->notes);
	json_close(&json, '}');
	text_char(text, '\n');
}

static void add_nothing_wrong(struct text *text, const struct checking *checking)
{
	for (size_t i = 1; i < checking->call->operand_count; i++)
		text_format(text, "%s%s", i > 1 ? ", " : "", checking->call->operands[i]);
	text_add(text, ": nothing wrong");
	if (checking->machine) {
		text_add(text, ", beside ");
		add_machine_name(text, checking->machine);
	}
	text_char(text, '\n');
}

static int tell(struct checking *checking)
{
	auto_text struct text text = {0};
	struct slurm_findings *findings = &checking->findings;

	findings_sort(findings);
	findings_sort(&checking->notes);
	if (findings->failed || checking->notes.failed)
		return fail_memory();
	if (checking->call->value[OPTION_JSON]) {
		add_json(&text, checking);
		return output_print(&text);
	}
	for (size_t i = 0; i < checking->notes.count && !checking->call->value[OPTION_QUIET]; i++)
		say("note: %s:%zu: %s", checking->notes.files[checking->notes.list[i].file],
		    checking->notes.list[i].line, checking->notes.list[i].sentence);
	if (findings->count == 0) {
		add_nothing_wrong(&text, checking);
		return output_print(&text);
	}
	text_format(&text, "gpualloc: %zu thing%s wrong\n", findings->count,
		    findings->count == 1 ? " is" : "s are");
	findings_text(&text, findings);
	return fail_text(bad_data(), &text);
}

static int check_options(const struct call *call)
{
	const char *node = call->value[OPTION_NODE];
	uint64_t count;

	if (call->operand_count < 2)
		return fail_usage(call->command, "slurm check needs files: gpualloc slurm check "
						 "gres.conf slurm.conf");
	if (node && (!names_count(node, &count) || count != 1 || strlen(node) >= NAME_SIZE))
		return fail_usage(call->command, "--node: \"%s\" is not one node", node);
	return 0;
}

int slurm_check(const struct call *call)
{
	auto_call(checking_free) struct checking checking = {.call = call, .version = -1};
	int result = check_options(call);

	if (result == 0)
		result = slurm_version_find(call, !names_machine(call), &checking.version);
	if (result == 0)
		result = read_site(&checking);
	if (result == 0)
		result = find_machine(&checking);
	if (result)
		return result;
	if (checking.machine &&
	    !slurm_machine_read(checking.machine, slurm_root(call, checking.machine),
				&checking.node))
		return fail_memory();
	result = check_all(&checking);
	if (result)
		return result;
	note_version(&checking);
	return tell(&checking);
}
