/* SPDX-License-Identifier: Apache-2.0 */
/* One list for all who watch, made anew when it would differ or becomes old; see health.h. */
#include "health.h"

#include "clock.h"
#include "dra.h"
#include "drahealth.pb-c.h"
#include "messages.h"
#include "owned.h"
#include "slices/publisher.h"

#include <string.h>

/* A kubelet takes what is older than 30 s for unknown. */
enum { TELL_AGAIN = 10 };

/* ---- the list ---- */

struct condition {
	Drahealth__Health health;
	const char *why;
};

/* Whom it is leased to, or whether it may be given out, is no matter of health. */
static struct condition condition_of(const struct dra *dra, struct unit *unit, int64_t now)
{
	const struct agent *agent = dra->agent;
	bool is_well = unit_is_healthy(unit, &agent->inventory, agent->settings, now);

	if (agent->inventory.is_blind)
		return (struct condition){DRAHEALTH__HEALTH__UNKNOWN, unit->reason};
	if (!is_well && (unit->is_missing || unit->is_sick ||
			 unit_heals_at(unit, agent->settings) > now))
		return (struct condition){DRAHEALTH__HEALTH__UNHEALTHY, unit->reason};
	return (struct condition){DRAHEALTH__HEALTH__HEALTHY, ""};
}

/* Nothing is as bad as to be unhealthy, and unknown is worse than healthy. */
static struct condition condition_of_set(const struct dra *dra, uint32_t members, int64_t now)
{
	struct condition worst = {DRAHEALTH__HEALTH__HEALTHY, ""};

	for (size_t i = 0; i < dra->agent->inventory.count; i++) {
		struct unit *unit = &dra->agent->inventory.units[i];
		struct condition condition;

		if (unit->instance >= 0 || unit->label >= SET_MOST ||
		    !(members >> unit->label & 1))
			continue;
		condition = condition_of(dra, unit, now);
		if (condition.health == DRAHEALTH__HEALTH__UNHEALTHY ||
		    worst.health == DRAHEALTH__HEALTH__HEALTHY)
			worst = condition;
	}
	return worst;
}

static Drahealth__Device *describe(struct arena *arena, const char *pool, const char *name,
				   const struct condition *condition, int64_t seconds)
{
	Drahealth__Device *device = arena_take(arena, sizeof *device);
	Drahealth__Identifier *identifier = arena_take(arena, sizeof *identifier);

	if (!device || !identifier)
		return NULL;
	drahealth__device__init(device);
	drahealth__identifier__init(identifier);
	device->device = identifier;
	identifier->pool_name = arena_text(arena, "%s", pool);
	identifier->device_name = arena_text(arena, "%s", name);
	device->message = arena_text(arena, "%s", condition->why);
	device->health = condition->health;
	device->last_updated_time = seconds;
	return identifier->pool_name && identifier->device_name && device->message ? device : NULL;
}

static bool fill(const struct dra *dra, struct arena *arena, Drahealth__Devices *list,
		 int64_t seconds)
{
	const struct agent *agent = dra->agent;
	const struct inventory *inventory = &agent->inventory;
	const struct offer_sets *sets = publisher_sets(dra->publisher);
	int64_t now = ga_clock_ms();

	list->devices =
		arena_take(arena, (inventory->count + sets->count + 1) * sizeof(Drahealth__Device *));
	if (!list->devices)
		return false;
	for (size_t i = 0; i < inventory->count + sets->count; i++) {
		struct condition condition;
		char name[NAME_SIZE];

		if (i < inventory->count) {
			name_of_unit(&inventory->units[i], name);
			condition = condition_of(dra, &inventory->units[i], now);
		} else {
			const struct ranked_set *set = &sets->list[i - inventory->count];

			name_of_set(set->members, name);
			condition = condition_of_set(dra, set->members, now);
		}
		list->devices[i] = describe(arena, agent->settings->node, name, &condition, seconds);
		if (!list->devices[i])
			return false;
	}
	list->n_devices = inventory->count + sets->count;
	return true;
}

static struct grpc_shared *make_list(const struct dra *dra, int64_t seconds)
{
	auto_arena struct arena arena = {0};
	Drahealth__Devices list = DRAHEALTH__DEVICES__INIT;
	ga_auto_free uint8_t *bytes = NULL;
	size_t size;

	if (!fill(dra, &arena, &list, seconds))
		return NULL;
	bytes = message_write(&list.base, &size);
	return bytes ? grpc_shared_new(bytes, size) : NULL;
}

/* Whether there is a new one; what stays the same keeps its time for a while. */
static bool renew(struct dra *dra)
{
	struct health *health = &dra->health;
	int64_t now = ga_clock_read_ms(CLOCK_REALTIME) / 1000;
	bool is_old = now - health->seconds >= TELL_AGAIN || now < health->seconds;
	struct grpc_shared *made;

	if (!publisher_is_ready(dra->publisher))
		return false;
	made = make_list(dra, is_old ? now : health->seconds);
	if (!made || (health->list && health->list->size == made->size &&
		      memcmp(health->list->bytes, made->bytes, made->size) == 0)) {
		grpc_shared_release(made);
		return false;
	}
	grpc_shared_release(health->list);
	health->list = made;
	health->seconds = is_old ? now : health->seconds;
	return true;
}

/* ---- who watches ---- */

/* From the last to the first: telling one may end others, whose places the last ones take. */
static void tell_all(struct health *health)
{
	for (size_t i = health->stream_count; i-- > 0;)
		if (i < health->stream_count)
			grpc_call_tell(health->streams[i], health->list);
}

void health_update(struct dra *dra)
{
	if (dra->health.stream_count > 0 && renew(dra))
		tell_all(&dra->health);
}

void health_watch_called(void *context, struct grpc_call *call, const uint8_t *message, size_t size)
{
	struct dra *dra = context;
	struct health *health = &dra->health;

	(void)message;
	(void)size;
	if (health->stream_count >= HEALTH_STREAMS_MOST) {
		grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, "too many watch already");
		return;
	}
	health->streams[health->stream_count++] = call;
	if (renew(dra))
		tell_all(health);
	else if (health->list)
		grpc_call_tell(call, health->list);
}

void health_watch_ended(void *context, struct grpc_call *call)
{
	struct dra *dra = context;
	struct health *health = &dra->health;

	for (size_t i = 0; i < health->stream_count; i++)
		if (health->streams[i] == call) {
			health->streams[i] = health->streams[--health->stream_count];
			break;
		}
}
