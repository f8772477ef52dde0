/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's list of locks. It is read without its lock: nothing that is read is believed before
 * a write lock of one of our own live descriptions is found there, read twice alike, and a walk
 * that was led astray begins again. That somebody's lock is not there takes more: see
 * walks_agree().
 */
#ifndef FENCE_LOCKS_BPF_H
#define FENCE_LOCKS_BPF_H

#include "descriptions.bpf.h"

#define F_WRLCK 1

enum {
	ATTEMPTS = 16,
	/* Walks that have to see the same before it is believed that a lock is not there: of ours,
	 * and of others. */
	AGREE = 2,
	AGREE_ON_OTHERS = 4,
	MOST_LOCKS = 1 << 22, /* that all attempts together look at */
};

struct lock {
	__u64 file;
	__u64 owner;
	__u64 start, end; /* both inclusive */
	__u64 is_write;
};

static __always_inline void read_place(struct list_head *link, struct lock *lock)
{
	if (bpf_core_field_exists(((struct file_lock___before_6_9 *)0)->fl_list)) {
		struct file_lock___before_6_9 *old =
			(void *)link -
			bpf_core_field_offset(struct file_lock___before_6_9, fl_list);

		lock->start = (__u64)BPF_CORE_READ(old, fl_start);
		lock->end = (__u64)BPF_CORE_READ(old, fl_end);
		lock->is_write = BPF_CORE_READ(old, fl_type) == F_WRLCK;
	} else {
		struct file_lock *new =
			(void *)link - bpf_core_field_offset(struct file_lock, c.flc_list);

		lock->start = (__u64)BPF_CORE_READ(new, fl_start);
		lock->end = (__u64)BPF_CORE_READ(new, fl_end);
		lock->is_write = BPF_CORE_READ(new, c.flc_type) == F_WRLCK;
	}
}

/* The description by which it was set, and whose it is. */
static __always_inline void read_whose(struct list_head *link, __u64 *file, __u64 *owner)
{
	if (bpf_core_field_exists(((struct file_lock___before_6_9 *)0)->fl_list)) {
		struct file_lock___before_6_9 *old =
			(void *)link -
			bpf_core_field_offset(struct file_lock___before_6_9, fl_list);

		*file = (__u64)BPF_CORE_READ(old, fl_file);
		*owner = (__u64)BPF_CORE_READ(old, fl_owner);
	} else {
		struct file_lock *new =
			(void *)link - bpf_core_field_offset(struct file_lock, c.flc_list);

		*file = (__u64)BPF_CORE_READ(new, c.flc_file);
		*owner = (__u64)BPF_CORE_READ(new, c.flc_owner);
	}
}

/*
 * What was a lock of ours may be freed, and somebody else's when the rest of it is read: both are
 * read twice.
 */
static __always_inline bool read_lock(struct list_head *link, struct lock *lock)
{
	struct lock again = {0};

	read_place(link, lock);
	read_whose(link, &again.file, &again.owner);
	read_place(link, &again);
	return again.file == lock->file && again.owner == lock->owner &&
	       again.start == lock->start && again.end == lock->end &&
	       again.is_write == lock->is_write;
}

struct search {
	struct asking *asking;
	__u64 file;
};

static long search_step(__u32 index, void *context)
{
	struct search *search = context;

	if (search->asking->files[index & (FENCE_MINE - 1)] != search->file)
		return 0;
	search->asking->match = index;
	return 1;
}

/* Most locks are somebody else's, which the filter tells at once. */
static __always_inline bool may_be_ours(struct asking *asking, __u64 file)
{
	__u32 bit = filter_bit(file);
	struct search search = {.asking = asking, .file = file};

	if (!(asking->filter[bit / 64 & (FILTER_BITS / 64 - 1)] >> (bit & 63) & 1))
		return false;
	asking->match = FENCE_MINE;
	bpf_loop(asking->count, search_step, &search, 0);
	return asking->match < FENCE_MINE;
}

/* Ours may be closed since, and another one be at its address: asked when all else was read. */
static __always_inline bool is_ours(const struct asking *asking, __u64 file)
{
	struct fence_description *description = bpf_map_lookup_elem(&live, &file);

	return description &&
	       description->cookie == asking->cookies[asking->match & (FENCE_MINE - 1)];
}

static __always_inline __u32 levels_in_extent(const struct asking *asking, const struct lock *lock)
{
	__u32 levels = 0;

	for (int level = 0; level < FENCE_LEVELS; level++) {
		__u64 start = asking->start + ((__u64)level << FENCE_LEVEL_BITS);

		if (lock->start < start + asking->length && lock->end >= start)
			levels |= 1U << level;
	}
	return levels;
}

static __always_inline bool is_users(const struct asking *asking, __u64 address)
{
	const struct file *file = (const struct file *)address;

	return BPF_CORE_READ(file, f_cred, euid.val) == asking->user;
}

static __always_inline void count_lock(struct asking *asking, const struct lock *lock, bool ours)
{
	__u32 levels = levels_in_extent(asking, lock);
	int level = (int)(lock->start >> FENCE_LEVEL_BITS) & (FENCE_LEVELS - 1);

	/* What another user sent us widens what we may, and never narrows it. */
	if (ours && level > asking->deepest && is_users(asking, lock->file))
		asking->deepest = level;
	/* The library's locks belong to the description. */
	if (ours && lock->owner == lock->file)
		asking->ours |= levels;
	if (!asking->looks_at_all || !levels || (!ours && !is_ledger_at((struct file *)lock->file)))
		return;
	/* Root's are everybody's who is root in some container. */
	if (ours || (asking->user != 0 && is_users(asking, lock->file)))
		asking->users |= levels;
	else
		asking->strangers |= levels;
}

