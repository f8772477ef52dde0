/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs in the kernel look up, as kernel.h has it, and keep. */
#ifndef FENCE_MAPS_BPF_H
#define FENCE_MAPS_BPF_H

#include "kernel_types.h"

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fence_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FENCE_NODES);
	__type(key, __u32);
	__type(value, struct fence_extent);
} nodes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FENCE_EXEMPT);
	__type(key, struct fence_key);
	__type(value, __u32);
} exempt SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FENCE_LIVE);
	__type(key, __u64);
	__type(value, struct fence_description);
} live SEC(".maps");

/* How many of `live` each user has opened, so that none fills it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FENCE_LIVE);
	__type(key, __u32);
	__type(value, __u64);
} opened SEC(".maps");

/* The cookie that was given last. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cookies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct fence_marks);
} carried SEC(".maps");

/*
 * A thread that opens a node: the descriptions that it may use, a filter for them, and what was
 * found in the list of locks. All that loops change is here and not on the stack: verifiers before
 * Linux 6.7 follow a loop's body once only, and would take what the second turn can change for
 * constant.
 */
enum { FILTER_BITS = 1024, FILTER_SHIFT = 64 - 10 };
struct asking {
	__u64 files[FENCE_MINE];
	__u64 cookies[FENCE_MINE]; /* by which it is known that the address is still the same file's
				    */
	__u64 filter[FILTER_BITS / 64];
	__u32 count;
	__u32 match; /* in `files`; FENCE_MINE: in vain */

	__u32 user;
	__u32 owner;         /* user_of() it */
	__u64 start, length; /* of the node's extent */
	__u64 head, at;      /* of the list, as addresses */
	__u64 at_file, at_owner;
	/* Levels, as bits. */
	__u32 ours;      /* on which locks that we carry are in the extent */
	__u32 users;     /* if all are looked at: or our user's */
	__u32 strangers; /* if all are looked at: or others' */
	int deepest;     /* on which our user's locks are that we carry, wherever */
	__u32 has_ended; /* 0 or 1 */
	/* Of all walks, also those that did not come to the end. */
	__u32 ours_so_far, all_so_far;
	__u32 steps; /* that are left */
	bool looks_at_all;
	__u32 wanted;        /* walks that have to agree */
	__u32 agreeing;      /* that have, one after the other */
	__u64 sum, last_sum; /* of what they saw, in its order */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct asking);
} asking SEC(".maps");

static __always_inline struct fence_settings *find_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&settings, &zero);
}

#endif
