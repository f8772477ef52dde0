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
 * of one of our own live descriptions is found there, and a walk that was led astray begins again.
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
	MOST_LOCKS = 1 << 20,
	MOST_GROUPS = 1 << 16,
	WORD = 64,
	MOST_WORDS = 1 << 17
};
enum { MOST_CGROUP_DEPTH = 32 };

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

/* While a thread opens a node: the descriptions that it may use. */
struct mine {
	__u64 files[FENCE_MINE];
	__u32 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct mine);
} asking SEC(".maps");

static __always_inline struct fence_settings *find_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&settings, &zero);
}

/* ---- descriptions of the ledger ---- */

static __always_inline bool is_ledger(const struct file *file)
{
	const struct fence_settings *set = find_settings();
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	return set && set->inode && BPF_CORE_READ(inode, i_ino) == set->inode &&
	       BPF_CORE_READ(inode, i_sb, s_dev) == set->device;
}

/* Counts one more of this user's; false if there are too many. */
static __always_inline bool count_one(__u32 user)
{
	__u64 *count = bpf_map_lookup_elem(&opened, &user), none = 0;

	if (!count) {
		bpf_map_update_elem(&opened, &user, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&opened, &user);
	}
	if (!count || (user != 0 && *count >= FENCE_LIVE_USER))
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
static __always_inline bool note(struct file *file, bool is_new)
{
	struct fence_description description = {0};
	__u32 zero = 0;
	__u64 key = (__u64)file, *last = bpf_map_lookup_elem(&cookies, &zero);

	if (!last)
		return false;
	if (bpf_map_lookup_elem(&live, &key)) {
		struct fence_description *old = bpf_map_lookup_elem(&live, &key);

		if (!is_new)
			return true;
		if (old)
			count_one_less(old->user);
		bpf_map_delete_elem(&live, &key);
	}
	description.user = BPF_CORE_READ(file, f_cred, euid.val);
	if (!count_one(description.user))
		return false;
	description.cookie = __sync_fetch_and_add(last, 1) + 1;
	if (bpf_map_update_elem(&live, &key, &description, BPF_NOEXIST) == 0)
		return true;
	count_one_less(description.user);
	return bpf_map_lookup_elem(&live, &key) != 0;
}

static __always_inline bool is_live(const struct fence_mark *mark)
{
	__u64 file = mark->file;
	struct fence_description *description = file ? bpf_map_lookup_elem(&live, &file) : 0;

	return description && description->cookie == mark->cookie;
}

/*
 * This process carries it from now on. What others send it never displaces what it has: a mark for
 * that may be missing, and the description is found among the descriptors.
 */
static __always_inline void carry(struct file *file, bool is_sent)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fence_marks *marks = bpf_task_storage_get(&carried, task->group_leader, 0,
							 BPF_LOCAL_STORAGE_GET_F_CREATE);
	__u64 key = (__u64)file;
	struct fence_description *description = bpf_map_lookup_elem(&live, &key);
	int place = -1;

	if (!marks || !description)
		return;
	for (int i = 0; i < FENCE_MARKS; i++) {
		if (marks->list[i].file == key && marks->list[i].cookie == description->cookie)
			return;
		if (place < 0 && !is_live(&marks->list[i]))
			place = i;
	}
	if (place < 0 && is_sent)
		return;
	if (place < 0)
		place = (int)(marks->next++ % FENCE_MARKS);
	place &= FENCE_MARKS - 1;
	marks->list[place].file = 0;
	marks->list[place].cookie = description->cookie;
	marks->list[place].file = key;
}

/* ---- what this process carries ---- */

/* False if there is no room. */
static __always_inline bool add(struct mine *mine, __u64 file)
{
	__u32 place = mine->count;

	if (place >= FENCE_MINE)
		return false;
	mine->count = place + 1;
	/* The verifier has to see the bound where it is used. */
	barrier_var(place);
	mine->files[place & (FENCE_MINE - 1)] = file;
	return true;
}

static __always_inline void gather_marks(struct mine *mine, struct task_struct *task)
{
	struct fence_marks *marks = bpf_task_storage_get(&carried, task->group_leader, 0, 0);

	mine->count = 0;
	if (!marks)
		return;
	for (int i = 0; i < FENCE_MARKS; i++)
		if (is_live(&marks->list[i]))
			(void)add(mine, marks->list[i].file);
}

struct scan {
	struct mine *mine;
	struct file **files;
	unsigned long *open;
};

/* Looks at the descriptors of one word of the table's bits. */
static long scan_word(__u32 index, void *context)
{
	struct scan *scan = context;
	struct mine *mine = scan->mine;
	unsigned long word = 0;

	if (bpf_probe_read_kernel(&word, sizeof word, scan->open + index) != 0)
		return 1;
	for (int bit = 0; bit < WORD && word; bit++, word >>= 1) {
		struct file *file = 0;

		if (!(word & 1) ||
		    bpf_probe_read_kernel(&file, sizeof file,
					  scan->files + (__u64)index * WORD + bit) != 0 ||
		    !file || !is_ledger(file))
			continue;
		/* Those of before the fence was put up are not known yet. */
		if (note(file, false) && !add(mine, (__u64)file))
			return 1;
	}
	return 0;
}

static __always_inline bool gather_descriptors(struct mine *mine, struct task_struct *task)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct scan scan = {.mine = mine,
			    .files = BPF_CORE_READ(table, fd),
			    .open = BPF_CORE_READ(table, open_fds)};
	__u32 words = BPF_CORE_READ(table, max_fds) / WORD, before = mine->count;

	bpf_loop(words < MOST_WORDS ? words : MOST_WORDS, scan_word, &scan, 0);
	return mine->count > before;
}

