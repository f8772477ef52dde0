/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What getgpu and cudawrap share: leasing one allowed device, a MIG instance if the machine has
 * any, otherwise a GPU.
 */
#ifndef COMPAT_COMMON_H
#define COMPAT_COMMON_H

#include <gpualloc/gpualloc.h>
#include <stdbool.h>

enum { STATUS_USAGE = 64, STATUS_OUTPUT = 74, STATUS_PERMISSION = 77, STATUS_IMPOSSIBLE = 78 };

/* Everything these programs own until they end or become another program. */
struct one_device {
	const char *program; /* its name, before every message */
	gpualloc_machine *machine;
	bool has_mig;
	char *allowed; /* UUIDs separated by commas; NULL if everything is allowed */
	gpualloc_policy *policy;
	gpualloc_request *request;
	gpualloc_lease_wish *wish;
	gpualloc_store *store;
	gpualloc_lease *lease;
	gpualloc_error *error;
};

void one_device_free(struct one_device *one);

int fail(const struct one_device *one, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* status is what a library call returned. */
int fail_error(const struct one_device *one, int status);
bool asks_for_help(const char *word);
/* Prints text; returns the exit status. */
int print_help(const struct one_device *one, const char *text);

/* Reads the machine and the allow-list. Returns 0, or the exit status after printing a message. */
int look(struct one_device *one);
/* The second half of that, for a machine that is already open. */
int read_allowed(struct one_device *one);
/*
 * The i-th MIG instance, or GPU if there are no instances, in the order of nvidia-smi -L; else
 * NULL.
 */
const gpualloc_device *device_at(const struct one_device *one, size_t i);
bool is_allowed(const struct one_device *one, const gpualloc_device *device);
/* Leases a free one; policy NULL is the default. command is shown to others. */
int lease_one(struct one_device *one, const char *policy, const char *command);

#endif
