/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target is a file NAME_fuzz.c with LLVMFuzzerTestOneInput(). Built with -Dfuzzers=true (and
 * clang) it is a libFuzzer program; always it is a test that reads its corpus, and whatever real
 * texts of its kind there are, once.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts with what is broken, unless it holds. */
void fuzz_require(bool holds, const char *what);
/* What holds for every machine that a parser lets through; aborts where it does not. */
void fuzz_check_machine(const gpualloc_machine *machine);
/* And for every refusal: a status, a sentence fit to be shown, no machine. */
void fuzz_check_refusal(int result, const gpualloc_machine *machine, const gpualloc_error *error);

#endif
