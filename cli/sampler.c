/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sample: who holds what, and whether something runs there. A lease that two samples in a row
 * have seen counts for the time between them; a lease that began since, and one that has ended,
 * count for nothing, and so does a gap. So the sums are a little too low rather than too high.
 *
 * Records are what users say: a device counts if the driver knows it, and of one user's leases no
 * more than LEASES_OF_A_USER, so that nobody can make samples slow, or fill the ledger.
 */
#include "child.h"
#include "clock.h"
#include "file.h"
#include "message.h"
#include "open.h"
#include "owned.h"
#include "samples.h"
#include "stores.h"
#include "text.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NOTIFY_MS = 30000, TELLING_MS = 30000, LEASES_OF_A_USER = 256, CLOCK_SLACK_S = 2 };

struct sampler {
	const struct call *call;
	gpualloc_machine *machine; /* NULL if no driver answers */
	gpualloc_leases *leases;   /* NULL if there is no store */
	struct samples before, after;
	int64_t hour;
	int64_t passed_ms; /* since the sample before; 0 if nothing is known of that time */
	int64_t unseen_s;  /* by how much more, or less, the clock of the day went on */
	bool *is_counted;  /* of the leases */
	int64_t warn_ms;   /* idle-warn; -1 if it is not set */
	char *notify;      /* idle-notify */
};

static void sampler_free(struct sampler *sampler)
{
	gpualloc_machine_free(sampler->machine);
	gpualloc_leases_free(sampler->leases);
	samples_free(&sampler->before);
	samples_free(&sampler->after);
	gpualloc_free(sampler->notify);
	free(sampler->is_counted);
}

/* ---- time ---- */

static void read_clocks(struct sampler *sampler)
{
	struct samples *before = &sampler->before, *after = &sampler->after;

	after->at = (int64_t)time(NULL);
	after->at_clock = ga_clock_ms();
	if (ga_file_peek("", "/proc/sys/kernel/random/boot_id", after->boot, sizeof after->boot) <=
	    0)
		(void)snprintf(after->boot, sizeof after->boot, "?");
	sampler->hour = after->at / HOUR_SECONDS;
	sampler->passed_ms = after->at_clock - before->at_clock;
	if (!before->has_sample || strcmp(before->boot, after->boot) != 0 ||
	    sampler->passed_ms < 0 || sampler->passed_ms > SAMPLE_GAP_MS)
		sampler->passed_ms = 0;
	sampler->unseen_s =
		before->has_sample ? after->at - before->at - sampler->passed_ms / 1000 : 0;
	if (sampler->unseen_s >= -CLOCK_SLACK_S && sampler->unseen_s <= CLOCK_SLACK_S)
		sampler->unseen_s = 0;
}

/* ---- what runs ---- */

/* Where it cannot be seen, something may well run: nobody is called idle on a guess. */
static bool may_run(const gpualloc_device *device)
{
	if (!device || !gpualloc_device_processes_known(device) ||
	    gpualloc_device_processes_hidden(device) || gpualloc_device_utilization(device) > 0)
		return true;
	for (size_t i = 0; i < gpualloc_device_process_count(device); i++) {
		const char *type = gpualloc_process_type(gpualloc_device_process(device, i));

		if (!type || strchr(type, 'C'))
			return true;
	}
	return false;
}

/* Which part of a whole GPU a lease has of a device, in thousandths. */
static int64_t part_of(const gpualloc_device *device, const gpualloc_held *held)
{
	const gpualloc_device *gpu = device ? gpualloc_device_parent(device) : NULL;
	int64_t total = gpualloc_device_memory_total(gpu ? gpu : device);
	int64_t own = gpualloc_held_memory(held);

	if (own < 0)
		own = gpualloc_device_memory_total(device);
	if (total <= 0 || own < 0 || own >= total)
		return 1000;
	return own / (total / 1000 + 1);
}

/* ---- leases ---- */

