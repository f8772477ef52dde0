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
 *
 * The list of locks is read without its lock: nothing that is read is believed before a write lock
 * of one of our own live descriptions is found there, read twice alike, and a walk that was led
 * astray begins again. That somebody's lock is not there takes more: see walks_agree().
 */
#include "kernel_types.h"

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define EPERM 1
#define S_IFMT 0170000
#define S_IFCHR 0020000
#define F_WRLCK 1
#define CLONE_THREAD 0x00010000
#define CAP_SYS_ADMIN 21

enum { MOST_ERRNO = 4095 };
enum {
	ATTEMPTS = 16,
	/* Walks that have to see the same before it is believed that a lock is not there: of ours,
	 * and of others. */
	AGREE = 2,
	AGREE_ON_OTHERS = 4,
	MOST_LOCKS = 1 << 22, /* that all attempts together look at */
	MOST_GROUPS = 1 << 16,
	WORD = 64,
	MOST_WORDS = 1 << 17
};
enum { MOST_CGROUP_DEPTH = 32, MOST_SPACES = 33 };

/* As in fence.h, which is not for the kernel. */
enum { USER, GROUP, CGROUP };

char license_of_fence[] SEC("license") = "GPL";

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

/* ---- descriptions of the ledger ---- */

static __always_inline bool is_ledger(const struct inode *inode)
{
	const struct fence_settings *set = find_settings();

	return set && set->inode && inode->i_ino == set->inode && inode->i_sb->s_dev == set->device;
}

/* The same for an address that may not be a file's any more. */
static __always_inline bool is_ledger_at(const struct file *file)
{
	const struct fence_settings *set = find_settings();
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	return set && set->inode && BPF_CORE_READ(inode, i_ino) == set->inode &&
	       BPF_CORE_READ(inode, i_sb, s_dev) == set->device;
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

	if (!last)
		return 0;
	if (bpf_map_lookup_elem(&live, &key)) {
		struct fence_description *old = bpf_map_lookup_elem(&live, &key);

		if (!is_new)
			return 1;
		if (old)
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
	struct file **files;
	unsigned long *open;
};

/*
 * Another thread may close it meanwhile, and somebody else's be at its address: a cookie that was
 * read while the descriptor was ours is ours. False if there is no room.
 */
static __always_inline bool add_descriptor(struct asking *asking, struct file **slot, __u64 key)
{
	struct fence_description *description = bpf_map_lookup_elem(&live, &key);
	__u64 cookie = description ? description->cookie : 0;
	struct file *file = 0;

	if (!description || bpf_probe_read_kernel(&file, sizeof file, slot) != 0 ||
	    (__u64)file != key)
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
		if (note((__u64)file, false) && !add_descriptor(scan->asking, slot, (__u64)file))
			return 1;
	}
	return 0;
}

/* Adds those that are open here; whether there are more now. */
__noinline int gather_descriptors(struct asking *asking)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct scan scan = {.asking = asking,
			    .files = BPF_CORE_READ(table, fd),
			    .open = BPF_CORE_READ(table, open_fds)};
	__u32 words = BPF_CORE_READ(table, max_fds) / WORD, before;

	if (!asking)
		return 0;
	before = asking->count;
	bpf_loop(words < MOST_WORDS ? words : MOST_WORDS, scan_word, &scan, 0);
	return asking->count > before;
}

/* ---- the list of locks ---- */

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

		lock->owner = (__u64)BPF_CORE_READ(old, fl_owner);
		lock->start = (__u64)BPF_CORE_READ(old, fl_start);
		lock->end = (__u64)BPF_CORE_READ(old, fl_end);
		lock->is_write = BPF_CORE_READ(old, fl_type) == F_WRLCK;
	} else {
		struct file_lock *new =
			(void *)link - bpf_core_field_offset(struct file_lock, c.flc_list);

		lock->owner = (__u64)BPF_CORE_READ(new, c.flc_owner);
		lock->start = (__u64)BPF_CORE_READ(new, fl_start);
		lock->end = (__u64)BPF_CORE_READ(new, fl_end);
		lock->is_write = BPF_CORE_READ(new, c.flc_type) == F_WRLCK;
	}
}

static __always_inline __u64 read_file(struct list_head *link)
{
	if (bpf_core_field_exists(((struct file_lock___before_6_9 *)0)->fl_list)) {
		struct file_lock___before_6_9 *old =
			(void *)link -
			bpf_core_field_offset(struct file_lock___before_6_9, fl_list);

		return (__u64)BPF_CORE_READ(old, fl_file);
	} else {
		struct file_lock *new =
			(void *)link - bpf_core_field_offset(struct file_lock, c.flc_list);

		return (__u64)BPF_CORE_READ(new, c.flc_file);
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
	again.file = read_file(link);
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
static __always_inline bool is_ours(struct asking *asking, __u64 file)
{
	__u32 bit = filter_bit(file), match;
	struct search search = {.asking = asking, .file = file};
	struct fence_description *description;

	if (!(asking->filter[bit / 64 & (FILTER_BITS / 64 - 1)] >> (bit & 63) & 1))
		return false;
	asking->match = FENCE_MINE;
	bpf_loop(asking->count, search_step, &search, 0);
	match = asking->match;
	if (match >= FENCE_MINE)
		return false;
	/* Ours may be closed since, and another one be at its address. */
	description = bpf_map_lookup_elem(&live, &file);
	return description && description->cookie == asking->cookies[match & (FENCE_MINE - 1)];
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

static long walk_step(__u32 index, void *context)
{
	struct asking *asking = *(struct asking **)context;
	struct list_head *at = (struct list_head *)asking->at, *next = BPF_CORE_READ(at, next);
	struct lock lock = {0};
	bool ours;

	if (asking->steps == 0)
		return 1;
	asking->steps--;
	if ((__u64)next == asking->head) {
		asking->has_ended = 1;
		return 1;
	}
	/* It was taken off the list while we stood on it. */
	if (!next || next == at)
		return 1;
	asking->at = (__u64)next;
	lock.file = read_file(next);
	asking->sum = (asking->sum ^ (__u64)next ^ lock.file) * 0x100000001b3ULL;
	ours = is_ours(asking, lock.file);
	if (!ours && !asking->looks_at_all)
		return 0;
	if (!read_lock(next, &lock))
		return 1;
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

/* ---- who needs no lease ---- */

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

/* ---- in a container ---- */

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

/* ---- may it ---- */

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
