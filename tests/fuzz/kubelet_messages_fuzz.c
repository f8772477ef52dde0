/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same bytes as each message of the kubelet's, as a line of the kernel's log, and as a sentence
 * of a gRPC status; and the choice among whatever ids come out.
 */
#include "fuzz.h"

#include "choice.h"
#include "claims.h"
#include "message.h"
#include "messages.h"
#include "xid.h"

#include <stdlib.h>
#include <string.h>

static struct inventory inventory;
static struct settings settings = {
	.resource = "nvidia.com/gpu", .mig = MIG_MIXED, .replicas = 4, .pod_wait_ms = 1000};

static void set_up(void)
{
	gpualloc_machine *machine = NULL;

	if (inventory.machine)
		return;
	fuzz_require(gpualloc_machine_open("a100-mig", 0, &machine, NULL) == 0 &&
			     inventory_update(&inventory, machine, &settings, 1, "", NULL) == 0,
		     "there are devices");
}

static bool is_among(char **list, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], id) == 0)
			return true;
	return false;
}

static void check_choice(V1beta1__ContainerPreferredAllocationRequest *request, int64_t replicas)
{
	size_t room = request->n_available_deviceids + request->n_must_include_deviceids, count;
	char **chosen = calloc(room + 1, sizeof *chosen);
	static struct answers answers; /* too large for a stack */
	struct choice_asked asked = {
		.inventory = &inventory,
		.settings = &settings,
		.answers = &answers,
		.available = request->available_deviceids,
		.available_count = request->n_available_deviceids,
		.must = request->must_include_deviceids,
		.must_count = request->n_must_include_deviceids,
		.wanted = request->allocation_size > 0 ? (size_t)request->allocation_size : 0};

	fuzz_require(chosen != NULL, "there is memory");
	settings.replicas = replicas;
	answers_forget(&answers);
	count = choice_make(&asked, chosen);
	fuzz_require(count <= asked.wanted && count <= room, "not more than were asked for");
	for (size_t i = 0; i < count; i++) {
		fuzz_require(is_among(asked.available, asked.available_count, chosen[i]) ||
				     is_among(asked.must, asked.must_count, chosen[i]),
			     "only what was offered");
		fuzz_require(i == 0 || strcmp(chosen[i - 1], chosen[i]) != 0, "none twice");
	}
	for (size_t i = 0; count < asked.wanted && i < asked.available_count; i++)
		fuzz_require(is_among(chosen, count, asked.available[i]),
			     "fewer only where all are chosen");
	free(chosen);
}

static void check_preferred(const uint8_t *data, size_t size)
{
	auto_arena struct arena arena = {.most = 4 << 20};
	V1beta1__PreferredAllocationRequest *request = message_read(
		&arena, &v1beta1__preferred_allocation_request__descriptor, data, size);

	for (size_t i = 0; request && i < request->n_container_requests; i++) {
		check_choice(request->container_requests[i], 1);
		check_choice(request->container_requests[i], 4);
	}
}

static void check_pods(const uint8_t *data, size_t size)
{
	auto_arena struct arena arena = {.most = 4 << 20};
	V1__ListPodResourcesResponse *list =
		message_read(&arena, &v1__list_pod_resources_response__descriptor, data, size);
	struct claims claims = {0};
	struct units_wanted units = {0};

	if (!list)
		return;
	fuzz_require(claims_add(&claims, "GPU-a::1", 5) == 1, "a claim");
	fuzz_require(claims_take_list(&claims, list, &settings, 10, 20) >= 0, "there is memory");
	fuzz_require(claims_find(&claims, "GPU-a::1") != NULL, "what is new is waited for");
	fuzz_require(claims_units(&claims, &units) == 0 && units.count <= claims.count, "units");
	units_wanted_free(&units);
	claims_free(&claims);
}

static void check_sentence(const uint8_t *data, size_t size)
{
	char decoded[256], encoded[1024], again[256];

	grpc_percent_decode((const char *)data, size, decoded, sizeof decoded);
	grpc_percent_encode(decoded, encoded, sizeof encoded);
	grpc_percent_decode(encoded, strlen(encoded), again, sizeof again);
	fuzz_require(strcmp(decoded, again) == 0, "a sentence comes back as it was");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena struct arena arena = {.most = 4 << 20};
	struct xid xid;

	set_up();
	if (xid_read((const char *)data, size, &xid))
		fuzz_require(xid.number >= 0 && xid.gi >= -1 && xid.bus >= 0, "an XID");
	(void)message_read(&arena, &v1beta1__allocate_request__descriptor, data, size);
	check_preferred(data, size);
	check_pods(data, size);
	check_sentence(data, size);
	return 0;
}
