/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvidia-smi as a source: asked live, each of its outputs for what it knows best, or read from a
 * text that somebody has kept. The table (--query-gpu) gives indices and memory, the log (-q -x)
 * processes and MIG instances, the list (-L) the UUIDs of instances, topo -m the links. Any of them
 * gives the GPUs; an output that fails becomes a note.
 */
#include "buffer.h"
#include "child.h"
#include "cleanup.h"
#include "host.h"
#include "smi.h"
#include "source.h"
#include "topo/matrix.h"

#include <stdio.h>
#include <string.h>

enum { FIELDS_MAX = 32 };

/* What is known so far while the tool is asked. */
struct inquiry {
	struct ga_smi_tool tool;
	gpualloc_machine *machine;
	gpualloc_error failure; /* the first, which says why if nothing answers */
	bool hopeless;          /* no call will bring more */
};

/* ---- one output ---- */

/* Notes that a part is missing and goes on; only lack of memory ends the query. */
static int miss(struct inquiry *inquiry, const char *part, const gpualloc_error *why)
{
	if (why->status == GPUALLOC_ENOMEM)
		return GPUALLOC_ENOMEM;
	if (inquiry->failure.status == 0)
		inquiry->failure = *why;
	return ga_machine_note(inquiry->machine, "nvidia-smi %s: %s", part, why->message);
}

static int hear_of_lost(const struct ga_child_result *result, gpualloc_machine *part)
{
	int status = ga_smi_lost_read(result->errors.data, result->errors.size, part);

	return status < 0 ? status
			  : ga_smi_lost_read(result->output.data, result->output.size, part);
}

/*
 * Runs and reads one output that has no quirks; *ret_part stays NULL if that fails. If it hangs,
 * there is still time for the outputs after it.
 */
static int ask(struct inquiry *inquiry, const char *const words[], const char *name,
	       int (*read)(const char *text, size_t size, gpualloc_machine **ret_part,
			   gpualloc_error *error),
	       gpualloc_machine **ret_part)
{
	ga_auto_child struct ga_child_result result = {0};
	ga_auto_machine gpualloc_machine *part = NULL;
	gpualloc_error why = {0};
	const struct ga_smi_tool share = ga_smi_tool_share(&inquiry->tool);
	int status = ga_smi_tool_run(&share, words, &result, &why);

	if (status == 0) {
		gpualloc_error unread = {0};

		status = read(result.output.data ? result.output.data : "", result.output.size,
			      &part, &unread);
		if (status == GPUALLOC_ENOMEM)
			return status;
		if (status < 0)
			status = ga_smi_tool_complain(&result, unread.message, &why);
	}
	if (status < 0)
		return miss(inquiry, name, &why);
	if (ga_smi_lost_read(result.errors.data, result.errors.size, part) < 0)
		return GPUALLOC_ENOMEM;
	*ret_part = ga_steal(&part);
	return 0;
}

/* ---- the table, without the fields that this version does not know ---- */

struct asked {
	const char *names[FIELDS_MAX];
	size_t count;
};

static struct asked all_fields(void)
{
	struct asked asked = {.names = {"driver_version"}, .count = 1};
	const struct ga_smi_field *field;

	for (size_t i = 0; (field = ga_smi_field(i)) && asked.count < FIELDS_MAX; i++)
		if (field->asked)
			asked.names[asked.count++] = field->query;
	return asked;
}

static bool leave_out(struct asked *asked, struct ga_view name)
{
	for (size_t i = 0; i < asked->count; i++) {
		if (!ga_text_equal(name.text, name.size, asked->names[i]))
			continue;
		asked->count--;
		memmove(&asked->names[i], &asked->names[i + 1],
			(asked->count - i) * sizeof *asked->names);
		return true;
	}
	return false;
}

static int run_table(const struct ga_smi_tool *tool, const struct asked *asked,
		     struct ga_child_result *ret_result, gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer query = GA_BUFFER_INIT(1 << 16);

	for (size_t i = 0; i < asked->count; i++) {
		ga_buffer_text(&query, i == 0 ? "--query-gpu=" : ",");
		ga_buffer_text(&query, asked->names[i]);
	}
	if (query.failed)
		return ga_error_memory(error);
	return ga_smi_tool_run(tool, (const char *const[]){query.data, "--format=csv", NULL},
			       ret_result, error);
}

static int read_table(struct inquiry *inquiry, const struct ga_child_result *result,
		      const struct asked *asked, gpualloc_error *why)
{
	ga_auto_machine gpualloc_machine *part = NULL;
	gpualloc_error unread = {0};
	int status =
		ga_smi_csv_read(result->output.data ? result->output.data : "", result->output.size,
				asked->names, asked->count, &part, &unread);

	inquiry->hopeless = status < 0 && ga_smi_tool_is_hopeless(result);
	if (status == GPUALLOC_ENOMEM)
		return ga_error_memory(why);
	if (status < 0)
		return ga_smi_tool_complain(result, unread.message, why);
	if (hear_of_lost(result, part) < 0 || ga_smi_merge(inquiry->machine, part) < 0)
		return ga_error_memory(why);
	return 0;
}

