/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How patient live sources are; see source.h. Apart from the table of sources, which gpualloc-probe
 * does without.
 */
#include "source.h"

int64_t ga_source_start_patience(unsigned deadline_ms)
{
	const int64_t usual = 3 * (int64_t)GPUALLOC_DEADLINE_DEFAULT_MS;

	return deadline_ms < GPUALLOC_DEADLINE_DEFAULT_MS || deadline_ms > usual ? deadline_ms
										 : usual;
}