/*
 * Whoever has set a lock may set it once more, at the same address: behind others' locks, or in the
 * list of another file. An owner's locks lie side by side in a list, so a lock of the same owner
 * and description is still where it was. Whether it is, and `next` follows it: each is read again
 * after the other.
 */
static __always_inline bool has_stayed(const struct asking *asking, struct list_head *at,
				       struct list_head *next)
{
	__u64 file = asking->at_file, owner = asking->at_owner;

	if ((__u64)at != asking->head)
		read_whose(at, &file, &owner);
	return file == asking->at_file && owner == asking->at_owner &&
	       BPF_CORE_READ(at, next) == next;
}

static long walk_step(__u32 index, void *context)
{
	struct asking *asking = *(struct asking **)context;
	struct list_head *at = (struct list_head *)asking->at, *next = BPF_CORE_READ(at, next);
	struct lock lock = {0};
	bool ours;

	if (asking->steps == 0)
		return 1;
	asking->steps--;
	if ((__u64)next != asking->head)
		read_whose(next, &lock.file, &lock.owner);
	if (!has_stayed(asking, at, next))
		return 1;
	if ((__u64)next == asking->head) {
		asking->has_ended = 1;
		return 1;
	}
	/* It was taken off the list while we stood on it. */
	if (!next || next == at)
		return 1;
	asking->at = (__u64)next;
	asking->at_file = lock.file;
	asking->at_owner = lock.owner;
	asking->sum = (asking->sum ^ (__u64)next ^ lock.file) * 0x100000001b3ULL;
	ours = may_be_ours(asking, lock.file);
	if (!ours && !asking->looks_at_all)
		return 0;
	if (!read_lock(next, &lock))
		return 1;
	ours = ours && is_ours(asking, lock.file);
	if (lock.is_write && lock.start < FENCE_DEVICES_END)
		count_lock(asking, &lock, ours);
	return 0;
}

/*
 * A lock on which we stand may be set once more, behind others, and those are passed over. So that
 * a lock is not there is believed only if several walks saw the same ones in the same order.
 */
static __always_inline bool walks_agree(struct asking *asking)
{
	asking->agreeing = asking->sum == asking->last_sum ? asking->agreeing + 1 : 1;
	asking->last_sum = asking->sum;
	return asking->agreeing >= asking->wanted;
}

static long walk_once(__u32 index, void *context)
{
	struct asking *asking = *(struct asking **)context;

	asking->at = asking->head;
	asking->ours = 0;
	asking->users = 0;
	asking->strangers = 0;
	asking->deepest = -1;
	asking->has_ended = 0;
	asking->sum = 0;
	bpf_loop(MOST_LOCKS, walk_step, context, 0);
	asking->ours_so_far |= asking->ours;
	asking->all_so_far |= asking->users | asking->strangers;
	if (!(asking->has_ended & 1))
		return asking->steps == 0;
	return walks_agree(asking) || (!asking->looks_at_all && asking->ours);
}

/*
 * The ledger is that of a description. What we carry is believed as it is seen, unless all are
 * looked at. 0 if its list changed again and again as it was read, or is endless.
 */
__noinline int walk(struct asking *asking, __u64 description, bool looks_at_all, __u32 wanted)
{
	const struct file *file = (const struct file *)description;
	struct file_lock_context *locks = BPF_CORE_READ(file, f_inode, i_flctx);

	if (!asking || !locks)
		return 0;
	asking->head = (__u64)locks + bpf_core_field_offset(struct file_lock_context, flc_posix);
	asking->looks_at_all = looks_at_all;
	asking->wanted = wanted;
	asking->agreeing = 0;
	asking->ours_so_far = 0;
	asking->all_so_far = 0;
	asking->has_ended = 0;
	asking->steps = MOST_LOCKS;
	bpf_loop(ATTEMPTS, walk_once, &asking, 0);
	return asking->has_ended & 1 &&
	       (asking->agreeing >= wanted || (!looks_at_all && asking->ours));
}

/*
 * A lock on a deeper level opens if each level above it is ours or nobody's: there it would exclude
 * nobody, and everybody may lock what is free on some level. An outer lease may end before the
 * inner.
 */
static __always_inline bool opens_deeper(const struct asking *asking, bool may_be_nobodys)
{
	for (int level = 0; level < FENCE_LEVELS; level++) {
		__u32 others = ((1U << level) - 1) & ~asking->users;

		if (level >= asking->deepest && asking->ours & 1U << level &&
		    (!others || (may_be_nobodys && !(asking->strangers & others))))
			return true;
	}
	return false;
}

/* Whether what we carry opens the extent. An inner lease narrows: only the deepest level counts. */
__noinline int opens(struct asking *asking)
{
	if (!asking)
		return 0;
	/* Who changes the list all the time, or makes it endless, takes nobody's right. */
	if (!walk(asking, asking->files[0], false, AGREE))
		return asking->ours_so_far & 1;
	if (!asking->ours)
		return 0;
	if (asking->deepest <= 0 && asking->ours & 1)
		return 1;
	(void)walk(asking, asking->files[0], true, 1);
	if (opens_deeper(asking, false))
		return 1;
	return walk(asking, asking->files[0], true, AGREE_ON_OTHERS) && opens_deeper(asking, true);
}

#endif
