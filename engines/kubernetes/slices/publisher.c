/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One job at a time: reading what was published, making sets, writing, looking; see publisher.h.
 * The reconciler belongs to whichever job is under way.
 */
#include "publisher.h"

#include "clock.h"
#include "error.h"
#include "file.h"
#include "reconcile.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

enum {
	LOOK_MS = 60000, /* how often it is looked whether somebody removed something */
	RETRY_MS = 1000,
	RETRY_MOST_MS = 60000,
	LEAVING_MS = 5000,
	SNAPSHOT_MOST = 64 << 20
};

enum task { TASK_NONE, TASK_READ, TASK_SETS, TASK_WRITE, TASK_LOOK };

struct publisher {
	struct loop *loop;
	const struct settings *settings;
	const struct log *log;
	struct inventory *inventory;
	void (*changed)(void *context);
	void *context;
	struct worker worker;
	struct reconciler reconciler;
	struct offer_sets sets;
	uint64_t sets_made;
	enum task task; /* that is under way */
	bool has_read, must_look, must_write;
	uint64_t written;   /* the mark of what was */
	int64_t not_before; /* of ga_clock_ms(): after a failure */
	int64_t retry_ms, look_at;
	char told[512];
};

struct publishing {
	struct job job;
	struct publisher *publisher;
	enum task task;
	int result;
	gpualloc_error *error;
	uint64_t mark;
	struct reconciling reconciling;
	/* For sets: a copy of the inventory, and its machine as text. */
	struct inventory inventory;
	int snapshot;
	struct offer_sets sets;
};

/* ---- a job ---- */

static void publishing_free(struct publishing *publishing)
{
	json_decref(publishing->reconciling.counter_sets);
	json_decref(publishing->reconciling.devices);
	json_decref(publishing->reconciling.ours);
	inventory_free(&publishing->inventory);
	offer_sets_free(&publishing->sets);
	gpualloc_error_free(publishing->error);
	if (publishing->snapshot >= 0)
		close(publishing->snapshot);
	free(publishing);
}

static int make_sets(struct publishing *publishing)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(0);
	char path[64];
	int result;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", publishing->snapshot);
	result = ga_file_read(path, SNAPSHOT_MOST, &text, publishing->error);
	if (result == 0)
		result = gpualloc_machine_read(text.data, text.size, "the machine",
					       &publishing->inventory.machine, publishing->error);
	if (result == 0)
		result = offer_sets_make(&publishing->inventory, &publishing->sets,
					 publishing->error);
	return result;
}

static void work(struct job *job)
{
	struct publishing *publishing = (struct publishing *)job;
	struct reconciler *reconciler = &publishing->publisher->reconciler;

	if (publishing->task == TASK_READ)
		publishing->result = reconciler_read(reconciler, publishing->error);
	else if (publishing->task == TASK_SETS)
		publishing->result = make_sets(publishing);
	else if (publishing->task == TASK_WRITE)
		publishing->result =
			reconciler_write(reconciler, &publishing->reconciling, publishing->error);
	else
		publishing->result = reconciler_look(reconciler, publishing->error);
}

/* ---- what came of it ---- */

static void learn(struct publisher *publisher)
{
	const char *uuid;
	json_t *label;

	json_object_foreach(publisher->reconciler.labels, uuid, label)
	{
		const char *key = uuid;
		const struct unit *unit = inventory_find(publisher->inventory, key);

		/* Of an instance, its parent's UUID is not known here: the label is its GPU's. */
		if (unit && unit->label != json_integer_value(label))
			inventory_relabel(publisher->inventory, key,
					  (int64_t)json_integer_value(label));
	}
}

