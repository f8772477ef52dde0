/* SPDX-License-Identifier: Apache-2.0 */
/* What the administrator allows a user and the agents of a user; see allowed.h. */
#include "allowed.h"

#include "limit.h"

static bool is_limited(int64_t wanted, int64_t most)
{
	return most >= 0 && wanted > most;
}

/* The lease of an agent ends by itself, whether a keeper has it or a job. */
static int check_agent_hold(const struct ga_acquiring *acquiring, gpualloc_error *error)
{
	const struct ga_config *config = &acquiring->config;
	int64_t most = config->agent_max_hold_ms;
	int64_t wanted = acquiring->wish->hold_ms + acquiring->wish->limit_ms;

	if (!ga_agent() || most < 0 || acquiring->nest.rooms)
		return 0;
	if (wanted == 0)
		return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				    "%s lets agents have devices for %lld s at most "
				    "(agent-max-hold): a time limit is needed",
				    config->path, (long long)most / 1000);
	return is_limited(wanted, most)
		       ? ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				      "%s lets agents have devices for %lld s at most "
				      "(agent-max-hold), not %lld",
				      config->path, (long long)most / 1000,
				      (long long)wanted / 1000)
		       : 0;
}

int ga_allowed_time(const struct ga_acquiring *acquiring, gpualloc_error *error)
{
	int64_t most = acquiring->config.max_hold_ms;

	if (!is_limited(acquiring->wish->hold_ms, most))
		return check_agent_hold(acquiring, error);
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "%s allows a hold of %lld s at most (max-hold), not %lld",
			    acquiring->config.path, (long long)most / 1000,
			    (long long)acquiring->wish->hold_ms / 1000);
}

/* One of the two limits on devices. */
struct limit {
	const char *name, *whose, *who;
	int64_t most; /* GA_UNKNOWN: none, or not for us */
	bool only_agents;
};

enum { LIMITS = 2 };

static void read_limits(const struct ga_acquiring *acquiring, struct limit ret_limits[LIMITS])
{
	const struct ga_config *config = &acquiring->config;
	bool is_bound = !acquiring->nest.rooms;

	ret_limits[0] = (struct limit){"max-devices", "your leases", "each user",
				       is_bound ? config->max_devices : GA_UNKNOWN, false};
	ret_limits[1] = (struct limit){
		"agent-max-devices", "the leases of your agents", "the agents of each user",
		is_bound && ga_agent() ? config->agent_max_devices : GA_UNKNOWN, true};
}

bool ga_allowed_is_limited(const struct ga_acquiring *acquiring)
{
	struct limit limits[LIMITS];

	read_limits(acquiring, limits);
	return limits[0].most >= 0 || limits[1].most >= 0;
}

int ga_allowed_count(const struct ga_acquiring *acquiring, int64_t count, gpualloc_error *error)
{
	struct limit limits[LIMITS];

	read_limits(acquiring, limits);
	for (int i = 0; i < LIMITS; i++)
		if (is_limited(count, limits[i].most))
			return ga_error_set(
				error, GPUALLOC_EIMPOSSIBLE,
				"%s allows %s %lld device%s (%s), and you asked for %lld",
				acquiring->config.path, limits[i].who, (long long)limits[i].most,
				limits[i].most == 1 ? "" : "s", limits[i].name, (long long)count);
	return 0;
}

int ga_allowed_now(const struct ga_acquiring *acquiring, size_t count, gpualloc_error *error)
{
	ga_auto_records struct ga_records records = {0};
	struct limit limits[LIMITS];
	int64_t unrecorded;
	int result = ga_allowed_count(acquiring, (int64_t)count, error);

	if (result == 0 && ga_allowed_is_limited(acquiring))
		result = ga_records_read(&acquiring->store, &records, error);
	if (result < 0 || !ga_allowed_is_limited(acquiring))
		return result;
	read_limits(acquiring, limits);
	/* What has no record may be an agent's. */
	unrecorded = ga_limit_unrecorded(&acquiring->store, &records);
	for (int i = 0; i < LIMITS; i++) {
		int64_t held =
			unrecorded + ga_limit_held(&records, geteuid(), limits[i].only_agents);

		if (is_limited(held + (int64_t)count, limits[i].most))
			return ga_error_set(error, GPUALLOC_EBUSY,
					    "%s allows %s %lld devices (%s): %s have %lld, and you "
					    "asked for %zu more",
					    acquiring->config.path, limits[i].who,
					    (long long)limits[i].most, limits[i].name,
					    limits[i].whose, (long long)held, count);
	}
	return 0;
}
