/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fence around this machine is to be by the machine, the store and the configuration as
 * they are now, and how what stands differs from it. (fence.h is the fence of a single job.)
 */
#ifndef CLI_FENCE_RULES_H
#define CLI_FENCE_RULES_H

#include "buffer.h"
#include "command.h"
#include "fence/fence.h"
#include "fence/nodes.h"

/* An exemption as people know it; control groups that are not there have no row in the rules. */
struct fence_name {
	enum fence_who who;
	uint64_t id;
	bool is_absent;
	char *name;
};

struct fence_plan {
	char *ledger; /* its path */
	struct fence_nodes nodes;
	struct fence_exempt *exempt;
	size_t exempt_count;
	struct fence_name *names;
	size_t name_count;
};

void fence_plan_free(struct fence_plan *plan);
#define auto_fence_plan ga_cleanup(fence_plan_free)

/*
 * All but the group of the probe, by the configuration that applies to spec. The machine must
 * outlive the plan. Both return 0 or GPUALLOC_E...
 */
int fence_plan_make(const char *spec, const gpualloc_machine *machine, struct fence_plan *ret_plan,
		    gpualloc_error *error);
int fence_plan_add_probe(struct fence_plan *plan, gid_t group, gpualloc_error *error);
/* The same if the probe is there and its group exists: as it should be. */
int fence_plan_expect_probe(struct fence_plan *plan, gpualloc_error *error);
/* Whether the unit that puts it up at boot is enabled. */
bool fence_unit_is_enabled(const char *root);
struct fence_rules fence_plan_rules(const struct fence_plan *plan);

/*
 * Adds a sentence a line for each way in which what stands is not what the plan says. Returns
 * whether that is grave: a node that can be opened by who should not, or by nobody.
 */
bool fence_plan_compare(const struct fence_plan *plan, const struct fence_state *state,
			struct ga_buffer *text);
/* Whether the fence asks the ledger at that path. */
bool fence_asks(const struct fence_state *state, const char *ledger);

/* "/dev/nvidia0-7, 16 MIG capabilities, 16 in /dev/dri" */
void fence_add_nodes(struct ga_buffer *text, const struct fence_node *nodes, size_t count);

/* The path of a store's ledger, in new memory; NULL if there is none. */
char *fence_ledger(const char *store);
const char *fence_who_name(enum fence_who who);

#endif
