/* SPDX-License-Identifier: Apache-2.0 */
/* A lease as JSON; see held_json.h. */
#include "held_json.h"

void held_json_who(struct ga_json *json, const gpualloc_held *held)
{
	ga_json_text(json, "id", gpualloc_held_id(held));
	ga_json_text(json, "user", gpualloc_held_user(held));
	ga_json_text(json, "agent", gpualloc_held_agent(held));
	ga_json_number(json, "pid", gpualloc_held_pid(held));
	ga_json_number(json, "since", gpualloc_held_since(held));
	ga_json_number(json, "until", gpualloc_held_until(held));
	ga_json_text(json, "command", gpualloc_held_command(held));
	ga_json_text(json, "note", gpualloc_held_note(held));
	ga_json_number(json, "memory", gpualloc_held_memory(held));
}

void held_json(struct ga_json *json, const gpualloc_held *held)
{
	held_json_who(json, held);
	ga_json_open(json, "devices", '[');
	for (size_t i = 0; i < gpualloc_held_device_count(held); i++)
		ga_json_text(json, NULL, gpualloc_held_device(held, i));
	ga_json_close(json, ']');
}
