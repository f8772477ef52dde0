/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the environment says, a variable a line: CUDA_VISIBLE_DEVICES, CUDA_DEVICE_ORDER,
 * GPUALLOC_LEASE, GPUALLOC_FD and GPUALLOC_MACHINE. There is one lease, 0123456789 on descriptor
 * 100: nothing but its own id leads into it.
 */
#include "cleanup.h"
#include "fuzz.h"
#include "fuzz_store.h"
#include "nest.h"
#include "select.h"
#include "source.h"
#include "visible.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINES = 5, LEASE_FD = 100, DEVICE_COUNT = 5 };

static const uint64_t id = 0x123456789;

static struct fuzz_store *store_with_lease(const gpualloc_machine *machine)
{
	static bool is_held;
	struct fuzz_store *at = fuzz_store();
	struct ga_range range = ga_ledger_device(&machine->devices[0], 0);
	struct ga_piece piece = {.ranges = &range, .count = 1};
	struct ga_record record = {.id = id, .pid = getpid(), .memory = GA_UNKNOWN};
	char uuid[] = "GPU-aa11";

	if (is_held)
		return at;
	piece.uuid = uuid;
	record.pieces = &piece;
	record.piece_count = 1;
	fuzz_require(dup2(at->ledger, LEASE_FD) == LEASE_FD &&
			     ga_ledger_lock(LEASE_FD, range, NULL) == 0 &&
			     ga_ledger_lock(LEASE_FD, ga_ledger_id(id), NULL) == 0 &&
			     ga_record_write(&at->store, &record, NULL) == 0,
		     "it can be leased");
	is_held = true;
	return at;
}

static void check_visible(const gpualloc_machine *machine, char *const lines[LINES])
{
	const struct ga_environment environment = {lines[0], *lines[1] ? lines[1] : NULL};
	struct gpualloc_request request = {
		.memory = GA_UNKNOWN, .tolerate = GA_UNKNOWN, .visible = lines[0]};
	ga_auto_device_list struct ga_device_list list = {0};
	ga_auto_selection struct ga_selection selection = {0};
	gpualloc_error error = {0};
	int result = ga_visible_devices(machine, &environment, &list, &error);

	fuzz_check_result(result, &error);
	fuzz_require(list.count <= DEVICE_COUNT, "no device twice");
	error = (gpualloc_error){0};
	result = ga_select(machine, &request, &selection, &error);
	fuzz_require((result == 0) == (error.message[0] == '\0'), "a selection, or a sentence");
	for (size_t i = 0; result == 0 && i < selection.candidate_count; i++)
		fuzz_require(ga_device_list_has(&list, selection.candidates[i].device),
			     "an invisible device is not a candidate");
}

static void check_nest(const struct ga_store *store, const char *lease, const char *fd)
{
	ga_auto_nest struct ga_nest nest = {0};
	gpualloc_error error = {0};
	bool is_stale;
	int result;

	fuzz_require(setenv("GPUALLOC_LEASE", lease, 1) == 0 && setenv("GPUALLOC_FD", fd, 1) == 0,
		     "there is memory");
	result = ga_nest_find(store, &nest, &is_stale, &error);
	fuzz_check_result(result, &error);
	if (strcmp(lease, "0123456789") != 0)
		fuzz_require(result == 0 && nest.room_count == 0 && is_stale == (*lease != '\0'),
			     "no other word leads into a lease");
	else
		fuzz_require(result == 0 && nest.room_count == 1 && !is_stale &&
				     ga_nest_check(store, &nest, &error) == 0,
			     "who holds a lease is in it");
}

/* Nothing that runs or loads anything: no driver, no file. */
static void check_machine(const char *spec)
{
	const struct ga_source_request request = {.root = "/nowhere", .deadline_ms = 1};
	ga_auto_machine gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result;

	if (strchr(spec, '/') || strcmp(spec, "nvml") == 0 || strcmp(spec, "nvidia-smi") == 0 ||
	    access(spec, F_OK) == 0)
		return;
	result = ga_source_open(spec, &request, &machine, &error);
	fuzz_check_result(result, &error);
	fuzz_require((result == 0) == (machine != NULL), "a machine, or a refusal");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static gpualloc_machine *machine;
	ga_auto_free char *words = malloc(size + 1);
	char empty[] = "", *lines[LINES] = {empty, empty, empty, empty, empty}, *rest = words;

	if (!machine)
		machine = fuzz_machine();
	fuzz_require(words != NULL, "there is memory");
	memcpy(words, data, size);
	words[size] = '\0';
	for (size_t i = 0; i < LINES && rest; i++)
		lines[i] = strsep(&rest, "\n");
	check_visible(machine, lines);
	check_nest(&store_with_lease(machine)->store, lines[2], lines[3]);
	check_machine(lines[4]);
	return 0;
}