static const struct seen_lease *find_lease(const struct samples *samples, const char *id)
{
	for (size_t i = 0; i < samples->lease_count; i++)
		if (strcmp(samples->leases[i].id, id) == 0)
			return &samples->leases[i];
	return NULL;
}

/* Which leases are looked at: whoever has a thousand records cannot have a thousand jobs. */
static int choose_leases(struct sampler *sampler)
{
	size_t count = gpualloc_leases_held_count(sampler->leases);

	sampler->is_counted = calloc(count + 1, sizeof *sampler->is_counted);
	if (!sampler->is_counted)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < count; i++) {
		int64_t uid = gpualloc_held_uid(gpualloc_leases_held(sampler->leases, i));
		size_t others = 0;

		for (size_t o = 0; o < i && others < LEASES_OF_A_USER; o++)
			others +=
				sampler->is_counted[o] &&
				gpualloc_held_uid(gpualloc_leases_held(sampler->leases, o)) == uid;
		sampler->is_counted[i] = others < LEASES_OF_A_USER;
	}
	return 0;
}

/* Whether a list of UUIDs, separated by commas, has this one. */
static bool has_device(const char *list, const char *uuid)
{
	size_t wanted = strlen(uuid), length;

	for (; *list; list += length + (list[length] == ',')) {
		length = strcspn(list, ",");
		if (length == wanted && strncmp(list, uuid, length) == 0)
			return true;
	}
	return false;
}

/* While no driver answers, what it knew a sample ago. */
static bool is_real(const struct sampler *sampler, const struct seen_lease *before,
		    const char *uuid)
{
	if (sampler->machine)
		return find_device(sampler->machine, uuid);
	return before && has_device(before->devices, uuid);
}

/*
 * A lease within a lease has the same devices once more; they count for the outer one. Both are the
 * same user's: nobody's records change the figures of others.
 */
static bool is_counted_already(const struct sampler *sampler, size_t lease, const char *uuid)
{
	const gpualloc_held *held = gpualloc_leases_held(sampler->leases, lease);

	for (size_t i = 0; i < gpualloc_leases_held_count(sampler->leases); i++) {
		const gpualloc_held *other = gpualloc_leases_held(sampler->leases, i);
		bool is_first =
			gpualloc_held_since(other) < gpualloc_held_since(held) ||
			(gpualloc_held_since(other) == gpualloc_held_since(held) && i < lease);

		if (i == lease || !is_first || !sampler->is_counted[i] ||
		    gpualloc_held_uid(other) != gpualloc_held_uid(held) ||
		    gpualloc_held_memory(other) >= 0)
			continue;
		for (size_t d = 0; d < gpualloc_held_device_count(other); d++)
			if (ga_text_same(gpualloc_held_device(other, d), uuid))
				return true;
	}
	return false;
}

static bool is_usable(const char *uuid)
{
	return uuid && *uuid && !strpbrk(uuid, " ,") && ga_text_is_clean(uuid, strlen(uuid));
}

static const char *group_of(int64_t uid)
{
	const struct passwd *user = uid >= 0 ? getpwuid((uid_t)uid) : NULL;
	const struct group *group = user ? getgrgid(user->pw_gid) : NULL;

	return group ? group->gr_name : "?";
}

/* Adds what a lease has of one device to the sums, and the device to the list. */
static int count_device(struct sampler *sampler, size_t lease, const struct seen_lease *before,
			const char *uuid, struct ga_buffer *devices, bool *runs)
{
	const gpualloc_held *held = gpualloc_leases_held(sampler->leases, lease);
	const char *user = gpualloc_held_user(held);
	const gpualloc_device *device;
	int64_t ms;
	bool used;

	if (!is_usable(uuid) || !is_real(sampler, before, uuid) ||
	    (devices->size > 0 && has_device(devices->data, uuid)))
		return 0;
	device = sampler->machine ? find_device(sampler->machine, uuid) : NULL;
	ms = sampler->passed_ms * part_of(device, held) / 1000;
	used = may_run(device);
	*runs = *runs || used;
	ga_buffer_format(devices, "%s%s", devices->size ? "," : "", uuid);
	if (!before || is_counted_already(sampler, lease, uuid))
		return 0;
	return samples_add(&sampler->after, sampler->hour, user ? user : "?",
			   group_of(gpualloc_held_uid(held)), uuid, ms, used && device ? ms : 0);
}

