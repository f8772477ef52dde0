/* SPDX-License-Identifier: Apache-2.0 */
/* A choice as JSON; see choice_json.h. Bandwidths are MB/s, as the library has them. */
#include "choice_json.h"

#include "device.h"
#include "json_writer.h"
#include "open.h"
#include "remedy.h"
#include "topo/p2p.h"

static void add_device(struct ga_json *json, const gpualloc_device *device)
{
	const gpualloc_device *parent = gpualloc_device_parent(device);
	char id[ID_SIZE];

	ga_json_open(json, NULL, '{');
	ga_json_text(json, "id", device_id(device, id));
	ga_json_number(json, "index", gpualloc_device_index(parent ? parent : device));
	ga_json_text(json, "uuid", gpualloc_device_uuid(device));
	ga_json_text(json, "name", gpualloc_device_name(parent ? parent : device));
	ga_json_text(json, "pci", gpualloc_device_pci(parent ? parent : device));
	if (parent) {
		ga_json_text(json, "profile", gpualloc_device_profile(device));
		ga_json_number(json, "gi", gpualloc_device_gi(device));
		ga_json_number(json, "ci", gpualloc_device_ci(device));
	}
	ga_json_number(json, "memory_free", gpualloc_device_memory_left(device));
	ga_json_close(json, '}');
}

/* Pairs of the chosen. */
static void add_p2p(struct ga_json *json, const struct chosen *chosen)
{
	struct p2p_seen seen = p2p_of_choice(chosen->machine, chosen->choice);

	ga_json_open_line(json, "\n ", "p2p", '{');
	ga_json_number(json, "ok", (int64_t)seen.ok);
	ga_json_number(json, "no", (int64_t)seen.no);
	ga_json_number(json, "unknown", (int64_t)seen.unknown);
	ga_json_number(json, "inferred", (int64_t)seen.inferred);
	ga_json_close(json, '}');
}

static void add_alternatives(struct ga_json *json, const gpualloc_choice *choice)
{
	ga_json_open_line(json, "\n ", "alternatives", '[');
	for (size_t i = 0; i < gpualloc_choice_alternative_count(choice); i++) {
		const gpualloc_alternative *other = gpualloc_choice_alternative(choice, i);

		ga_json_open_line(json, "\n  ", NULL, '{');
		ga_json_open(json, "devices", '[');
		for (size_t d = 0; d < gpualloc_alternative_device_count(other); d++) {
			char id[ID_SIZE];

			ga_json_text(json, NULL,
				     device_id(gpualloc_alternative_device(other, d), id));
		}
		ga_json_close(json, ']');
		ga_json_number(json, "value", gpualloc_alternative_value(other));
		ga_json_number(json, "score", gpualloc_alternative_score(other));
		ga_json_number(json, "bandwidth", gpualloc_alternative_bandwidth(other));
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}

static void add_rejected(struct ga_json *json, const gpualloc_choice *choice)
{
	ga_json_open_line(json, "\n ", "rejected", '[');
	for (size_t i = 0; i < gpualloc_choice_rejection_count(choice); i++) {
		const gpualloc_rejection *rejection = gpualloc_choice_rejection(choice, i);
		ga_auto_buffer struct ga_buffer reason = GA_BUFFER_OUTPUT;
		char id[ID_SIZE];

		ga_json_open_line(json, "\n  ", NULL, '{');
		ga_json_text(json, "device", device_id(gpualloc_rejection_device(rejection), id));
		remedy_add_rejection(&reason, rejection);
		ga_json_text(json, "reason", reason.data);
		json->out->failed = json->out->failed || reason.failed;
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}

/* How many free devices the choice leaves to others. */
static int64_t count_left(const struct chosen *chosen)
{
	int64_t count = 0;

	for (size_t i = 0; i < gpualloc_machine_device_count(chosen->machine); i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(chosen->machine, i);

		count += gpualloc_device_state(gpu) == GPUALLOC_STATE_FREE;
		for (size_t m = 0; m < gpualloc_device_mig_count(gpu); m++)
			count += gpualloc_device_state(gpualloc_device_mig(gpu, m)) ==
				 GPUALLOC_STATE_FREE;
	}
	count -= (int64_t)gpualloc_choice_device_count(chosen->choice);
	return count > 0 ? count : 0;
}

void choice_json(struct ga_buffer *text, const struct call *call, const struct chosen *chosen,
		 bool explained)
{
	const gpualloc_choice *choice = chosen->choice;
	struct ga_json json = {.out = text};

	open_document(&json, call, chosen->machine);
	ga_json_open(&json, "devices", '[');
	for (size_t i = 0; i < gpualloc_choice_device_count(choice); i++) {
		ga_json_line(&json, "\n  ");
		add_device(&json, gpualloc_choice_device(choice, i));
	}
	ga_json_close(&json, ']');
	ga_json_line(&json, "\n ");
	ga_json_text(&json, "policy", gpualloc_choice_policy(choice));
	ga_json_number(&json, "value", gpualloc_choice_value(choice));
	ga_json_number(&json, "bound", gpualloc_choice_bound(choice));
	ga_json_bool(&json, "proven", gpualloc_choice_proven(choice));
	ga_json_number(&json, "score", gpualloc_choice_score(choice));
	ga_json_number(&json, "bandwidth", gpualloc_choice_bandwidth(choice));
	ga_json_number(&json, "left", count_left(chosen));
	if (explained) {
		add_p2p(&json, chosen);
		add_alternatives(&json, choice);
		add_rejected(&json, choice);
	}
	end_document(&json);
}
