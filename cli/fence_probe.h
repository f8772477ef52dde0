/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe, by which users see all GPUs behind the fence: a program that asks NVML and does
 * nothing else, and runs in a group that the fence lets through. Its set-gid bit is also how
 * programs of users know that the fence stands.
 */
#ifndef CLI_FENCE_PROBE_H
#define CLI_FENCE_PROBE_H

#include <stdbool.h>
#include <sys/types.h>

#define FENCE_PROBE_GROUP "gpualloc-probe"

/* Where it is installed, and whether something is there. */
const char *fence_probe_path(void);
bool fence_probe_is_there(void);
/* Whether it has its bit: the fence around this machine has been put up. */
bool fence_probe_is_set(void);
/* The number of its group; false if there is no such group. */
bool fence_probe_group(gid_t *ret_group);
/*
 * Both return false after a note: users then see less, and the fence stands anyway. The first makes
 * the group if it is missing; the second gives the installed program to root and the group, with
 * its bit, if it is one that root can vouch for.
 */
bool fence_probe_make_group(gid_t *ret_group);
bool fence_probe_set(gid_t group);
/* Takes the bit away. False after a message if that failed. */
bool fence_probe_clear(void);

#endif
