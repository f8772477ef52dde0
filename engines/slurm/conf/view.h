/* SPDX-License-Identifier: Apache-2.0 */
/* Checks every kind of node in a site's files against the rules. */
#ifndef SLURM_VIEW_H
#define SLURM_VIEW_H

#include "rules.h"

/* The most kinds of nodes that are checked; one that is asked for always is. */
enum { VIEWS_MOST = 1024 };

struct slurm_asked {
	const char *node;                    /* the one to check; NULL for all */
	const struct slurm_machine *machine; /* NULL if there is none */
	bool is_machine_named; /* the user named it; it is not just the one we run on */
};

struct slurm_looked {
	bool at_machine; /* one of the nodes was compared with the machine */
	bool left_out;   /* there are more kinds of nodes than were checked */
};

/* Checks every kind of node; false if there is no memory. */
bool check_nodes(const struct slurm_site *site, const struct slurm_asked *asked,
		 struct slurm_looked *ret_looked);

#endif