static void tell(struct publisher *publisher, const struct publishing *publishing)
{
	const struct reconciling *what = &publishing->reconciling;

	if (publishing->result < 0 &&
	    strncmp(publisher->told, gpualloc_error_message(publishing->error),
		    sizeof publisher->told - 1) != 0)
		log_say(publisher->log, LOG_LEVEL_WARNING, "ResourceSlices: %s",
			gpualloc_error_message(publishing->error));
	(void)snprintf(publisher->told, sizeof publisher->told, "%s",
		       publishing->result < 0 ? gpualloc_error_message(publishing->error) : "");
	if (publishing->result == 0 && publishing->task == TASK_WRITE && what->written)
		log_say(publisher->log, LOG_LEVEL_INFO,
			"%zu devices in %zu ResourceSlices, generation %lld; %zu written",
			json_array_size(what->devices), what->slices, (long long)what->generation,
			what->written);
}

static void succeeded(struct publisher *publisher, struct publishing *publishing)
{
	if (publishing->task == TASK_READ) {
		publisher->has_read = true;
		learn(publisher);
	} else if (publishing->task == TASK_SETS) {
		offer_sets_free(&publisher->sets);
		publisher->sets_made++;
		publisher->sets = publishing->sets;
		publishing->sets = (struct offer_sets){0};
	} else if (publishing->task == TASK_WRITE) {
		publisher->written = publishing->mark;
		publisher->must_write = publisher->reconciler.leaving_count > 0;
		publisher->not_before = publisher->must_write ? ga_clock_ms() + LEAVING_MS : 0;
	} else {
		publisher->must_look = false;
		publisher->must_write = publisher->must_write || !publisher->reconciler.is_known;
	}
	if (publishing->task != TASK_SETS)
		publisher->look_at = ga_clock_ms() + LOOK_MS;
}

static void done(struct job *job)
{
	struct publishing *publishing = (struct publishing *)job;
	struct publisher *publisher = publishing->publisher;

	publisher->task = TASK_NONE;
	tell(publisher, publishing);
	if (publishing->result < 0) {
		publisher->retry_ms = publisher->retry_ms ? publisher->retry_ms * 2 : RETRY_MS;
		if (publisher->retry_ms > RETRY_MOST_MS)
			publisher->retry_ms = RETRY_MOST_MS;
		publisher->not_before = ga_clock_ms() + publisher->retry_ms;
	} else {
		publisher->retry_ms = 0;
		publisher->not_before = 0;
		succeeded(publisher, publishing);
	}
	/* Labels, and sets, are what the next step waits for. */
	if (publishing->result == 0 &&
	    (publishing->task == TASK_READ || publishing->task == TASK_SETS))
		publisher->changed(publisher->context);
	publishing_free(publishing);
	/* JSON takes much room for a moment, and there is a long pause now. */
	(void)malloc_trim(0);
}

/* ---- what is to be done ---- */

static struct publishing *begin(struct publisher *publisher, enum task task)
{
	struct publishing *publishing = calloc(1, sizeof *publishing);

	if (!publishing)
		return NULL;
	publishing->job.work = work;
	publishing->job.done = done;
	publishing->publisher = publisher;
	publishing->task = task;
	publishing->snapshot = -1;
	publishing->error = gpualloc_error_new();
	return publishing;
}

static void post(struct publisher *publisher, struct publishing *publishing)
{
	publisher->task = publishing->task;
	worker_post(&publisher->worker, &publishing->job);
}

static void post_sets(struct publisher *publisher, int snapshot)
{
	const struct inventory *inventory = publisher->inventory;
	struct publishing *publishing = begin(publisher, TASK_SETS);

	if (!publishing)
		return;
	publishing->snapshot = fcntl(snapshot, F_DUPFD_CLOEXEC, 0);
	publishing->inventory.units = calloc(inventory->count + 1, sizeof *inventory->units);
	if (publishing->snapshot < 0 || !publishing->inventory.units) {
		publishing_free(publishing);
		return;
	}
	memcpy(publishing->inventory.units, inventory->units,
	       inventory->count * sizeof *inventory->units);
	publishing->inventory.count = inventory->count;
	post(publisher, publishing);
}

static void add_text(uint64_t *mark, const char *text)
{
	for (; *text; text++)
		*mark = (*mark ^ (unsigned char)*text) * UINT64_C(1099511628211);
	*mark = (*mark ^ 0xff) * UINT64_C(1099511628211);
}

