/* SPDX-License-Identifier: Apache-2.0 */
/* A choice as JSON; see choice_json.h. Bandwidths are MB/s, as the library has them. */
#include "choice_json.h"

#include "json.h"
#include "list.h"
#include "open.h"
#include "topo/p2p.h"

static void add_device(struct json *json, const gpualloc_device *device)
{
	const gpualloc_device *parent = gpualloc_device_parent(device);
	char id[ID_SIZE];

	json_open(json, NULL, '{');
	json_text(json, "id", list_id(device, id));
	json_number(json, "index", gpualloc_device_index(parent ? parent : device));
	json_text(json, "uuid", gpualloc_device_uuid(device));
	json_text(json, "name", gpualloc_device_name(parent ? parent : device));
	json_text(json, "pci", gpualloc_device_pci(parent ? parent : device));
	if (parent) {
		json_text(json, "profile", gpualloc_device_profile(device));
		json_number(json, "gi", gpualloc_device_gi(device));
		json_number(json, "ci", gpualloc_device_ci(device));
	}
	json_number(json, "memory_free", gpualloc_device_memory_free(device));
	json_close(json, '}');
}

/* Pairs of the chosen. */
static void add_p2p(struct json *json, const struct chosen *chosen)
{
	struct p2p_seen seen = p2p_of_choice(chosen->machine, chosen->choice);

	json_line(json, "\n ");
	json_open(json, "p2p", '{');
	json_number(json, "ok", (int64_t)seen.ok);
	json_number(json, "no", (int64_t)seen.no);
	json_number(json, "unknown", (int64_t)seen.unknown);
	json_number(json, "inferred", (int64_t)seen.inferred);
	json_close(json, '}');
}

static void add_alternatives(struct json *json, const gpualloc_choice *choice)
{
	const gpualloc_device *const *devices;
	int64_t score, bandwidth;
	size_t count;

	json_line(json, "\n ");
	json_open(json, "alternatives", '[');
	for (size_t i = 0;
	     (count = gpualloc_choice_alternative(choice, i, &devices, &score, &bandwidth)); i++) {
		json_line(json, "\n  ");
		json_open(json, NULL, '{');
		json_open(json, "devices", '[');
		for (size_t d = 0; d < count; d++) {
			char id[ID_SIZE];

			json_text(json, NULL, list_id(devices[d], id));
		}
		json_close(json, ']');
		json_number(json, "value", gpualloc_choice_alternative_value(choice, i));
		json_number(json, "score", score);
		json_number(json, "bandwidth", bandwidth);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void add_rejected(struct json *json, const gpualloc_choice *choice)
{
	const gpualloc_device *device;
	const char *reason;

	json_line(json, "\n ");
	json_open(json, "rejected", '[');
	for (size_t i = 0; (device = gpualloc_choice_rejected(choice, i, &reason)); i++) {
		char id[ID_SIZE];

		json_line(json, "\n  ");
		json_open(json, NULL, '{');
		json_text(json, "device", list_id(device, id));
		json_text(json, "reason", reason);
		json_close(json, '}');
	}
	json_close(json, ']');
}

void choice_json(struct text *text, const struct call *call, const struct chosen *chosen,
		 bool explained)
{
	const gpualloc_choice *choice = chosen->choice;
	struct json json = {.out = text};

	open_document(&json, call, chosen->machine);
	json_open(&json, "devices", '[');
	for (size_t i = 0; i < gpualloc_choice_count(choice); i++) {
		json_line(&json, "\n  ");
		add_device(&json, gpualloc_choice_device(choice, i));
	}
	json_close(&json, ']');
	json_line(&json, "\n ");
	json_text(&json, "policy", gpualloc_choice_policy(choice));
	json_number(&json, "value", gpualloc_choice_value(choice));
	json_number(&json, "bound", gpualloc_choice_bound(choice));
	json_bool(&json, "proven", gpualloc_choice_proven(choice));
	json_number(&json, "score", gpualloc_choice_score(choice));
	json_number(&json, "bandwidth", gpualloc_choice_bandwidth(choice));
	if (explained) {
		add_p2p(&json, chosen);
		add_alternatives(&json, choice);
		add_rejected(&json, choice);
	}
	json_close(&json, '}');
	text_char(text, '\n');
}
