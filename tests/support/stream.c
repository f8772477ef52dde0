/* SPDX-License-Identifier: Apache-2.0 */
/* See stream.h. */
#include "stream.h"

#include "asking.h"
#include "test.h"

enum { DEVICES_MAX = 16, RUN_LEAST = 50, RUN_MOST = 950 };

struct run {
	const struct stream *stream;
	const struct ga_policy *policy;
	uint64_t random;
	int64_t ends[DEVICES_MAX]; /* when each device is free again */
	int64_t best[DEVICES_MAX + 1];
	double lag; /* sum of best / got */
	size_t counted;
};

static void find_best(struct run *run)
{
	const gpualloc_machine *machine = run->stream->machine;

	for (size_t want = 2; want <= run->stream->most; want++) {
		struct asking asking = {
			.machine = machine,
			.offered = places_up_to(machine->device_count),
			.want = want,
		};

		run->best[want] = ask(&ga_policy_bandwidth, &asking).value;
	}
}

static struct places free_at(const struct run *run, int64_t now)
{
	struct places places = {0};

	for (size_t i = 0; i < run->stream->machine->device_count; i++)
		if (run->ends[i] <= now)
			places.at[places.count++] = i;
	return places;
}

static int64_t next_end(const struct run *run, int64_t now)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < run->stream->machine->device_count; i++)
		if (run->ends[i] > now && run->ends[i] < next)
			next = run->ends[i];
	return next;
}

static void place(struct run *run, size_t want, int64_t now, int64_t end)
{
	struct asking asking = {
		.machine = run->stream->machine,
		.offered = free_at(run, now),
		.want = want,
	};
	struct answered answered = ask(run->policy, &asking);

	CHECK_INT(answered.result, 0);
	for (size_t i = 0; i < want; i++)
		run->ends[answered.chosen.at[i]] = end;
	if (want >= 2) {
		run->lag += (double)run->best[want] /
			    (double)ga_places_bandwidth(asking.machine, answered.chosen.at, want);
		run->counted++;
	}
}

int64_t stream_quality(const struct stream *stream, const struct ga_policy *policy)
{
	struct run run = {.stream = stream, .policy = policy, .random = stream->seed};
	uint32_t sizes = (uint32_t)(stream->most - stream->least + 1);
	/* Mean time between arrivals: device time of a mean job over devices times load. */
	uint32_t gap = (uint32_t)((stream->least + stream->most) * (RUN_LEAST + RUN_MOST) * 100 /
				  4 / (stream->machine->device_count * stream->load));
	int64_t arrival = 0, now = 0;

	CHECK(stream->machine->device_count <= DEVICES_MAX);
	find_best(&run);
	for (size_t job = 0; job < stream->jobs; job++) {
		size_t want = stream->least + test_random(&run.random, sizes);
		int64_t lasts = RUN_LEAST + test_random(&run.random, RUN_MOST - RUN_LEAST);

		arrival += test_random(&run.random, 2 * gap);
		if (arrival > now)
			now = arrival;
		while (free_at(&run, now).count < want)
			now = next_end(&run, now);
		place(&run, want, now, now + lasts);
	}
	return (int64_t)(1000 * (double)run.counted / run.lag);
}
