/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as lines; see metrics.h. */
#include "metrics.h"

#include "agent.h"
#include "clock.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const int64_t limits_us[METRICS_BUCKETS] = {100,   250,    500,     1000,    5000,
						   25000, 100000, 1000000, 10000000};

int64_t metrics_now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static struct metrics_call *find_call(struct metrics *metrics, const char *method)
{
	for (size_t i = 0; i < metrics->call_count; i++)
		if (strcmp(metrics->calls[i].method, method) == 0)
			return &metrics->calls[i];
	if (metrics->call_count == METRICS_CALLS)
		return NULL;
	metrics->calls[metrics->call_count].method = method;
	return &metrics->calls[metrics->call_count++];
}

void metrics_called(struct metrics *metrics, const char *method, int64_t since_us, bool is_good)
{
	struct metrics_call *call = find_call(metrics, method);
	int64_t us = metrics_now_us() - since_us;

	if (!call)
		return;
	call->count++;
	call->failed += !is_good;
	call->us += (uint64_t)us;
	for (size_t i = 0; i < METRICS_BUCKETS; i++)
		if (us <= limits_us[i]) {
			call->buckets[i]++;
			return;
		}
}

void metrics_queried(struct metrics *metrics, int64_t began_at, bool is_good)
{
	metrics->queries++;
	metrics->failed_queries += !is_good;
	metrics->query_ms += (uint64_t)(ga_clock_ms() - began_at);
	if (is_good)
		metrics->snapshot_at = began_at;
}

/* ---- the page ---- */

static void head(struct ga_buffer *page, const char *name, const char *kind, const char *help)
{
	ga_buffer_format(page, "# HELP gpualloc_%s %s\n# TYPE gpualloc_%s %s\n", name, help, name,
			 kind);
}

static void add_number(struct ga_buffer *page, const char *name, const char *kind, const char *help,
		       uint64_t value)
{
	head(page, name, kind, help);
	ga_buffer_format(page, "gpualloc_%s %" PRIu64 "\n", name, value);
}

static void add_ms(struct ga_buffer *page, const char *name, const char *kind, const char *help,
		   uint64_t ms)
{
	head(page, name, kind, help);
	ga_buffer_format(page, "gpualloc_%s %" PRIu64 ".%03" PRIu64 "\n", name, ms / 1000,
			 ms % 1000);
}

enum column { HEALTHY, ALLOCATED, LEASED_OUTSIDE };

static int value_of(struct agent *agent, struct unit *unit, enum column column, int64_t now)
{
	if (column == HEALTHY)
		return unit_is_healthy(unit, &agent->inventory, agent->settings, now);
	return column == ALLOCATED ? unit->is_ours : unit->is_leased;
}

/* As a label's value; what comes from a driver may have anything in it. */
static void add_text(struct ga_buffer *page, const char *text)
{
	for (const char *c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			ga_buffer_char(page, '\\');
		ga_buffer_char(page, *c);
	}
}

/* A line each unit: what is one of them can be summed up by resource and NUMA node. */
static void add_units(struct ga_buffer *page, struct agent *agent, const char *name,
		      const char *help, enum column column)
{
	int64_t now = ga_clock_ms();

	head(page, name, "gauge", help);
	for (size_t i = 0; i < agent->inventory.count; i++) {
		struct unit *unit = &agent->inventory.units[i];

		ga_buffer_format(page, "gpualloc_%s{resource=\"", name);
		add_text(page, unit->resource);
		ga_buffer_text(page, "\",uuid=\"");
		add_text(page, unit->uuid);
		ga_buffer_format(page, "\",numa=\"%" PRId64 "\"} %d\n", unit->numa,
				 value_of(agent, unit, column, now));
	}
}

static void add_call(struct ga_buffer *page, const struct metrics_call *call)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		sum += call->buckets[i];
		ga_buffer_format(page,
				 "gpualloc_call_duration_seconds_bucket{method=\"%s\",le=\"%g\"} "
				 "%" PRIu64 "\n",
				 call->method, (double)limits_us[i] / 1e6, sum);
	}
	ga_buffer_format(page,
			 "gpualloc_call_duration_seconds_bucket{method=\"%s\",le=\"+Inf\"} %" PRIu64
			 "\ngpualloc_call_duration_seconds_sum{method=\"%s\"} %" PRIu64
			 ".%06" PRIu64 "\n"
			 "gpualloc_call_duration_seconds_count{method=\"%s\"} %" PRIu64 "\n",
			 call->method, call->count, call->method, call->us / 1000000,
			 call->us % 1000000, call->method, call->count);
}

