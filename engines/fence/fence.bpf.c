/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fence in the kernel. A device node in `nodes` is opened only by a process that carries an
 * open file description of the ledger which has a write lock in the node's extent: the lock that is
 * the lease. It carries those that it opened, locked or was sent, with all that its parent carried
 * when it was forked, and those among its descriptors. That it closed one does not matter; that the
 * lock is gone does.
 *
 * Each hook is here twice: as a security module's, for kernels where `bpf` is one (lsm=), and on
 * the function that calls those modules. The loader takes one kind.
 */
#include "descriptions.bpf.h"
#include "exempt.bpf.h"
#include "locks.bpf.h"

#include <bpf/bpf_tracing.h>

#define EPERM 1
#define S_IFMT 0170000
#define S_IFCHR 0020000
#define CLONE_THREAD 0x00010000

enum { MOST_ERRNO = 4095 };

char license_of_fence[] SEC("license") = "GPL";

/* ---- may it ---- */

/* Any description leads to the list of locks. */
static long look_from(void *map, __u64 *key, struct fence_description *value,
		      struct asking **context)
{
	struct asking *asking = *context;
	const struct file *file = (const struct file *)*key;

	if (!is_ledger_at(file))
		return 0;
	(void)walk(asking, *key, true, AGREE);
	return 1;
}

/* Whether anybody has some of the extent. */
static __always_inline bool is_leased(struct asking *asking)
{
	clear(asking);
	asking->all_so_far = 0;
	bpf_for_each_map_elem(&live, look_from, &asking, 0);
	return asking->all_so_far != 0;
}

static __always_inline bool carries(struct asking *asking)
{
	if (gather_marks(asking) && opens(asking))
		return true;
	return gather_descriptors(asking) && opens(asking);
}

static __always_inline bool has_right(const struct fence_settings *set, const struct cred *cred,
				      const struct fence_extent *extent)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct asking *ask = bpf_task_storage_get(&asking, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!ask || extent->length == 0)
		return false;
	ask->user = BPF_CORE_READ(cred, euid.val);
	ask->owner = user_of(cred);
	ask->start = extent->start;
	ask->length = extent->length;
	return carries(ask) || (set->cgroups > 0 && is_in_cgroup() && is_leased(ask));
}

/* 0, or -EPERM. */
static __always_inline int check_node(const struct inode *inode)
{
	const struct fence_settings *set = find_settings();
	struct task_struct *task;
	const struct cred *cred;
	struct fence_extent *listed, extent;
	__u32 number;

	if ((inode->i_mode & S_IFMT) != S_IFCHR)
		return 0;
	number = inode->i_rdev;
	listed = bpf_map_lookup_elem(&nodes, &number);
	if (!listed || !set || !set->armed)
		return 0;
	task = bpf_get_current_task_btf();
	cred = BPF_CORE_READ(task, cred);
	if (is_exempt_quickly(cred))
		return 0;
	extent = *listed;
	if (has_right(set, cred, &extent))
		return 0;
	return set->groups > 0 && is_in_exempt_group(cred) ? 0 : -EPERM;
}

/* ---- what happens ---- */

/* What another program has refused stays refused. */
static __always_inline int refused(int before)
{
	return before < 0 && before >= -MOST_ERRNO ? before : -EPERM;
}

/* As a number, which functions that are verified on their own take. */
static __always_inline __u64 address_of(struct file *file)
{
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof address, &file);
	return address;
}

static __noinline int opened_file(struct file *file)
{
	if (is_ledger(file->f_inode)) {
		if (note(address_of(file), true))
			carry(address_of(file), false);
		return 0;
	}
	return check_node(file->f_inode);
}

static __noinline int received_file(struct file *file)
{
	if (is_ledger(file->f_inode)) {
		if (note(address_of(file), false))
			carry(address_of(file), true);
		return 0;
	}
	return check_node(file->f_inode);
}

static __noinline int locked_file(struct file *file)
{
	if (is_ledger(file->f_inode) && note(address_of(file), false))
		carry(address_of(file), false);
	return 0;
}

static __noinline int freed_file(struct file *file)
{
	__u64 key = (__u64)file;
	struct fence_description *description = bpf_map_lookup_elem(&live, &key);

	if (description) {
		count_one_less(description->user);
		bpf_map_delete_elem(&live, &key);
	}
	return 0;
}

static __always_inline void hand_on(struct fence_marks *marks, struct task_struct *to)
{
	struct fence_marks *copy =
		marks ? bpf_task_storage_get(&carried, to, 0, BPF_LOCAL_STORAGE_GET_F_CREATE) : 0;

	for (int i = 0; copy && i < FENCE_MARKS; i++)
		copy->list[i] = marks->list[i];
}

/* A thread that becomes a program becomes the leader; the marks stay with the one before it. */
static __always_inline int became_program(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (task->pid != task->tgid)
		hand_on(bpf_task_storage_get(&carried, task->group_leader, 0, 0), task);
	return 0;
}

static __always_inline int forked(struct task_struct *child, __u64 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (!(flags & CLONE_THREAD))
		hand_on(bpf_task_storage_get(&carried, task->group_leader, 0, 0), child);
	return 0;
}

#define HOOK(name, function, does, ...)                                              \
	SEC("lsm/" #name) int BPF_PROG(lsm_##name, __VA_ARGS__, int before)          \
	{                                                                            \
		return before ? refused(before) : does;                              \
	}                                                                            \
	SEC("fmod_ret/" #function) int BPF_PROG(mod_##name, __VA_ARGS__, int before) \
	{                                                                            \
		return before ? before : does;                                       \
	}

HOOK(file_open, security_file_open, opened_file(file), struct file *file)
HOOK(file_receive, security_file_receive, received_file(file), struct file *file)
HOOK(file_lock, security_file_lock, locked_file(file), struct file *file, unsigned int command)
HOOK(task_alloc, security_task_alloc, forked(child, flags), struct task_struct *child, __u64 flags)
HOOK(bprm_check_security, security_bprm_check, became_program(), struct linux_binprm *program)

SEC("lsm/file_free_security") int BPF_PROG(lsm_file_free, struct file *file)
{
	return freed_file(file);
}

SEC("fentry/security_file_free") int BPF_PROG(mod_file_free, struct file *file)
{
	return freed_file(file);
}
