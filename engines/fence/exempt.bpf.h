/* SPDX-License-Identifier: Apache-2.0 */
/* Who needs no lease, or not one of their own. */
#ifndef FENCE_EXEMPT_BPF_H
#define FENCE_EXEMPT_BPF_H

#include "maps.bpf.h"

#define CAP_SYS_ADMIN 21

enum { MOST_GROUPS = 1 << 16, MOST_CGROUP_DEPTH = 32 };

/* As in fence.h, which is not for the kernel. */
enum { USER, GROUP, CGROUP };

static __always_inline bool is_exempt(__u32 who, __u64 id)
{
	struct fence_key key = {.id = id, .who = who};

	return bpf_map_lookup_elem(&exempt, &key) != 0;
}

static __always_inline bool is_exempt_quickly(const struct cred *cred)
{
	__u32 capabilities = 0;

	/* The lower half of a number, or the first of two. */
	bpf_core_read(&capabilities, sizeof capabilities, &cred->cap_effective);
	if (capabilities & 1U << CAP_SYS_ADMIN && BPF_CORE_READ(cred, user_ns, level) == 0)
		return true;
	return is_exempt(USER, BPF_CORE_READ(cred, euid.val)) ||
	       is_exempt(GROUP, BPF_CORE_READ(cred, egid.val));
}

struct groups {
	struct group_info *info;
	bool found;
};

static long look_at_group(__u32 index, void *context)
{
	struct groups *groups = context;
	kgid_t *list = (void *)groups->info + bpf_core_field_offset(struct group_info, gid);
	__u32 group = 0;

	if (bpf_probe_read_kernel(&group, sizeof group, list + index) != 0)
		return 1;
	groups->found = is_exempt(GROUP, group);
	return groups->found;
}

static __always_inline bool is_in_exempt_group(const struct cred *cred)
{
	struct group_info *info = BPF_CORE_READ(cred, group_info);
	struct groups groups = {.info = info};
	int count = BPF_CORE_READ(info, ngroups);

	if (count > 0)
		bpf_loop(count < MOST_GROUPS ? (__u32)count : MOST_GROUPS, look_at_group, &groups,
			 0);
	return groups.found;
}

static __always_inline bool is_in_cgroup(void)
{
	for (int depth = 1; depth < MOST_CGROUP_DEPTH; depth++) {
		__u64 id = bpf_get_current_ancestor_cgroup_id(depth);

		if (!id)
			return false;
		if (is_exempt(CGROUP, id))
			return true;
	}
	return false;
}

#endif
