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
	{"", "no duration"},
	{"10", "did you mean 10s, 10m or 10h?"},
	{"1:30", "Write 1h30m or 1m30s"},
	{"1:30:0", "no duration"},
	{"1:60:00", "no duration"},
	{"1:30:60", "no duration"},
	{":30:00", "no duration"},
	{"1:30:00s", "no duration"},
	{"0s", "no time at all"},
	{"0:00:00", "no time at all"},
	{"s", "no duration"},
	{"-1s", "no duration"},
	{"+1s", "no duration"},
	{"1.5h", "no duration"},
	{"10 s", "no duration"},
	{"10S", "no duration"},
	{"30m1h", "no duration"},
	{"1h1h", "no duration"},
	{"1h30", "no duration"},
	{"1hm", "no duration"},
	{"5mm", "no duration"},
	{"0x10s", "no duration"},
	{"367d", "no duration"},
	{"99999999999999999999d", "no duration"},
	{"25h", "too long; at most 24h"},
};

static void what_is_no_duration_is_refused_with_an_example(void)
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
	{"what is no duration is refused with an example",
	 what_is_no_duration_is_refused_with_an_example},
};

TEST_MAIN(cases)
