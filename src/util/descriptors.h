/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closes all descriptors from a number upwards. A process that must hold nothing of its parent's
 * may continue only if this returned 0: a descriptor that stayed open could keep a lease.
 */
#ifndef GA_UTIL_DESCRIPTORS_H
#define GA_UTIL_DESCRIPTORS_H

/*
 * Uses close_range(), or if the kernel lacks it or a filter forbids it, closes what /proc/self/fd
 * lists one by one. Returns 0, or a negative errno if neither worked.
 */
int ga_descriptors_close(int first);

#endif
