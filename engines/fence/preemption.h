/* SPDX-License-Identifier: Apache-2.0 */
/* Where a kernel may take the processor from a process. */
#ifndef FENCE_PREEMPTION_H
#define FENCE_PREEMPTION_H

#include <sys/utsname.h>

enum preemption {
	PREEMPTION_LIMITED,  /* where its own work lets it */
	PREEMPTION_ANYWHERE, /* inside of its own work too, wherever that is */
	PREEMPTION_UNKNOWN,
};

/* root is "" for the kernel that runs, which is then asked by debugfs, too. */
enum preemption preemption_of(const struct utsname *kernel, const char *root);

#endif
