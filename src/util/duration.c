/* SPDX-License-Identifier: Apache-2.0 */
/* Lengths of time as people write them; see duration.h. */
#include "duration.h"

#include "text.h"

#include <stdbool.h>
#include <string.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static const struct unit {
	const char *name;
	int64_t ms;
} units[] = {{"w", 7 * DAY}, {"d", DAY}, {"h", HOUR}, {"m", MINUTE}, {"s", SECOND}, {"ms", 1}};
enum { UNITS = sizeof units / sizeof *units };

static size_t count_digits(const char *text)
{
	return strspn(text, "0123456789");
}

/* Reads a number and its unit, one of those from *unit on. Returns the text after it, or NULL. */
static const char *read_part(const char *text, int64_t most_ms, size_t *unit, int64_t *ret_ms)
{
	size_t digits = count_digits(text), letters = strcspn(text + digits, "0123456789");
	int64_t number;

	for (; *unit < UNITS; (*unit)++)
		if (ga_text_equal(text + digits, letters, units[*unit].name))
			break;
	if (*unit == UNITS || !ga_text_number(text, digits, most_ms / units[*unit].ms, &number))
		return NULL;
	*ret_ms = number * units[*unit].ms;
	(*unit)++;
	return text + digits + letters;
}

/* "1h30m", each unit once and smaller than the one before. */
static bool read_parts(const char *text, int64_t most_ms, int64_t *ret_ms)
{
	int64_t sum = 0, ms = 0;
	size_t unit = 0;

	do {
		text = read_part(text, most_ms - sum, &unit, &ms);
		sum += ms;
	} while (text && *text);
	*ret_ms = sum;
	return text != NULL;
}

/* "1:30:00". Minutes and seconds have two digits, so that nothing else looks like it. */
static bool read_clock(const char *text, int64_t most_ms, int64_t *ret_ms)
{
	size_t digits = count_digits(text);
	const char *rest = text + digits;
	int64_t hours, minutes, seconds, sum;

	if (strlen(rest) != strlen(":00:00") || rest[0] != ':' || rest[3] != ':' ||
	    !ga_text_number(text, digits, most_ms / HOUR, &hours) ||
	    !ga_text_number(rest + 1, 2, 59, &minutes) ||
	    !ga_text_number(rest + 4, 2, 59, &seconds))
		return false;
	sum = hours * HOUR + minutes * MINUTE + seconds * SECOND;
	*ret_ms = sum;
	return sum <= most_ms;
}

static int refuse(const char *text, gpualloc_error *error)
{
	size_t digits = count_digits(text), more;

	if (digits > 0 && digits < 10 && !text[digits])
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "\"%s\" has no unit; did you mean %ss, %sm or %sh?", text, text,
				    text, text);
	more = digits > 0 && text[digits] == ':' ? count_digits(text + digits + 1) : 0;
	if (more > 0 && digits + more < 10 && !text[digits + 1 + more])
		return ga_error_set(
			error, GPUALLOC_EUSAGE,
			"\"%s\" could be hours and minutes or minutes and seconds; write %.*sh%sm "
			"or %.*sm%ss",
			text, (int)digits, text, text + digits + 1, (int)digits, text,
			text + digits + 1);
	return ga_error_set(error, GPUALLOC_EUSAGE,
			    "\"%.60s\" is not a duration; write 90s, 30m, 2h, 1d, 1h30m or 1:30:00",
			    text);
}

int ga_duration_parse(const char *text, int64_t most_ms, int64_t *ret_ms, gpualloc_error *error)
{
	int64_t ms = 0;
	bool is_read =
		read_clock(text, GA_DURATION_MAX, &ms) || read_parts(text, GA_DURATION_MAX, &ms);

	if (!is_read)
		return refuse(text, error);
	if (ms == 0)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "\"%.60s\" is too short; the shortest is 1ms", text);
	if (ms > most_ms)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "\"%.60s\" is too long; the longest is %lld%s", text,
				    (long long)(most_ms / (most_ms > 2 * DAY ? DAY : HOUR)),
				    most_ms > 2 * DAY ? "d" : "h");
	*ret_ms = ms;
	return 0;
}
