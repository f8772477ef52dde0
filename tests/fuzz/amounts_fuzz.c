/* SPDX-License-Identifier: Apache-2.0 */
/* A duration and a size: the same text is read as either. */
#include "duration.h"
#include "fuzz.h"
#include "size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t hour_ms = 60 * 60 * 1000;

static void check_duration(const char *text)
{
	gpualloc_error error = {0};
	char again[32];
	int64_t ms = -1, of_hour = -1;
	int result = ga_duration_parse(text, GA_DURATION_MAX, &ms, &error);

	if (result < 0) {
		fuzz_check_refusal(result, NULL, &error);
		fuzz_require(ms == -1, "nothing written where it is refused");
		return;
	}
	fuzz_require(ms > 0 && ms <= GA_DURATION_MAX, "a duration is within its bounds");
	fuzz_require((ga_duration_parse(text, hour_ms, &of_hour, NULL) == 0) == (ms <= hour_ms),
		     "a smaller limit refuses longer durations, and nothing else");
	(void)snprintf(again, sizeof again, "%lldms", (long long)ms);
	fuzz_require(ga_duration_parse(again, GA_DURATION_MAX, &of_hour, NULL) == 0 &&
			     of_hour == ms,
		     "what was read can be written and read again");
}

static void check_size(const char *text)
{
	gpualloc_error error = {0};
	char shown[GA_SIZE_TEXT];
	int64_t bytes = -1;
	int result = ga_size_parse(text, &bytes, &error);

	if (result < 0) {
		fuzz_check_refusal(result, NULL, &error);
		fuzz_require(bytes == -1, "nothing written where it is refused");
		return;
	}
	fuzz_require(bytes >= 0 && *ga_size_text(bytes, shown), "a size is not negative");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	check_duration(text);
	check_size(text);
	free(text);
	return 0;
}
