/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's memory as the fence's programs read it, for a test outside of a kernel. */
#ifndef TEST_BPF_CORE_READ_H
#define TEST_BPF_CORE_READ_H

/* The test's: what happens before each read happens in there. Of nothing is read nothing. */
long bpf_probe_read_kernel(void *to, __u32 size, const void *from);

#define bpf_core_field_exists(field) 0
#define bpf_core_field_offset(type, field) __builtin_offsetof(type, field)

#define READ_MEMBER(from, member)                                                    \
	({                                                                           \
		union {                                                              \
			__typeof__((from)->member) value;                            \
			unsigned char bytes[sizeof((from)->member)];                 \
		} read_member_;                                                      \
		bpf_probe_read_kernel(read_member_.bytes, sizeof read_member_.bytes, \
				      &(from)->member);                              \
		read_member_.value;                                                  \
	})
#define READ_2(from, a) READ_MEMBER(from, a)
#define READ_3(from, a, b) READ_MEMBER(READ_2(from, a), b)
#define READ_4(from, a, b, c) READ_MEMBER(READ_3(from, a, b), c)
#define CHOOSE_READ(_1, _2, _3, _4, name, ...) name
#define BPF_CORE_READ(...) CHOOSE_READ(__VA_ARGS__, READ_4, READ_3, READ_2, )(__VA_ARGS__)

#endif
