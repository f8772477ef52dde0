/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of the kernel's types what the fence reads, in our own declarations. Where a member lies is found
 * out when the programs are loaded, from what the kernel says of itself (BTF).
 */
#ifndef FENCE_KERNEL_TYPES_H
#define FENCE_KERNEL_TYPES_H

#include <stdbool.h>

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed int __s32;
typedef signed long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef long long loff_t;

/* The numbers of the kernel's interface that helpers need. */
enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next, *prev;
};

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__u32 val;
} kgid_t;

struct user_namespace {
	struct user_namespace *parent;
	int level;
	kuid_t owner;
};

struct group_info {
	int ngroups;
	kgid_t gid[];
};

/* Two words before Linux 6.3, one number since. */
typedef struct {
	__u64 val;
} kernel_cap_t;

struct cred {
	kuid_t euid;
	kgid_t egid;
	kernel_cap_t cap_effective;
	struct user_namespace *user_ns;
	struct group_info *group_info;
};

struct super_block {
	__u32 s_dev;
};

struct file_lock_context {
	struct list_head flc_posix;
};

struct inode {
	__u16 i_mode;
	kuid_t i_uid;
	struct super_block *i_sb;
	unsigned long i_ino;
	__u32 i_rdev;
	struct file_lock_context *i_flctx;
};

struct file {
	struct inode *f_inode;
	const struct cred *f_cred;
};

/* A lock, before Linux 6.9. */
struct file_lock___before_6_9 {
	struct list_head fl_list;
	void *fl_owner;
	unsigned char fl_type;
	struct file *fl_file;
	loff_t fl_start, fl_end;
};

struct file_lock_core {
	struct list_head flc_list;
	void *flc_owner;
	unsigned char flc_type;
	struct file *flc_file;
};

struct file_lock {
	struct file_lock_core c;
	loff_t fl_start, fl_end;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *open_fds;
};

struct files_struct {
	struct fdtable *fdt;
};

struct task_struct {
	int pid, tgid;
	struct task_struct *group_leader;
	const struct cred *cred;
	struct files_struct *files;
};

struct linux_binprm;

#pragma clang attribute pop

#endif
