/* SPDX-License-Identifier: Apache-2.0 */
/* What the fence's programs call in a kernel, for a test outside of one. */
#ifndef TEST_BPF_HELPERS_H
#define TEST_BPF_HELPERS_H

#define SEC(name) __attribute__((unused))
#define __uint(name, number) int(*name)[number]
#define __type(name, kind) __typeof__(kind) *name
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __noinline static __attribute__((noinline, unused))
#define barrier_var(variable) __asm__ volatile("" : "+r"(variable))

struct task_struct;

void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags);
long bpf_map_delete_elem(void *map, const void *key);
void *bpf_task_storage_get(void *map, struct task_struct *task, void *value, __u64 flags);
struct task_struct *bpf_get_current_task_btf(void);

static inline long bpf_loop(__u32 times, long (*step)(__u32 index, void *context), void *context,
			    __u64 flags)
{
	__u32 i = 0;

	(void)flags;
	while (i < times && step(i++, context) == 0)
		;
	return i;
}

#endif
