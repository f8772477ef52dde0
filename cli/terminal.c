/* SPDX-License-Identifier: Apache-2.0 */
/* Width and colours; see terminal.h. */
#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Below the least, tables would lose columns that people need. */
enum { WIDTH_DEFAULT = 80, WIDTH_LEAST = 60, WIDTH_MOST = 1000 };

static const char *const codes[] = {
	[COLOUR_NONE] = "",
	[COLOUR_BOLD] = "1",
	[COLOUR_DIM] = "2",
	[COLOUR_GREEN] = "32",
	[COLOUR_BRIGHT_GREEN] = "1;32",
	[COLOUR_CYAN] = "36",
	[COLOUR_YELLOW] = "33",
	[COLOUR_RED] = "31",
	[COLOUR_BLUE] = "34",
};

size_t terminal_columns(int fd)
{
	struct winsize size = {0};

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return WIDTH_DEFAULT;
	return size.ws_col;
}

static size_t width_of(int fd)
{
	size_t columns = terminal_columns(fd);

	return columns < WIDTH_LEAST ? WIDTH_LEAST : columns > WIDTH_MOST ? WIDTH_MOST : columns;
}

/* A terminal that is not this session's has no foreground that we could be told. */
bool terminal_is_watched(int fd)
{
	pid_t foreground;

	if (isatty(fd) != 1)
		return false;
	foreground = tcgetpgrp(fd);
	return foreground < 0 || foreground == getpgrp();
}

struct terminal terminal_of(int fd)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	struct terminal terminal = {.is_terminal = isatty(fd) == 1, .width = WIDTH_DEFAULT};

	if (!terminal.is_terminal)
		return terminal;
	terminal.width = width_of(fd);
	terminal.colour = !(no_colour && *no_colour) && term && *term && strcmp(term, "dumb") != 0;
	return terminal;
}

void colour_start(struct ga_buffer *text, const struct terminal *terminal, enum colour colour)
{
	if (terminal->colour && colour != COLOUR_NONE)
		ga_buffer_format(text, "\033[%sm", codes[colour]);
}

void colour_end(struct ga_buffer *text, const struct terminal *terminal, enum colour colour)
{
	if (terminal->colour && colour != COLOUR_NONE)
		ga_buffer_text(text, "\033[0m");
}
