/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc slurm: writes and checks the files that tell Slurm about GPUs. */
#include "check.h"
#include "gres_conf.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"
#include "version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the files about a machine are: below --root; / for this machine; else NULL. */
static const char *root_of(const struct call *call, const gpualloc_machine *machine)
{
	const char *root = call->value[OPTION_ROOT];

	if (root)
		return strcmp(root, "/") == 0 ? "" : root;
	return gpualloc_machine_is_here(machine) ? "" : NULL;
}

/* ---- gres-conf ---- */

static int check_names(const struct call *call)
{
	const char *names = call->value[OPTION_NODE];

	if (!names || gres_conf_takes_names(names))
		return 0;
	return fail_usage(call->command,
			  "--node: \"%s\" is not a list of nodes as Slurm writes it; give n1 or "
			  "n[1-4,7]",
			  names);
}

static int print_lines(const struct call *call, const struct slurm_machine *node)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT, about = GA_BUFFER_OUTPUT;
	struct ga_json json = {.out = &text};
	const char *names = call->value[OPTION_NODE];

	if (call->value[OPTION_JSON]) {
		open_document(&json, call, node->machine);
		gres_conf_json(&json, node, names);
		end_document(&json);
		return output_print(&text);
	}
	add_machine_name(&about, node->machine);
	if (about.failed)
		return fail_memory();
	gres_conf_text(&text, node, about.data, names);
	return output_print(&text);
}

static int gres_conf(const struct call *call)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_machine gpualloc_machine *machine = NULL;
	ga_cleanup(slurm_machine_free) struct slurm_machine node = {0};
	int result = check_names(call);

	if (result == 0)
		result = open_machine(call, &machine);
	if (result)
		return result;
	if (!slurm_machine_read(machine, root_of(call, machine), &node))
		return fail_memory();
	result = gres_conf_check(&node, error);
	return result < 0 ? fail_error(result, error) : print_lines(call, &node);
}

/* ---- check ---- */

struct checking {
	const struct call *call;
	struct slurm_check check;
	gpualloc_machine *machine; /* NULL if there is none */
	struct slurm_machine node;
};

static void checking_free(struct checking *checking)
{
	slurm_check_free(&checking->check);
	slurm_machine_free(&checking->node);
	gpualloc_machine_free(checking->machine);
}

/* A machine that was named must open; without a name a missing one is fine. */
static bool names_machine(const struct call *call)
{
	return call->value[OPTION_MACHINE] || getenv("GPUALLOC_MACHINE");
}

/* The version that --slurm-version names, or that of the Slurm on this machine. */
static int find_version(struct checking *checking)
{
	const struct call *call = checking->call;
	const char *named = call->value[OPTION_SLURM_VERSION];
	int *version = &checking->check.version;

	*version = -1;
	if (!named)
		return !names_machine(call) && slurm_version_ask(version) < 0 ? fail_memory() : 0;
	*version = slurm_version_read(named);
	if (*version < 0 || strspn(named, "0123456789") == 0)
		return fail_usage(call->command,
				  "--slurm-version: \"%s\" is not a version; give it like 23.11 or "
				  "24.05.8",
				  named);
	return 0;
}

static int read_files(struct checking *checking)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = slurm_check_read(&checking->check,
				      (const char *const *)checking->call->operands + 1,
				      checking->call->operand_count - 1, error);

	return result < 0 ? fail_error(result, error) : 0;
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
		say("note: no GPU driver answers here, so the files are not compared with a "
		    "machine; name one with --machine");
	return 0;
}

static int look(struct checking *checking)
{
	const struct call *call = checking->call;
	struct slurm_asked asked = {
		.node = call->value[OPTION_NODE],
		.machine = checking->machine ? &checking->node : NULL,
		.is_machine_named = names_machine(call),
	};
	struct slurm_looked looked = {0};

	if (checking->machine &&
	    !slurm_machine_read(checking->machine, root_of(call, checking->machine),
				&checking->node))
		return fail_memory();
	if (slurm_check_all(&checking->check, &asked, &looked) < 0)
		return fail_memory();
	if (asked.machine && !looked.at_machine && !call->value[OPTION_QUIET])
		say("note: it is not known which of the nodes this machine is, so the files are "
		    "not compared with it; name the node with --node");
	if (looked.left_out && !call->value[OPTION_QUIET])
		say("note: there are too many kinds of nodes to check them all; check a single one "
		    "with --node");
	return 0;
}

