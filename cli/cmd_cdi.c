/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc cdi: tells container engines how to give GPUs to containers. */
#include "cdi_follow.h"
#include "document.h"
#include "entries.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"
#include "save.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Where the files of the machine are: below --root; / for this machine; else nowhere. */
static struct cdi_place place_of(const struct call *call, const gpualloc_machine *machine)
{
	const char *root = call->value[OPTION_ROOT];
	struct cdi_place place = {.is_simulated = gpualloc_machine_is_simulated(machine) == 1};

	if (root)
		place.root = strcmp(root, "/") == 0 ? "" : root;
	else if (gpualloc_machine_is_here(machine) == 1)
		place.root = "";
	return place;
}

static void say_left_out(const struct cdi_entries *entries)
{
	char id[64];

	for (size_t i = 0; i < entries->left_out_count; i++) {
		const gpualloc_device *device = entries->left_out[i];

		(void)gpualloc_device_ids(&device, 1, id, sizeof id);
		say("note: %s %s is left out: the files in /dev that belong to it are not known",
		    gpualloc_device_parent(device) ? "MIG instance" : "GPU", id);
	}
}

static void say_what_lacks(const struct call *call, const gpualloc_machine *machine,
			   const struct cdi_place *place, const struct cdi_written *written)
{
	const char *driver = gpualloc_machine_driver(machine);

	if (call->value[OPTION_QUIET])
		return;
	if (!place->root && !place->is_simulated)
		say("note: the driver's libraries are not in it, for their machine is not here; "
		    "name a folder with its files by --root");
	if (place->root && written->libraries == 0)
		say("note: no libraries of the driver%s%s were found, so images have to bring "
		    "them",
		    driver ? " " : "", driver ? driver : "");
	if (place->root && written->lacks_uvm)
		say("note: /dev/nvidia-uvm is not there yet, and containers cannot start "
		    "without it; nvidia-modprobe -u -c 0 makes it");
}

static int write_document(const struct call *call, const gpualloc_machine *machine,
			  struct ga_buffer *text)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_cleanup(cdi_place_free) struct cdi_place place = place_of(call, machine);
	ga_cleanup(cdi_entries_free) struct cdi_entries entries = {0};
	struct cdi_written written = {0};
	struct cdi_asked asked = {.kind = call->value[OPTION_KIND] ? call->value[OPTION_KIND]
								   : CDI_KIND,
				  .driver = gpualloc_machine_driver(machine),
				  .host = "",
				  .place = &place};
	int result;

	if (!cdi_entries_read(machine, &place, &entries))
		return fail_memory();
	if (!call->value[OPTION_QUIET])
		say_left_out(&entries);
	if (entries.count == 0)
		return fail(gpualloc_exit_status(GPUALLOC_EIMPOSSIBLE),
			    "there is no device to describe: gpualloc list shows what there is");
	asked.entries = entries.list;
	asked.count = entries.count;
	result = cdi_write(&asked, text, &written, error);
	if (result < 0)
		return fail_error(result, error);
	say_what_lacks(call, machine, &place, &written);
	return 0;
}

static int save(const struct call *call, const struct ga_buffer *text)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	const char *path = call->value[OPTION_OUTPUT];
	int result;

	if (!path)
		return output_print(text);
	result = cdi_make_folder(path, error);
	/* A new file is for everybody to read, as the folder is: engines run as any user. */
	(void)umask(022);
	return result < 0 ? fail_error(result, error) : output_save(path, text);
}

/* Whether the file is there, and is what was written last. */
static bool is_up_to_date(const struct call *call, const struct ga_buffer *last,
			  const struct ga_buffer *text)
{
	const char *path = call->value[OPTION_OUTPUT];

	return path && last->data && last->size == text->size &&
	       memcmp(last->data, text->data, text->size) == 0 && access(path, F_OK) == 0;
}

/* last: what was written before, and now is. */
static int generate(const struct call *call, struct ga_buffer *last)
{
	auto_machine gpualloc_machine *machine = NULL;
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	int result = open_machine(call, &machine);

	if (result == 0)
		result = write_document(call, machine, &text);
	if (result || is_up_to_date(call, last, &text))
		return result;
	result = save(call, &text);
	if (result == 0) {
		ga_buffer_free(last);
		*last = text;
		text = GA_BUFFER_OUTPUT;
	}
	return result;
}

/* Whatever fails may be well again when something changes: a driver that is not loaded yet. */
static int follow(const struct call *call)
{
	ga_auto_buffer struct ga_buffer last = GA_BUFFER_OUTPUT;
	ga_cleanup(cdi_follow_free) struct cdi_follow changes = {
		.root = call->value[OPTION_ROOT] ? call->value[OPTION_ROOT] : ""};

	for (;;) {
		(void)generate(call, &last);
		if (cdi_follow_wait(&changes) < 0)
			return fail_memory();
	}
}

static int check(const struct call *call)
{
	const char *kind = call->value[OPTION_KIND], *path = call->value[OPTION_OUTPUT];

	if (strcmp(call->operands[0], "generate") != 0)
		return fail_usage(call->command, "cdi has no \"%s\"; use generate",
				  call->operands[0]);
	if (kind && !cdi_kind_is_valid(kind))
		return fail_usage(call->command,
				  "--kind: \"%s\" is not a kind of devices as CDI has them; they "
				  "look like " CDI_KIND,
				  kind);
	if (call->value[OPTION_STAY] && (!path || strcmp(path, "-") == 0))
		return fail_usage(call->command,
				  "--stay keeps a file up to date; name it with --output");
	return 0;
}

static int run(const struct call *call)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	int result = check(call);

	if (result)
		return result;
	return call->value[OPTION_STAY] ? follow(call) : generate(call, &text);
}

const struct command command_cdi = {
	.name = "cdi",
	.sentence = "describe the GPUs to container engines",
	.description =
		"Writes a CDI document, by which podman, docker and Kubernetes give GPUs to "
		"containers: each GPU by its index and UUID, each MIG instance as GPU:PLACE and by "
		"UUID, and all. It says which files in /dev a container gets, and which of the "
		"driver's libraries. Engines read it in /etc/cdi and /var/run/cdi. With --stay "
		"it stays and writes the file anew when MIG instances or the driver change.",
	.example = "gpualloc cdi generate --machine dgx1-volta",
	.operand = "generate",
	.operands_least = 1,
	.operands_most = 1,
	.complete = COMPLETE_CDI,
	.options = (const enum option_id[]){OPTION_DEADLINE, OPTION_HELP, OPTION_KIND,
					    OPTION_MACHINE, OPTION_OUTPUT, OPTION_QUIET,
					    OPTION_ROOT, OPTION_STAY, OPTION_END},
	.run = run,
};