/* Every refusal shortens the query by one field, so this ends. */
static int ask_for_table(struct inquiry *inquiry)
{
	struct asked asked = all_fields();
	gpualloc_error why = {0};

	while (asked.count > 0) {
		ga_auto_child struct ga_child_result result = {0};
		struct ga_view refused;
		int status = run_table(&inquiry->tool, &asked, &result, &why);

		/* If it cannot be run, or hangs, no other call will do better. */
		inquiry->hopeless = status < 0;
		if (status == 0 && ga_smi_tool_refuses_field(&result, &refused) &&
		    leave_out(&asked, refused))
			continue;
		if (status == 0)
			status = read_table(inquiry, &result, &asked, &why);
		return status < 0 ? miss(inquiry, "--query-gpu", &why) : 0;
	}
	(void)ga_error_set(&why, GPUALLOC_ENOSOURCE, "it knows none of the fields we ask for");
	return miss(inquiry, "--query-gpu", &why);
}

/* ---- the log and the list, which must agree on MIG instances ---- */

static bool has_mig(const gpualloc_machine *machine)
{
	for (size_t i = 0; machine && i < machine->device_count; i++)
		if (machine->devices[i].mig_enabled)
			return true;
	return false;
}

/* Asks for both, and joins them in *ret_log if both answer; *ret_differ: they did not agree. */
static int ask_for_details(struct inquiry *inquiry, bool last_try, gpualloc_machine **ret_log,
			   gpualloc_machine **ret_list, bool *ret_differ)
{
	static const char *const log_words[] = {"-q", "-x", NULL};
	static const char *const list_words[] = {"-L", NULL};
	int status = ask(inquiry, log_words, "-q -x", ga_smi_xml_read, ret_log);

	*ret_differ = false;
	if (status < 0)
		return status;
	/* Without MIG the list has nothing new, unless it is the only one to answer. */
	if (inquiry->machine->device_count > 0 && !has_mig(inquiry->machine) && !has_mig(*ret_log))
		return 0;
	status = ask(inquiry, list_words, "-L", ga_smi_list_read, ret_list);
	if (status == 0 && *ret_log && *ret_list)
		status = ga_smi_merge_instances(*ret_log, *ret_list, last_try ? NULL : ret_differ);
	return status;
}

static int add_details(struct inquiry *inquiry)
{
	bool again = true;

	for (int tries = 0; again && tries < 2; tries++) {
		ga_auto_machine gpualloc_machine *log = NULL, *list = NULL;
		int status = ask_for_details(inquiry, tries > 0, &log, &list, &again);

		if (status == 0 && !again && (log || list))
			status = ga_smi_merge(inquiry->machine, log ? log : list);
		if (status < 0)
			return status;
	}
	return 0;
}

/* ---- links ---- */

/* Whether the matrix is about our GPUs: all of them, or all that are not lost. */
static bool is_our_matrix(const gpualloc_machine *machine, const gpualloc_machine *topo)
{
	size_t all = 0, alive = 0;

	for (size_t t = 0; t < topo->device_count; t++)
		for (size_t i = 0; i < machine->device_count; i++)
			if (machine->devices[i].index == topo->devices[t].index)
				all++;
	for (size_t i = 0; i < machine->device_count; i++)
		alive += machine->devices[i].health != GPUALLOC_HEALTH_LOST;
	return all == topo->device_count && (all == machine->device_count || all == alive);
}

/* The place of topo's t-th GPU in the machine. */
static size_t place_of(const gpualloc_machine *machine, const gpualloc_machine *topo, size_t t)
{
	size_t place = 0;

	while (machine->devices[place].index != topo->devices[t].index)
		place++;
	return place;
}

static void take_link(struct ga_links *to, size_t i, size_t j, const struct ga_links *from,
		      size_t k, size_t l)
{
	ga_links_set_level(to, i, j, ga_links_level(from, k, l));
	ga_links_set_nvlinks(to, i, j, ga_links_nvlinks(from, k, l));
	ga_links_set_inferred(to, i, j, ga_links_inferred(from, k, l));
}

static int take_matrix(gpualloc_machine *machine, gpualloc_machine *topo)
{
	for (size_t t = 0; t < topo->device_count; t++) {
		size_t place = place_of(machine, topo, t);
		struct gpualloc_device *device = &machine->devices[place];

		if (device->numa < 0)
			device->numa = topo->devices[t].numa;
		if (!device->cpus)
			device->cpus = ga_steal(&topo->devices[t].cpus);
		for (size_t u = 0; u < t; u++)
			take_link(&machine->links, place, place_of(machine, topo, u), &topo->links,
				  t, u);
	}
	for (size_t i = 0; i < topo->note_count; i++)
		if (ga_machine_note(machine, "%s", topo->notes[i]) < 0)
			return GPUALLOC_ENOMEM;
	return 0;
}

