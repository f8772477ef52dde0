/* SPDX-License-Identifier: Apache-2.0 */
/* The job's environment; see environment.h. */
#include "environment.h"

#include "buffer.h"

#include <string.h>

enum { ENVIRONMENT_MAX = 1 << 22 };

/* All that is ours. What is not set for this job must not be inherited from another either. */
static const char *const ours[] = {
	"CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "GPUALLOC_LEASE",
	"GPUALLOC_FD",       "GPUALLOC_DEVICES",     "GPUALLOC_MEMORY",
};
enum { OURS = sizeof ours / sizeof *ours };

/* ---- the values ---- */

/* Its number when GPUs are counted by PCI address; by index where addresses are not known. */
static size_t pci_order(const gpualloc_machine *machine, const gpualloc_device *device)
{
	size_t before = 0;

	for (size_t i = 0; i < machine->device_count; i++) {
		const gpualloc_device *other = &machine->devices[i];

		before += device->pci && other->pci ? strcmp(other->pci, device->pci) < 0
						    : other->index < device->index;
	}
	return before;
}

/* Several frameworks break on UUIDs; where a GPU is in MIG mode indices do not name everything. */
static bool takes_indices(const struct ga_job *job)
{
	if (job->form != GPUALLOC_FORM_DEFAULT)
		return job->form == GPUALLOC_FORM_INDEX;
	for (size_t i = 0; i < job->machine->device_count; i++)
		if (job->machine->devices[i].mig_enabled)
			return false;
	return true;
}

static int check_names(const struct ga_job *job, gpualloc_error *error)
{
	bool indices = takes_indices(job);

	for (size_t i = 0; i < job->count; i++) {
		if (indices && job->devices[i]->parent)
			return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
					    "a MIG instance has no index that CUDA knows; it is "
					    "found by its UUID (--format uuid)");
		if (!indices && !job->devices[i]->uuid)
			return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
					    "the UUID of a chosen device is not known, and without "
					    "it a program cannot find it (--format index names it "
					    "by number)");
	}
	return 0;
}

static bool all_have_uuids(const struct ga_job *job)
{
	for (size_t i = 0; i < job->count; i++)
		if (!job->devices[i]->uuid)
			return false;
	return true;
}

static void add_indices(struct ga_buffer *out, const struct ga_job *job, const char *name)
{
	ga_buffer_format(out, "%s=", name);
	for (size_t i = 0; i < job->count; i++)
		ga_buffer_format(out, "%s%zu", i ? "," : "",
				 pci_order(job->machine, job->devices[i]));
	ga_buffer_char(out, '\0');
}

static void add_uuids(struct ga_buffer *out, const struct ga_job *job, const char *name)
{
	ga_buffer_format(out, "%s=", name);
	for (size_t i = 0; i < job->count; i++)
		ga_buffer_format(out, "%s%s", i ? "," : "", job->devices[i]->uuid);
	ga_buffer_char(out, '\0');
}

static void add_text(struct ga_buffer *out, const char *name, const char *value)
{
	ga_buffer_format(out, "%s=%s", name, value);
	ga_buffer_char(out, '\0');
}

/* NAME=VALUE, each ended by a NUL. */
static void add_ours(struct ga_buffer *out, const struct ga_job *job)
{
	add_text(out, "CUDA_DEVICE_ORDER", "PCI_BUS_ID");
	if (takes_indices(job))
		add_indices(out, job, "CUDA_VISIBLE_DEVICES");
	else
		add_uuids(out, job, "CUDA_VISIBLE_DEVICES");
	if (all_have_uuids(job)) {
		add_uuids(out, job, "NVIDIA_VISIBLE_DEVICES");
		add_uuids(out, job, "GPUALLOC_DEVICES");
	}
	if (job->lease)
		add_text(out, "GPUALLOC_LEASE", job->lease);
	if (job->fd >= 0) {
		ga_buffer_format(out, "GPUALLOC_FD=%d", job->fd);
		ga_buffer_char(out, '\0');
	}
	if (job->memory >= 0) {
		ga_buffer_format(out, "GPUALLOC_MEMORY=%lld", (long long)job->memory);
		ga_buffer_char(out, '\0');
	}
	if (job->spec)
		add_text(out, "GPUALLOC_MACHINE", job->spec);
}

/* ---- the list ---- */

static bool has_name(const char *entry, const char *name)
{
	size_t size = strlen(name);

	return strncmp(entry, name, size) == 0 && entry[size] == '=';
}

static bool is_ours(const char *entry, const struct ga_job *job)
{
	if (job->spec && has_name(entry, "GPUALLOC_MACHINE"))
		return true;
	for (size_t i = 0; i < OURS; i++)
		if (has_name(entry, ours[i]))
			return true;
	return false;
}

/* The pointers and, behind the last of them, the bytes of our own strings. */
static char **put_together(const struct ga_job *job, char *const *inherited,
			   const struct ga_buffer *own)
{
	size_t count = 0, slots = OURS + 2;
	char **environment, *text;

	for (size_t i = 0; inherited[i]; i++)
		slots++;
	environment = malloc(slots * sizeof *environment + own->size);
	if (!environment)
		return NULL;
	for (size_t i = 0; inherited[i]; i++)
		if (!is_ours(inherited[i], job))
			environment[count++] = inherited[i];
	text = (char *)(environment + slots);
	memcpy(text, own->data, own->size);
	for (size_t at = 0; at < own->size; at += strlen(text + at) + 1)
		environment[count++] = text + at;
	environment[count] = NULL;
	return environment;
}

int ga_environment_make(const struct ga_job *job, char *const *inherited, char ***ret_environment,
			gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer own = GA_BUFFER_INIT(ENVIRONMENT_MAX);
	char **environment;
	int result = check_names(job, error);

	if (result < 0)
		return result;
	add_ours(&own, job);
	environment = own.failed ? NULL : put_together(job, inherited, &own);
	if (!environment)
		return ga_error_memory(error);
	*ret_environment = environment;
	return 0;
}