static void add_calls(struct ga_buffer *page, const struct metrics *metrics)
{
	head(page, "call_duration_seconds", "histogram",
	     "How long the kubelet waited for an answer.");
	for (size_t i = 0; i < metrics->call_count; i++)
		add_call(page, &metrics->calls[i]);
	head(page, "calls_failed_total", "counter", "Calls that were answered with an error.");
	for (size_t i = 0; i < metrics->call_count; i++)
		ga_buffer_format(page, "gpualloc_calls_failed_total{method=\"%s\"} %" PRIu64 "\n",
				 metrics->calls[i].method, metrics->calls[i].failed);
}

static void write_page(struct agent *agent, struct ga_buffer *page)
{
	const struct metrics *metrics = &agent->metrics;

	head(page, "info", "gauge", "The version of the agent.");
	ga_buffer_format(page, "gpualloc_info{version=\"%s\"} 1\n", gpualloc_version());
	add_units(page, agent, "device_healthy", "Whether the device may be given out.", HEALTHY);
	add_units(page, agent, "device_allocated", "Whether a pod has it.", ALLOCATED);
	add_units(page, agent, "device_leased_outside",
		  "Whether somebody outside Kubernetes has leased it.", LEASED_OUTSIDE);
	add_calls(page, metrics);
	add_number(page, "registrations_total", "counter", "Registrations with the kubelet.",
		   metrics->registrations);
	add_number(page, "driver_queries_total", "counter", "How often the driver was asked.",
		   metrics->queries);
	add_number(page, "driver_queries_failed_total", "counter", "How often it did not answer.",
		   metrics->failed_queries);
	add_ms(page, "driver_query_seconds_total", "counter", "How long its answers took in all.",
	       metrics->query_ms);
	add_number(page, "driver_silent", "gauge", "Whether it has not answered for long.",
		   agent->inventory.is_blind);
	if (metrics->snapshot_at)
		add_ms(page, "snapshot_age_seconds", "gauge",
		       "How old the last answer of the driver is.",
		       (uint64_t)(ga_clock_ms() - metrics->snapshot_at));
}

static const char *why_not_ready(const struct agent *agent)
{
	return !agent->inventory.machine ? "the driver has not answered yet"
	       : !agent->is_known        ? "the pods of this node are not known yet"
	       : agent->settings->lease && !agent->has_settled
		       ? "the leases of the pods are not known yet"
		       : NULL;
}

static int answer(void *context, const char *path, struct ga_buffer *body)
{
	struct agent *agent = context;
	const char *why;

	if (strcmp(path, "/metrics") == 0) {
		write_page(agent, body);
		return 200;
	}
	if (strcmp(path, "/healthz") != 0)
		return 404;
	why = why_not_ready(agent);
	ga_buffer_format(body, "%s\n", why ? why : "ok");
	return why ? 503 : 200;
}

/* ---- serving ---- */

void metrics_serve(struct agent *agent)
{
	struct metrics *metrics = &agent->metrics;
	gpualloc_error *error;

	if (!*agent->settings->metrics || (metrics->http.loop && metrics->http.watch.fd >= 0))
		return;
	error = gpualloc_error_new();
	metrics->http.answer = answer;
	metrics->http.context = agent;
	if (http_open(&metrics->http, &agent->loop, agent->settings->metrics, error) < 0 &&
	    strncmp(metrics->told, gpualloc_error_message(error), sizeof metrics->told - 1) != 0) {
		(void)snprintf(metrics->told, sizeof metrics->told, "%s",
			       gpualloc_error_message(error));
		log_say(&agent->log, LOG_LEVEL_WARNING, "metrics are not served yet: %s",
			metrics->told);
	}
	gpualloc_error_free(error);
}

void metrics_end(struct agent *agent)
{
	http_close(&agent->metrics.http);
}
