/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of gres.conf for a machine. It never writes anything that slurmd would refuse or
 * misread: if a file or an address is not known, it writes nothing.
 */
#ifndef SLURM_GRES_CONF_H
#define SLURM_GRES_CONF_H

#include "devices.h"
#include "error.h"
#include "json_writer.h"

/* Whether lines can be written for the machine; otherwise GPUALLOC_EIMPOSSIBLE and why. Call this
 * first. */
int gres_conf_check(const struct slurm_machine *node, gpualloc_error *error);
/* Whether it is a list of nodes that is one word on a line, so that NodeName= can have it. */
bool gres_conf_takes_names(const char *names);

/* about: the machine's name for people. names: the nodes that the lines are for; NULL for every
 * node. */
void gres_conf_text(struct ga_buffer *text, const struct slurm_machine *node, const char *about,
		    const char *names);
/* The same as members of an object that is open. */
void gres_conf_json(struct ga_json *json, const struct slurm_machine *node, const char *names);

#endif
