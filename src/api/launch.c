/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exported face of starting programs: the calls pass on what they are given and decide nothing.
 */
#include "bind.h"
#include "child.h"
#include "cleanup.h"
#include "environment.h"
#include "program.h"
#include "supervise.h"

#include <stdlib.h>

static int make_environment(struct ga_job *job,
			    const gpualloc_device *(*device_at)(const void *from, size_t i),
			    const void *from, char *const *inherited, char ***ret_environment,
			    gpualloc_error *error)
{
	ga_auto_free const gpualloc_device **devices = NULL;

	if (!from || !job->machine || !inherited)
		return ga_error_missing(error, "the lease, the machine or the environment");
	devices = calloc(job->count + 1, sizeof(void *));
	if (!devices)
		return ga_error_memory(error);
	for (size_t i = 0; i < job->count; i++)
		devices[i] = device_at(from, i);
	job->devices = devices;
	return ga_environment_make(job, inherited, ret_environment, error);
}

static const gpualloc_device *device_of_lease(const void *lease, size_t i)
{
	return gpualloc_lease_device(lease, i);
}

static const gpualloc_device *device_of_choice(const void *choice, size_t i)
{
	return gpualloc_choice_device(choice, i);
}

int gpualloc_lease_environment(const gpualloc_lease *lease, int fd, enum gpualloc_form form,
			       const char *spec, char *const *inherited, char ***ret_environment,
			       gpualloc_error *error)
{
	struct ga_job job = {
		.machine = gpualloc_lease_machine(lease),
		.count = gpualloc_lease_device_count(lease),
		.form = form,
		.lease = gpualloc_lease_id(lease),
		.fd = fd,
		.memory = gpualloc_lease_memory(lease),
		.spec = spec,
	};

	return make_environment(&job, device_of_lease, lease, inherited, ret_environment, error);
}

int gpualloc_choice_environment(const gpualloc_machine *machine, const gpualloc_choice *choice,
				enum gpualloc_form form, const char *spec, char *const *inherited,
				char ***ret_environment, gpualloc_error *error)
{
	struct ga_job job = {
		.machine = machine,
		.count = gpualloc_choice_device_count(choice),
		.form = form,
		.fd = -1,
		.memory = -1,
		.spec = spec,
	};

	return make_environment(&job, device_of_choice, choice, inherited, ret_environment, error);
}

int gpualloc_program_find(const char *name, char **ret_path, gpualloc_error *error)
{
	if (!name)
		return ga_error_missing(error, "the name of the program");
	return ga_program_find(name, getenv("PATH"), ret_path, error);
}

int gpualloc_program_output(const char *const *arguments, unsigned deadline_ms, size_t limit,
			    char **ret_text, gpualloc_error *error)
{
	ga_auto_child struct ga_child_result ended = {0};
	int result = !arguments || !arguments[0]
			     ? ga_error_missing(error, "the program")
			     : ga_child_run(arguments, deadline_ms, limit, &ended, error);

	if (result < 0)
		return result;
	if (ended.timed_out)
		return ga_error_set(error, GPUALLOC_ENOSOURCE, "%s has not ended after %u ms",
				    arguments[0], deadline_ms);
	if (ended.exit_status != 0)
		return ga_error_set(error, GPUALLOC_ENOSOURCE, "%s ended with %d", arguments[0],
				    ended.exit_status);
	*ret_text = ga_buffer_take(&ended.output, NULL);
	return *ret_text ? 0 : ga_error_memory(error);
}

int gpualloc_program_become(const char *path, char *const *arguments, char *const *environment,
			    gpualloc_error *error)
{
	if (!path || !arguments || !environment)
		return ga_error_missing(error, "the program, its arguments or its environment");
	return ga_program_refused(path, ga_program_become(path, arguments, environment), error);
}

int gpualloc_program_supervise(const char *path, char *const *arguments, char *const *environment,
			       int64_t time_limit_ms, gpualloc_supervise_function *tell,
			       void *context, int *ret_status, gpualloc_error *error)
{
	struct ga_supervision how = {
		.time_limit_ms = time_limit_ms, .tell = tell, .context = context};

	if (!path || !arguments || !environment)
		return ga_error_missing(error, "the program, its arguments or its environment");
	return ga_supervise(path, arguments, environment, &how, ret_status, error);
}

int gpualloc_bind(const gpualloc_device *const *devices, size_t count, char **ret_where,
		  gpualloc_error *error)
{
	if (!devices && count > 0)
		return ga_error_missing(error, "the list of devices");
	return ga_bind(devices, count, ret_where, error);
}

int gpualloc_bind_check(gpualloc_error *error)
{
	return ga_bind_check(error);
}
