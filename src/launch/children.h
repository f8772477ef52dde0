/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The children of this process, and signals to all of them. The caller gives the number of a
 * process group that one of them may be in. The group is signalled only while it is, because the
 * number may be reused later.
 */
#ifndef GA_LAUNCH_CHILDREN_H
#define GA_LAUNCH_CHILDREN_H

#include <sys/types.h>

/* One signal or (second not 0) two, to every child, and to the whole of group if a child is in it.
 * Needs no /proc, but is quicker with one. */
void ga_children_signal(pid_t group, int first, int second);

#endif
