/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent is told, by options, variables and one file, in this order of precedence. Every
 * mistake in any of them is found at once.
 */
#ifndef KUBERNETES_OPTIONS_H
#define KUBERNETES_OPTIONS_H

#include "buffer.h"
#include "settings.h"

struct options {
	struct settings settings;
	bool help, version, check, print_slices;
	struct ga_buffer mistakes;  /* a line each */
	bool is_file_wrong;         /* one of them is in the file */
	struct ga_buffer effective; /* the settings that count, as a file */
};

/* Returns 0 where there is no mistake. The caller calls options_free() in any case. */
int options_read(struct options *options, int argc, char **argv);
void options_free(struct options *options);
void options_help(struct ga_buffer *text);

#endif
