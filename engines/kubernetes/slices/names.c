/* SPDX-License-Identifier: Apache-2.0 */
/* A name is compared as it would be written, so nothing is accepted that is not written; names.h.
 */
#include "names.h"

#include "error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void name_of_unit(const struct unit *unit, char name[static NAME_SIZE])
{
	if (unit->instance < 0)
		(void)snprintf(name, NAME_SIZE, "gpu-%lld", (long long)unit->label);
	else
		(void)snprintf(name, NAME_SIZE, "gpu-%lld-mig-%lld-%lld", (long long)unit->label,
			       (long long)unit->gi, (long long)unit->ci);
}

void name_of_set(uint32_t labels, char name[static NAME_SIZE])
{
	size_t size = (size_t)snprintf(name, NAME_SIZE, "set");

	for (unsigned i = 0; i < SET_MOST && size < NAME_SIZE; i++)
		if (labels >> i & 1)
			size += (size_t)snprintf(name + size, NAME_SIZE - size, "-%u", i);
	if (size >= NAME_SIZE)
		(void)snprintf(name, NAME_SIZE, "set-x%08" PRIx32, labels);
}

/* The GPUs whose numbers a set's name has; 0 if it is no such name. */
static uint32_t labels_of(const char *name)
{
	uint32_t labels = 0;
	char written[NAME_SIZE];

	if (strncmp(name, "set-x", 5) == 0) {
		labels = (uint32_t)strtoul(name + 5, NULL, 16);
	} else if (strncmp(name, "set", 3) == 0) {
		const char *at = name + 3;

		while (at[0] == '-' && at[1] >= '0' && at[1] <= '9') {
			char *end;
			unsigned long label = strtoul(at + 1, &end, 10);

			labels |= label < SET_MOST ? 1U << label : 0;
			at = end;
		}
	}
	name_of_set(labels, written);
	return labels && strcmp(name, written) == 0 ? labels : 0;
}

static bool is_member(const struct unit *unit, const char *name, uint32_t labels)
{
	char written[NAME_SIZE];

	if (labels)
		return unit->instance < 0 && unit->label < SET_MOST && labels >> unit->label & 1;
	name_of_unit(unit, written);
	return strcmp(name, written) == 0;
}

int name_resolve(const struct inventory *inventory, const char *name,
		 const struct unit *ret_units[static SET_MOST], size_t *ret_count,
		 gpualloc_error *error)
{
	uint32_t labels = labels_of(name);
	size_t wanted = labels ? (size_t)__builtin_popcount(labels) : 1, count = 0;

	for (size_t i = 0; i < inventory->count && count < SET_MOST; i++)
		if (is_member(&inventory->units[i], name, labels))
			ret_units[count++] = &inventory->units[i];
	*ret_count = count;
	if (count == wanted)
		return 0;
	return ga_error_set(error, GPUALLOC_ENOTFOUND, "this node has no device \"%.*s\" now",
			    NAME_SIZE - 1, name);
}
