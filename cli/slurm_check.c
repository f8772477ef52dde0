/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpualloc slurm check: reads a site's files and finds a machine to hold them against, has them
 * looked at, and says what was found.
 */
#include "slurm.h"

#include "file.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"
#include "slurm_view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

static int read_site_file(struct checking *checking, size_t file, const char *path)
{
	ga_auto_buffer struct ga_buffer text = {0};
	auto_error gpualloc_error *error = gpualloc_error_new();
	struct slurm_site *site = &checking->site;
	struct slurm_conf *conf = &site->confs[site->conf_count];
	size_t line;
	int result = ga_file_read(path, SLURM_FILE_MOST, &text, error);

	if (result < 0)
		return fail_error(result, error);
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

static int check_all(struct checking *checking)
{
	const struct slurm_machine *machine = checking->machine ? &checking->node : NULL;
	struct slurm_asked asked = {
		.node = checking->call->value[OPTION_NODE],
		.machine = machine,
		.is_machine_named = names_machine(checking->call),
	};
	struct slurm_looked looked = {0};

	check_site(&checking->site, checking->version, machine);
	if (!check_nodes(&checking->site, &asked, &looked))
		return fail_memory();
	if (machine && !looked.at_machine && !checking->call->value[OPTION_QUIET])
		say("note: which of the nodes this machine is, is not known, so the files are not "
		    "held against it; --node names it");
	if (looked.left_out && !checking->call->value[OPTION_QUIET])
		say("note: there are more kinds of nodes than were looked at; --node looks at "
		    "one");
	return 0;
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

static void add_json(struct ga_buffer *text, struct checking *checking)
{
	struct ga_json json = {.out = text};
	char version[16];

	(void)snprintf(version, sizeof version, "%d.%02d", checking->version / 100,
		       checking->version % 100);
	open_document(&json, checking->call, checking->machine);
	ga_json_text(&json, "slurm", checking->version < 0 ? NULL : version);
	ga_json_line(&json, "\n ");
	findings_json(&json, "findings", &checking->findings);
	ga_json_line(&json, "\n ");
	findings_json(&json, "notes", &checking->notes);
	ga_json_close(&json, '}');
	ga_buffer_char(text, '\n');
}

static void add_nothing_wrong(struct ga_buffer *text, const struct checking *checking)
{
	for (size_t i = 1; i < checking->call->operand_count; i++)
		ga_buffer_format(text, "%s%s", i > 1 ? ", " : "", checking->call->operands[i]);
	ga_buffer_text(text, ": nothing wrong");
	if (checking->machine) {
		ga_buffer_text(text, ", beside ");
		add_machine_name(text, checking->machine);
	}
	ga_buffer_char(text, '\n');
}

static int tell(struct checking *checking)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
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
	ga_buffer_format(&text, "gpualloc: %zu thing%s wrong\n", findings->count,
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
	ga_cleanup(checking_free) struct checking checking = {.call = call, .version = -1};
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
