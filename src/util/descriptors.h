/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closing all descriptors from a number on. Whoever must hold nothing of its parent's goes on only
 * where this said 0: one that stayed open could keep a lease.
 */
#ifndef GA_UTIL_DESCRIPTORS_H
#define GA_UTIL_DESCRIPTORS_H

/*
 * By close_range(), or where the kernel has none or a filter forbids it, one by one as
 * /proc/self/fd names them. 0, or the negative errno of what kept it from both.
 */
int ga_descriptors_close(int first);

#endif
