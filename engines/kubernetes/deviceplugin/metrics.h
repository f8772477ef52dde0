/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent counts, and its page for Prometheus. */
#ifndef DEVICEPLUGIN_METRICS_H
#define DEVICEPLUGIN_METRICS_H

#include "http.h"

#include <stdbool.h>
#include <stdint.h>

struct agent;

enum { METRICS_CALLS = 16, METRICS_BUCKETS = 9 };

struct metrics_call {
	const char *method;
	uint64_t count, failed, us;
	uint64_t buckets[METRICS_BUCKETS]; /* each by itself */
};

struct metrics {
	struct metrics_call calls[METRICS_CALLS];
	size_t call_count;
	uint64_t registrations, queries, failed_queries, query_ms;
	int64_t snapshot_at; /* of ga_clock_ms(); 0: there is none yet */
	struct http http;
	char told[512];
};

int64_t metrics_now_us(void);
/* A call of the kubelet was answered that came then; method is a text that stays. */
void metrics_called(struct metrics *metrics, const char *method, int64_t since_us, bool is_good);
/* The driver was asked, from then on. */
void metrics_queried(struct metrics *metrics, int64_t began_at, bool is_good);

/* Serves the page if that is wanted; to be called again while it could not be had. */
void metrics_serve(struct agent *agent);
void metrics_end(struct agent *agent);

#endif
