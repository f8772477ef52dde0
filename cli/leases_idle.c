/* SPDX-License-Identifier: Apache-2.0 */
/* Leases on which nothing runs, by the administrator's idle-warn and the samples; see leases.h. */
#include "leases.h"
#include "report.h"

#include "owned.h"

#include <string.h>
#include <time.h>

void leases_read_idle(struct samples *ret_samples, int64_t *ret_idle_s)
{
	char *program = NULL;
	int64_t warn_ms = -1;

	*ret_samples = (struct samples){0};
	*ret_idle_s = -1;
	if (gpualloc_idle_rule(NULL, &warn_ms, &program, NULL) == 0 && warn_ms >= 0 &&
	    samples_read_last(ret_samples) == 0)
		*ret_idle_s = warn_ms / 1000;
	gpualloc_free(program);
}

/* In seconds; -1 if it is not idle, or not known to be. */
static int64_t idle_of(const struct leases_view *view, size_t i)
{
	const char *id = gpualloc_held_id(gpualloc_leases_held(view->leases, i));
	struct report report = {
		.samples = view->samples, .now = (int64_t)time(NULL), .idle_s = view->idle_s};

	if (!view->samples || view->idle_s < 0 || !id)
		return -1;
	for (size_t s = 0; s < view->samples->lease_count; s++)
		if (strcmp(view->samples->leases[s].id, id) == 0)
			return report_idle_of(&report, &view->samples->leases[s]);
	return -1;
}

void leases_idle_text(struct ga_buffer *text, const struct leases_view *view, size_t i)
{
	int64_t minutes = idle_of(view, i) / 60;

	if (idle_of(view, i) >= 0)
		ga_buffer_format(text, "  idle: nothing has run there for %lld h %lld min\n",
				 (long long)(minutes / 60), (long long)(minutes % 60));
}

void leases_idle_json(struct ga_json *json, const struct leases_view *view, size_t i)
{
	ga_json_number(json, "idle_seconds", idle_of(view, i));
}
