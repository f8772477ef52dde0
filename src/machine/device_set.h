/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of devices of one machine, by their place in it: any number, not just 64. Iterates in
 * order. Operations on two sets need sets of the same size.
 */
#ifndef GA_MACHINE_DEVICE_SET_H
#define GA_MACHINE_DEVICE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ga_device_set {
	size_t size; /* places, not members */
	uint64_t *words;
};

/* An empty set of size places; false when out of memory. */
bool ga_device_set_init(struct ga_device_set *set, size_t size);
void ga_device_set_free(struct ga_device_set *set);
#define ga_auto_device_set ga_cleanup(ga_device_set_free)

void ga_device_set_add(struct ga_device_set *set, size_t place);
void ga_device_set_remove(struct ga_device_set *set, size_t place);
void ga_device_set_add_all(struct ga_device_set *set);
bool ga_device_set_has(const struct ga_device_set *set, size_t place);
size_t ga_device_set_count(const struct ga_device_set *set);

/* The first member at or after place; set->size if there is none. */
size_t ga_device_set_next(const struct ga_device_set *set, size_t place);

bool ga_device_set_equal(const struct ga_device_set *a, const struct ga_device_set *b);
bool ga_device_set_contains(const struct ga_device_set *set, const struct ga_device_set *part);
bool ga_device_set_meets(const struct ga_device_set *a, const struct ga_device_set *b);
void ga_device_set_copy(struct ga_device_set *to, const struct ga_device_set *from);
void ga_device_set_unite(struct ga_device_set *set, const struct ga_device_set *other);
void ga_device_set_subtract(struct ga_device_set *set, const struct ga_device_set *other);

#endif
