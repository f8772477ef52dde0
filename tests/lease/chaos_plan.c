/* SPDX-License-Identifier: Apache-2.0 */
/* What will be tried, by chance that a seed repeats; see chaos.h. */
#include "chaos.h"

static uint64_t next_random(struct chaos *chaos)
{
	uint64_t z = chaos->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

int64_t chaos_below(struct chaos *chaos, int64_t end)
{
	return (int64_t)(next_random(chaos) % (uint64_t)end);
}

bool chaos_percent(struct chaos *chaos, int64_t share)
{
	return chaos_below(chaos, 100) < share;
}

static int64_t how_many(struct chaos *chaos)
{
	int64_t luck = chaos_below(chaos, 100);

	return luck < 55   ? 1
	       : luck < 75 ? 2
	       : luck < 92 ? 3 + chaos_below(chaos, 2)
			   : 5 + chaos_below(chaos, 4);
}

static int64_t how_much(struct chaos *chaos, int64_t most_mib)
{
	return (1 + chaos_below(chaos, most_mib)) * 1048576 + chaos_below(chaos, 2);
}

static enum ending some_ending(struct chaos *chaos)
{
	int64_t luck = chaos_below(chaos, 100);

	return luck < 35   ? RELEASES
	       : luck < 45 ? FREES
	       : luck < 65 ? EXITS
	       : luck < 85 ? DIES
			   : LEAVES_CHILD;
}

/*
 * A list of names says nothing about memory, and an instance without a known place cannot be
 * shared.
 */
static bool can_share(const struct plan *plan)
{
	return plan->form == FULL || (plan->form == UNPLACED && !plan->mig);
}

/* Leases within; some of them outlive the lease around them. */
static void plan_within(struct chaos *chaos, struct plan *plan)
{
	plan->within_count = 1 + (size_t)chaos_below(chaos, MOST_WITHIN);
	for (size_t i = 0; i < plan->within_count; i++) {
		struct within *within = &plan->within[i];

		within->count = 1 + chaos_below(chaos, plan->count);
		if (plan->memory > 0)
			within->memory = 1 + chaos_below(chaos, plan->memory);
		else if (can_share(plan) && chaos_percent(chaos, 30))
			within->memory = how_much(chaos, plan->mig ? 4000 : 20000);
		within->wait_ms = chaos_percent(chaos, 50) ? 0 : chaos_below(chaos, 40);
		within->hold = chaos_below(chaos, 3 * MS);
		within->by_name = chaos_percent(chaos, 3);
		within->outlives = chaos_percent(chaos, 50);
		within->dies = chaos_percent(chaos, 25);
	}
}

static void plan_blows(struct chaos *chaos, struct plan *plan)
{
	if (chaos_percent(chaos, 20))
		plan->kill_at = chaos_below(chaos, chaos_percent(chaos, 70) ? 8 * MS : 60 * MS);
	if (chaos_percent(chaos, 8)) {
		plan->stop_at = chaos_below(chaos, 8 * MS);
		plan->go_at = plan->stop_at +
			      chaos_below(chaos, chaos_percent(chaos, 80) ? 12 * MS : 60 * MS);
		/* Longer than anybody waits for the arbiter. */
		if (chaos_below(chaos, 1000) < 5)
			plan->go_at += 2500LL * MS;
	}
}

static struct plan plan_setup(struct chaos *chaos, struct plan plan)
{
	/* --check would report what a killed setup left undone. */
	plan.kind = chaos->setup_was_killed || chaos_percent(chaos, 60) ? SETS_UP : CHECKS;
	if (plan.kind == SETS_UP && chaos_percent(chaos, 30))
		plan.kill_at = chaos_below(chaos, 2 * MS);
	return plan;
}

struct plan chaos_make_plan(struct chaos *chaos)
{
	struct plan plan = {
		.id = ++chaos->started * IDS_A_RUNNER, .kill_at = -1, .stop_at = -1, .go_at = -1};
	int64_t luck = chaos_below(chaos, 100);

	if (!chaos->setup_runs && chaos_percent(chaos, 1))
		return plan_setup(chaos, plan);
	plan.form = luck < 75 ? FULL : luck < 85 ? UNPLACED : LISTED;
	plan.mig = chaos_percent(chaos, 35);
	plan.count = how_many(chaos);
	/*
	 * A list does not name the driver, so we cannot know whether a program can open several
	 * instances.
	 */
	if (plan.mig && plan.count > 4)
		plan.count = 4;
	if (plan.mig && plan.form == LISTED)
		plan.count = 1;
	if (can_share(&plan) && chaos_percent(chaos, 40))
		plan.memory = how_much(chaos, plan.mig ? 4500 : 30000);
	/* Only a few that do not wait: each lets waiters go first for a while. */
	luck = chaos_below(chaos, 100);
	plan.wait_ms = luck < 10 ? 0 : luck < 75 ? -1 : 20 + chaos_below(chaos, 500);
	plan.ending = some_ending(chaos);
	plan.hold = chaos_below(chaos, 2 * MS);
	plan.child_hold = chaos_below(chaos, 4 * MS);
	plan.is_apart = chaos_percent(chaos, 5);
	if (chaos_percent(chaos, 12))
		plan_within(chaos, &plan);
	plan_blows(chaos, &plan);
	return plan;
}
