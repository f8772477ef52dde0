/* SPDX-License-Identifier: Apache-2.0 */
/* What `gpualloc usage` shows, and its forms. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "samples.h"

enum report_by { REPORT_BY_USER, REPORT_BY_GROUP, REPORT_BY_GPU };

struct report_row {
	const char *name; /* of the samples */
	int64_t leased_ms, used_ms;
};

struct report {
	const struct samples *samples;
	enum report_by by;
	const char *by_name;
	int64_t since, now; /* in seconds since 1970 */
	int64_t sampled_ms; /* how much of that time was sampled */
	int64_t idle_s;     /* a lease that was idle for so long is shown */
	struct report_row *rows;
	size_t row_count;
};

/* Whether samples are being taken: the last one is no older than a few minutes. */
bool report_is_current(const struct report *report);
/* How long nothing has run in a lease, in seconds; -1 if it is not shown as idle. */
int64_t report_idle_of(const struct report *report, const struct seen_lease *lease);

void report_text(struct ga_buffer *text, const struct report *report);
void report_csv(struct ga_buffer *text, const struct report *report);
void report_json(struct ga_buffer *text, const struct call *call, const struct report *report);
void report_svg(struct ga_buffer *out, const struct report *report);

#endif
