/* SPDX-License-Identifier: Apache-2.0 */
/* Where the reader sees the output: how wide it is, and whether it may have colours. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include "buffer.h"

struct terminal {
	bool is_terminal;
	bool colour;
	size_t width; /* 80 if it is not a terminal */
};

/* Colour always comes with a word that says the same. */
enum colour {
	COLOUR_NONE,
	COLOUR_BOLD,
	COLOUR_DIM,
	COLOUR_GREEN,
	COLOUR_BRIGHT_GREEN,
	COLOUR_CYAN,
	COLOUR_YELLOW,
	COLOUR_RED,
	COLOUR_BLUE,
};

struct terminal terminal_of(int fd);
/* How many columns the terminal really has, for what is one line: 80 if it does not say. */
size_t terminal_columns(int fd);
/*
 * Whether a person sees what this process paints there: it is a terminal, and a shell that has put
 * this process into the background is not using it.
 */
bool terminal_is_watched(int fd);
/* Both add nothing if there are no colours. */
void colour_start(struct ga_buffer *text, const struct terminal *terminal, enum colour colour);
void colour_end(struct ga_buffer *text, const struct terminal *terminal, enum colour colour);

#endif
