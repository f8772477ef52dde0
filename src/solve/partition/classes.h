/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes of vertices that cannot be told apart, and the symmetries between classes. A state of the
 * search is the number of vertices left in each class. States that a symmetry turns into each other
 * have the same value, so they are brought to one form before they are looked up.
 */
#ifndef GA_SOLVE_PARTITION_CLASSES_H
#define GA_SOLVE_PARTITION_CLASSES_H

#include "engine.h"

struct ga_part_classes {
	size_t count; /* the number of classes */
	uint8_t of[GA_PART_SEARCH_MAX];
	uint8_t size[GA_PART_SEARCH_MAX];
	uint8_t first[GA_PART_SEARCH_MAX];   /* where the class begins in members */
	uint8_t members[GA_PART_SEARCH_MAX]; /* vertices by class, in order */
	/* either all vertices of a class are required, or none of them */
	bool required[GA_PART_SEARCH_MAX];
	bool any_required;
	/* count × count; the diagonal has the weight between two vertices of the class */
	int32_t *weight;
};

/* Returns false if there is no memory. If alike is false, every vertex is a class of its own. */
bool ga_part_classes_init(struct ga_part_classes *classes, const struct ga_part_problem *problem,
			  bool alike);
void ga_part_classes_free(struct ga_part_classes *classes);

static inline int32_t ga_part_class_weight(const struct ga_part_classes *classes, size_t a,
					   size_t b)
{
	return classes->weight[a * classes->count + b];
}

/* Runs of classes in the layout (children), all of the same width, that may be put in any order. */
struct ga_part_symmetry_step {
	uint8_t start, width, children;
};

struct ga_part_symmetry {
	size_t count;
	/* All classes, in an order in which each step's children lie side by side. */
	uint8_t layout[GA_PART_SEARCH_MAX];
	/* For each class, the number of its block. Classes of one block may change places. */
	uint8_t block[GA_PART_SEARCH_MAX];
	size_t step_count;
	struct ga_part_symmetry_step steps[GA_PART_SEARCH_MAX]; /* inner steps before outer ones */
};

/* Finds the symmetries with the required vertices still there, or after they are gone. */
void ga_part_symmetry_find(struct ga_part_symmetry *symmetry, const struct ga_part_classes *classes,
			   bool with_required);
/*
 * Brings a state to its one form. Of all states that the steps can make of it, this is the one with
 * the largest counts in front.
 */
void ga_part_symmetry_apply(const struct ga_part_symmetry *symmetry, uint8_t *counts);

#endif