/* Adds one lease to the sums and to the list of those seen. */
static int count_lease(struct sampler *sampler, size_t i)
{
	const gpualloc_held *held = gpualloc_leases_held(sampler->leases, i);
	ga_auto_buffer struct ga_buffer devices = GA_BUFFER_INIT(SAMPLE_DEVICES_MOST);
	const char *user = gpualloc_held_user(held), *id = gpualloc_held_id(held);
	const char *command = gpualloc_held_command(held), *first = gpualloc_held_device(held, 0);
	const struct seen_lease *before;
	struct seen_lease now = {.since = gpualloc_held_since(held), .active = sampler->after.at};
	char without[SAMPLE_WORD];
	bool runs = false;
	int result = 0;

	(void)snprintf(without, sizeof without, "device %.200s", first ? first : "?");
	now.id = (char *)(id ? id : without);
	now.user = (char *)(user ? user : "?");
	now.command = (char *)(command ? command : "");
	before = find_lease(&sampler->before, now.id);
	for (size_t d = 0; result == 0 && d < gpualloc_held_device_count(held); d++)
		result = count_device(sampler, i, before, gpualloc_held_device(held, d), &devices,
				      &runs);
	if (result < 0 || devices.size == 0)
		return devices.failed ? GPUALLOC_ENOMEM : result;
	now.devices = devices.data;
	if (now.since < 0)
		now.since = before ? before->since : sampler->after.at;
	if (before && !runs) {
		/* What was not seen is not held against anybody. */
		now.active = before->active + sampler->unseen_s;
		now.active = now.active < 0 ? 0 : now.active;
		now.is_told = before->is_told;
	}
	return samples_add_lease(&sampler->after, &now);
}

/* ---- telling somebody ---- */

static int set(const char *name, const char *value)
{
	return setenv(name, value, 1);
}

struct telling {
	const struct sampler *sampler;
	const struct seen_lease *lease;
};

/* In a child of its own: the variables are those that --notify gives its programs. */
static int tell(void *context, int out)
{
	const struct telling *telling = context;
	const struct seen_lease *lease = telling->lease;
	const char *const words[] = {telling->sampler->notify, NULL};
	long long minutes = (long long)(telling->sampler->after.at - lease->active) / 60;
	ga_auto_free char *message = NULL;
	char idle[32];

	/* Descriptor 0 is /dev/null: what it prints goes nowhere, as from a daemon. */
	(void)dup2(0, out);
	(void)snprintf(idle, sizeof idle, "%lld", minutes * 60);
	if (asprintf(&message, "nothing has run for %lld h %lld min in the lease %s of %s%s%s",
		     minutes / 60, minutes % 60, lease->id, lease->user,
		     *lease->command ? ": " : "", lease->command) < 0)
		return STATUS_MEMORY;
	if (set("GPUALLOC_EVENT", "idle") || set("GPUALLOC_MESSAGE", message) ||
	    set("GPUALLOC_LEASE", lease->id) || set("GPUALLOC_USER", lease->user) ||
	    set("GPUALLOC_DEVICES", lease->devices) || set("GPUALLOC_COMMAND", lease->command) ||
	    set("GPUALLOC_IDLE", idle) || chdir("/") < 0)
		return STATUS_MEMORY;
	return ga_child_execute(words);
}

static void tell_of(struct sampler *sampler, const struct seen_lease *lease)
{
	struct telling telling = {sampler, lease};
	struct ga_child child = {0};
	gpualloc_error why = {0};
	int64_t until = ga_clock_ms() + NOTIFY_MS;
	int status;

	if (ga_child_start("idle-notify", tell, &telling, &child, &why) < 0) {
		say("note: %s: %s", sampler->notify, why.message);
		return;
	}
	status = ga_child_stop(&child, until);
	if (status != 0)
		say("note: %s %s", sampler->notify,
		    ga_clock_ms() >= until ? "did not end within 30 s and was killed" : "failed");
}

