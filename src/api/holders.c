/* SPDX-License-Identifier: Apache-2.0 */
/* The exported face of ending a lease: the calls pass on what they are given. */
#include "config.h"
#include "ending.h"
#include "lease.h"
#include "record.h"

#include <stdlib.h>
#include <string.h>

int gpualloc_holders_read(const gpualloc_store *store, const char *id,
			  gpualloc_holders **ret_holders, gpualloc_error *error)
{
	if (!store || !id || !ret_holders)
		return ga_error_set(error, GPUALLOC_EUSAGE, "no store, or no lease, was given");
	return ga_ending_read(&store->files, id, ret_holders, error);
}

void gpualloc_holders_free(gpualloc_holders *holders)
{
	ga_ending_free(holders);
}

size_t gpualloc_holders_count(const gpualloc_holders *holders)
{
	return holders ? holders->count : 0;
}

const gpualloc_holder *gpualloc_holders_holder(const gpualloc_holders *holders, size_t i)
{
	return holders && i < holders->count ? &holders->list[i] : NULL;
}

size_t gpualloc_holders_unseen(const gpualloc_holders *holders)
{
	return holders ? holders->unseen : 0;
}

int64_t gpualloc_holder_pid(const gpualloc_holder *holder)
{
	return holder ? holder->pid : GA_UNKNOWN;
}

const char *gpualloc_holder_command(const gpualloc_holder *holder)
{
	return holder ? holder->command : NULL;
}

enum gpualloc_holder_kind gpualloc_holder_kind_of(const gpualloc_holder *holder)
{
	return holder ? holder->kind : GPUALLOC_HOLDER_WITHOUT;
}

int gpualloc_holders_end(gpualloc_holders *holders, int only_keepers, unsigned grace_ms,
			 gpualloc_error *error)
{
	if (!holders)
		return ga_error_set(error, GPUALLOC_EUSAGE, "no holders were given");
	return ga_ending_end(holders, only_keepers != 0, grace_ms, error);
}

/* ---- how long ---- */

static bool is_here(const char *spec)
{
	if (!spec)
		spec = getenv("GPUALLOC_MACHINE");
	return !spec || !*spec || strcmp(spec, "nvml") == 0 || strcmp(spec, "nvidia-smi") == 0;
}

static int read_config(const char *spec, struct ga_config *ret_config, gpualloc_error *error)
{
	int result = ga_config_read(ga_config_path(is_here(spec)), ret_config, error);

	return result < 0 ? result : ga_config_check(ret_config, error);
}

static int no_place(gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_EUSAGE,
			    "there is nowhere to put the answer: NULL was given");
}

int gpualloc_max_hold(const char *spec, int64_t *ret_ms, gpualloc_error *error)
{
	ga_auto_config struct ga_config config = {0};
	int result = ret_ms ? read_config(spec, &config, error) : no_place(error);

	if (result < 0)
		return result;
	*ret_ms = config.max_hold_ms;
	if (ga_agent() && config.agent_max_hold_ms >= 0 &&
	    (*ret_ms < 0 || config.agent_max_hold_ms < *ret_ms))
		*ret_ms = config.agent_max_hold_ms;
	return 0;
}

int gpualloc_idle_rule(const char *spec, int64_t *ret_ms, char **ret_program, gpualloc_error *error)
{
	ga_auto_config struct ga_config config = {0};
	int result = ret_ms && ret_program ? read_config(spec, &config, error) : no_place(error);

	if (result < 0)
		return result;
	*ret_ms = config.idle_warn_ms;
	*ret_program = ga_steal(&config.idle_notify);
	return 0;
}

int gpualloc_fence_rule(const char *spec, int *ret_wanted, gpualloc_error *error)
{
	ga_auto_config struct ga_config config = {0};
	int result = ret_wanted ? read_config(spec, &config, error) : no_place(error);

	if (result == 0)
		*ret_wanted = config.fences_jobs;
	return result;
}

int gpualloc_fence_exempt(const char *spec, gpualloc_exempt_function *function, void *context,
			  int *ret_displays, gpualloc_error *error)
{
	ga_auto_config struct ga_config config = {0};
	int result = ret_displays ? read_config(spec, &config, error) : no_place(error);

	for (size_t i = 0; result == 0 && function && i < config.exempt_count; i++)
		result = function(context, config.exempt[i].kind, config.exempt[i].name,
				  config.exempt[i].id);
	if (result == 0)
		*ret_displays = config.fences_displays;
	return result;
}
