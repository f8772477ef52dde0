/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of the picture; see svg.h. */
#include "svg.h"

#include "columns.h"
static const char style[] =
	"<style>\n"
	"text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;"
	"fill:#1f2328;font-size:12px}\n"
	".card{fill:#ffffff;stroke:#d0d7de}\n"
	".title{font-size:19px;font-weight:600}\n"
	".muted{fill:#59636e}\n"
	".small{font-size:10px}\n"
	".middle{text-anchor:middle}\n"
	".host{fill:#ffffff;stroke:#afb8c1;stroke-dasharray:4 4}\n"
	".numa{fill:#f3f5f8;stroke:#d0d7de}\n"
	".switch{fill:#dde4ee;fill-opacity:.65;stroke:#b6c2d2}\n"
	".gpu{fill:#ffffff;stroke:#6e7781;stroke-width:1.5}\n"
	".chosen{fill:#ddf4ff;stroke:#0969da;stroke-width:3.5}\n"
	".tick{font-weight:700;fill:#0969da;text-anchor:middle}\n"
	".leased{fill:#dbe4f5;stroke:#3b5b92;stroke-width:2.5}\n"
	".kept{fill:#e7f5ee;stroke:#1f7a54;stroke-dasharray:2 3}\n"
	".used{fill:#fff1c9;stroke:#9a6700;stroke-width:2.5;stroke-dasharray:9 3}\n"
	".sick{fill:#ffe9e7;stroke:#cf222e;stroke-dasharray:5 3}\n"
	".out{fill:#e8eaed;stroke:#8c959f;stroke-dasharray:1 3}\n"
	".word{font-weight:600}\n"
	".index{font-size:20px;font-weight:600;text-anchor:middle}\n"
	".less{font-size:15px}\n"
	".link{fill:none;stroke:#3f9b34;stroke-linecap:round}\n"
	".number{font-size:11px;font-weight:600;fill:#1a6b12;text-anchor:middle}\n"
	".pill{fill:#ffffff;stroke:#3f9b34;stroke-opacity:.5}\n"
	".bar{fill:#3f9b34}\n"
	".onbar{fill:#ffffff;font-weight:600;text-anchor:middle}\n"
	".mig{fill:#f3ecff;stroke:#8250df;stroke-width:1}\n"
	".mig.leased,.mig.used{fill:#dbc7ff;stroke-width:1.5}\n"
	".mig.chosen{fill:#ddf4ff;stroke:#0969da;stroke-width:2.5}\n"
	".onmig{font-size:9px}\n"
	".right{text-anchor:end;font-weight:600}\n"
	".badge{fill:#fff1c9;stroke:#d4a72c}\n"
	".badgetext{fill:#6b4e00;font-size:11px;font-weight:600;text-anchor:middle}\n"
	"@media (prefers-color-scheme:dark){\n"
	"text{fill:#e6edf3}\n"
	".card,.host{fill:#0d1117}\n"
	".card,.numa{stroke:#3d444d}\n"
	".host{stroke:#57606a}\n"
	".muted{fill:#9198a1}\n"
	".numa{fill:#161b22}\n"
	".switch{fill:#2a3444;stroke:#445066}\n"
	".gpu{fill:#0d1117;stroke:#9198a1}\n"
	".chosen{fill:#121d2f;stroke:#4493f8}\n"
	".tick{fill:#4493f8}\n"
	".leased{fill:#1c2b4a;stroke:#84a6e0}\n"
	".kept{fill:#10281d;stroke:#4fb286}\n"
	".used{fill:#3a2d06;stroke:#d4a72c}\n"
	".sick{fill:#3a1412;stroke:#f85149}\n"
	".out{fill:#22272e;stroke:#768390}\n"
	".link{stroke:#57b94b}\n"
	".number{fill:#a5e39c}\n"
	".pill{fill:#0d1117;stroke:#57b94b}\n"
	".bar{fill:#2f7d27}\n"
	".onbar{fill:#ffffff}\n"
	".mig{fill:#241a38;stroke:#a371f7}\n"
	".mig.leased,.mig.used{fill:#44307a}\n"
	".mig.chosen{fill:#121d2f;stroke:#4493f8}\n"
	".badge{fill:#3a2d06;stroke:#9e7c1a}\n"
	".badgetext{fill:#f2cc60}\n"
	"}\n"
	"</style>\n";

void svg_style(struct ga_buffer *out)
{
	ga_buffer_text(out, style);
}

/* Text between tags or in quotes. The two characters that XML does not allow are shown as '?'. */
void svg_escaped(struct ga_buffer *out, const char *string)
{
	for (; *string; string++) {
		const unsigned char *byte = (const unsigned char *)string;

		if (*string == '&')
			ga_buffer_text(out, "&amp;");
		else if (*string == '<')
			ga_buffer_text(out, "&lt;");
		else if (*string == '>')
			ga_buffer_text(out, "&gt;");
		else if (*string == '"')
			ga_buffer_text(out, "&quot;");
		else if (byte[0] == 0xef && byte[1] == 0xbf && byte[2] >= 0xbe) {
			ga_buffer_char(out, '?');
			string += 2;
		} else
			ga_buffer_char(out, *string);
	}
}

void svg_cut(struct ga_buffer *out, const char *string, size_t columns)
{
	ga_auto_buffer struct ga_buffer shortened = GA_BUFFER_OUTPUT;

	columns_cut(&shortened, string, columns);
	out->failed = out->failed || shortened.failed;
	if (shortened.data)
		svg_escaped(out, shortened.data);
}

int svg_width_of(const char *string, int size)
{
	return (int)columns_of(string) * size * 56 / 100;
}

void svg_text(struct ga_buffer *out, int x, int y, const char *class, const char *string)
{
	ga_buffer_format(out, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
	svg_escaped(out, string);
	ga_buffer_text(out, "</text>\n");
}

void svg_rect(struct ga_buffer *out, const struct rect *rect, int round, const char *class)
{
	ga_buffer_format(
		out,
		"<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\" class=\"%s\"/>\n",
		rect->x, rect->y, rect->width, rect->height, round, class);
}

/* ---- how wide a number of NVLinks is drawn ---- */

struct scale svg_scale(const struct layout *layout)
{
	struct scale scale = {.most = 1};

	for (size_t i = 0; i < layout->link_count; i++) {
		int count = layout->links[i].count;

		count = count > NVLINKS_MAX ? NVLINKS_MAX : count;
		scale.kinds += !scale.seen[count];
		scale.seen[count] = true;
		scale.most = count > scale.most ? count : scale.most;
	}
	for (size_t i = 0; i < layout->groups.count; i++) {
		int count = fabric_links(&layout->groups, i);

		scale.most = count > scale.most ? count : scale.most;
	}
	return scale;
}

/* Tenths of a unit: in proportion, from 1 to 6 units. */
static int line_width(const struct scale *scale, int count)
{
	int one = scale->most > 2 ? 60 / scale->most : 22, width = count * (one > 0 ? one : 1);

	return width < 10 ? 10 : width > 60 ? 60 : width;
}

void svg_link_style(struct ga_buffer *out, const struct scale *scale, int count)
{
	int width = line_width(scale, count);

	ga_buffer_format(out, " class=\"link\" stroke-width=\"%d.%d\"/>\n", width / 10, width % 10);
}
