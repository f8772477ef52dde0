/* SPDX-License-Identifier: Apache-2.0 */
/* What was sampled as a table, as CSV and as JSON; see report.h. */
#include "report.h"

#include "columns.h"
#include "open.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CURRENT_S = 5 * 60, NAME_COLUMNS = 40, NUMBER_COLUMNS = 12, COMMAND_COLUMNS = 40 };

static const char enable[] = "`sudo systemctl enable --now gpualloc-usage.timer`";

bool report_is_current(const struct report *report)
{
	int64_t age = report->now - report->samples->at;

	/* A clock that was set back makes samples of a time to come. */
	return report->samples->has_sample && age <= CURRENT_S && age >= -CURRENT_S;
}

int64_t report_idle_of(const struct report *report, const struct seen_lease *lease)
{
	int64_t idle = report->samples->at - lease->active;

	return report_is_current(report) && idle >= report->idle_s ? idle : -1;
}

/* ---- the table ---- */

static void add_hours(struct ga_buffer *text, int64_t ms)
{
	char hours[48];

	(void)snprintf(hours, sizeof hours, "%lld.%lld h", (long long)(ms / 3600000),
		       (long long)(ms % 3600000 / 360000));
	columns_right(text, hours, NUMBER_COLUMNS);
}

static void add_row(struct ga_buffer *text, const char *name, size_t width, int64_t leased_ms,
		    int64_t used_ms)
{
	columns_left(text, name, width);
	add_hours(text, leased_ms);
	add_hours(text, used_ms);
	if (leased_ms > 0)
		ga_buffer_format(text, "%5lld %%", (long long)(used_ms * 100 / leased_ms));
	ga_buffer_char(text, '\n');
}

static void add_table(struct ga_buffer *text, const struct report *report)
{
	static const char *const headings[] = {"USER", "GROUP", "GPU"};
	int64_t leased = 0, used = 0;
	size_t width = 8;

	for (size_t i = 0; i < report->row_count; i++) {
		size_t columns = columns_of(report->rows[i].name);

		width = columns > width ? columns : width;
		leased += report->rows[i].leased_ms;
		used += report->rows[i].used_ms;
	}
	width = width > NAME_COLUMNS ? NAME_COLUMNS : width;
	columns_left(text, headings[report->by], width);
	columns_right(text, "LEASED", NUMBER_COLUMNS);
	columns_right(text, "USED", NUMBER_COLUMNS);
	ga_buffer_char(text, '\n');
	for (size_t i = 0; i < report->row_count; i++)
		add_row(text, report->rows[i].name, width, report->rows[i].leased_ms,
			report->rows[i].used_ms);
	if (report->row_count > 1)
		add_row(text, "all", width, leased, used);
}

static void add_time(struct ga_buffer *text, int64_t seconds)
{
	if (seconds >= 48 * 3600)
		ga_buffer_format(text, "%lld d %lld h", (long long)(seconds / 86400),
				 (long long)(seconds % 86400 / 3600));
	else
		ga_buffer_format(text, "%lld h %lld min", (long long)(seconds / 3600),
				 (long long)(seconds % 3600 / 60));
}

static void add_idle(struct ga_buffer *text, const struct report *report)
{
	bool is_first = true;

	for (size_t i = 0; i < report->samples->lease_count; i++) {
		const struct seen_lease *lease = &report->samples->leases[i];
		int64_t idle = report_idle_of(report, lease);

		if (idle < 0)
			continue;
		if (is_first)
			ga_buffer_text(text, "\nleases on which nothing runs:\n");
		is_first = false;
		ga_buffer_format(text, "  %s of %s, for ", lease->id, lease->user);
		add_time(text, idle);
		if (*lease->command) {
			ga_buffer_text(text, ": ");
			columns_cut(text, lease->command, COMMAND_COLUMNS);
		}
		ga_buffer_format(text, "\n    %s\n", lease->devices);
	}
}

