/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc usage: GPU-hours that were leased and used, and idle leases, from samples. */
#include "message.h"
#include "options.h"
#include "output.h"
#include "report.h"
#include "samples.h"

#include "duration.h"
#include "owned.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long a lease is idle before it is shown, if the administrator does not say. */
#define IDLE_SHOWN_MS (INT64_C(60) * 60 * 1000)
#define SINCE_MS (INT64_C(30) * 24 * 60 * 60 * 1000)

static const char *const by_names[] = {
	[REPORT_BY_USER] = "user", [REPORT_BY_GROUP] = "group", [REPORT_BY_GPU] = "gpu"};

/* ---- reading the options ---- */

static int read_by(const struct call *call, enum report_by *ret_by)
{
	const char *word = call->value[OPTION_BY];

	*ret_by = REPORT_BY_USER;
	for (size_t i = 0; word && i < sizeof by_names / sizeof *by_names; i++) {
		*ret_by = (enum report_by)i;
		if (strcmp(word, by_names[i]) == 0)
			word = NULL;
	}
	return word ? fail_usage(call->command, "--by %s: give user, group or gpu", word) : 0;
}

static int read_since(const struct call *call, int64_t *ret_ms)
{
	*ret_ms = SINCE_MS;
	return call->value[OPTION_SINCE] ? duration_read(call, "--since", call->value[OPTION_SINCE],
							 GA_DURATION_MAX, ret_ms)
					 : 0;
}

static int check_options(const struct call *call)
{
	int forms =
		!!call->value[OPTION_CSV] + !!call->value[OPTION_JSON] + !!call->value[OPTION_SVG];

	if (call->value[OPTION_SAMPLE] &&
	    (forms > 0 || call->value[OPTION_BY] || call->value[OPTION_SINCE]))
		return fail_usage(call->command, "--sample takes a sample and shows nothing");
	if (!call->value[OPTION_SAMPLE] &&
	    (call->value[OPTION_MACHINE] || call->value[OPTION_DEADLINE]))
		return fail_usage(call->command, "--machine and --deadline are for --sample; what "
						 "was sampled is shown without asking a driver");
	return forms > 1 ? fail_usage(call->command,
				      "--csv, --json and --svg are three formats; use one of them")
			 : 0;
}

/* ---- from samples to a report ---- */

static const char *key_of(const struct sum *sum, enum report_by by)
{
	return by == REPORT_BY_USER ? sum->user : by == REPORT_BY_GROUP ? sum->group : sum->gpu;
}

static int add_row(struct report *report, const struct sum *sum)
{
	const char *name = key_of(sum, report->by);
	struct report_row *longer;

	for (size_t i = 0; i < report->row_count; i++)
		if (strcmp(report->rows[i].name, name) == 0) {
			report->rows[i].leased_ms += sum->leased_ms;
			report->rows[i].used_ms += sum->used_ms;
			return 0;
		}
	longer = reallocarray(report->rows, report->row_count + 1, sizeof *longer);
	if (!longer)
		return fail_memory();
	report->rows = longer;
	longer[report->row_count++] = (struct report_row){name, sum->leased_ms, sum->used_ms};
	return 0;
}

/* Most first; equal ones by name. */
static int compare_rows(const void *a, const void *b)
{
	const struct report_row *one = a, *two = b;

	if (one->leased_ms != two->leased_ms)
		return one->leased_ms > two->leased_ms ? -1 : 1;
	return strcmp(one->name, two->name);
}

static int fill_report(struct report *report)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < report->samples->sum_count; i++) {
		const struct sum *sum = &report->samples->sums[i];

		if (sum->hour > report->now / HOUR_SECONDS)
			continue; /* of a clock that was wrong */
		if (strcmp(sum->user, SAMPLED_USER) == 0)
			report->sampled_ms += sum->leased_ms;
		else if (sum->leased_ms > 0)
			result = add_row(report, sum);
	}
	if (report->row_count > 0)
		qsort(report->rows, report->row_count, sizeof *report->rows, compare_rows);
	return result;
}

static void free_report(struct report *report)
{
	free(report->rows);
}

static int show(const struct call *call, struct report *report)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	if (call->value[OPTION_SVG]) {
		report_svg(&text, report);
		return output_save(call->value[OPTION_SVG], &text);
	}
	if (call->value[OPTION_JSON])
		report_json(&text, call, report);
	else if (call->value[OPTION_CSV])
		report_csv(&text, report);
	else
		report_text(&text, report);
	return output_print(&text);
}

static int run(const struct call *call)
{
	ga_cleanup(samples_free) struct samples samples = {0};
	ga_cleanup(free_report) struct report report = {.samples = &samples};
	ga_auto_free char *notify = NULL;
	int64_t since_ms, warn_ms = -1;
	int result = check_options(call);

	if (result == 0 && call->value[OPTION_SAMPLE])
		return sample_take(call);
	if (result == 0)
		result = read_by(call, &report.by);
	if (result == 0)
		result = read_since(call, &since_ms);
	if (result)
		return result;
	report.by_name = by_names[report.by];
	report.now = (int64_t)time(NULL);
	report.since = report.now - since_ms / 1000;
	result = samples_read(report.since / HOUR_SECONDS, &samples);
	if (result == 0)
		result = fill_report(&report);
	if (result)
		return result;
	if (gpualloc_idle_rule(NULL, &warn_ms, &notify, NULL) == GPUALLOC_ENOMEM)
		return fail_memory();
	report.idle_s = (warn_ms >= 0 ? warn_ms : IDLE_SHOWN_MS) / 1000;
	if (samples.bad_lines > 0 && !call->value[OPTION_QUIET])
		say("note: %zu lines of the ledger in %s make no sense and were left out",
		    samples.bad_lines, samples_folder());
	return show(call, &report);
}

const struct command command_usage = {
	.name = "usage",
	.sentence = "GPU-hours by user, and idle leases",
	.description =
		"Shows how many GPU-hours were leased and used, and leases on which nothing runs. "
		"It is sampled: once a minute a timer of root's looks who holds what and whether "
		"something computes there, `sudo systemctl enable --now gpualloc-usage.timer`. "
		"Without it there is nothing to show.",
	.example = "gpualloc usage --since 7d --by gpu",
	.options = (const enum option_id[]){OPTION_BY, OPTION_CSV, OPTION_DEADLINE, OPTION_HELP,
					    OPTION_JSON, OPTION_MACHINE, OPTION_ON, OPTION_QUIET,
					    OPTION_SAMPLE, OPTION_SINCE, OPTION_SVG, OPTION_END},
	.run = run,
};
