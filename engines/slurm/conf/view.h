/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of node that a site's files have, held against the rules. */
#ifndef SLURM_VIEW_H
#define SLURM_VIEW_H

#include "rules.h"

/* Kinds of nodes that are looked at, at most; the one that is asked for always is. */
enum { VIEWS_MOST = 1024 };

struct slurm_asked {
	const char *node;                    /* the one to look at, NULL: all */
	const struct slurm_machine *machine; /* NULL where there is none */
	bool is_machine_named;               /* and not just the one that we run on */
};

struct slurm_looked {
	bool at_machine; /* one of the nodes was held against the machine */
	bool left_out;   /* there are more kinds of nodes than were looked at */
};

/* Looks at every kind of node; false when there is no memory. */
bool check_nodes(const struct slurm_site *site, const struct slurm_asked *asked,
		 struct slurm_looked *ret_looked);

#endif
