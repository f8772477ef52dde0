/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of the capability files of MIG instances: /dev/nvidia-caps/nvidia-capN. */
#ifndef CDI_CAPS_H
#define CDI_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#define MIG_MINORS "/proc/driver/nvidia-caps/mig-minors"
enum { MIG_MINORS_MOST = 4 << 20 };

/* A capability: that of a GPU instance, or of a compute instance in it. */
struct mig_cap {
	int64_t minor;  /* of the GPU */
	int64_t gi, ci; /* ci -1: of the GPU instance */
	int64_t number;
};

/* Takes the next one off the text of MIG_MINORS; false if there is none any more. */
bool mig_caps_next(const char **text, struct mig_cap *ret_cap);
/*
 * From the text of MIG_MINORS, the numbers for the GPU instance and the compute instance of the GPU
 * with that minor; false if either is missing.
 */
bool mig_caps_find(const char *text, int64_t minor, int64_t gi, int64_t ci, int64_t ret_caps[2]);
/* The numbers as NVIDIA's documents count them, for machines that do not exist. */
void mig_caps_documented(int64_t minor, int64_t gi, int64_t ci, int64_t ret_caps[2]);

#endif
