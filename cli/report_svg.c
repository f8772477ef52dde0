/* SPDX-License-Identifier: Apache-2.0 */
/* What was sampled as a picture: a bar for what was leased, in it one for what was used. */
#include "columns.h"
#include "report.h"
#include "svg.h"

#include <stdio.h>

enum {
	WIDTH = 720,
	MARGIN = 24,
	TOP = 84,
	ROW = 30,
	BAR = 18,
	NAMES = 190,
	BARS = 330,
	NAME_COLUMNS = 26,
};

static const char style[] = "<style>\n"
			    ".hours{fill:#b6c2d2}\n"
			    ".worked{fill:#3f9b34}\n"
			    "@media (prefers-color-scheme:dark){\n"
			    ".hours{fill:#445066}\n"
			    ".worked{fill:#57b94b}\n"
			    "}\n"
			    "</style>\n";

static int bar_of(int64_t ms, int64_t most)
{
	return most > 0 ? (int)(ms * BARS / most) : 0;
}

static void add_bar(struct ga_buffer *out, int y, int width, const char *class)
{
	if (width > 0)
		ga_buffer_format(out,
				 "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\" "
				 "class=\"%s\"/>\n",
				 MARGIN + NAMES, y, width, BAR, class);
}

static void add_row(struct ga_buffer *out, const struct report_row *row, int y, int64_t most)
{
	char words[96];

	ga_buffer_format(out, "<text x=\"%d\" y=\"%d\">", MARGIN, y + 13);
	svg_cut(out, row->name, NAME_COLUMNS);
	ga_buffer_text(out, "</text>\n");
	add_bar(out, y, bar_of(row->leased_ms, most), "hours");
	add_bar(out, y, bar_of(row->used_ms, most), "worked");
	(void)snprintf(words, sizeof words, "%lld.%lld h, used %lld.%lld h",
		       (long long)(row->leased_ms / 3600000),
		       (long long)(row->leased_ms % 3600000 / 360000),
		       (long long)(row->used_ms / 3600000),
		       (long long)(row->used_ms % 3600000 / 360000));
	svg_text(out, MARGIN + NAMES + bar_of(row->leased_ms, most) + 8, y + 13, "muted", words);
}

/* The rows are sorted, so the first one has the longest bar. */
void report_svg(struct ga_buffer *out, const struct report *report)
{
	int64_t most = report->row_count > 0 ? report->rows[0].leased_ms : 0;
	size_t rows = report->row_count > 0 ? report->row_count : 1;
	int height = TOP + (int)rows * ROW + MARGIN;
	char words[128];

	ga_buffer_format(out,
			 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
			 "viewBox=\"0 0 %d %d\">\n<title>GPU-hours by %s</title>\n",
			 WIDTH, height, WIDTH, height, report->by_name);
	svg_style(out);
	ga_buffer_text(out, style);
	ga_buffer_format(out,
			 "<rect x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"8\" "
			 "class=\"card\"/>\n",
			 WIDTH - 1, height - 1);
	(void)snprintf(words, sizeof words, "GPU-hours by %s", report->by_name);
	svg_text(out, MARGIN, 38, "title", words);
	(void)snprintf(
		words, sizeof words,
		"leased, and the part of it that was used; sampled for %lld of the last %lld "
		"hours",
		(long long)(report->sampled_ms / 3600000),
		(long long)((report->now - report->since) / HOUR_SECONDS));
	svg_text(out, MARGIN, 60, "muted", words);
	for (size_t i = 0; i < report->row_count; i++)
		add_row(out, &report->rows[i], TOP + (int)i * ROW, most);
	if (report->row_count == 0)
		svg_text(out, MARGIN, TOP + 13, "muted",
			 report->samples->has_sample ? "nobody had a lease"
						     : "nothing has been sampled yet");
	ga_buffer_text(out, "</svg>\n");
}
