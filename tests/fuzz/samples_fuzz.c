/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger of samples that `gpualloc usage` reads: whatever is in it, what comes out can be
 * shown. */
#include "fuzz.h"
#include "samples.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static void check_text(const char *text)
{
	fuzz_require(text && ga_text_is_clean(text, strlen(text)), "texts are clean");
}

/* A list may be longer than a text; each of its UUIDs is one. */
static void check_devices(const char *list)
{
	fuzz_require(list && *list, "a lease has devices");
	for (size_t length; *list; list += length + (list[length] == ',')) {
		length = strcspn(list, ",");
		fuzz_require(length > 0 && ga_text_is_clean(list, length), "devices are clean");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct samples samples = {0};
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	samples_parse(&samples, text, size, 1);
	fuzz_require(!samples.no_memory, "memory is enough");
	for (size_t i = 0; i < samples.sum_count; i++) {
		const struct sum *sum = &samples.sums[i];

		check_text(sum->user);
		check_text(sum->group);
		check_text(sum->gpu);
		fuzz_require(sum->hour >= 1 && sum->leased_ms >= 0 && sum->used_ms >= 0,
			     "numbers make sense");
	}
	for (size_t i = 0; i < samples.lease_count; i++) {
		check_text(samples.leases[i].id);
		check_text(samples.leases[i].user);
		check_text(samples.leases[i].command);
		check_devices(samples.leases[i].devices);
		fuzz_require(samples.leases[i].since >= 0 && samples.leases[i].active >= 0,
			     "times make sense");
	}
	fuzz_require(!samples.has_sample || (samples.at >= 0 && samples.at_clock >= 0),
		     "the last sample makes sense");
	samples_free(&samples);
	free(text);
	return 0;
}