static void add_json(struct ga_buffer *text, const struct checking *checking)
{
	const struct slurm_check *check = &checking->check;
	struct ga_json json = {.out = text};
	char version[32];

	(void)snprintf(version, sizeof version, "%d.%02d", check->version / 100,
		       check->version % 100);
	open_document(&json, checking->call, checking->machine);
	ga_json_text(&json, "slurm", check->version < 0 ? NULL : version);
	ga_json_line(&json, "\n ");
	findings_json(&json, "findings", &check->findings);
	ga_json_line(&json, "\n ");
	findings_json(&json, "notes", &check->notes);
	end_document(&json);
}

static void add_nothing_wrong(struct ga_buffer *text, const struct checking *checking)
{
	for (size_t i = 1; i < checking->call->operand_count; i++)
		ga_buffer_format(text, "%s%s", i > 1 ? ", " : "", checking->call->operands[i]);
	ga_buffer_text(text, ": nothing wrong");
	if (checking->machine) {
		ga_buffer_text(text, ", compared with ");
		add_machine_name(text, checking->machine);
	}
	ga_buffer_char(text, '\n');
}

static int tell(const struct checking *checking)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const struct slurm_findings *findings = &checking->check.findings,
				    *notes = &checking->check.notes;

	if (checking->call->value[OPTION_JSON]) {
		add_json(&text, checking);
		return output_print(&text);
	}
	for (size_t i = 0; i < notes->count && !checking->call->value[OPTION_QUIET]; i++)
		say("note: %s:%zu: %s", notes->files[notes->list[i].file], notes->list[i].line,
		    notes->list[i].sentence);
	if (findings->count == 0) {
		add_nothing_wrong(&text, checking);
		return output_print(&text);
	}
	ga_buffer_format(&text, "gpualloc: %zu thing%s wrong\n", findings->count,
			 findings->count == 1 ? " is" : "s are");
	findings_text(&text, findings);
	return fail_text(gpualloc_exit_status(GPUALLOC_EDATA), &text);
}

static int check_options(const struct call *call)
{
	const char *node = call->value[OPTION_NODE];
	uint64_t count;

	if (call->operand_count < 2)
		return fail_usage(call->command, "slurm check needs the files to check: gpualloc "
						 "slurm check gres.conf slurm.conf");
	if (node && (!names_count(node, &count) || count != 1 || strlen(node) >= NAME_SIZE))
		return fail_usage(call->command, "--node: \"%s\" does not name a single node",
				  node);
	return 0;
}

static int check(const struct call *call)
{
	ga_cleanup(checking_free) struct checking checking = {.call = call};
	int result = check_options(call);

	if (result == 0)
		result = find_version(&checking);
	if (result == 0)
		result = read_files(&checking);
	if (result == 0)
		result = find_machine(&checking);
	if (result == 0)
		result = look(&checking);
	return result ? result : tell(&checking);
}

/* ---- both ---- */

static int run(const struct call *call)
{
	const char *word = call->operands[0];

	if (strcmp(word, "check") == 0)
		return check(call);
	if (strcmp(word, "gres-conf") != 0)
		return fail_usage(call->command, "slurm has no \"%s\"; use check or gres-conf",
				  word);
	if (call->operand_count > 1)
		return fail_usage(call->command,
				  "slurm gres-conf does not know what to do with "
				  "\"%s\"",
				  call->operands[1]);
	if (call->value[OPTION_SLURM_VERSION])
		return fail_usage(call->command, "--slurm-version is only for slurm check");
	return gres_conf(call);
}

const struct command command_slurm = {
	.name = "slurm",
	.sentence = "write Slurm's gres.conf for a machine, or check one",
	.description =
		"gres-conf prints the lines of gres.conf for a machine: in PCI order, with Type, "
		"File or the MultipleFiles of MIG instances, Cores and Links. check reads a site's "
		"gres.conf and slurm.conf. It reports each mistake as FILE:LINE and a sentence, "
		"with exit status 65; with --json it prints a document and exits with 0.",
	.example = "gpualloc slurm gres-conf --machine dgx1-volta",
	.operand = "gres-conf | check FILE...",
	.operands_least = 1,
	.operands_most = 1000,
	.complete = COMPLETE_SLURM,
	.options = (const enum option_id[]){OPTION_DEADLINE, OPTION_HELP, OPTION_JSON,
					    OPTION_MACHINE, OPTION_NODE, OPTION_QUIET, OPTION_ROOT,
					    OPTION_SLURM_VERSION, OPTION_END},
	.run = run,
};
