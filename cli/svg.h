/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of the picture of a machine: text made safe for XML, rectangles, the style sheet, and how
 * wide a number of NVLinks is drawn. */
#ifndef CLI_SVG_H
#define CLI_SVG_H

#include "buffer.h"
#include "topo/layout.h"

enum { NVLINKS_MAX = 1024 };

struct scale {
	int most;
	bool seen[NVLINKS_MAX + 1]; /* counts of direct links */
	int kinds;                  /* how many different ones */
};

void svg_style(struct ga_buffer *out);
void svg_escaped(struct ga_buffer *out, const char *string);
/* At most that many columns of it. */
void svg_cut(struct ga_buffer *out, const char *string, size_t columns);
void svg_text(struct ga_buffer *out, int x, int y, const char *class, const char *string);
void svg_rect(struct ga_buffer *out, const struct rect *rect, int round, const char *class);
/* The width of letters is a guess: a little more than half their height. */
int svg_width_of(const char *string, int size);

struct scale svg_scale(const struct layout *layout);
/* Ends the path of a link. */
void svg_link_style(struct ga_buffer *out, const struct scale *scale, int count);

/* Drawn below everything else; returns where it ends. */
int svg_legend(struct ga_buffer *out, const struct layout *layout, const struct scale *scale);

#endif
