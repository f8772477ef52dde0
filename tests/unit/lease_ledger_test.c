/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's address space and its locks, against a model of what they should be. */
#include "claim.h"
#include "gaps.h"
#include "leasing.h"
#include "source.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_ledger(void)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof path, "%s/ledger", leasing_folder());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	return fd;
}

static gpualloc_machine *machine(const char *spec)
{
	gpualloc_machine *made = NULL;

	CHECK_INT(ga_source_open_here(spec, 0, &made, NULL), 0);
	return made;
}

static void ranges_lie_where_they_should(void)
{
	gpualloc_machine *m = machine("a100-mig");
	const gpualloc_device *gpu = &m->devices[1];
	struct ga_range whole = ga_ledger_device(gpu, 0);

	if (!gpu->mig_enabled)
		gpu = &m->devices[0];
	whole = ga_ledger_device(gpu, 0);
	CHECK(gpu->mig_count > 1);
	for (size_t i = 0; i < gpu->mig_count; i++) {
		struct ga_range one = ga_ledger_device(&gpu->mig[i], 0);

		CHECK(ga_range_meets(one, whole));
		CHECK(one.start >= whole.start);
		CHECK(one.start + one.length <= whole.start + whole.length);
		for (size_t j = 0; j < i; j++)
			CHECK(!ga_range_meets(one, ga_ledger_device(&gpu->mig[j], 0)));
		CHECK(!ga_range_meets(ga_ledger_device(&gpu->mig[i], 1), whole));
	}
	for (unsigned level = 0; level < GA_LEVELS; level++) {
		CHECK_INT(ga_ledger_level(ga_ledger_device(gpu, level)), level);
		CHECK_INT(ga_ledger_deeper(whole, level).start, ga_ledger_device(gpu, level).start);
	}
	CHECK(ga_range_meets(ga_ledger_memory(gpu, 0, 0, INT64_MAX), whole));
	CHECK_INT(ga_ledger_memory(gpu, 0, 0, INT64_MAX).length, 1 << 23);
	for (size_t i = 0; i < gpu->mig_count; i++)
		CHECK(!ga_range_meets(ga_ledger_memory(gpu, 0, 0, INT64_MAX),
				      ga_ledger_device(&gpu->mig[i], 0)));
	CHECK_INT(ga_ledger_memory(gpu, 0, 7, 0).length, 1);
	ga_machine_free(m);
}

static void ids_and_tickets_are_apart(void)
{
	const uint64_t most = (UINT64_C(1) << 40) - 1;

	CHECK(!ga_range_meets(ga_ledger_id(most), ga_ledger_ticket(0)));
	CHECK(!ga_range_meets(ga_ledger_all_devices(), ga_ledger_id(0)));
	CHECK(ga_range_meets(ga_ledger_all_ids(), ga_ledger_id(most)));
	CHECK(!ga_range_meets(ga_ledger_all_ids(), ga_ledger_ticket(0)));
	CHECK(ga_ledger_ticket(most).start > 0);
	CHECK(ga_range_meets(ga_ledger_everything(), ga_ledger_ticket(most)));
}

static struct ga_room room_of(const gpualloc_device *device, unsigned level, int64_t mebibytes)
{
	struct ga_room room = {.uuid = device->uuid, .count = 1};

	room.range = mebibytes ? ga_ledger_memory(device, level, 0, mebibytes)
			       : ga_ledger_device(device, level);
	return room;
}

static int claim_one(int fd, struct ga_room room, int64_t mebibytes)
{
	struct ga_piece *pieces = NULL;
	int result = ga_claim(fd, &room, 1, mebibytes, &pieces, NULL);

	if (result == 0)
		ga_pieces_free(pieces, 1);
	return result;
}

