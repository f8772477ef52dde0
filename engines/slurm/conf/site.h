/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a site has written: the lines of its gres.conf about GPUs and the lines of its slurm.conf
 * about nodes, in whichever files they are. Each line is checked by itself here; rules_*.c check
 * how lines go together.
 */
#ifndef SLURM_SITE_H
#define SLURM_SITE_H

#include "findings.h"
#include "syntax.h"

/* More than any site has; beyond it there is a note and no check. */
enum { SITE_LINES_MOST = 16384, SITE_DEVICES_MOST = 65536, NODE_DEVICES_MOST = 1024 };

/* A line of gres.conf about GPUs, or one with only AutoDetect (name is NULL). */
struct slurm_gres {
	size_t file, line;
	const char *nodes; /* its nodes; NULL for every node */
	const char *name, *type, *cores, *autodetect;
	const char *files;   /* as written; NULL if there are none */
	bool together;       /* MultipleFiles: all its files are one device */
	size_t device_count; /* how many devices Slurm makes of it */
	int64_t *minors;     /* for each device: N of /dev/nvidiaN, -1 for another file */
	const char *links;   /* as written */
	int *link;           /* the numbers, if all are valid */
	size_t link_count;   /* 0 if they are not numbers */
	size_t self;         /* the place of its -1; link_count without exactly one */
};

/* A line of slurm.conf that names nodes. */
struct slurm_node {
	size_t file, line;
	const char *nodes, *gres;
	int64_t sockets, cores_per_socket; /* -1 if not given */
};

struct slurm_site {
	struct slurm_conf *confs;
	size_t conf_count;
	struct slurm_gres *gres;
	size_t gres_count, gres_room;
	struct slurm_node *nodes;
	size_t node_count, node_room;
	struct slurm_node by_default; /* NodeName=DEFAULT; starts with -1 */
	const char *gres_types;       /* NULL if no line has it */
	size_t types_file, types_line;
	const char *parameters; /* SlurmdParameters */
	bool has_gres, has_slurm;
	size_t device_count;
	struct slurm_findings *findings, *notes;
	bool failed; /* out of memory */
};

/* Takes the lines of a file that was read; conf stays with the site. False if it is not a file of
 * Slurm's. */
bool site_take(struct slurm_site *site, size_t file, struct slurm_conf *conf);
void site_free(struct slurm_site *site);

#endif
