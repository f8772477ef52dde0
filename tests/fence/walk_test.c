/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the fence's programs read the ledger's list of locks and a table of descriptors while others
 * change them: compiled for here, and something happens before any one of their reads, each in
 * turn.
 */
#define loff_t kernel_loff_t
#include "../../engines/fence/locks.bpf.h"
#undef loff_t

#include "test.h"

#include <stdio.h>
#include <string.h>

enum { FILES = 8, MOVED = 2, GPU = 5, ANN = 1001, EVE = 1003, LEDGER = 77, OTHER = 78 };
enum { NEAR_OWNER = 1, FAR_OWNER, NO_EVENT = -1, MOST_READS = 250 };

/* The ledger, another file, and a table of descriptors with its successor. */
static struct super_block disk;
static struct file_lock_context lists[2];
static struct inode ledger, other;
static struct cred ann = {.euid = {ANN}}, eve = {.euid = {EVE}};
static struct user_namespace first_space;
static struct file files[FILES];
static struct fence_description known[FILES];
static struct file_lock before, moved[MOVED], held, behind, deep;
static struct file *slots[WORD], *new_slots[WORD];
static unsigned long open_bits[1], new_bits[1];
static struct fdtable table = {WORD, slots, open_bits}, new_table = {WORD, new_slots, new_bits};
static struct files_struct descriptors;
static struct task_struct task;
static struct fence_settings rules = {.inode = LEDGER};
static struct asking ask;

/* ---- what happens when ---- */

static int reads, when[2]; /* since the walk began */
static void (*events[2])(void);
static int walks, most_walks; /* in which it happens */

static void pass_time(const void *address)
{
	if (address == &lists[0].flc_posix.next) {
		walks++;
		reads = 0;
	}
	for (int i = 0; i < 2; i++)
		if (when[i] == reads && walks <= most_walks)
			events[i]();
	reads++;
}

long bpf_probe_read_kernel(void *to, __u32 size, const void *from)
{
	pass_time(from);
	if ((uintptr_t)from < 4096)
		memset(to, 0, size);
	else
		memcpy(to, from, size);
	return (uintptr_t)from < 4096 ? -1 : 0;
}

void *bpf_map_lookup_elem(void *map, const void *key)
{
	static __u64 last;
	__u64 address;

	if (map == &settings)
		return &rules;
	if (map == &cookies)
		return &last;
	pass_time(NULL);
	if (map != &live)
		return NULL;
	memcpy(&address, key, sizeof address);
	for (int i = 0; i < FILES; i++)
		if (address == (__u64)&files[i] && known[i].cookie)
			return &known[i];
	return NULL;
}

long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags)
{
	(void)map, (void)key, (void)value, (void)flags;
	return -1;
}

long bpf_map_delete_elem(void *map, const void *key)
{
	(void)map, (void)key;
	return -1;
}

void *bpf_task_storage_get(void *map, struct task_struct *of, void *value, __u64 flags)
{
	(void)map, (void)of, (void)value, (void)flags;
	return NULL;
}

struct task_struct *bpf_get_current_task_btf(void)
{
	return &task;
}

/* ---- the scene ---- */

static void insert(struct file_lock *lock, struct list_head *behind_link)
{
	struct list_head *link = &lock->c.flc_list;

	link->prev = behind_link;
	link->next = behind_link->next;
	link->next->prev = link;
	behind_link->next = link;
}

static void take_out(struct file_lock *lock)
{
	struct list_head *link = &lock->c.flc_list;

	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->next = link->prev = link;
}

static struct file_lock lock_of(const struct file *file, __u64 owner, int level)
{
	__u64 start = level < 0 ? FENCE_DEVICES_END / 2
				: ((__u64)GPU << 32) + ((__u64)level << FENCE_LEVEL_BITS);

