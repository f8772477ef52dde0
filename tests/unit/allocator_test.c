/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator object: taking until nothing is left, taking these, giving back, and mistakes. */
#include "test.h"

#include <gpualloc/gpualloc.h>

#include <stdio.h>
#include <string.h>

static gpualloc_allocator *open_allocator(const char *machine, const char *policy)
{
	gpualloc_allocator *allocator = NULL;

	CHECK_INT(gpualloc_allocator_open(machine, policy, &allocator, NULL), 0);
	return allocator;
}

/* With a machine and a policy of the caller's, who frees them himself. */
static void both_ways_to_one_give_the_same(void)
{
	gpualloc_machine *machine = NULL;
	gpualloc_policy *policy = NULL;
	gpualloc_allocator *allocator = NULL;
	const gpualloc_device *devices[2];

	CHECK_INT(gpualloc_machine_open("dgx1-volta", 0, &machine, NULL), 0);
	CHECK_INT(gpualloc_policy_open("simple", &policy, NULL), 0);
	CHECK_INT(gpualloc_allocator_new(machine, policy, &allocator, NULL), 0);
	CHECK(gpualloc_allocator_machine(allocator) == machine);
	CHECK_INT(gpualloc_allocator_take(allocator, 2, devices, NULL), 0);
	CHECK(devices[0] == gpualloc_machine_device(machine, 0));
	CHECK_INT(gpualloc_allocator_taken_count(allocator), 2);
	CHECK_INT(gpualloc_allocator_available_count(allocator), 6);
	gpualloc_allocator_free(allocator);
	CHECK_INT(gpualloc_device_number(machine, devices[1]), 1);
	gpualloc_policy_free(policy);
	gpualloc_machine_free(machine);
}

static size_t count_available(const gpualloc_allocator *allocator)
{
	size_t count = 0;

	while (gpualloc_allocator_available(allocator, count))
		count++;
	return count;
}

static const char *take(gpualloc_allocator *allocator, size_t count)
{
	static char text[256];
	const gpualloc_device *devices[16];
	size_t length = 0;
	int result = gpualloc_allocator_take(allocator, count, devices, NULL);

	text[0] = '\0';
	if (result < 0)
		return result == GPUALLOC_EBUSY ? "busy" : "impossible";
	for (size_t i = 0; i < count; i++)
		length += (size_t)snprintf(text + length, sizeof text - length, "%s%lld",
					   i ? " " : "",
					   (long long)gpualloc_device_index(devices[i]));
	return text;
}

/* What best-effort gives on an empty machine, one request after the other. */
static const struct {
	const char *machine;
	size_t count;
	const char *sets[9]; /* until NULL; then it is busy */
} streams[] = {
	{"rtx8000x4", 1, {"0", "1", "2", "3"}},
	{"rtx8000x4", 2, {"0 3", "1 2"}},
	{"rtx8000x4", 4, {"0 1 2 3"}},
	{"dgx1-pascal", 1, {"0", "1", "2", "3", "4", "5", "6", "7"}},
	{"dgx1-pascal", 2, {"0 2", "1 3", "4 6", "5 7"}},
	{"dgx1-pascal", 4, {"0 1 2 3", "4 5 6 7"}},
	{"dgx1-pascal", 8, {"0 1 2 3 4 5 6 7"}},
	{"dgx1-volta", 1, {"0", "1", "2", "3", "4", "5", "6", "7"}},
	{"dgx1-volta", 2, {"0 3", "1 2", "4 7", "5 6"}},
	{"dgx1-volta", 4, {"0 1 2 3", "4 5 6 7"}},
	{"dgx1-volta", 8, {"0 1 2 3 4 5 6 7"}},
};

static void best_effort_empties_a_machine(void)
{
	for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
		gpualloc_allocator *allocator = open_allocator(streams[i].machine, "best-effort");

		test_about("%s by %zu", streams[i].machine, streams[i].count);
		for (size_t set = 0; streams[i].sets[set]; set++)
			CHECK_TEXT(take(allocator, streams[i].count), streams[i].sets[set]);
		CHECK_TEXT(take(allocator, streams[i].count), "busy");
		CHECK_INT(count_available(allocator), 0);
		gpualloc_allocator_free(allocator);
	}
}

