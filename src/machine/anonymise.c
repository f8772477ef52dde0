/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a machine anonymous; see anonymise.h. */
#include "anonymise.h"

#include "cleanup.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

/* Names seen so far, in order of appearance: the n-th becomes "<kind>n". */
struct names {
	char **known;
	size_t count, capacity;
};

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->known[i]);
	free(names->known);
}
#define auto_names ga_cleanup(names_free)

static int replace_name(struct names *names, const char *kind, char **field)
{
	char fresh[64];
	size_t i = 0;

	if (!*field)
		return 0;
	while (i < names->count && strcmp(names->known[i], *field) != 0)
		i++;
	(void)snprintf(fresh, sizeof fresh, "%s%zu", kind, i + 1);
	if (i < names->count)
		return ga_set_text(field, fresh);
	if (names->count == names->capacity) {
		size_t capacity = names->capacity ? names->capacity * 2 : 16;
		char **known = realloc(names->known, capacity * sizeof *known);

		if (!known)
			return GPUALLOC_ENOMEM;
		names->known = known;
		names->capacity = capacity;
	}
	names->known[names->count++] = ga_steal(field);
	return ga_set_text(field, fresh);
}

static int replace_processes(struct gpualloc_device *device, struct names *users,
			     struct names *programs)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < device->process_count; i++) {
		result = replace_name(users, "user", &device->processes[i].user);
		if (result == 0)
			result = replace_name(programs, "program", &device->processes[i].name);
	}
	return result;
}

/* MIG-GPU-<uuid>/gi/ci keeps that form, with its GPU's new UUID. */
static int replace_instance_uuid(struct gpualloc_device *instance, const char *gpu, size_t number)
{
	char fresh[128];
	const char *ids;

	if (!instance->uuid)
		return 0;
	ids = strchr(instance->uuid, '/');
	if (ids)
		(void)snprintf(fresh, sizeof fresh, "MIG-%s%.32s", gpu, ids);
	else
		(void)snprintf(fresh, sizeof fresh, "MIG-00000000-0000-0000-0000-%012zx", number);
	return ga_set_text(&instance->uuid, fresh);
}

static int replace_device(struct gpualloc_device *device, size_t number, size_t *instances,
			  struct names *users, struct names *programs)
{
	char uuid[64], serial[32];
	int result = replace_processes(device, users, programs);

	(void)snprintf(uuid, sizeof uuid, "%s00000000-0000-0000-0000-%012zx",
		       device->uuid && ga_text_is_bare_uuid(device->uuid, strlen(device->uuid))
			       ? ""
			       : "GPU-",
		       number);
	(void)snprintf(serial, sizeof serial, "%013zu", number);
	if (result == 0 && device->serial)
		result = ga_set_text(&device->serial, serial);
	if (result == 0 && device->uuid)
		result = ga_set_text(&device->uuid, uuid);
	for (size_t i = 0; result == 0 && i < device->mig_count; i++) {
		result = replace_processes(&device->mig[i], users, programs);
		if (result == 0)
			result = replace_instance_uuid(&device->mig[i], uuid, ++*instances);
	}
	return result;
}

int ga_machine_anonymise(gpualloc_machine *machine, gpualloc_error *error)
{
	auto_names struct names users = {0};
	auto_names struct names programs = {0};
	size_t instances = 0;
	int result = machine->name ? ga_set_text(&machine->name, "machine") : 0;

	for (size_t i = 0; result == 0 && i < machine->device_count; i++)
		result = replace_device(&machine->devices[i], i + 1, &instances, &users, &programs);
	return result == 0 ? 0 : ga_error_memory(error);
}