static int add_links(struct inquiry *inquiry)
{
	static const char *const words[] = {"topo", "-m", NULL};
	ga_auto_machine gpualloc_machine *topo = NULL;
	int status;

	if (inquiry->machine->device_count < 2 || !ga_source_topo_matrix.read)
		return 0;
	status = ask(inquiry, words, "topo -m", ga_source_topo_matrix.read, &topo);
	if (status < 0 || !topo)
		return status;
	if (!is_our_matrix(inquiry->machine, topo))
		return ga_machine_note(inquiry->machine,
				       "nvidia-smi topo -m shows %zu GPUs that do not match its "
				       "other outputs; links are not known",
				       topo->device_count);
	return take_matrix(inquiry->machine, topo);
}

/* Older versions lack this matrix; then it is not known, which needs no note. */
static int add_p2p(struct inquiry *inquiry)
{
	static const char *const words[] = {"topo", "-p2p", "r", NULL};
	ga_auto_child struct ga_child_result result = {0};
	gpualloc_error why = {0};

	if (inquiry->machine->device_count < 2 ||
	    ga_smi_tool_run(&inquiry->tool, words, &result, &why) < 0)
		return why.status == GPUALLOC_ENOMEM ? GPUALLOC_ENOMEM : 0;
	return ga_topo_p2p_read(result.output.data ? result.output.data : "", result.output.size,
				inquiry->machine) < 0
		       ? GPUALLOC_ENOMEM
		       : 0;
}

/* ---- the source ---- */

/* If processes could not be listed, memory in use is the only sign of them. */
static void distrust_missing_lists(gpualloc_machine *machine)
{
	for (size_t i = 0; i < machine->device_count; i++) {
		struct gpualloc_device *device = &machine->devices[i];

		device->processes_hidden = device->processes_hidden || !device->processes_known;
		for (size_t m = 0; m < device->mig_count; m++)
			device->mig[m].processes_hidden =
				device->mig[m].processes_hidden || !device->mig[m].processes_known;
	}
}

static int complete(struct inquiry *inquiry, const char *root, gpualloc_error *error)
{
	gpualloc_machine *machine = inquiry->machine;
	int status;

	if (machine->device_count == 0)
		return ga_error_set(error, GPUALLOC_ENOSOURCE, "nvidia-smi: %s",
				    inquiry->failure.message);
	status = ga_smi_settle(machine, error);
	if (status < 0)
		return ga_error_prefix(error, status, "nvidia-smi: ");
	if (add_links(inquiry) < 0 || add_p2p(inquiry) < 0 || ga_host_describe(root, machine) < 0 ||
	    ga_host_places(root, machine) < 0 || ga_host_unified_memory(root, machine) < 0 ||
	    ga_host_processes(root, machine) < 0)
		return ga_error_memory(error);
	distrust_missing_lists(machine);
	return 0;
}

static int query(const struct ga_source_request *request, gpualloc_machine **ret_machine,
		 gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	struct inquiry inquiry = {.tool = ga_smi_tool(request->nvidia_smi, request->deadline_ms)};
	int status = ga_machine_new(0, &machine, error);

	if (status < 0)
		return status;
	inquiry.machine = machine;
	if (ask_for_table(&inquiry) < 0 || (!inquiry.hopeless && add_details(&inquiry) < 0))
		return ga_error_memory(error);
	status = complete(&inquiry, request->root ? request->root : "", error);
	if (status == 0)
		*ret_machine = ga_steal(&machine);
	return status;
}

static bool recognises(const char *text, size_t size)
{
	return ga_smi_xml_recognises(text, size) || ga_smi_list_recognises(text, size);
}

static int read_text(const char *text, size_t size, gpualloc_machine **ret_machine,
		     gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	bool is_log = ga_smi_xml_recognises(text, size);
	int status = is_log ? ga_smi_xml_read(text, size, &machine, error)
			    : ga_smi_list_read(text, size, &machine, error);

	if (status == 0 && machine->device_count == 0)
		status = ga_error_set(error, GPUALLOC_EDATA, "the log describes no GPU");
	if (status == 0)
		status = ga_smi_settle(machine, error);
	if (status == 0)
		*ret_machine = ga_steal(&machine);
	return status;
}

const struct ga_source ga_source_nvidia_smi = {
	.name = "nvidia-smi",
	.description = "the driver's program, if its library cannot be loaded",
	.query = query,
	.recognises = recognises,
	.read = read_text,
};