static void kinds_of_claims_exclude_each_other(void)
{
	gpualloc_machine *m = machine("a100-mig");
	const gpualloc_device *gpu = m->devices[0].mig_enabled ? &m->devices[0] : &m->devices[1];
	int one = open_ledger(), other = open_ledger(), third = open_ledger();

	CHECK_INT(claim_one(one, room_of(&gpu->mig[0], 0, 0), 0), 0);
	CHECK_INT(claim_one(other, room_of(&gpu->mig[0], 0, 0), 0), GPUALLOC_EBUSY);
	CHECK_INT(claim_one(other, room_of(&gpu->mig[0], 0, 4096), 1), GPUALLOC_EBUSY);
	CHECK_INT(claim_one(other, room_of(gpu, 0, 0), 0), GPUALLOC_EBUSY);
	CHECK_INT(claim_one(other, room_of(&gpu->mig[1], 0, 4096), 4000), 0);
	CHECK_INT(claim_one(third, room_of(&gpu->mig[1], 0, 4096), 97), GPUALLOC_EBUSY);
	CHECK_INT(claim_one(third, room_of(&gpu->mig[1], 0, 4096), 96), 0);
	close(one);
	/* A deeper level belongs to a lease within a lease that has ended. */
	one = open_ledger();
	CHECK_INT(claim_one(one, room_of(&gpu->mig[0], 3, 0), 0), 0);
	CHECK_INT(claim_one(other, room_of(&gpu->mig[0], 0, 0), 0), GPUALLOC_EBUSY);
	CHECK_INT(claim_one(other, room_of(&gpu->mig[0], 0, 4096), 1), GPUALLOC_EBUSY);
	CHECK_INT(claim_one(other, room_of(&gpu->mig[0], 4, 0), 0), 0);
	close(one);
	close(other);
	close(third);
	ga_machine_free(m);
}

static void a_failed_claim_leaves_nothing(void)
{
	gpualloc_machine *m = machine("dgx1-volta");
	int one = open_ledger(), other = open_ledger();
	struct ga_room rooms[8];
	struct ga_piece *pieces;
	struct ga_range part;

	for (size_t i = 0; i < 8; i++)
		rooms[i] = room_of(&m->devices[i], 0, 0);
	for (size_t i = 0; i < 8; i++) {
		CHECK_INT(claim_one(one, rooms[i], 0), 0);
		CHECK_INT(ga_claim(other, rooms, 8, 0, &pieces, NULL), GPUALLOC_EBUSY);
		CHECK_INT(ga_ledger_unlock(one, rooms[i].range), 0);
		CHECK_INT(ga_ledger_is_held(one, ga_ledger_everything(), &part), 0);
	}
	CHECK_INT(ga_claim(other, rooms, 8, 0, &pieces, NULL), 0);
	for (size_t i = 0; i < 8; i++)
		CHECK_TEXT(pieces[i].uuid, m->devices[i].uuid);
	CHECK_INT(ga_claim_drop(other, pieces, 8), 0);
	CHECK_INT(ga_ledger_is_held(one, ga_ledger_everything(), &part), 0);
	ga_pieces_free(pieces, 8);
	ga_machine_free(m);
	close(one);
	close(other);
}

/* ---- probing, against a map of bytes ---- */

enum { BYTES = 20000, HOLDERS = 8 };

struct map {
	unsigned char held[BYTES], seen[BYTES];
	off_t last;
};

static int see(void *context, struct ga_range part)
{
	struct map *map = context;

	CHECK(part.start >= map->last);
	map->last = part.start + part.length;
	CHECK(map->last <= BYTES);
	memset(map->seen + part.start, 1, (size_t)part.length);
	return 0;
}

static void fill(struct map *map, int holders[static HOLDERS], size_t locks)
{
	unsigned long random = 1;

	*map = (struct map){0};
	for (size_t i = 0; i < HOLDERS; i++)
		holders[i] = open_ledger();
	for (size_t i = 0; i < locks; i++) {
		struct ga_range range;

		random = random * 6364136223846793005ul + 1442695040888963407ul;
		range.start = (off_t)(random >> 33) % BYTES;
		range.length = 1 + (off_t)(random >> 20) % 3;
		if (range.start + range.length > BYTES)
			continue;
		if (ga_ledger_lock(holders[random >> 61], range, NULL) == 0)
			memset(map->held + range.start, 1, (size_t)range.length);
	}
}

static void look_from(struct map *map, int probe, off_t start)
{
	map->last = start;
	memset(map->seen, 0, sizeof map->seen);
	CHECK_INT(ga_ledger_probe(probe, (struct ga_range){start, BYTES - start}, see, map), 0);
}

