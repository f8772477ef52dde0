/* SPDX-License-Identifier: Apache-2.0 */
/* Open file descriptions of the ledger: which there are, and which of them a process carries. */
#ifndef FENCE_DESCRIPTIONS_BPF_H
#define FENCE_DESCRIPTIONS_BPF_H

#include "maps.bpf.h"

enum { WORD = 64, MOST_WORDS = 1 << 17, MOST_TABLES = 4, MOST_SPACES = 33 };

/* ---- what is known of them ---- */

/*
 * Its owner is asked too: a tmpfs with numbers of 32 bits gives them again, so a user may make a
 * file with the ledger's number, but none of root's.
 */
static __always_inline bool is_ledger(const struct inode *inode)
{
	const struct fence_settings *set = find_settings();

	return set && set->inode && inode->i_ino == set->inode &&
	       inode->i_sb->s_dev == set->device && inode->i_uid.val == 0;
}

/* The same for an address that may not be a file's any more. */
static __always_inline bool is_ledger_at(const struct file *file)
{
	const struct fence_settings *set = find_settings();
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	return set && set->inode && BPF_CORE_READ(inode, i_ino) == set->inode &&
	       BPF_CORE_READ(inode, i_sb, s_dev) == set->device &&
	       BPF_CORE_READ(inode, i_uid.val) == 0;
}

/* Who opened it; for somebody in a user namespace, who made the namespace: that has many users. */
static __always_inline __u32 user_of(const struct cred *cred)
{
	struct user_namespace *space = BPF_CORE_READ(cred, user_ns);
	__u32 user = BPF_CORE_READ(cred, euid.val);

	for (int i = 0; i < MOST_SPACES && BPF_CORE_READ(space, level) > 0; i++) {
		user = BPF_CORE_READ(space, owner.val);
		space = BPF_CORE_READ(space, parent);
	}
	return user;
}

/* Counts one more of this user's; false if there are too many. */
static __always_inline bool count_one(__u32 user)
{
	__u64 *count = bpf_map_lookup_elem(&opened, &user), none = 0;

	if (!count) {
		bpf_map_update_elem(&opened, &user, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&opened, &user);
	}
	if (!count || *count >= (user == 0 ? FENCE_LIVE_ROOT : FENCE_LIVE_USER))
		return false;
	__sync_fetch_and_add(count, 1);
	return true;
}

static __always_inline void count_one_less(__u32 user)
{
	__u64 *count = bpf_map_lookup_elem(&opened, &user);

	if (count)
		__sync_fetch_and_add(count, -1);
}

/*
 * Notes that it is there. One that is being opened is new, whatever is known of its address: what
 * was noted by somebody who saw the last one there must not count for it.
 */
__noinline int note(__u64 key, bool is_new)
{
	const struct file *file = (const struct file *)key;
	struct fence_description description = {0};
	__u32 zero = 0;
	__u64 *last = bpf_map_lookup_elem(&cookies, &zero);
	struct fence_description *old = bpf_map_lookup_elem(&live, &key);

	if (!last)
		return 0;
	if (old && !is_new)
		return 1;
	if (old) {
		count_one_less(old->user);
		bpf_map_delete_elem(&live, &key);
	}
	description.user = user_of(BPF_CORE_READ(file, f_cred));
	if (!count_one(description.user))
		return 0;
	description.cookie = __sync_fetch_and_add(last, 1) + 1;
	if (bpf_map_update_elem(&live, &key, &description, BPF_NOEXIST) == 0)
		return 1;
	count_one_less(description.user);
	return bpf_map_lookup_elem(&live, &key) != 0;
}

static __always_inline bool is_live(const struct fence_mark *mark)
{
	__u64 file = mark->file;
	struct fence_description *description = file ? bpf_map_lookup_elem(&live, &file) : 0;

	return description && description->cookie == (mark->cookie & ~FENCE_SENT);
}

/* The place of its mark, or -1. */
__noinline int find_mark(struct fence_marks *marks, __u64 file, __u64 cookie)
{
	for (int i = 0; marks && i < FENCE_MARKS; i++)
		if (marks->list[i].file == file && (marks->list[i].cookie & ~FENCE_SENT) == cookie)
			return i;
	return -1;
}

__noinline int find_dead(struct fence_marks *marks)
{
	for (int i = 0; marks && i < FENCE_MARKS; i++)
		if (!is_live(&marks->list[i]))
			return i;
	return -1;
}

__noinline int find_sent(struct fence_marks *marks)
{
	for (int i = 0; marks && i < FENCE_MARKS; i++)
		if (marks->list[i].cookie & FENCE_SENT)
			return i;
	return -1;
}

/*
 * This process carries it from now on. What others send it never displaces what it has, and goes
 * first when there is no room: a mark for that may be missing, and the description is found among
 * the descriptors.
 */
