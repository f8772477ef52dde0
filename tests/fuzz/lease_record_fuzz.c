/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record that somebody left in records/, of a lease that is held: whatever it says can be shown,
 * held against a machine, and written once more to be read as the same.
 */
#include "fuzz.h"
#include "fuzz_store.h"
#include "leases.h"
#include "text.h"

#include <string.h>
#include <unistd.h>

static const uint64_t id = 0x123456789a, copy_id = 0x123456789b;
enum { COPIED_WHOLE = 200 };

static struct fuzz_store *store_with_lease(gpualloc_machine *machine)
{
	static bool is_held;
	struct fuzz_store *at = fuzz_store();

	if (!is_held)
		fuzz_require(ga_ledger_lock(at->ledger, ga_ledger_id(id), NULL) == 0 &&
				     ga_ledger_lock(at->ledger, ga_ledger_id(copy_id), NULL) == 0 &&
				     ga_ledger_lock(at->ledger,
						    ga_ledger_device(&machine->devices[0], 0),
						    NULL) == 0,
			     "it can be locked");
	is_held = true;
	return at;
}

static void check_pieces(const struct ga_record *record)
{
	for (size_t i = 0; i < record->piece_count; i++) {
		const struct ga_piece *piece = &record->pieces[i];
		off_t end = 0;

		fuzz_require(piece->uuid && piece->count > 0, "a piece is of a device");
		fuzz_require_clean(piece->uuid);
		for (size_t r = 0; r < piece->count; r++) {
			struct ga_range range = piece->ranges[r];

			fuzz_require(range.start >= end && range.length > 0,
				     "ranges are in order and apart");
			fuzz_require(range.start >> 62 == 0 && range.length >> 32 == 0,
				     "ranges lie on the ledger");
			end = range.start + range.length;
		}
	}
}

static void check_record(const struct ga_record *record)
{
	const int64_t numbers[] = {record->pid,   record->started, record->pidns,
				   record->since, record->memory,  record->logged};
	const char *texts[] = {record->boot, record->cgroup, record->command, record->note};

	fuzz_require(record->id == id && record->uid == geteuid() && record->user,
		     "whose it is the file's owner says");
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		fuzz_require(numbers[i] >= GA_UNKNOWN, "a number, or unknown");
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		fuzz_require_clean(texts[i]);
	check_pieces(record);
}

static bool is_same_text(const char *one, const char *other)
{
	one = one ? one : "";
	other = other ? other : "";
	return strlen(one) > COPIED_WHOLE || strcmp(one, other) == 0;
}

static void check_copy(const struct ga_record *record, const struct ga_record *copy)
{
	fuzz_require(copy->pid == record->pid && copy->started == record->started &&
			     copy->pidns == record->pidns && copy->since == record->since &&
			     copy->memory == record->memory,
		     "a copy has the same numbers");
	fuzz_require(is_same_text(record->command, copy->command) &&
			     is_same_text(record->note, copy->note),
		     "a copy has the same texts");
	fuzz_require(copy->piece_count == record->piece_count, "a copy has the same devices");
	for (size_t i = 0; i < record->piece_count; i++) {
		const struct ga_piece *one = &record->pieces[i], *other = &copy->pieces[i];

		fuzz_require(strcmp(one->uuid, other->uuid) == 0 && other->count <= one->count &&
				     memcmp(one->ranges, other->ranges,
					    other->count * sizeof *other->ranges) == 0,
			     "a copy has the same places");
	}
}

static void write_again(const struct ga_store *store, const struct ga_record *record)
{
	struct ga_record changed = *record;
	ga_auto_record struct ga_record copy = {0};
	gpualloc_error error = {0};
	char name[GA_ID_TEXT];
	int result;

	changed.id = copy_id;
	result = ga_record_write(store, &changed, &error);
	fuzz_check_result(result, &error);
	if (result < 0)
		return;
	fuzz_require(ga_record_read(store, copy_id, &copy) == 1, "what is written can be read");
	check_copy(record, &copy);
	ga_id_text(copy_id, name);
	fuzz_require(unlinkat(store->records, name, 0) == 0, "it was written");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ga_auto_machine gpualloc_machine *machine = fuzz_machine();
	struct ga_store *store = &store_with_lease(machine)->store;
	ga_auto_record struct ga_record record = {0};
	const struct ga_nest nowhere = {0};
	gpualloc_leases *leases = NULL;
	gpualloc_error error = {0};
	char name[GA_ID_TEXT];
	int result;

	ga_id_text(id, name);
	fuzz_put(store->records, name, data, size);
	result = ga_record_read(store, id, &record);
	fuzz_require(result == 0 || result == 1, "there is memory");
	if (result == 1) {
		check_record(&record);
		write_again(store, &record);
	}
	fuzz_require(ga_leases_read(store, &leases, &error) == 0, "the list can be read");
	ga_leases_free(leases);
	fuzz_require(ga_leases_note(store, machine, &nowhere, true, &error) == 0, "and noted");
	fuzz_require(machine->devices[0].lease.whole,
		     "what is locked is leased, whatever the record says");
	return 0;
}