static void probing_finds_all_in_order(void)
{
	static struct map map;
	int probe = open_ledger(), holders[HOLDERS];

	fill(&map, holders, 300);
	for (off_t start = 0; start < BYTES; start += 3333) {
		look_from(&map, probe, start);
		CHECK(memcmp(map.held + start, map.seen + start, (size_t)(BYTES - start)) == 0);
	}
	close(probe);
	for (size_t i = 0; i < HOLDERS; i++)
		close(holders[i]);
}

/* As many locks as no holders make: not each is found, but none is taken for free. */
static void probing_gives_up_on_the_safe_side(void)
{
	static struct map map;
	int probe = open_ledger(), holders[HOLDERS];

	fill(&map, holders, 8000);
	look_from(&map, probe, 0);
	for (size_t i = 0; i < BYTES; i++)
		CHECK(map.seen[i] >= map.held[i]);
	close(probe);
	for (size_t i = 0; i < HOLDERS; i++)
		close(holders[i]);
}

static void a_lock_to_the_end_of_everything_is_seen(void)
{
	int one = open_ledger(), other = open_ledger();
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 0};
	struct ga_range part;

	CHECK_INT(fcntl(one, F_OFD_SETLK, &lock), 0);
	CHECK_INT(ga_ledger_is_held(other, (struct ga_range){0, 100}, &part), 1);
	CHECK_INT(part.start, 5);
	CHECK_INT(part.length, 95);
	CHECK_INT(ga_ledger_is_held(other, ga_ledger_ticket(77), &part), 1);
	CHECK_INT(ga_ledger_is_held(other, (struct ga_range){0, 5}, &part), 0);
	close(one);
	close(other);
}

/* ---- what is free for budgets, against the same map ---- */

/* Held on any level from the range's own on counts; where gaps touch they are one. */
static void gaps_are_what_nobody_has(void)
{
	static struct map map;
	int probe = open_ledger(), holder = open_ledger();
	unsigned long random = 7;
	ga_auto_gaps struct ga_gaps gaps = {0};
	off_t free_bytes = 0;

	memset(map.held, 0, sizeof map.held);
	for (size_t i = 0; i < 700; i++) {
		struct ga_range range;

		random = random * 6364136223846793005ul + 1442695040888963407ul;
		range.start = (off_t)(random >> 33) % (BYTES - 40);
		range.length = 1 + (off_t)(random >> 20) % 39;
		memset(map.held + range.start, 1, (size_t)range.length);
		range = ga_ledger_deeper(range, (unsigned)(random >> 50) % GA_LEVELS);
		CHECK_INT(ga_ledger_lock(holder, range, NULL), 0);
	}
	CHECK_INT(ga_gaps_add(probe, (struct ga_range){0, BYTES}, &gaps, NULL), 0);
	for (size_t i = 0; i < gaps.count; i++) {
		struct ga_range gap = gaps.list[i];

		CHECK(gap.length > 0 && (gap.start == 0 || map.held[gap.start - 1]));
		CHECK(gap.start + gap.length == BYTES || map.held[gap.start + gap.length]);
		for (off_t at = gap.start; at < gap.start + gap.length; at++)
			CHECK(!map.held[at]);
	}
	for (size_t at = 0; at < BYTES; at++)
		free_bytes += !map.held[at];
	CHECK_INT(gaps.sum, free_bytes);
	close(holder);
	close(probe);
}

static void a_budget_takes_as_few_pieces_as_it_can(void)
{
	static const struct {
		off_t wanted;
		const char *taken;
	} cuts[] = {{3, "100+3"},
		    {5, "200+5"},
		    {9, "300+9"},
		    {10, "0+9 300+1"},
		    {23, "0+9 200+5 300+9"},
		    {27, "0+9 100+4 200+5 300+9"},
		    {28, NULL},
		    {0, NULL}};
	char text[128];

	for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
		ga_auto_gaps struct ga_gaps gaps = {0};
		size_t length = 0;

		gaps.list = calloc(4, sizeof *gaps.list);
		CHECK(gaps.list != NULL);
		gaps.list[0] = (struct ga_range){0, 9};
		gaps.list[1] = (struct ga_range){100, 4};
		gaps.list[2] = (struct ga_range){200, 5};
		gaps.list[3] = (struct ga_range){300, 9};
		gaps.count = 4;
		gaps.sum = 27;
		CHECK_INT(ga_gaps_cut(&gaps, cuts[i].wanted), cuts[i].taken != NULL);
		for (size_t g = 0; cuts[i].taken && g < gaps.count; g++)
			length += (size_t)snprintf(text + length, sizeof text - length, "%s%d+%d",
						   g > 0 ? " " : "", (int)gaps.list[g].start,
						   (int)gaps.list[g].length);
		if (cuts[i].taken)
			CHECK_TEXT(text, cuts[i].taken);
	}
}

