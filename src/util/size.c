/* SPDX-License-Identifier: Apache-2.0 */
/* Amounts of memory as people write them; see size.h. */
#include "size.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const int64_t bytes_max = INT64_C(1) << 62;

static const struct {
	const char *name;
	int64_t bytes;
} units[] = {
	{"", 1},
	{"B", 1},
	{"K", INT64_C(1) << 10},
	{"KiB", INT64_C(1) << 10},
	{"KB", 1000},
	{"M", INT64_C(1) << 20},
	{"MiB", INT64_C(1) << 20},
	{"MB", 1000 * 1000},
	{"G", INT64_C(1) << 30},
	{"GiB", INT64_C(1) << 30},
	{"GB", 1000 * 1000 * 1000},
	{"T", INT64_C(1) << 40},
	{"TiB", INT64_C(1) << 40},
	{"TB", INT64_C(1000) * 1000 * 1000 * 1000},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int refuse(const char *text, gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_EUSAGE,
			    "\"%.40s\" is not a size; write 8GiB, 800MB or 512M (MiB)", text);
}

int ga_size_parse(const char *text, int64_t *ret_bytes, gpualloc_error *error)
{
	const char *rest = text;
	int64_t whole = 0, tenths = 0, scale = 1, unit = 0;

	if (!is_digit(*rest))
		return refuse(text, error);
	for (; is_digit(*rest); rest++) {
		if (whole > (bytes_max - (*rest - '0')) / 10)
			return ga_error_set(error, GPUALLOC_EUSAGE, "\"%.40s\" is too large", text);
		whole = whole * 10 + (*rest - '0');
	}
	if (*rest == '.' && is_digit(rest[1]))
		for (rest++; is_digit(*rest); rest++)
			if (scale < 1000000) {
				tenths = tenths * 10 + (*rest - '0');
				scale *= 10;
			}
	rest += *rest == ' ';
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcasecmp(units[i].name, rest) == 0)
			unit = units[i].bytes;
	if (unit == 0 || (unit == 1 && scale > 1))
		return refuse(text, error);
	if (whole > bytes_max / unit - 1)
		return ga_error_set(error, GPUALLOC_EUSAGE, "\"%.40s\" is too large", text);
	/* Nobody means so few bytes: "800" must be short for something else. */
	if (!*rest && whole > 0 && whole < 1 << 20)
		return ga_error_set(
			error, GPUALLOC_EUSAGE,
			"\"%s\" would be only a few bytes; did you mean %lldMB? (write %lldB for "
			"bytes)",
			text, (long long)whole, (long long)whole);
	/* Rounds a fraction of a byte up, so that a request never gets less than it asked for. */
	*ret_bytes = whole * unit +
		     (tenths * (unit / scale) + (tenths * (unit % scale) + scale - 1) / scale);
	return 0;
}

const char *ga_size_text(int64_t bytes, char text[static GA_SIZE_TEXT])
{
	static const char *const names[] = {"KiB", "MiB", "GiB", "TiB"};
	int64_t unit = 1024;
	size_t i = 0;

	if (bytes < 1024) {
		(void)snprintf(text, GA_SIZE_TEXT, "%lld bytes", (long long)bytes);
		return text;
	}
	for (; i < 3 && bytes / unit >= 1024; i++)
		unit *= 1024;
	(void)snprintf(text, GA_SIZE_TEXT, "%lld.%lld %s", (long long)(bytes / unit),
		       (long long)(bytes % unit / (unit / 1024) * 10 / 1024), names[i]);
	return text;
}
