/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What targets about leases share: a machine of GPUs and MIG instances, and their own store on a
 * suitable file system, with one lease held in it. The store disappears with the process. Without
 * such a file system the program ends like a skipped test.
 */
#ifndef FUZZ_STORE_H
#define FUZZ_STORE_H

#include "machine.h"
#include "record.h"
#include "store.h"

struct fuzz_store {
	struct ga_store store;
	int ledger; /* a description of the ledger, to lock with */
};

struct fuzz_store *fuzz_store(void);
/* The whole content of a file in a folder of the store. */
void fuzz_put(int folder, const char *name, const uint8_t *data, size_t size);

/* GPU-aa11, GPU-aa22 and GPU-bb with two instances. */
gpualloc_machine *fuzz_machine(void);

/* NULL, or text that may be shown. */
void fuzz_require_clean(const char *text);
/* A refusal that is allowed, or none. */
void fuzz_check_result(int result, const gpualloc_error *error);

#endif
