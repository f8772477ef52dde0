/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a source saw the machine that it was shown. What a source cannot know is a gap: there it
 * may be silent (NULL, -1, unknown), but it must not report anything false.
 */
#ifndef MACHINE_COMPARE_H
#define MACHINE_COMPARE_H

#include "machine.h"

enum machine_gap {
	GAP_NONE = 0,
	GAP_DRIVER = 1 << 0, /* not compared: it is shown through another one */
	GAP_SERIAL = 1 << 1,
	GAP_MINOR = 1 << 2,
	GAP_NUMA = 1 << 3,
	GAP_CPUS = 1 << 4,
	GAP_NVLINK_VERSION = 1 << 5,
	GAP_DISPLAY = 1 << 6,
	GAP_RESERVED = 1 << 7, /* reserved memory: the free memory is still the same */
	GAP_MIB = 1 << 8,      /* memory is in whole MiB, rounded either way */
	GAP_UTILIZATION = 1 << 9,
	GAP_COMPUTE_MODE = 1 << 10,
	GAP_HEALTH = 1 << 11,       /* faults that the source cannot see look healthy */
	GAP_PROCESSES = 1 << 12,    /* no list at all */
	GAP_GRAPHICS = 1 << 13,     /* processes that only draw are not listed */
	GAP_PROCESS_TYPE = 1 << 14, /* computing and drawing are distinguished, but nothing else */
	GAP_PROCESS_MEMORY = 1 << 15,
	GAP_PROCESS_NAME = 1 << 16,
	GAP_MIG_MEMORY = 1 << 17,
	GAP_MIG_PROCESSES = 1 << 18,
	GAP_MIG_UUID_OLD = 1 << 19, /* MIG-GPU-…/gi/ci, as drivers before 470 name instances */
	GAP_MIG_PARENT = 1 << 20,   /* memory and processes of a GPU in MIG mode: no permission */
	GAP_NVLINKS = 1 << 21,
	GAP_LEVELS = 1 << 22,
};

/*
 * Ends the test case at the first difference, and says where it is. Never compared: the names of
 * machine and source, CPU counts, users (the host tells those), notes, what was inferred. For a GPU
 * that is lost or needs a reset, everything but its index and health may be missing.
 */
void check_same_machine(const char *about, const gpualloc_machine *actual,
			const gpualloc_machine *expected, unsigned gaps);

#endif