/* Before the sample is written, so that nobody is told twice even if telling is cut short. */
static void mark_idle(struct sampler *sampler)
{
	for (size_t i = 0; sampler->warn_ms >= 0 && i < sampler->after.lease_count; i++) {
		struct seen_lease *lease = &sampler->after.leases[i];

		lease->is_due = !lease->is_told &&
				(sampler->after.at - lease->active) * 1000 >= sampler->warn_ms;
		lease->is_told = lease->is_told || lease->is_due;
	}
}

/*
 * A program that hangs must not cost the next sample: it is not started again after a while, and
 * the rest is told next time. Returns whether there is a rest.
 */
static bool tell_of_idle(struct sampler *sampler)
{
	int64_t until = ga_clock_ms() + TELLING_MS;
	bool is_rest = false;

	for (size_t i = 0; sampler->notify && i < sampler->after.lease_count; i++) {
		struct seen_lease *lease = &sampler->after.leases[i];

		if (!lease->is_due)
			continue;
		if (ga_clock_ms() < until) {
			tell_of(sampler, lease);
			continue;
		}
		lease->is_told = false;
		is_rest = true;
	}
	return is_rest;
}

/* ---- the sample ---- */

/* A driver that does not answer is no reason not to count the leases. */
static int look(struct sampler *sampler)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_store gpualloc_store *store = NULL;
	int result = store_to_look(sampler->call, STORE_FOR_LEASES, &store);

	if (result || !store)
		return result;
	result = gpualloc_leases_read(store, &sampler->leases, error);
	if (result < 0)
		return fail_error(result, error);
	if (gpualloc_leases_held_count(sampler->leases) > 0 &&
	    gpualloc_machine_open(sampler->call->value[OPTION_MACHINE], sampler->call->deadline_ms,
				  &sampler->machine, error) < 0)
		say("note: what runs on the devices is not known: %s",
		    gpualloc_error_message(error));
	return 0;
}

static int count_all(struct sampler *sampler)
{
	struct samples *before = &sampler->before;
	int result = 0;

	for (size_t i = 0; result == 0 && i < before->sum_count; i++)
		result = samples_add(&sampler->after, before->sums[i].hour, before->sums[i].user,
				     before->sums[i].group, before->sums[i].gpu,
				     before->sums[i].leased_ms, before->sums[i].used_ms);
	if (result == 0)
		result = samples_add(&sampler->after, sampler->hour, SAMPLED_USER, SAMPLED_USER,
				     SAMPLED_USER, sampler->passed_ms, 0);
	if (result == 0)
		result = choose_leases(sampler);
	for (size_t i = 0; result == 0 && i < gpualloc_leases_held_count(sampler->leases); i++)
		if (sampler->is_counted[i])
			result = count_lease(sampler, i);
	return result < 0 ? fail_memory() : 0;
}

int sample_take(const struct call *call)
{
	ga_cleanup(sampler_free) struct sampler sampler = {.call = call, .warn_ms = -1};
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_close int folder = -1, lock = -1;
	int result = samples_open(&folder, &lock);

	if (result == 0)
		result = samples_read_now(folder, &sampler.before);
	if (result == 0)
		result = look(&sampler);
	if (result)
		return result;
	/* Sampling goes on with mistakes in the configuration; nobody is warned then. */
	result = gpualloc_idle_rule(call->value[OPTION_MACHINE], &sampler.warn_ms, &sampler.notify,
				    error);
	if (result < 0)
		say("note: nobody is told of idle leases: %s", gpualloc_error_message(error));
	read_clocks(&sampler);
	result = count_all(&sampler);
	if (result)
		return result;
	mark_idle(&sampler);
	result = samples_write(folder, &sampler.after, sampler.hour);
	if (result == 0 && tell_of_idle(&sampler))
		result = samples_write(folder, &sampler.after, sampler.hour);
	return result;
}