/* Differs where what would be published does. */
static uint64_t mark_of(const struct publisher *publisher, const struct offer *offer)
{
	uint64_t mark = UINT64_C(14695981039346656037) ^ publisher->sets_made;

	for (size_t i = 0; i < offer->inventory->count; i++) {
		struct unit *unit = &offer->inventory->units[i];
		const char *why = offer_why_not(offer, unit);
		char name[NAME_SIZE];

		name_of_unit(unit, name);
		add_text(&mark, name);
		add_text(&mark, unit->uuid);
		add_text(&mark, why ? why : "");
		add_text(&mark, unit->is_missing ? "missing" : "");
	}
	return mark;
}

static json_t *list_ours(const struct inventory *inventory)
{
	json_t *ours = json_object();
	char name[NAME_SIZE];

	for (size_t i = 0; i < inventory->count; i++)
		if (inventory->units[i].is_ours) {
			(void)snprintf(name, sizeof name, "gpu-%lld",
				       (long long)inventory->units[i].label);
			(void)json_object_set_new(ours, name, json_true());
		}
	return ours;
}

static void post_write(struct publisher *publisher, const struct offer *offer, uint64_t mark)
{
	struct publishing *publishing = begin(publisher, TASK_WRITE);

	if (!publishing)
		return;
	publishing->mark = mark;
	publishing->reconciling = (struct reconciling){.counter_sets = offer_counter_sets(offer),
						       .devices = offer_devices(offer),
						       .ours = list_ours(offer->inventory),
						       .now = offer->now};
	if (!publishing->reconciling.counter_sets || !publishing->reconciling.devices ||
	    !publishing->reconciling.ours)
		publishing_free(publishing);
	else
		post(publisher, publishing);
}

static void post_plain(struct publisher *publisher, enum task task)
{
	struct publishing *publishing = begin(publisher, task);

	if (publishing)
		post(publisher, publishing);
}

void publisher_update(struct publisher *publisher, int snapshot)
{
	struct offer offer = {.inventory = publisher->inventory,
			      .sets = &publisher->sets,
			      .settings = publisher->settings,
			      .now = ga_clock_ms()};
	uint64_t mark;

	if (publisher->task != TASK_NONE || !offer.inventory->machine)
		return;
	offer.sys = gpualloc_machine_is_here(offer.inventory->machine) ? "/sys" : NULL;
	mark = mark_of(publisher, &offer);
	if (offer.now < publisher->not_before &&
	    (publisher->retry_ms || mark == publisher->written))
		return;
	if (!publisher->has_read)
		post_plain(publisher, TASK_READ);
	else if (!offer_sets_fit(&publisher->sets, offer.inventory))
		post_sets(publisher, snapshot);
	else if (mark != publisher->written || publisher->must_write)
		post_write(publisher, &offer, mark);
	else if (publisher->must_look || offer.now >= publisher->look_at)
		post_plain(publisher, TASK_LOOK);
}

void publisher_check(struct publisher *publisher)
{
	publisher->must_look = true;
}

bool publisher_is_ready(const struct publisher *publisher)
{
	return publisher->has_read;
}

const struct offer_sets *publisher_sets(const struct publisher *publisher)
{
	return &publisher->sets;
}

int publisher_new(struct loop *loop, const struct settings *settings, const struct log *log,
		  struct api_client *client, struct inventory *inventory,
		  void (*changed)(void *context), void *context, struct publisher **ret_publisher,
		  gpualloc_error *error)
{
	struct publisher *publisher = calloc(1, sizeof *publisher);
	int result;

	if (!publisher) {
		api_client_free(client);
		return ga_error_memory(error);
	}
	*publisher = (struct publisher){.loop = loop,
					.settings = settings,
					.log = log,
					.inventory = inventory,
					.changed = changed,
					.context = context};
	publisher->reconciler = (struct reconciler){.settings = settings, .client = client};
	result = worker_start(&publisher->worker, loop, error);
	if (result < 0) {
		api_client_free(client);
		free(publisher);
		return result;
	}
	*ret_publisher = publisher;
	return 0;
}
