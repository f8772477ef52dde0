/* SPDX-License-Identifier: Apache-2.0 */
/* What the administrator says, applied to a machine; see config.h. */
#include "config.h"

#include "device_id.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- which device a rule is about ---- */

static bool is_uuid(const char *id)
{
	return ga_text_starts(id, "GPU-") || ga_text_starts(id, "MIG-") ||
	       ga_text_is_bare_uuid(id, strlen(id));
}

/*
 * A prefix that several devices share names them all: better one too many out of use than one too
 * few.
 */
static bool has_uuid(const struct gpualloc_device *device, const char *id)
{
	return device->uuid && strncasecmp(device->uuid, id, strlen(id)) == 0;
}

static bool names(const struct ga_rule *rule, const struct ga_device_list *list,
		  const struct gpualloc_device *device)
{
	if (!is_uuid(rule->id))
		return ga_device_list_has(list, device);
	return has_uuid(device, rule->id) || (device->parent && has_uuid(device->parent, rule->id));
}

/* ---- one device ---- */

static int exclude(struct gpualloc_device *device, bool has_others, const char *text,
		   gpualloc_error *error)
{
	if (device->excluded && !device->is_for_others)
		return 0;
	device->is_for_others = has_others;
	return ga_set_text(&device->excluded, text) < 0 ? ga_error_memory(error) : 0;
}

/* Being in any of a device's groups is enough; an exclusion is for everybody. */
static int apply_rule(const struct ga_config *config, size_t i, struct gpualloc_device *device,
		      bool *is_member, gpualloc_error *error)
{
	const struct ga_rule *rule = &config->rules[i];
	char text[GA_TEXT_MAX];

	if (!rule->group) {
		(void)snprintf(text, sizeof text, "%s",
			       rule->reason ? rule->reason : "taken out of use");
		device->is_drained = true;
		return exclude(device, false, text, error);
	}
	*is_member |= rule->is_for_us;
	(void)snprintf(text, sizeof text, "only for members of the group %s", rule->group);
	return exclude(device, true, text, error);
}

static bool is_allowed(const struct ga_config *config, const struct gpualloc_device *device)
{
	for (size_t i = 0; i < config->allowed_count; i++) {
		const char *uuid = config->allowed[i];

		if (device->uuid && strcasecmp(device->uuid, uuid) == 0)
			return true;
		if (device->parent && device->parent->uuid &&
		    strcasecmp(device->parent->uuid, uuid) == 0)
			return true;
	}
	return !config->allow_list;
}

static int apply_allow_list(const struct ga_config *config, struct gpualloc_device *device,
			    gpualloc_error *error)
{
	char text[GA_TEXT_MAX];

	/* Of a GPU in MIG mode only the instances can be used, and they have their own lines. */
	if (device->mig_enabled || is_allowed(config, device))
		return 0;
	(void)snprintf(text, sizeof text, "not listed in %s", config->allow_list);
	return exclude(device, false, text, error);
}

/* A name is compared with the last part of a path, because the driver gives the whole path. */
static bool is_ignored(const struct ga_config *config, const struct gpualloc_process *process)
{
	const char *slash = process->name ? strrchr(process->name, '/') : NULL;

	for (size_t i = 0; process->name && i < config->process_count; i++)
		if (strcmp(process->name, config->processes[i]) == 0 ||
		    (slash && strcmp(slash + 1, config->processes[i]) == 0))
			return true;
	return false;
}

static int apply_to(struct ga_config *config, const struct ga_device_list *lists,
		    struct gpualloc_device *device, gpualloc_error *error)
{
	bool is_member = false;
	int result = 0;

	for (size_t i = 0; i < device->process_count; i++)
		device->processes[i].ignored = is_ignored(config, &device->processes[i]);
	/* 0 would mean the default. */
	if (config->idle_memory >= 0)
		device->idle_memory = config->idle_memory > 0 ? config->idle_memory : 1;
	for (size_t i = 0; result == 0 && i < config->rule_count; i++) {
		if (!names(&config->rules[i], &lists[i], device))
			continue;
		config->rules[i].names_none = false;
		result = apply_rule(config, i, device, &is_member, error);
	}
	if (is_member && device->is_for_others) {
		device->is_for_others = false;
		(void)ga_set_text(&device->excluded, NULL);
	}
	return result == 0 ? apply_allow_list(config, device, error) : result;
}

/* ---- the machine ---- */

/* A UUID may belong to a GPU that has fallen off its bus, which is no reason to stop everything. */
static int find_devices(struct ga_config *config, const gpualloc_machine *machine,
			struct ga_device_list *lists, gpualloc_error *error)
{
	for (size_t i = 0; i < config->rule_count; i++) {
		const struct ga_rule *rule = &config->rules[i];
		gpualloc_error why = {0};
		int result = 0;

		config->rules[i].names_none = is_uuid(rule->id);
		if (!is_uuid(rule->id))
			result = ga_device_list_parse(machine, rule->id, &lists[i], &why);
		if (result == GPUALLOC_ENOMEM)
			return ga_error_memory(error);
		if (result < 0)
			ga_config_mistake(config, rule->line, "%s", why.message);
	}
	return 0;
}

static int note_absent(const struct ga_config *config, gpualloc_machine *machine,
		       gpualloc_error *error)
{
	for (size_t i = 0; i < config->rule_count; i++)
		if (config->rules[i].names_none &&
		    ga_machine_note(machine, "%s:%u: there is no device %s on this machine",
				    config->path, config->rules[i].line, config->rules[i].id) < 0)
			return ga_error_memory(error);
	return 0;
}

static int apply_all(struct ga_config *config, const struct ga_device_list *lists,
		     gpualloc_machine *machine, gpualloc_error *error)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < machine->device_count; i++) {
		struct gpualloc_device *gpu = &machine->devices[i];

		result = apply_to(config, lists, gpu, error);
		for (size_t m = 0; result == 0 && m < gpu->mig_count; m++)
			result = apply_to(config, lists, &gpu->mig[m], error);
	}
	return result;
}

int ga_config_apply(struct ga_config *config, gpualloc_machine *machine, gpualloc_error *error)
{
	struct ga_device_list *lists;
	int result;

	if (!config->path)
		return 0;
	lists = calloc(config->rule_count + 1, sizeof *lists);
	if (!lists)
		return ga_error_memory(error);
	result = find_devices(config, machine, lists, error);
	if (result == 0)
		result = apply_all(config, lists, machine, error);
	for (size_t i = 0; i < config->rule_count; i++)
		ga_device_list_free(&lists[i]);
	free(lists);
	return result < 0 ? result : note_absent(config, machine, error);
}

int ga_config_settle(gpualloc_machine *machine, struct ga_config *ret_config, gpualloc_error *error)
{
	int result = ga_config_read(ga_config_path(machine->is_here), ret_config, error);

	if (result == 0)
		result = ga_config_apply(ret_config, machine, error);
	return result < 0 ? result : ga_config_check(ret_config, error);
}
