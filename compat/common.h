/* SPDX-License-Identifier: Apache-2.0 */
/* What getgpu and cudawrap share: one device of the kind that the machine has, of those allowed. */
#ifndef COMPAT_COMMON_H
#define COMPAT_COMMON_H

#include <gpualloc/gpualloc.h>
#include <stdbool.h>

enum { STATUS_USAGE = 64, STATUS_OUTPUT = 74, STATUS_PERMISSION = 77, STATUS_IMPOSSIBLE = 78 };

/* Everything a program here owns until it ends or becomes another. */
struct one_device {
	const char *program; /* its name, before every message */
	gpualloc_machine *machine;
	bool has_mig;
	char *allowed; /* commas between UUIDs; NULL where everything is allowed */
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
/* status is what a call of the library returned. */
int fail_error(const struct one_device *one, int status);

/* Looks at the machine and at the allow-list. Returns 0, or the exit status of what has been said.
 */
int look(struct one_device *one);
/* The second half of it, for a machine that is there. */
int read_allowed(struct one_device *one);
/* The i-th MIG instance, or GPU where there are none, as nvidia-smi -L lists them; else NULL. */
const gpualloc_device *device_at(const struct one_device *one, size_t i);
bool is_allowed(const struct one_device *one, const gpualloc_device *device);
/* Leases one that is free; policy NULL is the default. command is shown to others. */
int lease_one(struct one_device *one, const char *policy, const char *command);

#endif