static void the_fixed_sets_of_a_dgx1_are_kept(void)
{
	gpualloc_allocator *volta = open_allocator("dgx1-volta", "static-dgx1-volta");
	gpualloc_allocator *pascal = open_allocator("dgx1-pascal", "static-dgx1-pascal");

	CHECK_TEXT(take(volta, 2), "0 3");
	CHECK_TEXT(take(volta, 1), "1");
	CHECK_TEXT(take(volta, 2), "4 7");
	CHECK_TEXT(take(volta, 3), "impossible");
	CHECK_TEXT(take(volta, 4), "busy");
	CHECK_TEXT(take(pascal, 2), "0 2");
	CHECK_TEXT(take(pascal, 4), "4 5 6 7");
	CHECK_TEXT(take(pascal, 9), "impossible");
	gpualloc_allocator_free(volta);
	gpualloc_allocator_free(pascal);
}

static void these_are_taken_all_or_none(void)
{
	gpualloc_allocator *allocator = open_allocator("dgx1-volta", "simple");
	const gpualloc_machine *machine = gpualloc_allocator_machine(allocator);
	gpualloc_error *error = gpualloc_error_new();
	const gpualloc_device *first[] = {gpualloc_machine_device(machine, 1),
					  gpualloc_machine_device(machine, 6)};
	const gpualloc_device *overlap[] = {gpualloc_machine_device(machine, 0), first[0],
					    first[1]};
	const gpualloc_device *twice[] = {overlap[0], overlap[0]};

	CHECK_INT(gpualloc_allocator_take_these(allocator, first, 2, NULL), 0);
	CHECK_INT(gpualloc_allocator_take_these(allocator, overlap, 3, error), GPUALLOC_EBUSY);
	CHECK_TEXT(gpualloc_error_message(error), "not available: 1, 6");
	CHECK_INT(gpualloc_allocator_take_these(allocator, twice, 2, error), GPUALLOC_EBUSY);
	CHECK_INT(count_available(allocator), 6);
	CHECK(gpualloc_allocator_taken(allocator, 0) == first[0]);
	CHECK(gpualloc_allocator_taken(allocator, 1) == first[1]);
	CHECK(gpualloc_allocator_taken(allocator, 2) == NULL);
	CHECK_TEXT(take(allocator, 2), "0 2");
	gpualloc_error_free(error);
	gpualloc_allocator_free(allocator);
}

static void giving_back_what_is_not_held_changes_nothing(void)
{
	gpualloc_allocator *allocator = open_allocator("dgx1-volta", "simple");
	const gpualloc_machine *machine = gpualloc_allocator_machine(allocator);
	gpualloc_error *error = gpualloc_error_new();
	const gpualloc_device *devices[] = {gpualloc_machine_device(machine, 0),
					    gpualloc_machine_device(machine, 5)};

	CHECK_TEXT(take(allocator, 2), "0 1");
	CHECK_INT(gpualloc_allocator_give_back(allocator, devices, 2, error), GPUALLOC_EUSAGE);
	CHECK_HAS(gpualloc_error_message(error), "not taken, so not given back: 5");
	CHECK_INT(count_available(allocator), 6);
	CHECK_INT(gpualloc_allocator_give_back(allocator, devices, 1, NULL), 0);
	CHECK_INT(count_available(allocator), 7);
	gpualloc_error_free(error);
	gpualloc_allocator_free(allocator);
}

static void a_sick_gpu_and_one_in_mig_mode_are_not_there(void)
{
	gpualloc_allocator *allocator = open_allocator("a100-mig", NULL);

	CHECK_INT(count_available(allocator), 1);
	CHECK_TEXT(take(allocator, 1), "0");
	gpualloc_allocator_free(allocator);
}

static const struct test_case cases[] = {
	{"both ways to one give the same", both_ways_to_one_give_the_same},
	{"best-effort empties a machine", best_effort_empties_a_machine},
	{"the fixed sets of a DGX-1 are kept", the_fixed_sets_of_a_dgx1_are_kept},
	{"these are taken all or none", these_are_taken_all_or_none},
	{"giving back a device that is not held changes nothing",
	 giving_back_what_is_not_held_changes_nothing},
	{"a GPU in MIG mode is not there", a_sick_gpu_and_one_in_mig_mode_are_not_there},
};

TEST_MAIN(cases)
