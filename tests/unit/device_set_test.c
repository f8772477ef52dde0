/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of any number of devices: members, order, and the operations between two sets. */
#include "cleanup.h"
#include "device_set.h"
#include "test.h"

static const size_t sizes[] = {0, 1, 8, 63, 64, 65, 72, 128, 1000};

static void counts_and_iterates_any_size(void)
{
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
		ga_auto_device_set struct ga_device_set set = {0};
		size_t size = sizes[s], seen = 0;

		test_about("%zu devices", size);
		CHECK(ga_device_set_init(&set, size));
		CHECK_INT(ga_device_set_next(&set, 0), size);
		ga_device_set_add_all(&set);
		CHECK_INT(ga_device_set_count(&set), size);
		for (size_t i = ga_device_set_next(&set, 0); i < size;
		     i = ga_device_set_next(&set, i + 1))
			CHECK_INT(i, seen++);
		CHECK_INT(seen, size);
		CHECK(!ga_device_set_has(&set, size));
	}
}

static void next_skips_what_is_not_there(void)
{
	ga_auto_device_set struct ga_device_set set = {0};

	CHECK(ga_device_set_init(&set, 200));
	ga_device_set_add(&set, 3);
	ga_device_set_add(&set, 64);
	ga_device_set_add(&set, 199);
	CHECK_INT(ga_device_set_next(&set, 0), 3);
	CHECK_INT(ga_device_set_next(&set, 4), 64);
	CHECK_INT(ga_device_set_next(&set, 65), 199);
	ga_device_set_remove(&set, 199);
	CHECK_INT(ga_device_set_next(&set, 65), 200);
}

static void two_sets_combine(void)
{
	ga_auto_device_set struct ga_device_set a = {0}, b = {0};

	CHECK(ga_device_set_init(&a, 100) && ga_device_set_init(&b, 100));
	ga_device_set_add(&a, 1);
	ga_device_set_add(&a, 90);
	ga_device_set_add(&b, 90);
	CHECK(ga_device_set_contains(&a, &b));
	CHECK(!ga_device_set_contains(&b, &a));
	CHECK(ga_device_set_meets(&a, &b));
	ga_device_set_subtract(&a, &b);
	CHECK(!ga_device_set_meets(&a, &b));
	ga_device_set_unite(&b, &a);
	CHECK_INT(ga_device_set_count(&b), 2);
	ga_device_set_copy(&a, &b);
	CHECK(ga_device_set_equal(&a, &b));
}

static const struct test_case cases[] = {
	{"counts and iterates any size", counts_and_iterates_any_size},
	{"next skips places that are not members", next_skips_what_is_not_there},
	{"two sets combine", two_sets_combine},
};

TEST_MAIN(cases)
