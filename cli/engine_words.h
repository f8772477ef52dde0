/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a container engine's command: `podman OPTION... run OPTION... IMAGE...`. */
#ifndef CLI_ENGINE_WORDS_H
#define CLI_ENGINE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

struct engine_words {
	const char *name; /* "podman" or "docker"; NULL if it is neither */
	bool is_podman;
	char *const *words;
	size_t verb;        /* the place of "run", "start" ...; the words' end if there is none */
	bool runs;          /* the verb is run */
	size_t image;       /* where the options of run end */
	const char *remote; /* an option by which the engine is elsewhere */
	const char *host;   /* docker: the value of --host */
	const char *cidfile, *restart; /* values of options of run */
	const char *gpus;              /* an option of run that asks for GPUs itself */
	bool detaches;
};

void engine_words_read(char *const *words, struct engine_words *ret_words);

#endif
