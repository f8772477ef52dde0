/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc pick: prints a choice and holds nothing. */
#include "choice_json.h"
#include "choose.h"
#include "device.h"
#include "message.h"
#include "output.h"
#include "owned.h"
#include "stores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_IMPOSSIBLE = 78 };

/* A name of the device, if the source knows it. */
static int add_known(struct ga_buffer *text, const gpualloc_device *device, const char *what,
		     const char *name)
{
	char id[ID_SIZE];

	if (!name)
		return fail(STATUS_IMPOSSIBLE,
			    "the %s of device %s is not known; use --format index", what,
			    device_id(device, id));
	ga_buffer_text(text, name);
	return 0;
}

static int add_uuid(struct ga_buffer *text, const struct chosen *chosen,
		    const gpualloc_device *device)
{
	(void)chosen;
	return add_known(text, device, "UUID", gpualloc_device_uuid(device));
}

static int add_index(struct ga_buffer *text, const struct chosen *chosen,
		     const gpualloc_device *device)
{
	char id[ID_SIZE];

	(void)chosen;
	ga_buffer_text(text, device_id(device, id));
	return 0;
}

static int add_pci(struct ga_buffer *text, const struct chosen *chosen,
		   const gpualloc_device *device)
{
	const gpualloc_device *parent = gpualloc_device_parent(device);

	(void)chosen;
	return add_known(text, device, "PCI address",
			 gpualloc_device_pci(parent ? parent : device));
}

static int add_torch(struct ga_buffer *text, const struct chosen *chosen,
		     const gpualloc_device *device)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_free char *name = NULL;
	int result = gpualloc_device_framework_name(chosen->machine, device,
						    getenv("CUDA_VISIBLE_DEVICES"),
						    getenv("CUDA_DEVICE_ORDER"), &name, error);

	if (result < 0)
		return fail_error(result, error);
	ga_buffer_text(text, name);
	return 0;
}

static int add_list(struct ga_buffer *text, const struct chosen *chosen,
		    int (*add)(struct ga_buffer *, const struct chosen *, const gpualloc_device *))
{
	for (size_t i = 0; i < gpualloc_choice_device_count(chosen->choice); i++) {
		int result;

		if (i > 0)
			ga_buffer_char(text, ',');
		result = add(text, chosen, gpualloc_choice_device(chosen->choice, i));
		if (result)
			return result;
	}
	ga_buffer_char(text, '\n');
	return 0;
}

/* ---- the environment ---- */

/* What a program without a lease is told; our own variables are only for programs with a lease. */
static int add_environment(struct ga_buffer *text, const struct chosen *chosen)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_free char **environment = NULL;
	char *nothing[] = {NULL};
	int result =
		gpualloc_choice_environment(chosen->machine, chosen->choice, GPUALLOC_FORM_DEFAULT,
					    NULL, nothing, &environment, error);

	if (result < 0)
		return fail_error(result, error);
	for (size_t i = 0; environment[i]; i++)
		if (strncmp(environment[i], "GPUALLOC_", strlen("GPUALLOC_")) != 0)
			ga_buffer_format(text, "%s\n", environment[i]);
	return 0;
}

static const struct {
	const char *name;
	int (*add)(struct ga_buffer *text, const struct chosen *chosen,
		   const gpualloc_device *device);
} forms[] = {{"index", add_index}, {"pci", add_pci}, {"torch", add_torch}, {"uuid", add_uuid}};

static int add_choice(struct ga_buffer *text, const struct call *call, const struct chosen *chosen)
{
	const char *form = call->value[OPTION_FORMAT] ? call->value[OPTION_FORMAT] : "uuid";

	if (call->value[OPTION_JSON] || strcmp(form, "json") == 0) {
		choice_json(text, call, chosen, false);
		return 0;
	}
	if (strcmp(form, "env") == 0)
		return add_environment(text, chosen);
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		if (strcmp(form, forms[i].name) == 0)
			return add_list(text, chosen, forms[i].add);
	return fail_memory();
}

static int check_form(const struct call *call)
{
	const char *form = call->value[OPTION_FORMAT];
	bool known = !form || strcmp(form, "json") == 0 || strcmp(form, "env") == 0;

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		known = known || strcmp(form, forms[i].name) == 0;
	if (!known)
		return fail_usage(
			call->command,
			"--format: there is no format \"%s\"; use uuid, index, pci, env, torch or "
			"json",
			form);
	if (form && call->value[OPTION_JSON] && strcmp(form, "json") != 0)
		return fail_usage(call->command,
				  "--json and --format %s are two formats; use one "
				  "of them",
				  form);
	return 0;
}

static int run(const struct call *call)
{
	auto_chosen struct chosen chosen = {0};
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	int result = check_form(call);

	if (result == 0)
		result = choose(call, false, &chosen);
	if (result == 0)
		result = add_choice(&text, call, &chosen);
	if (result == 0)
		result = output_print(&text);
	/* In $(gpualloc pick), which somebody types: scripts are not told each time. */
	if (result == 0 && !getenv("GPUALLOC_LEASE") && !isatty(STDOUT_FILENO) &&
	    isatty(STDERR_FILENO))
		store_warn_of_fence(call, NULL);
	return result;
}

const struct command command_pick = {
	.name = "pick",
	.sentence = "print a choice of devices without leasing them",
	.description =
		"Chooses free devices that match the options and prints them on one line: as many "
		"as you asked for, or none. It takes no lease: somebody else may take the devices "
		"before your program starts. On failure it prints nothing, so write ids=$(gpualloc "
		"pick ...) || exit.",
	.example = "gpualloc pick --machine dgx1-volta -n 4",
	.options = (const enum option_id[]){OPTIONS_OF_CHOICE_BEFORE_FORMAT, OPTION_FORMAT,
					    OPTIONS_OF_CHOICE_TO_MIXED, OPTION_END},
	.run = run,
};
