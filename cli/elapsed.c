/* SPDX-License-Identifier: Apache-2.0 */
/* Lengths of time in words; see elapsed.h. */
#include "elapsed.h"

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static void add_two(struct ga_buffer *text, int64_t many, const char *unit, int64_t few,
		    const char *less)
{
	ga_buffer_format(text, "%lld %s", (long long)many, unit);
	if (few > 0)
		ga_buffer_format(text, " %lld %s", (long long)few, less);
}

void elapsed_words(struct ga_buffer *text, int64_t ms)
{
	int64_t seconds = ms > 0 ? ms / 1000 : 0;

	if (seconds < MINUTE)
		add_two(text, seconds, "s", 0, "");
	else if (seconds < HOUR)
		add_two(text, seconds / MINUTE, "min", 0, "");
	else if (seconds < DAY)
		add_two(text, seconds / HOUR, "h", seconds % HOUR / MINUTE, "min");
	else
		add_two(text, seconds / DAY, "d", seconds % DAY / HOUR, "h");
}

void elapsed_clock(struct ga_buffer *text, int64_t ms)
{
	long long seconds = ms > 0 ? (long long)(ms / 1000) : 0;

	if (seconds >= DAY)
		ga_buffer_format(text, "%lld d ", seconds / DAY);
	if (seconds >= HOUR)
		ga_buffer_format(text, "%lld:%02lld:%02lld", seconds % DAY / HOUR,
				 seconds % HOUR / MINUTE, seconds % MINUTE);
	else
		ga_buffer_format(text, "%lld:%02lld", seconds / MINUTE, seconds % MINUTE);
}
