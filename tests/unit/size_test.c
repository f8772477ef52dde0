/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes as people write them, and words that are not sizes. */
#include "size.h"
#include "test.h"

static const struct {
	const char *text;
	int64_t bytes;
} sizes[] = {
	{"0", 0},
	{"1048576", 1048576},
	{"512M", INT64_C(512) << 20},
	{"512MiB", INT64_C(512) << 20},
	{"800MB", 800000000},
	{"8GiB", INT64_C(8) << 30},
	{"8 GiB", INT64_C(8) << 30},
	{"8G", INT64_C(8) << 30},
	{"8GB", INT64_C(8000000000)},
	{"1.5GiB", INT64_C(3) << 29},
	{"9.5GiB", INT64_C(19) << 29},
	{"0.1K", 103},
	{"1T", INT64_C(1) << 40},
	{"10B", 10},
	{"8gb", INT64_C(8000000000)},
	{"8 GB", INT64_C(8000000000)},
	{"8gib", INT64_C(8) << 30},
	{"8Gib", INT64_C(8) << 30},
	{"512m", INT64_C(512) << 20},
};

static void sizes_are_read(void)
{
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		int64_t bytes = -1;

		test_about("%s", sizes[i].text);
		CHECK_INT(ga_size_parse(sizes[i].text, &bytes, NULL), 0);
		CHECK_INT(bytes, sizes[i].bytes);
	}
}

static const char *const no_sizes[] = {
	"",          "1e30GiB", "-1",    "+1",   "GiB",
	"8 GiB x",   "1.5",     "1.B",   ".5G",  "1",
	"800",       "1048575", "8 G B", "0x10", "9223372036854775808",
	"99999999T", "8  GiB"};

static void anything_else_is_refused_with_an_example(void)
{
	for (size_t i = 0; i < sizeof no_sizes / sizeof *no_sizes; i++) {
		gpualloc_error error = {0};
		int64_t bytes = -1;

		test_about("\"%s\"", no_sizes[i]);
		CHECK_INT(ga_size_parse(no_sizes[i], &bytes, &error), GPUALLOC_EUSAGE);
		CHECK_HAS(error.message, no_sizes[i]);
		CHECK_INT(bytes, -1);
	}
}

static void a_bare_small_number_is_asked_about(void)
{
	gpualloc_error error = {0};
	int64_t bytes = -1;

	CHECK_INT(ga_size_parse("800", &bytes, &error), GPUALLOC_EUSAGE);
	CHECK_HAS(error.message, "did you mean 800MB?");
}

static void sizes_are_shown_and_never_rounded_up(void)
{
	char text[GA_SIZE_TEXT];

	CHECK_TEXT(ga_size_text(0, text), "0 bytes");
	CHECK_TEXT(ga_size_text(1023, text), "1023 bytes");
	CHECK_TEXT(ga_size_text(1024, text), "1.0 KiB");
	CHECK_TEXT(ga_size_text((INT64_C(10) << 30) - 1, text), "9.9 GiB");
	CHECK_TEXT(ga_size_text(INT64_C(19) << 29, text), "9.5 GiB");
	CHECK_TEXT(ga_size_text(INT64_MAX, text), "8388607.9 TiB");
}

static const struct test_case cases[] = {
	{"sizes are read", sizes_are_read},
	{"anything else is refused with an example", anything_else_is_refused_with_an_example},
	{"a bare small number is asked about", a_bare_small_number_is_asked_about},
	{"sizes are shown and never rounded up", sizes_are_shown_and_never_rounded_up},
};

TEST_MAIN(cases)
