/* SPDX-License-Identifier: Apache-2.0 */
/* A site's files as one of its nodes reads them, and the rules that they are held against. */
#ifndef SLURM_RULES_H
#define SLURM_RULES_H

#include "devices.h"
#include "names.h"
#include "site.h"

struct slurm_view {
	char name[NAME_SIZE]; /* of the node, "" where the files name none */
	/* The lines of gres.conf that it reads, those with only AutoDetect left out. */
	const struct slurm_gres **lines;
	size_t line_count;
	size_t device_count;              /* that these lines have */
	const struct slurm_gres *detects; /* the AutoDetect that it obeys, NULL or off: none */
	const struct slurm_node *node;    /* its line of slurm.conf, NULL where there is none */
	struct slurm_cpus cpus;           /* by slurm.conf, else by the machine */
	struct slurm_findings *findings;
};

/* The rules; each adds to view->findings. */
void check_files(const struct slurm_view *view);
void check_links(const struct slurm_view *view);
void check_cores(const struct slurm_view *view, const struct slurm_site *site);
/* Against the machine that this node is. */
void check_machine(const struct slurm_view *view, const struct slurm_machine *node);
/* Against the Gres of its line in slurm.conf. */
void check_gres(const struct slurm_view *view, const struct slurm_site *site);
/* What is said of the files as a whole. version and node: -1 and NULL where they are not known. */
void check_site(const struct slurm_site *site, int version, const struct slurm_machine *node);

/* The first line whose Links make a difference between devices; NULL where there is none. */
const struct slurm_gres *site_links(const struct slurm_site *site);

/* How many GPUs a Gres=gpu:TYPE:N,… asks for; -1: it is about none. */
int64_t gres_gpus(const char *gres);

#endif
