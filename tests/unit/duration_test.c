/* SPDX-License-Identifier: Apache-2.0 */
/* Durations as people write them, and what means nothing certain. */
#include "duration.h"
#include "test.h"

static const struct {
	const char *text;
	int64_t ms;
} durations[] = {
	{"1ms", 1},
	{"500ms", 500},
	{"90s", 90000},
	{"30m", INT64_C(30) * 60000},
	{"2h", INT64_C(2) * 3600000},
	{"1d", INT64_C(86400000)},
	{"1w", INT64_C(7) * 86400000},
	{"1h30m", INT64_C(90) * 60000},
	{"1m30s", 90000},
	{"1w2d3h4m5s6ms", INT64_C(788645006)},
	{"0h30m", INT64_C(30) * 60000},
	{"1:30:00", INT64_C(90) * 60000},
	{"0:00:01", 1000},
	{"100:00:00", INT64_C(100) * 3600000},
	{"366d", GA_DURATION_MAX},
};

static void durations_are_read(void)
{
	for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
		gpualloc_error error = {0};
		int64_t ms = -1;

		test_about("%s (%s)", durations[i].text, error.message);
		CHECK_INT(ga_duration_parse(durations[i].text, GA_DURATION_MAX, &ms, &error), 0);
		CHECK_INT(ms, durations[i].ms);
	}
}

static const struct {
	const char *text;
	const char *says;
} no_durations[] = {
	{"", "not a duration"},
	{"10", "did you mean 10s, 10m or 10h?"},
	{"1:30", "write 1h30m or 1m30s"},
	{"1:30:0", "not a duration"},
	{"1:60:00", "not a duration"},
	{"1:30:60", "not a duration"},
	{":30:00", "not a duration"},
	{"1:30:00s", "not a duration"},
	{"0s", "too short; the shortest is 1ms"},
	{"0:00:00", "too short; the shortest is 1ms"},
	{"s", "not a duration"},
	{"-1s", "not a duration"},
	{"+1s", "not a duration"},
	{"1.5h", "not a duration"},
	{"10 s", "not a duration"},
	{"10S", "not a duration"},
	{"30m1h", "not a duration"},
	{"1h1h", "not a duration"},
	{"1h30", "not a duration"},
	{"1hm", "not a duration"},
	{"5mm", "not a duration"},
	{"0x10s", "not a duration"},
	{"367d", "not a duration"},
	{"99999999999999999999d", "not a duration"},
	{"25h", "too long; the longest is 24h"},
};

static void anything_else_is_refused_with_an_example(void)
{
	for (size_t i = 0; i < sizeof no_durations / sizeof *no_durations; i++) {
		gpualloc_error error = {0};
		int64_t ms = -1;

		test_about("\"%s\"", no_durations[i].text);
		CHECK_INT(ga_duration_parse(no_durations[i].text, INT64_C(86400000), &ms, &error),
			  GPUALLOC_EUSAGE);
		CHECK_HAS(error.message, no_durations[i].says);
		CHECK_HAS(error.message, no_durations[i].text);
		CHECK_INT(ms, -1);
	}
}

static const struct test_case cases[] = {
	{"durations are read", durations_are_read},
	{"anything else is refused with an example", anything_else_is_refused_with_an_example},
};

TEST_MAIN(cases)