/* ---- rivals ---- */

static void rivals_are_the_other_kind(void)
{
	gpualloc_machine *m = machine("a100-mig");
	const gpualloc_device *gpu = m->devices[0].mig_enabled ? &m->devices[0] : &m->devices[1];
	struct ga_range budgets = ga_ledger_memory(gpu, 2, 0, INT64_MAX);
	struct ga_range some = ga_ledger_memory(gpu, 2, 500, 3);
	struct ga_range instance = ga_ledger_device(&gpu->mig[1], 2);

	CHECK_INT(ga_ledger_rivals(ga_ledger_device(gpu, 2)).length, 0);
	CHECK_INT(ga_ledger_rivals(instance).start, budgets.start);
	CHECK_INT(ga_ledger_rivals(instance).length, budgets.length);
	CHECK_INT(ga_ledger_rivals(some).start, ga_ledger_device(gpu, 2).start);
	CHECK(!ga_range_meets(ga_ledger_rivals(some), budgets));
	CHECK(ga_range_meets(ga_ledger_rivals(some), instance));
	ga_machine_free(m);
}

static void instances_without_a_place_take_what_they_may_be(void)
{
	gpualloc_machine *m = machine("a100-mig");
	gpualloc_device *gpu = m->devices[0].mig_enabled ? &m->devices[0] : &m->devices[1];
	struct ga_range placed = ga_ledger_device(&gpu->mig[0], 0), whole, unplaced;

	whole = ga_ledger_device(gpu, 0);
	gpu->mig[0].ci = GA_UNKNOWN;
	unplaced = ga_ledger_device(&gpu->mig[0], 0);
	CHECK(ga_range_meets(unplaced, placed));
	CHECK(!ga_range_meets(unplaced, ga_ledger_device(&gpu->mig[1], 0)));
	gpu->mig[0].gi = GA_UNKNOWN;
	CHECK_INT(ga_ledger_device(&gpu->mig[0], 0).start, whole.start);
	CHECK_INT(ga_ledger_device(&gpu->mig[0], 0).length, whole.length);
	gpu->mig[0].gi = GA_GI_MOST + 1;
	gpu->mig[0].ci = 0;
	CHECK_INT(ga_ledger_device(&gpu->mig[0], 0).length, whole.length);
	ga_machine_free(m);
}

/* ---- as told to those who enforce leases by other means ---- */

static void asked_range_is(const gpualloc_device *gpu, int64_t gi, int64_t ci, unsigned level,
			   struct ga_range expected)
{
	uint64_t start = 0, length = 0;

	CHECK_INT(gpualloc_device_ledger_range(gpu, gi, ci, level, &start, &length, NULL), 0);
	CHECK_INT(start, expected.start);
	CHECK_INT(length, expected.length);
}

static void others_are_told_the_ranges_that_leases_take(void)
{
	gpualloc_machine *m = machine("a100-mig");
	const gpualloc_device *gpu = m->devices[0].mig_enabled ? &m->devices[0] : &m->devices[1];

	for (unsigned level = 0; level < GA_LEVELS; level++) {
		asked_range_is(gpu, -1, -1, level, ga_ledger_device(gpu, level));
		for (size_t i = 0; i < gpu->mig_count; i++) {
			const gpualloc_device *one = &gpu->mig[i];
			struct ga_range range = ga_ledger_device(one, level), whole;
			uint64_t start, length;

			asked_range_is(gpu, one->gi, one->ci, level, range);
			CHECK_INT(gpualloc_device_ledger_range(gpu, one->gi, -1, level, &start,
							       &length, NULL),
				  0);
			whole = (struct ga_range){(off_t)start, (off_t)length};
			CHECK(ga_range_meets(whole, range) && whole.length > range.length);
		}
	}
	ga_machine_free(m);
}

