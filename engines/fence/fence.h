/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administrator's fence: device nodes that only those can open who have a lease on the device.
 * The kernel enforces it with BPF programs (fence.bpf.c), which ask the ledger's own locks. They
 * are loaded once, pinned below FENCE_PINS, and nothing of ours keeps running.
 */
#ifndef FENCE_FENCE_H
#define FENCE_FENCE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FENCE_PINS "/sys/fs/bpf/gpualloc"
#define FENCE_UNIT "gpualloc-fence.service"

enum { FENCE_PATH_SIZE = 64 };

/* A device node, known by its number, and where in the ledger the locks lie that open it. */
struct fence_node {
	char path[FENCE_PATH_SIZE]; /* as people know it */
	dev_t number;
	uint64_t start, length; /* on the first level; length 0: no lease opens it */
};

/* Who may open them without a lease, besides root with CAP_SYS_ADMIN in the first user namespace.
 */
enum fence_who {
	FENCE_USER,   /* effective */
	FENCE_GROUP,  /* effective, or a further one */
	FENCE_CGROUP, /* below it, what anybody has leased may be opened: other rules say by whom */
};

struct fence_exempt {
	enum fence_who who;
	uint64_t id; /* a uid, a gid, or the inode number of a folder of the second version of
			cgroups */
};

struct fence_rules {
	const char *ledger; /* its path */
	const struct fence_node *nodes;
	size_t node_count;
	const struct fence_exempt *exempt;
	size_t exempt_count;
};

/* How the programs are attached: as a security module, or to the functions that call those. */
enum fence_kind { FENCE_LSM, FENCE_FUNCTIONS };

struct fence_state {
	bool stands; /* everything is attached, and armed */
	enum fence_kind kind;
	int64_t since;      /* seconds since 1970 */
	uint64_t ledger[2]; /* device and inode */
	struct fence_node
		*nodes; /* as the kernel has them, in order of their numbers; path is empty */
	size_t node_count;
	struct fence_exempt *exempt;
	size_t exempt_count;
	char missing[256]; /* if it does not stand although something is pinned: what is not there
			    */
};

void fence_state_free(struct fence_state *state);
#define auto_fence_state ga_cleanup(fence_state_free)

/*
 * Keeps others from changing it meanwhile, once they do not either: a descriptor to close, or -1
 * where there is no /run. Taken before what is below, and before the probe gets or loses its
 * bit.
 */
int fence_lock(void);
/* GPUALLOC_EIMPOSSIBLE with what this kernel lacks, as far as that shows before anything is made.
 */
int fence_possible(gpualloc_error *error);
/*
 * Puts it up, or gives these rules to the one that stands, without a moment in which it is down.
 * GPUALLOC_EIMPOSSIBLE with what this kernel lacks; nothing is left loaded then.
 */
int fence_raise(const struct fence_rules *rules, gpualloc_error *error);
/* What is there; needs root. Not standing is no failure. */
int fence_look(struct fence_state *ret_state, gpualloc_error *error);
/* 1 if something was there, 0 if not. */
int fence_remove(gpualloc_error *error);

#endif