/* ---- the list of locks ---- */

struct walk {
	struct list_head *head, *at;
	struct mine *mine; /* NULL: whosever */
	__u64 start, length;
	int found;   /* the deepest level on which the extent is ours; -1: none */
	int deepest; /* on which anything is */
	bool has_ended;
};

struct lock {
	__u64 file;
	__u64 start, end; /* both inclusive */
	bool is_write;
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

static __always_inline bool is_mine(const struct mine *mine, __u64 file)
{
	for (__u32 i = 0; i < FENCE_MINE && i < mine->count; i++)
		if (mine->files[i] == file)
			return true;
	return false;
}

static __always_inline void count_lock(struct walk *walk, const struct lock *lock)
{
	int level = (int)(lock->start >> FENCE_LEVEL_BITS) & (FENCE_LEVELS - 1);

	if (level > walk->deepest)
		walk->deepest = level;
	for (level = 0; level < FENCE_LEVELS; level++) {
		__u64 start = walk->start + ((__u64)level << FENCE_LEVEL_BITS);

		if (lock->start < start + walk->length && lock->end >= start && level > walk->found)
			walk->found = level;
	}
}

static long walk_step(__u32 index, void *context)
{
	struct walk *walk = context;
	struct list_head *at = walk->at, *next = BPF_CORE_READ(at, next);
	struct lock lock = {0};

	(void)index;
	if (next == walk->head) {
		walk->has_ended = true;
		return 1;
	}
	/* It was taken off the list while we stood on it. */
	if (!next || next == at)
		return 1;
	walk->at = next;
	if (walk->mine) {
		if (!is_mine(walk->mine, read_file(next)))
			return 0;
	}
	read_place(next, &lock);
	if (lock.is_write && lock.start < FENCE_DEVICES_END)
		count_lock(walk, &lock);
	return 0;
}

/* Whether the locks of those descriptions open the extent; file is any description of the ledger.
 */
static __always_inline bool opens(struct mine *mine, const struct file *file,
				  const struct fence_extent *extent)
{
	struct file_lock_context *locks = BPF_CORE_READ(file, f_inode, i_flctx);
	struct list_head *head =
		(void *)locks + bpf_core_field_offset(struct file_lock_context, flc_posix);

	if (!locks)
		return false;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		struct walk walk = {.head = head,
				    .at = head,
				    .mine = mine,
				    .start = extent->start,
				    .length = extent->length,
				    .found = -1,
				    .deepest = -1};

		bpf_loop(MOST_LOCKS, walk_step, &walk, 0);
		if (walk.has_ended)
			return walk.found >= 0 && (!mine || walk.found == walk.deepest);
	}
	return false;
}

/* ---- who needs no lease ---- */

static __always_inline bool is_exempt(__u32 who, __u64 id)
{
	struct fence_key key = {.id = id, .who = who};

	return bpf_map_lookup_elem(&exempt, &key) != 0;
}

static __always_inline bool is_exempt_quickly(const struct cred *cred)
{
	__u32 capabilities = BPF_CORE_READ(cred, cap_effective.cap[0]);

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

struct anybodys {
	const struct fence_extent *extent;
	bool found;
};

/* Any description leads to the list of locks. */
static long look_from(void *map, __u64 *key, struct fence_description *value,
		      struct anybodys *anybodys)
{
	struct file *file = (void *)*key;

	(void)map;
	(void)value;
	if (!is_ledger(file))
		return 0;
	anybodys->found = opens(0, file, anybodys->extent);
	return 1;
}

static __always_inline bool is_leased(const struct fence_extent *extent)
{
	struct anybodys anybodys = {.extent = extent};

	bpf_for_each_map_elem(&live, look_from, &anybodys, 0);
	return anybodys.found;
}

/* ---- may it ---- */

static __always_inline bool carries(struct task_struct *task, const struct fence_extent *extent)
{
	struct mine *mine = bpf_task_storage_get(&asking, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!mine)
		return false;
	gather_marks(mine, task);
	if (mine->count > 0 && opens(mine, (void *)mine->files[0], extent))
		return true;
	return gather_descriptors(mine, task) && opens(mine, (void *)mine->files[0], extent);
}

/* 0, or -EPERM. */
static __always_inline int check_node(const struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct task_struct *task = bpf_get_current_task_btf();
	const struct fence_settings *set = find_settings();
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct fence_extent *listed, extent;
	__u32 number;

	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFCHR)
		return 0;
	number = BPF_CORE_READ(inode, i_rdev);
	listed = bpf_map_lookup_elem(&nodes, &number);
	if (!listed || !set || !set->armed || is_exempt_quickly(cred))
		return 0;
	extent = *listed;
	if (extent.length > 0 && carries(task, &extent))
		return 0;
	if (extent.length > 0 && set->cgroups > 0 && is_in_cgroup() && is_leased(&extent))
		return 0;
	return set->groups > 0 && is_in_exempt_group(cred) ? 0 : -EPERM;
}

/* ---- what happens ---- */

/* What another program has refused stays refused. */
static __always_inline int refused(int before)
{
	return before < 0 && before >= -MOST_ERRNO ? before : -EPERM;
}

static __noinline int opened_file(struct file *file)
{
	if (is_ledger(file)) {
		if (note(file, true))
			carry(file, false);
		return 0;
	}
	return check_node(file);
}

static __noinline int received_file(struct file *file)
{
	if (is_ledger(file)) {
		if (note(file, false))
			carry(file, true);
		return 0;
	}
	return check_node(file);
}

static __noinline int locked_file(struct file *file)
{
	if (is_ledger(file) && note(file, false))
		carry(file, false);
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