static void there_are_no_ranges_of_what_cannot_be_leased(void)
{
	static const struct {
		int64_t gi, ci;
		unsigned level;
		int result;
	} asked[] = {{-1, -1, GA_LEVELS, GPUALLOC_EUSAGE},
		     {-1, -1, UINT32_MAX, GPUALLOC_EUSAGE},
		     {-2, -1, 0, GPUALLOC_EUSAGE},
		     {INT64_MIN, INT64_MAX, 0, GPUALLOC_EUSAGE},
		     {-1, 0, 0, GPUALLOC_EUSAGE},
		     {GA_GI_MOST + 1, -1, 0, GPUALLOC_EUSAGE},
		     {0, GA_CI_MOST + 1, 0, GPUALLOC_EUSAGE},
		     {GA_GI_MOST, GA_CI_MOST, GA_LEVELS - 1, 0}};
	gpualloc_machine *m = machine("a100-mig");
	gpualloc_device *gpu = m->devices[0].mig_enabled ? &m->devices[0] : &m->devices[1];
	uint64_t start = 7, length = 8;

	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
		test_about("asked %zu", i);
		CHECK_INT(gpualloc_device_ledger_range(gpu, asked[i].gi, asked[i].ci,
						       asked[i].level, &start, &length, NULL),
			  asked[i].result);
		CHECK(asked[i].result == 0 || (start == 7 && length == 8));
	}
	CHECK_INT(gpualloc_device_ledger_range(&gpu->mig[0], -1, -1, 0, &start, &length, NULL),
		  GPUALLOC_EUSAGE);
	free(gpu->uuid);
	gpu->uuid = NULL;
	CHECK_INT(gpualloc_device_ledger_range(gpu, -1, -1, 0, &start, &length, NULL),
		  GPUALLOC_EIMPOSSIBLE);
	ga_machine_free(m);
}

/* ---- budgets by many at once ---- */

static void budgets_never_exceed_the_memory(void)
{
	enum { ROOM = 1000, CHILDREN = 12 };
	gpualloc_machine *m = machine("dgx1-volta");
	struct ga_room room = room_of(&m->devices[0], 0, ROOM);
	int result[2], hold[2];
	int64_t sum = 0;
	int granted;

	close(open_ledger()); /* the parent's, and so everybody's */
	CHECK_INT(pipe2(result, 0), 0);
	CHECK_INT(pipe2(hold, 0), 0);
	for (int i = 0; i < CHILDREN; i++)
		if (fork() == 0) {
			int fd = open_ledger(), got = 70 + 13 * i;
			char byte;

			close(hold[1]);
			if (claim_one(fd, room, got) < 0)
				got = 0;
			(void)!write(result[1], &got, sizeof got);
			(void)!read(hold[0], &byte, 1);
			_exit(0);
		}
	for (int i = 0; i < CHILDREN; i++) {
		CHECK_INT(read(result[0], &granted, sizeof granted), sizeof granted);
		sum += granted;
	}
	CHECK(sum > 0);
	CHECK(sum <= ROOM);
	close(hold[1]);
	while (wait(NULL) > 0)
		;
	ga_machine_free(m);
}

static const struct test_case cases[] = {
	{"ranges lie where they should", ranges_lie_where_they_should},
	{"ids and tickets are apart", ids_and_tickets_are_apart},
	{"kinds of claims exclude each other", kinds_of_claims_exclude_each_other},
	{"a failed claim leaves nothing", a_failed_claim_leaves_nothing},
	{"probing finds all in order", probing_finds_all_in_order},
	{"probing gives up on the safe side", probing_gives_up_on_the_safe_side},
	{"a lock to the end of everything is seen", a_lock_to_the_end_of_everything_is_seen},
	{"gaps are free", gaps_are_what_nobody_has},
	{"a budget takes as few pieces as it can", a_budget_takes_as_few_pieces_as_it_can},
	{"rivals are the other kind", rivals_are_the_other_kind},
	{"instances without a place take what they may be",
	 instances_without_a_place_take_what_they_may_be},
	{"others are told the ranges that leases take",
	 others_are_told_the_ranges_that_leases_take},
	{"there are no ranges of what cannot be leased",
	 there_are_no_ranges_of_what_cannot_be_leased},
	{"budgets never exceed the memory", budgets_never_exceed_the_memory},
};
TEST_MAIN(cases)
