/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of the highest sum of pair scores, to start the search from; see tree.c. */
#ifndef GA_SOLVE_SET_TREE_H
#define GA_SOLVE_SET_TREE_H

#include "search.h"

/* Memory and time grow with count × want. */
enum { GA_SET_TREE_MAX = 512 };

/* positions: want of them; negative ends the visits. */
typedef int (*ga_set_tree_visit)(void *context, const size_t *positions);

/* The best set of each part of the machine that is just large enough, then that of the whole. */
int ga_set_tree(const struct ga_set_search *search, const struct ga_set_plan *plan,
		ga_set_tree_visit visit, void *context);

#endif
