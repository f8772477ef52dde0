/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same bytes as what the API server says of a claim, as a claim's CDI file, as the kubelet's
 * list of claims, and as what it says of a registration.
 */
#include "fuzz.h"

#include "allocation.h"
#include "claim_file.h"
#include "dra.pb-c.h"
#include "messages.h"
#include "names.h"
#include "pluginregistration.pb-c.h"
#include "text.h"

#include <string.h>

#define UID "11111111-2222-3333-4444-555555555555"
#define DRIVER "gpu.gpualloc.example"

static struct inventory inventory;
static const struct settings settings = {
	.api = API_DRA, .resource = "nvidia.com/gpu", .mig = MIG_MIXED, .replicas = 1};

static void set_up(void)
{
	gpualloc_machine *machine = NULL;

	if (inventory.machine)
		return;
	fuzz_require(gpualloc_machine_open("a100-mig", 0, &machine, NULL) == 0 &&
			     inventory_update(&inventory, machine, &settings, 1, "", NULL) == 0,
		     "there are devices");
}

static void check_names(const struct allocation *allocation)
{
	const struct unit *units[SET_MOST];

	for (size_t i = 0; i < allocation->count; i++) {
		const struct allocation_result *result = &allocation->results[i];
		gpualloc_error error = {0};
		size_t count = 0;
		int found = name_resolve(&inventory, result->device, units, &count, &error);

		fuzz_require(ga_text_is_clean(result->device, strlen(result->device)) &&
				     !strchr(result->request, '/'),
			     "names are fit to be used");
		fuzz_require(found < 0 || (count > 0 && count <= SET_MOST), "a device has units");
		if (found < 0)
			fuzz_check_refusal(found, NULL, &error);
	}
}

static void check_allocation(const uint8_t *data, size_t size)
{
	json_t *claim = json_loadb((const char *)data, size, 0, NULL);
	static struct allocation allocation;
	gpualloc_error error = {0};
	int result;

	if (!claim)
		return;
	result = allocation_read(claim, UID, DRIVER, "n", &allocation, &error);
	json_decref(claim);
	if (result < 0) {
		fuzz_check_refusal(result, NULL, &error);
		return;
	}
	fuzz_require(allocation.count > 0 && allocation.count <= ALLOCATION_RESULTS_MOST,
		     "results");
	check_names(&allocation);
}

static void check_file(const uint8_t *data, size_t size)
{
	struct claim_units units;
	gpualloc_error error = {0};
	int result = claim_file_parse((const char *)data, size, "a file", UID, &units, &error);

	if (result < 0) {
		fuzz_check_refusal(result, NULL, &error);
		fuzz_require(units.count == 0, "nothing is left of a bad file");
		return;
	}
	fuzz_require(units.count > 0 && units.count <= CLAIM_UNITS_MOST, "a claim has devices");
	for (size_t i = 0; i < units.count; i++)
		fuzz_require(*units.list[i].uuid && !strchr(units.list[i].uuid, '/'), "a UUID");
	claim_units_free(&units);
}

static void check_messages(const uint8_t *data, size_t size)
{
	auto_arena struct arena arena = {.most = 4 << 20};
	const Dra__Claims *claims = message_read(&arena, &dra__claims__descriptor, data, size);

	for (size_t i = 0; claims && i < claims->n_claims; i++)
		fuzz_require(!claim_uid_is_valid(claims->claims[i]->uid) ||
				     (strlen(claims->claims[i]->uid) < CLAIM_UID &&
				      !strpbrk(claims->claims[i]->uid, "/.\n")),
			     "a uid names one file in one folder");
	(void)message_read(&arena, &pluginregistration__registration_status__descriptor, data,
			   size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	set_up();
	check_allocation(data, size);
	check_file(data, size);
	check_messages(data, size);
	return 0;
}
