/* SPDX-License-Identifier: Apache-2.0 */
/* The job's environment; see environment.h. */
#include "environment.h"

#include "buffer.h"
#include "cleanup.h"
#include "cuda_order.h"

#include <stdlib.h>
#include <string.h>

enum { ENVIRONMENT_MAX = 1 << 22 };

/* All of our variables. Those not set for this job must not be inherited from another either. */
static const char *const ours[] = {
	"CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "GPUALLOC_LEASE",
	"GPUALLOC_FD",       "GPUALLOC_DEVICES",     "GPUALLOC_MEMORY",
};
enum { OURS = sizeof ours / sizeof *ours };

/* ---- the values ---- */

/* How the devices are named; if by number, each GPU is at its own. */
struct naming {
	bool by_number;
	const gpualloc_device **gpus;
};

static bool has_mig(const gpualloc_machine *machine)
{
	for (size_t i = 0; i < machine->device_count; i++)
		if (machine->devices[i].mig_enabled)
			return true;
	return false;
}

/* Its number; the number of GPUs if it does not belong to this machine. */
static size_t number_of(const struct ga_job *job, const struct naming *naming,
			const gpualloc_device *device)
{
	size_t number = 0;

	while (number < job->machine->device_count && naming->gpus[number] != device)
		number++;
	return number;
}

static int check_numbers(const struct ga_job *job, const struct naming *naming, int certain,
			 gpualloc_error *error)
{
	if (certain < 0)
		return ga_error_remedy(
			error,
			ga_error_prefix(error, certain,
					"devices cannot be named by number, only by UUID; "),
			GPUALLOC_REMEDY_USE_UUIDS);
	for (size_t i = 0; i < job->count; i++) {
		if (job->devices[i]->parent)
			return ga_error_remedy(
				error,
				ga_error_set(
					error, GPUALLOC_EIMPOSSIBLE,
					"a MIG instance has no CUDA index; it can only be named "
					"by UUID"),
				GPUALLOC_REMEDY_USE_UUIDS);
		if (number_of(job, naming, job->devices[i]) == job->machine->device_count)
			return ga_error_set(error, GPUALLOC_EUSAGE,
					    "a chosen device is not one of this machine's");
	}
	return 0;
}

static int check_uuids(const struct ga_job *job, int certain, gpualloc_error *error)
{
	for (size_t i = 0; i < job->count; i++) {
		if (job->devices[i]->uuid)
			continue;
		if (certain < 0)
			return ga_error_prefix(
				error, GPUALLOC_EIMPOSSIBLE,
				"a program cannot find a chosen device: its UUID is not known, and ");
		return ga_error_remedy(
			error,
			ga_error_set(
				error, GPUALLOC_EIMPOSSIBLE,
				"a program cannot find a chosen device: its UUID is not known"),
			GPUALLOC_REMEDY_USE_NUMBERS);
	}
	return 0;
}

/*
 * Several frameworks break on UUIDs, so numbers are the default. But if a GPU is in MIG mode,
 * numbers do not name everything, and if one is lost, they may name the wrong one.
 */
static int choose_names(const struct ga_job *job, struct naming *naming, gpualloc_error *error)
{
	gpualloc_error why = {0};
	int certain = ga_cuda_order(job->machine, naming->gpus, &why), result;

	naming->by_number = job->form == GPUALLOC_FORM_DEFAULT
				    ? certain == 0 && !has_mig(job->machine)
				    : job->form == GPUALLOC_FORM_INDEX;
	result = naming->by_number ? check_numbers(job, naming, certain, &why)
				   : check_uuids(job, certain, &why);
	if (result < 0 && error)
		*error = why;
	return result;
}

static bool all_have_uuids(const struct ga_job *job)
{
	for (size_t i = 0; i < job->count; i++)
		if (!job->devices[i]->uuid)
			return false;
	return true;
}

static void add_numbers(struct ga_buffer *out, const struct ga_job *job,
			const struct naming *naming, const char *name)
{
	ga_buffer_format(out, "%s=", name);
	for (size_t i = 0; i < job->count; i++)
		ga_buffer_format(out, "%s%zu", i ? "," : "",
				 number_of(job, naming, job->devices[i]));
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
static void add_ours(struct ga_buffer *out, const struct ga_job *job, const struct naming *naming)
{
	add_text(out, "CUDA_DEVICE_ORDER", "PCI_BUS_ID");
	if (naming->by_number)
		add_numbers(out, job, naming, "CUDA_VISIBLE_DEVICES");
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

/* The pointers, followed by the bytes of our own strings. */
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
	ga_auto_free const gpualloc_device **gpus =
		malloc((job->machine->device_count + 1) * sizeof(void *));
	struct naming naming = {.gpus = gpus};
	char **environment;
	int result = gpus ? choose_names(job, &naming, error) : ga_error_memory(error);

	if (result < 0)
		return result;
	add_ours(&own, job, &naming);
	environment = own.failed ? NULL : put_together(job, inherited, &own);
	if (!environment)
		return ga_error_memory(error);
	*ret_environment = environment;
	return 0;
}

/* Besides our own: how the lease's programs find the machine, the store and Slurm's job. */
bool ga_environment_tells_of_lease(const char *entry)
{
	static const char *const ways[] = {"GPUALLOC_MACHINE", "GPUALLOC_STATE_DIR",
					   "GPUALLOC_SLURM_JOB"};

	for (size_t i = 0; i < OURS; i++)
		if (has_name(entry, ours[i]))
			return true;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (has_name(entry, ways[i]))
			return true;
	return false;
}
