/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs in the kernel and their loader have in common: the maps' contents. A change
 * here needs a new FENCE_LAYOUT: only maps of the same layout are handed on to newer programs.
 */
#ifndef FENCE_KERNEL_H
#define FENCE_KERNEL_H

enum { FENCE_LAYOUT = 1 };

/* The ledger's address space, in which a test compares these with the library's own answers: levels
 * in a GPU's region, and where devices end and ids begin. */
enum { FENCE_LEVELS = 8, FENCE_LEVEL_BITS = 29 };
#define FENCE_DEVICES_END (1ULL << 62)

/* Descriptions of the ledger that a process carries whether or not they are still open in it, and
 * how many more are looked at among its descriptors. */
enum { FENCE_MARKS = 64, FENCE_MINE = 256 };
/* Where so many are known, those that others opened are not looked at any more. */
enum { FENCE_FOREIGN = 192 };

enum { FENCE_NODES = 16384, FENCE_EXEMPT = 256 };
/* Open file descriptions of the ledger: of all, of root, of another user. */
enum { FENCE_LIVE = 1 << 20, FENCE_LIVE_ROOT = 1 << 19, FENCE_LIVE_USER = 1 << 16 };

/* The only entry of the map `settings`. */
struct fence_settings {
	unsigned long long inode; /* of the ledger */
	unsigned long long since; /* seconds since 1970 */
	unsigned long long build; /* of which programs */
	unsigned int device;      /* of the ledger, as the kernel counts it */
	unsigned int armed;       /* before, nothing is refused */
	unsigned int kind;        /* enum fence_kind */
	unsigned int groups;      /* how many of `exempt` are groups */
	unsigned int cgroups;
	unsigned int layout;
};

/* In `nodes`, by the device's number: the extent on the first level; length 0: no lease opens it.
 */
struct fence_extent {
	unsigned long long start, length;
};

/* A key of `exempt`. */
struct fence_key {
	unsigned long long id;
	unsigned int who; /* enum fence_who */
	unsigned int unused;
};

/* In `live`, by the address of an open file description of the ledger. */
struct fence_description {
	unsigned long long cookie; /* tells it from another at the same address, before or after */
	unsigned int user;
	unsigned int unused;
};

struct fence_mark {
	unsigned long long file, cookie; /* and FENCE_SENT if others sent it */
};
#define FENCE_SENT (1ULL << 63)

/* In `carried`, of the leader of a process's threads. */
struct fence_marks {
	struct fence_mark list[FENCE_MARKS];
	unsigned int next; /* the one to give up when all are in use */
	unsigned int unused;
};

#endif