__noinline int carry(__u64 key, bool is_sent)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fence_marks *marks = bpf_task_storage_get(&carried, task->group_leader, 0,
							 BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct fence_description *description = bpf_map_lookup_elem(&live, &key);
	__u64 cookie;
	int place;

	if (!marks || !description)
		return 0;
	cookie = description->cookie;
	place = find_mark(marks, key, cookie);
	if (place >= 0 && is_sent)
		return 0;
	if (place < 0)
		place = find_dead(marks);
	if (place < 0 && is_sent)
		return 0;
	if (place < 0)
		place = find_sent(marks);
	if (place < 0)
		place = (int)(marks->next++ % FENCE_MARKS);
	place &= FENCE_MARKS - 1;
	marks->list[place].file = 0;
	marks->list[place].cookie = cookie | (is_sent ? FENCE_SENT : 0);
	marks->list[place].file = key;
	return 0;
}

/* ---- what this process carries ---- */

static __always_inline __u32 filter_bit(__u64 file)
{
	return (__u32)((file * 0x9e3779b97f4a7c15ULL) >> FILTER_SHIFT);
}

static __always_inline void clear(struct asking *asking)
{
	asking->count = 0;
	__builtin_memset(asking->filter, 0, sizeof asking->filter);
}

/* False if there is no room. */
static __always_inline bool add(struct asking *asking, __u64 file, __u64 cookie)
{
	__u32 place = asking->count, bit = filter_bit(file);

	if (place >= FENCE_MINE)
		return false;
	asking->count = place + 1;
	asking->filter[bit / 64 & (FILTER_BITS / 64 - 1)] |= 1ULL << (bit & 63);
	/* The verifier has to see the bound where it is used. */
	barrier_var(place);
	asking->files[place & (FENCE_MINE - 1)] = file;
	asking->cookies[place & (FENCE_MINE - 1)] = cookie;
	return true;
}

__noinline int gather_marks(struct asking *asking)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fence_marks *marks = bpf_task_storage_get(&carried, task->group_leader, 0, 0);

	if (!asking)
		return 0;
	clear(asking);
	for (int i = 0; marks && i < FENCE_MARKS; i++)
		if (is_live(&marks->list[i]))
			(void)add(asking, marks->list[i].file, marks->list[i].cookie & ~FENCE_SENT);
	return asking->count > 0;
}

struct scan {
	struct asking *asking;
	struct fdtable *table;
	struct file **files;
	unsigned long *open;
};

static __always_inline struct fdtable *current_table(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return BPF_CORE_READ(task, files, fdt);
}

/*
 * Another thread may close it meanwhile, and somebody else's be at its address: a cookie that was
 * read while the descriptor was ours is ours. In a table that a larger one has replaced, what was
 * closed since still stands. False if there is no room.
 */
static __always_inline bool add_descriptor(const struct scan *scan, struct file **slot, __u64 key)
{
	struct asking *asking = scan->asking;
	struct fence_description *description = bpf_map_lookup_elem(&live, &key);
	__u64 cookie = description ? description->cookie : 0;
	struct file *file = 0;

	if (!description || bpf_probe_read_kernel(&file, sizeof file, slot) != 0 ||
	    (__u64)file != key || current_table() != scan->table)
		return true;
	/* What others have sent leaves room for our own. */
	if (asking->count >= FENCE_FOREIGN && description->user != asking->owner)
		return true;
	return add(asking, key, cookie);
}

/* Looks at the descriptors of one word of the table's bits. */
static long scan_word(__u32 index, void *context)
{
	struct scan *scan = context;
	unsigned long word = 0;

	if (bpf_probe_read_kernel(&word, sizeof word, scan->open + index) != 0)
		return 1;
	for (int bit = 0; bit < WORD && word; bit++, word >>= 1) {
		struct file **slot = scan->files + (__u64)index * WORD + bit, *file = 0;

		if (!(word & 1) || bpf_probe_read_kernel(&file, sizeof file, slot) != 0 || !file ||
		    !is_ledger_at(file))
			continue;
		/* Those of before the fence was put up are not known yet. */
		if (note((__u64)file, false) && !add_descriptor(scan, slot, (__u64)file))
			return 1;
	}
	return 0;
}

/* Adds those that are open here; whether there are more now. */
__noinline int gather_descriptors(struct asking *asking)
{
	__u32 before;

	if (!asking)
		return 0;
	before = asking->count;
	for (int attempt = 0; attempt < MOST_TABLES; attempt++) {
		struct fdtable *table = current_table();
		struct scan scan = {.asking = asking,
				    .table = table,
				    .files = BPF_CORE_READ(table, fd),
				    .open = BPF_CORE_READ(table, open_fds)};
		__u32 words = BPF_CORE_READ(table, max_fds) / WORD;

		asking->count = before;
		bpf_loop(words < MOST_WORDS ? words : MOST_WORDS, scan_word, &scan, 0);
		if (current_table() == table)
			break;
	}
	return asking->count > before;
}

#endif
