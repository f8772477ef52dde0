/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the fence is in the file system of BPF: a folder with one file for each hook and each map.
 * A new fence is made in a folder beside, which then takes the place of the old one; so what lies
 * in FENCE_PINS was complete once.
 */
#ifndef FENCE_PINS_H
#define FENCE_PINS_H

#include "fence.h"

#define FENCE_NEW FENCE_PINS "_new" /* no dots are allowed there */
#define FENCE_OLD FENCE_PINS "_old"

/* GPUALLOC_EPERM without root. */
int fence_pins_check(gpualloc_error *error);
/* GPUALLOC_EIMPOSSIBLE if the file system of BPF is not mounted. */
int fence_pins_possible(gpualloc_error *error);
/* Makes the folder, with folders for hooks and maps; nobody but root gets in. */
int fence_pins_make(const char *folder, gpualloc_error *error);
/* Whether there is such a folder, and it is root's. */
bool fence_pins_there(const char *folder);
/* 1, or 0 if it was not there: then whatever the kernel held for it is gone too. */
int fence_pins_remove(const char *folder, gpualloc_error *error);
/* Brings order into what an interrupted call left; what stood before it stands. */
int fence_pins_recover(gpualloc_error *error);
/* The new one becomes the one that stands. */
int fence_pins_replace(gpualloc_error *error);

#endif