	return (struct file_lock){.c = {.flc_owner = (void *)(uintptr_t)owner,
					.flc_type = 1,
					.flc_file = (void *)file},
				  .fl_start = (long long)start,
				  .fl_end = (long long)(start + (1 << FENCE_LEVEL_BITS) - 1)};
}

static void put_behind(struct list_head *at, __u64 owner)
{
	for (int i = MOVED - 1; i >= 0; i--) {
		take_out(&moved[i]);
		moved[i].c.flc_owner = (void *)(uintptr_t)owner;
		insert(&moved[i], at);
	}
}

static void move_behind(void)
{
	put_behind(&held.c.flc_list, FAR_OWNER);
}

static void move_back(void)
{
	put_behind(&before.c.flc_list, NEAR_OWNER);
}

static void move_out(void)
{
	put_behind(&lists[1].flc_posix, NEAR_OWNER);
}

/* Eve's locks and Ann's lease between them; who asks carries the last of these files. */
static void begin(__u32 user, int carried)
{
	struct file_lock *all[] = {&before, &moved[0], &moved[1], &held, &behind, &deep};

	for (int i = 0; i < 2; i++)
		lists[i].flc_posix = (struct list_head){&lists[i].flc_posix, &lists[i].flc_posix};
	ledger = (struct inode){.i_sb = &disk, .i_ino = LEDGER, .i_flctx = &lists[0]};
	other = (struct inode){.i_sb = &disk, .i_ino = OTHER, .i_flctx = &lists[1]};
	for (int i = 0; i < FILES; i++) {
		files[i] = (struct file){&ledger, i == 1 ? &ann : &eve};
		known[i] = (struct fence_description){.cookie = 100 + (__u64)i};
	}
	before = moved[0] = moved[1] = lock_of(&files[0], NEAR_OWNER, -1);
	held = lock_of(&files[1], (__u64)&files[1], 0);
	behind = lock_of(&files[0], FAR_OWNER, -1);
	deep = lock_of(&files[2], (__u64)&files[2], 1);
	for (int i = (int)(sizeof all / sizeof *all) - 1; i >= 0; i--)
		insert(all[i], &lists[0].flc_posix);
	first_space = (struct user_namespace){0};
	ann.user_ns = eve.user_ns = &first_space;
	memset(&ask, 0, sizeof ask);
	ask.user = ask.owner = user;
	ask.start = (__u64)GPU << 32;
	ask.length = 1 << FENCE_LEVEL_BITS;
	(void)add(&ask, (__u64)&files[carried], known[carried].cookie);
	reads = walks = 0;
	when[0] = when[1] = NO_EVENT;
}

static void happens(int event, int at, void (*what)(void), int in_walks)
{
	when[event] = at;
	events[event] = what;
	most_walks = in_walks;
}

/* ---- the cases ---- */

static void nothing_happens(void)
{
	begin(ANN, 1);
	CHECK(opens(&ask));
	begin(EVE, 2);
	CHECK(!opens(&ask));
	take_out(&held);
	begin(EVE, 2);
	take_out(&held);
	CHECK(opens(&ask));
}

static void a_lock_below_anothers_opens_nothing_whenever_locks_are_moved(void)
{
	for (int first = 0; first < MOST_READS; first++)
		for (int second = first + 1; second < MOST_READS; second++) {
			begin(EVE, 2);
			happens(0, first, move_behind, ATTEMPTS * 4);
			happens(1, second, move_back, ATTEMPTS * 4);
			if (opens(&ask)) {
				printf("# at reads %d and %d\n", first, second);
				CHECK(false);
				return;
			}
		}
}

static void the_holder_is_not_refused_when_locks_are_moved(void)
{
	for (int first = 0; first < MOST_READS; first++)
		for (int second = first + 1; second < MOST_READS; second++) {
			begin(ANN, 1);
			happens(0, first, move_behind, 3);
			happens(1, second, move_back, 3);
			if (!opens(&ask)) {
				printf("# at reads %d and %d\n", first, second);
				CHECK(false);
				return;
			}
		}
}

