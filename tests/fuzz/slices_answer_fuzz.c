/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an API server says of a node's ResourceSlices, and what would be written then: whatever was
 * there, what this machine has is offered whole, and nothing is taken away at once.
 */
#include "fuzz.h"

#include "reconcile.h"

static struct settings settings = {.driver = "gpu.test",
				   .node = "n1",
				   .resource = "nvidia.com/gpu",
				   .mig = MIG_MIXED,
				   .pod_wait_ms = 1000};
static struct inventory inventory;
static struct offer_sets sets;

static void set_up(void)
{
	gpualloc_machine *machine = NULL;

	if (inventory.machine)
		return;
	fuzz_require(gpualloc_machine_open("a100-mig", 0, &machine, NULL) == 0 &&
			     inventory_update(&inventory, machine, &settings, 1, "", NULL) == 0 &&
			     offer_sets_make(&inventory, &sets, NULL) == 0,
		     "there are devices");
}

static size_t count_devices(const json_t *slices)
{
	const json_t *slice;
	size_t i, count = 0;

	json_array_foreach(slices, i, slice) count +=
		json_array_size(json_object_get(json_object_get(slice, "spec"), "devices"));
	return count;
}

static void plan(struct reconciler *reconciler, int64_t now)
{
	struct offer offer = {&inventory, &sets, &settings, NULL, now};
	struct reconciling reconciling = {.counter_sets = offer_counter_sets(&offer),
					  .devices = offer_devices(&offer),
					  .ours = json_object(),
					  .now = now};
	json_t *slices = reconciler_plan(reconciler, &reconciling);

	fuzz_require(count_devices(slices) ==
			     json_array_size(reconciling.devices) + reconciler->leaving_count,
		     "everything is offered");
	fuzz_require(reconciling.generation > 0 || reconciler->known_count > 0,
		     "there is a generation");
	json_decref(slices);
	json_decref(reconciling.counter_sets);
	json_decref(reconciling.devices);
	json_decref(reconciling.ours);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reconciler reconciler = {.settings = &settings};
	json_t *list = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	gpualloc_error error = {0};
	int result;

	set_up();
	result = list ? reconciler_take(&reconciler, list, &error) : 0;
	if (result < 0)
		fuzz_check_refusal(result, NULL, &error);
	if (list && result == 0) {
		fuzz_require(reconciler_learn(&reconciler, &error) == 0, "labels are read");
		plan(&reconciler, 1000);
		plan(&reconciler, 100000);
		fuzz_require(reconciler.leaving_count == 0, "what nobody has goes in the end");
	}
	json_decref(list);
	reconciler_free(&reconciler);
	return 0;
}
