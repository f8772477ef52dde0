/* SPDX-License-Identifier: Apache-2.0 */
/* Remedies in words; see remedy.h. */
#include "remedy.h"

static const struct {
	enum gpualloc_remedy remedy;
	const char *words;
} remedies_known[] = {
	{GPUALLOC_REMEDY_SET_UP_STORE, "`sudo gpualloc setup` makes or repairs it for everybody"},
	{GPUALLOC_REMEDY_OWN_STORE, "--private uses a store of your own that others do not see"},
	{GPUALLOC_REMEDY_SHOW_DEVICES, "`gpualloc list` shows the devices"},
	{GPUALLOC_REMEDY_SHOW_LEASES, "`gpualloc leases` shows the leases"},
	{GPUALLOC_REMEDY_IGNORE_VISIBLE, "--ignore-env would override that"},
	{GPUALLOC_REMEDY_IGNORE_PROCESSES, "--ignore-processes would override that"},
	{GPUALLOC_REMEDY_MIX_MODELS, "--mixed allows several models"},
	{GPUALLOC_REMEDY_ASK_FOR_MIG, "--mig chooses among MIG instances"},
	{GPUALLOC_REMEDY_SAY_MEMORY, "add --memory SIZE"},
	{GPUALLOC_REMEDY_USE_NUMBERS, "--format index uses numbers"},
	{GPUALLOC_REMEDY_USE_UUIDS, "--format uuid uses UUIDs"},
	{GPUALLOC_REMEDY_MORE_TIME, "--deadline gives it more time"},
	{GPUALLOC_REMEDY_OTHER_MACHINE,
	 "to see gpualloc work without a GPU, try --machine dgx1-volta"},
	{GPUALLOC_REMEDY_LEASE_WITHIN, "as `gpualloc run` does there"},
};

void remedy_add(struct ga_buffer *text, unsigned remedies, const char *separator)
{
	for (size_t i = 0; i < sizeof remedies_known / sizeof *remedies_known; i++)
		if (remedies & remedies_known[i].remedy) {
			ga_buffer_text(text, separator);
			ga_buffer_text(text, remedies_known[i].words);
		}
}

void remedy_add_rejection(struct ga_buffer *text, const gpualloc_rejection *rejection)
{
	unsigned remedies = gpualloc_rejection_remedies(rejection);

	ga_buffer_text(text, gpualloc_rejection_reason(rejection));
	if (!remedies)
		return;
	remedy_add(text, remedies, " (");
	ga_buffer_char(text, ')');
}
