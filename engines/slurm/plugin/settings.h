/* SPDX-License-Identifier: Apache-2.0 */
/* What the administrator wrote after the plugin in plugstack.conf. */
#ifndef SLURM_SETTINGS_H
#define SLURM_SETTINGS_H

#include <gpualloc/gpualloc.h>
#include <stdbool.h>

enum mode {
	MODE_AUTO = 0, /* bind if Slurm gave GPUs, otherwise lease */
	MODE_BIND,     /* Slurm chooses the GPUs; we put them in order */
	MODE_LEASE     /* we choose and lease */
};

/* Strings are Slurm's own, which live as long as the plugin. */
struct settings {
	enum mode mode;
	const char *store;   /* NULL for the default one */
	const char *machine; /* as --machine; NULL for the real machine */
	const char *root;    /* the folder above dev/ and proc/; "" for the machine's own */
	int64_t wait_ms;     /* for devices that others hold; -1 for as long as the job may run */
};

/* 0, or GPUALLOC_EUSAGE with a sentence that names the word. */
int settings_read(int count, char *const *words, struct settings *ret_settings, char *sentence,
		  size_t size);

#endif
