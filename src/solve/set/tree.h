/* SPDX-License-Identifier: Apache-2.0 */
/* Finds sets with a high sum of pair scores, from which the search starts; see tree.c. */
#ifndef GA_SOLVE_SET_TREE_H
#define GA_SOLVE_SET_TREE_H

#include "search.h"

/* Memory and time grow with count × want. */
enum { GA_SET_TREE_MAX = 512 };

/* Called with want positions. A negative result ends the visits. */
typedef int (*ga_set_tree_visit)(void *context, const size_t *positions);

/*
 * Visits the best set of each part of the machine that is just large enough, then the best set of
 * the whole.
 */
int ga_set_tree(const struct ga_set_search *search, const struct ga_set_plan *plan,
		ga_set_tree_visit visit, void *context);

#endif
