/* SPDX-License-Identifier: Apache-2.0 */
/* Lengths of time as people write them: the same for every option, file and variable. */
#ifndef GA_UTIL_DURATION_H
#define GA_UTIL_DURATION_H

#include "error.h"

/* A year and a day: the longest duration accepted anywhere. */
#define GA_DURATION_MAX (INT64_C(366) * 24 * 60 * 60 * 1000)

/*
 * Reads "500ms", "90s", "30m", "2h", "1d", "1w", several of them from the largest down ("1h30m"),
 * or "1:30:00" for hours, minutes and seconds; from 1 ms to most_ms. Anything else is
 * GPUALLOC_EUSAGE with an example: a number without a unit and "1:30" are ambiguous.
 */
int ga_duration_parse(const char *text, int64_t most_ms, int64_t *ret_ms, gpualloc_error *error);

#endif
