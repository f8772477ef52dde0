/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes of vertices that cannot be told apart, and the symmetries between classes. A state of the
 * search says how many vertices of each class are left; states that a symmetry turns into each
 * other are worth the same, and are brought to one form before they are looked up.
 */
#ifndef GA_SOLVE_PARTITION_CLASSES_H
#define GA_SOLVE_PARTITION_CLASSES_H

#include "engine.h"

struct ga_part_classes {
	size_t count; /* of classes */
	uint8_t of[GA_PART_SEARCH_MAX];
	uint8_t size[GA_PART_SEARCH_MAX];
	uint8_t first[GA_PART_SEARCH_MAX];   /* into members */
	uint8_t members[GA_PART_SEARCH_MAX]; /* vertices by class, in order */
	bool required[GA_PART_SEARCH_MAX];   /* a class has only required vertices or none */
	bool any_required;
	int32_t *weight; /* count × count; on the diagonal between two vertices of the class */
};

/* False when there is no memory. Every vertex is a class of its own where alike is false. */
bool ga_part_classes_init(struct ga_part_classes *classes, const struct ga_part_problem *problem,
			  bool alike);
void ga_part_classes_free(struct ga_part_classes *classes);

static inline int32_t ga_part_class_weight(const struct ga_part_classes *classes, size_t a,
					   size_t b)
{
	return classes->weight[a * classes->count + b];
}

/* Runs of children in the layout, each as wide as the others, that may be put in any order. */
struct ga_part_symmetry_step {
	uint8_t start, width, children;
};

struct ga_part_symmetry {
	size_t count;
	uint8_t layout[GA_PART_SEARCH_MAX]; /* classes, so that each step's children lie side by
					       side */
	uint8_t block[GA_PART_SEARCH_MAX]; /* classes with one number are interchangeable one by one
					    */
	size_t step_count;
	struct ga_part_symmetry_step steps[GA_PART_SEARCH_MAX]; /* inner before outer */
};

/* What is symmetrical with the required vertices there, or once they are gone. */
void ga_part_symmetry_find(struct ga_part_symmetry *symmetry, const struct ga_part_classes *classes,
			   bool with_required);
/* Brings a state to its form: of all that the steps make of it, the one with the most in front. */
void ga_part_symmetry_apply(const struct ga_part_symmetry *symmetry, uint8_t *counts);

#endif