static void nor_when_they_come_into_another_files_list(void)
{
	for (int at = 0; at < MOST_READS; at++) {
		begin(ANN, 1);
		happens(0, at, move_out, 1);
		if (!opens(&ask) || reads > MOST_READS) {
			printf("# at read %d, %d reads\n", at, reads);
			CHECK(false);
			return;
		}
	}
}

/* Eve's description is closed, and Ann's next one and its lock lie where hers lay. */
static void become_anns(void)
{
	known[2].cookie++;
	files[2].f_cred = &ann;
	deep = (struct file_lock){.c = deep.c,
				  .fl_start = (long long)ask.start,
				  .fl_end = (long long)(ask.start + ask.length - 1)};
}

static void what_becomes_anothers_meanwhile_opens_nothing(void)
{
	for (int at = 0; at < MOST_READS; at++) {
		begin(EVE, 2);
		take_out(&held);
		deep = (struct file_lock){.c = deep.c, .fl_start = 1L << 61, .fl_end = 1L << 61};
		happens(0, at, become_anns, 1);
		if (opens(&ask)) {
			printf("# at read %d\n", at);
			CHECK(false);
			return;
		}
	}
}

/* Another thread opens so many files that the table grows, and closes one, which becomes Ann's. */
static void grow_and_close(void)
{
	descriptors.fdt = &new_table;
	known[2].cookie++;
	files[2].f_cred = &ann;
}

static void what_was_closed_in_a_longer_table_is_not_ours(void)
{
	for (int at = 0; at < MOST_READS; at++) {
		begin(EVE, 2);
		slots[7] = &files[2];
		open_bits[0] = 1 << 7;
		descriptors.fdt = &table;
		task = (struct task_struct){.files = &descriptors};
		clear(&ask);
		happens(0, at, grow_and_close, 1);
		(void)gather_descriptors(&ask);
		for (__u32 i = 0; i < ask.count; i++)
			if (ask.cookies[i] != 102) {
				printf("# at read %d\n", at);
				CHECK(false);
				return;
			}
	}
}

static void what_is_still_open_in_a_longer_table_is_ours(void)
{
	begin(ANN, 1);
	new_slots[7] = slots[7] = &files[1];
	new_bits[0] = open_bits[0] = 1 << 7;
	descriptors.fdt = &table;
	task = (struct task_struct){.files = &descriptors};
	clear(&ask);
	happens(0, 9, grow_and_close, 1);
	CHECK(gather_descriptors(&ask));
	CHECK_INT(ask.count, 1);
	CHECK(descriptors.fdt == &new_table);
	new_bits[0] = 0;
}

/* Where numbers are given again, somebody may make files until one has the ledger's. */
static void a_users_file_with_the_ledgers_number_is_not_the_ledger(void)
{
	begin(ANN, 1);
	CHECK(is_ledger(&ledger) && is_ledger_at(&files[1]));
	ledger.i_uid.val = EVE;
	CHECK(!is_ledger(&ledger) && !is_ledger_at(&files[1]));
}

static const struct test_case cases[] = {
	{"nothing happens", nothing_happens},
	{"a lock below another's opens nothing whenever locks are moved",
	 a_lock_below_anothers_opens_nothing_whenever_locks_are_moved},
	{"the holder is not refused when locks are moved",
	 the_holder_is_not_refused_when_locks_are_moved},
	{"nor when they come into another file's list", nor_when_they_come_into_another_files_list},
	{"what becomes another's meanwhile opens nothing",
	 what_becomes_anothers_meanwhile_opens_nothing},
	{"what was closed in a longer table is not ours",
	 what_was_closed_in_a_longer_table_is_not_ours},
	{"what is still open in a longer table is ours",
	 what_is_still_open_in_a_longer_table_is_ours},
	{"a user's file with the ledger's number is not the ledger",
	 a_users_file_with_the_ledgers_number_is_not_the_ledger},
};
TEST_MAIN(cases)
