/* SPDX-License-Identifier: Apache-2.0 */
/* Devices counted; see limit.h. */
#include "limit.h"

int64_t ga_limit_held(const struct ga_records *records, uid_t user)
{
	int64_t held = 0;

	for (size_t i = 0; i < records->count; i++) {
		const struct ga_record *record = &records->list[i];

		for (size_t p = 0; record->uid == user && p < record->piece_count; p++)
			held += ga_ledger_level(record->pieces[p].ranges[0]) == 0;
	}
	return held;
}
