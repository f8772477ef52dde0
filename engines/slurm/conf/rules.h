/* SPDX-License-Identifier: Apache-2.0 */
/* A site's files as one of its nodes reads them, and the rules that they must keep. */
#ifndef SLURM_RULES_H
#define SLURM_RULES_H

#include "devices.h"
#include "names.h"
#include "site.h"

struct slurm_view {
	char name[NAME_SIZE]; /* of the node; "" if the files name none */
	/* The lines of gres.conf that it reads, without those that have only AutoDetect. */
	const struct slurm_gres **lines;
	size_t line_count;
	size_t device_count;              /* of these lines */
	const struct slurm_gres *detects; /* the AutoDetect that it obeys; NULL or off for none */
	const struct slurm_node *node;    /* its line of slurm.conf; NULL if there is none */
	struct slurm_cpus cpus;           /* from slurm.conf, or else from the machine */
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
/* Rules about the files as a whole. version is -1 and node NULL if not known. */
void check_site(const struct slurm_site *site, int version, const struct slurm_machine *node);

/* The first line whose Links make a difference between devices; NULL if there is none. */
const struct slurm_gres *site_links(const struct slurm_site *site);

/* How many GPUs a Gres=gpu:TYPE:N,… asks for; -1 if it is not about GPUs. */
int64_t gres_gpus(const char *gres);

#endif
