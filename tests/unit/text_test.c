/* SPDX-License-Identifier: Apache-2.0 */
/* Text from outside: what may be shown, numbers, lines, and the buffers and errors that hold them.
 */
#include "buffer.h"
#include "error.h"
#include "test.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *dirty;
	const char *clean;
} texts[] = {
	{"NVIDIA A100", "NVIDIA A100"},
	{"  both ends \t\r\n", "both ends"},
	{"esc\033[31mred", "esc?[31mred"},
	{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
	{"\xff\xfe", "??"},
	{"cut \xe2\x82", "cut ??"},
	{"over \xc0\xaf long", "over ?? long"},
	{"half \xed\xa0\x80 pair", "half ??? pair"},
	{"c1 \xc2\x9b 31m", "c1 ?? 31m"},
	{"a\nb", "a?b"},
	{"del\x7f", "del?"},
	{"rtl \xe2\x80\xae gpj", "rtl ??? gpj"},
	{"isolate\xe2\x81\xa7", "isolate???"},
	{"zero\xe2\x80\x8bwidth", "zero???width"},
	{"soft\xc2\xadhyphen", "soft??hyphen"},
	{"\xef\xbb\xbfmark", "???mark"},
	{"tag \xf3\xa0\x81\x81", "tag ????"},
	{"", ""},
};

static void unfit_bytes_become_question_marks(void)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char *clean = ga_text_clean(texts[i].dirty, strlen(texts[i].dirty));

		CHECK_TEXT(clean, texts[i].clean);
		CHECK(ga_text_is_clean(clean, strlen(clean)));
		CHECK_INT(ga_text_is_clean(texts[i].dirty, strlen(texts[i].dirty)),
			  strcmp(texts[i].dirty, texts[i].clean) == 0);
		free(clean);
	}
}

static void long_text_is_cut_between_characters(void)
{
	char text[GA_TEXT_MAX * 2];
	char *clean;

	for (size_t i = 0; i < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	text[0] = 'x';
	text[1] = 'y';
	clean = ga_text_clean(text + 1, sizeof text - 1);
	CHECK_INT(strlen(clean), GA_TEXT_MAX - 1);
	CHECK(ga_text_is_clean(clean, strlen(clean)));
	free(clean);
}

static void numbers_are_whole_and_in_range(void)
{
	static const char *const wrong[] = {"",
					    "-1",
					    "+1",
					    " 1",
					    "1 ",
					    "0x1",
					    "1.0",
					    "101",
					    "18446744073709551617",
					    "9223372036854775808"};
	int64_t number = -7;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		test_about("\"%s\"", wrong[i]);
		CHECK(!ga_text_number(wrong[i], strlen(wrong[i]), 100, &number));
		CHECK_INT(number, -7);
	}
	test_about("%s", "");
	CHECK(ga_text_number("100", 3, 100, &number));
	CHECK_INT(number, 100);
	CHECK(ga_text_number("9223372036854775807", 19, INT64_MAX, &number));
	CHECK_INT(number, INT64_MAX);
}

static void lines_end_in_either_way(void)
{
	static const char text[] = "one\r\n\ntwo\nlast";
	static const char *const lines[] = {"one", "", "two", "last"};
	struct ga_view rest = {text, sizeof text - 1}, line;
	size_t count = 0;

	for (; ga_view_line(&rest, &line); count++)
		CHECK(ga_text_equal(line.text, line.size, lines[count]));
	CHECK_INT(count, 4);
}

static void a_buffer_keeps_its_limit(void)
{
	ga_auto_buffer struct ga_buffer buffer = GA_BUFFER_INIT(10);

	ga_buffer_text(&buffer, "12345");
	ga_buffer_format(&buffer, "%d", 67890);
	CHECK_TEXT(buffer.data, "1234567890");
	CHECK(!buffer.failed);
	ga_buffer_char(&buffer, 'x');
	CHECK(buffer.failed);
	CHECK_TEXT(buffer.data, "1234567890");
	CHECK(ga_buffer_take(&buffer, NULL) == NULL);
}

static void errors_gain_context_and_are_cut(void)
{
	gpualloc_error error = {0};
	char long_text[GA_ERROR_SIZE * 2];

	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	CHECK_INT(ga_error_set(&error, GPUALLOC_EDATA, "line %d", 3), GPUALLOC_EDATA);
	CHECK_INT(ga_error_prefix(&error, GPUALLOC_EDATA, "%s: ", "f.json"), GPUALLOC_EDATA);
	CHECK_TEXT(error.message, "f.json: line 3");
	ga_error_errno(&error, GPUALLOC_EIO, 2, "%s", "/x");
	CHECK_TEXT(error.message, "/x: No such file or directory");
	ga_error_set(&error, GPUALLOC_EDATA, "%s", long_text);
	CHECK_INT(strlen(error.message), GA_ERROR_SIZE - 1);
	ga_error_prefix(&error, GPUALLOC_EDATA, "%s", long_text);
	CHECK_INT(strlen(error.message), GA_ERROR_SIZE - 1);
	CHECK_INT(ga_error_set(NULL, GPUALLOC_EIO, "nobody asked"), GPUALLOC_EIO);
}

static const struct test_case cases[] = {
	{"unfit bytes become question marks", unfit_bytes_become_question_marks},
	{"long text is cut between characters", long_text_is_cut_between_characters},
	{"numbers are whole and in range", numbers_are_whole_and_in_range},
	{"lines end in either way", lines_end_in_either_way},
	{"a buffer keeps its limit", a_buffer_keeps_its_limit},
	{"errors gain context and are cut", errors_gain_context_and_are_cut},
};

TEST_MAIN(cases)