void report_text(struct ga_buffer *text, const struct report *report)
{
	if (!report->samples->has_sample) {
		ga_buffer_format(text, "nothing has been sampled yet; to begin with it:\n  %s\n",
				 enable);
		return;
	}
	ga_buffer_text(text, "sampled once a minute, for ");
	add_time(text, report->sampled_ms / 1000);
	ga_buffer_text(text, " of the last ");
	add_time(text, report->now - report->since);
	ga_buffer_text(text, "\n");
	if (report->row_count > 0)
		add_table(text, report);
	else
		ga_buffer_text(text, "nobody had a lease for long enough to be seen twice\n");
	add_idle(text, report);
	if (report_is_current(report))
		return;
	if (report->samples->at > report->now) {
		ga_buffer_text(text, "\nthe last sample is of a time to come: was the clock set "
				     "back? The next one puts it right\n");
	} else {
		ga_buffer_text(text, "\nthe last sample is ");
		add_time(text, report->now - report->samples->at);
		ga_buffer_format(text, " old: the timer does not run; to start it:\n  %s\n",
				 enable);
	}
}

/* ---- for programs ---- */

/* As RFC 4180 has it. */
static void add_field(struct ga_buffer *text, const char *field)
{
	if (!strpbrk(field, ",\"\r\n")) {
		ga_buffer_text(text, field);
		return;
	}
	ga_buffer_char(text, '"');
	for (; *field; field++) {
		if (*field == '"')
			ga_buffer_char(text, '"');
		ga_buffer_char(text, *field);
	}
	ga_buffer_char(text, '"');
}

void report_csv(struct ga_buffer *text, const struct report *report)
{
	ga_buffer_format(text, "%s,leased_seconds,used_seconds\n", report->by_name);
	for (size_t i = 0; i < report->row_count; i++) {
		add_field(text, report->rows[i].name);
		ga_buffer_format(text, ",%lld,%lld\n",
				 (long long)(report->rows[i].leased_ms / 1000),
				 (long long)(report->rows[i].used_ms / 1000));
	}
}

static void add_devices(struct ga_json *json, const char *list)
{
	ga_json_open(json, "devices", '[');
	while (*list) {
		size_t length = strcspn(list, ",");
		ga_auto_free char *uuid = strndup(list, length);

		if (uuid)
			ga_json_text(json, NULL, uuid);
		else
			json->out->failed = true;
		list += length + (list[length] == ',');
	}
	ga_json_close(json, ']');
}

static void add_idle_json(struct ga_json *json, const struct report *report)
{
	ga_json_line(json, "\n ");
	ga_json_open(json, "idle", '[');
	for (size_t i = 0; i < report->samples->lease_count; i++) {
		const struct seen_lease *lease = &report->samples->leases[i];
		int64_t idle = report_idle_of(report, lease);

		if (idle < 0)
			continue;
		ga_json_open_line(json, "\n  ", NULL, '{');
		ga_json_text(json, "lease", lease->id);
		ga_json_text(json, "user", lease->user);
		ga_json_text(json, "command", *lease->command ? lease->command : NULL);
		ga_json_number(json, "since", lease->since);
		ga_json_number(json, "idle_seconds", idle);
		add_devices(json, lease->devices);
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}

void report_json(struct ga_buffer *text, const struct call *call, const struct report *report)
{
	struct ga_json json = GA_JSON_INIT(text);

	begin_document(&json, call);
	ga_json_line(&json, "\n ");
	ga_json_number(&json, "since", report->since);
	ga_json_number(&json, "sampled_seconds", report->sampled_ms / 1000);
	ga_json_number(&json, "last_sample",
		       report->samples->has_sample ? report->samples->at : -1);
	ga_json_bool(&json, "sampling", report_is_current(report));
	ga_json_text(&json, "by", report->by_name);
	ga_json_line(&json, "\n ");
	ga_json_open(&json, "rows", '[');
	for (size_t i = 0; i < report->row_count; i++) {
		ga_json_open_line(&json, "\n  ", NULL, '{');
		ga_json_text(&json, "name", report->rows[i].name);
		ga_json_number(&json, "leased_seconds", report->rows[i].leased_ms / 1000);
		ga_json_number(&json, "used_seconds", report->rows[i].used_ms / 1000);
		ga_json_close(&json, '}');
	}
	ga_json_close(&json, ']');
	add_idle_json(&json, report);
	end_document(&json);
}
