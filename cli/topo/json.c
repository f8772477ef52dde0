/* SPDX-License-Identifier: Apache-2.0 */
/* `gpualloc topo --json`: the matrices as in the machine file, with every cell filled in. */
#include "json_writer.h"
#include "open.h"
#include "topo.h"

static void add_device(struct ga_json *json, const gpualloc_device *device)
{
	ga_json_open_line(json, "\n  ", NULL, '{');
	ga_json_number(json, "index", gpualloc_device_index(device));
	ga_json_text(json, "uuid", gpualloc_device_uuid(device));
	ga_json_text(json, "name", gpualloc_device_name(device));
	ga_json_number(json, "numa", gpualloc_device_numa(device));
	ga_json_text(json, "cpus", gpualloc_device_cpus(device));
	ga_json_close(json, '}');
}

static void add_level(struct ga_json *json, const gpualloc_machine *machine, size_t i, size_t j)
{
	enum gpualloc_level level = gpualloc_machine_level(machine, i, j);

	ga_json_text(json, NULL,
		     level == GPUALLOC_LEVEL_UNKNOWN ? NULL : gpualloc_level_name(level));
}

static void add_nvlinks(struct ga_json *json, const gpualloc_machine *machine, size_t i, size_t j)
{
	ga_json_number(json, NULL, gpualloc_machine_link_count(machine, i, j));
}

static void add_p2p(struct ga_json *json, const gpualloc_machine *machine, size_t i, size_t j)
{
	ga_json_text(json, NULL,
		     i == j ? "X" : gpualloc_p2p_name(gpualloc_machine_p2p(machine, i, j)));
}

static void add_matrix(struct ga_json *json, const char *key, const gpualloc_machine *machine,
		       void (*add_cell)(struct ga_json *, const gpualloc_machine *, size_t, size_t))
{
	size_t count = gpualloc_machine_device_count(machine);

	ga_json_open_line(json, "\n ", key, '[');
	for (size_t i = 0; i < count; i++) {
		ga_json_open_line(json, "\n  ", NULL, '[');
		for (size_t j = 0; j < count; j++)
			add_cell(json, machine, i, j);
		ga_json_close(json, ']');
	}
	ga_json_close(json, ']');
}

static void add_pairs(struct ga_json *json, const char *key, const gpualloc_machine *machine,
		      int (*holds)(const gpualloc_machine *, size_t, size_t))
{
	size_t count = gpualloc_machine_device_count(machine);

	ga_json_open_line(json, "\n ", key, '[');
	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++) {
			if (!holds(machine, i, j))
				continue;
			ga_json_open(json, NULL, '[');
			ga_json_number(json, NULL, (int64_t)i);
			ga_json_number(json, NULL, (int64_t)j);
			ga_json_close(json, ']');
		}
	ga_json_close(json, ']');
}

void topo_json(struct ga_buffer *text, const struct call *call, const gpualloc_machine *machine)
{
	struct ga_json json = {.out = text};

	open_document(&json, call, machine);
	ga_json_open(&json, "devices", '[');
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++)
		add_device(&json, gpualloc_machine_device(machine, i));
	ga_json_close(&json, ']');
	add_matrix(&json, "pcie", machine, add_level);
	add_matrix(&json, "nvlink", machine, add_nvlinks);
	add_matrix(&json, "p2p", machine, add_p2p);
	add_pairs(&json, "inferred", machine, gpualloc_machine_level_is_inferred);
	add_pairs(&json, "p2p_inferred", machine, gpualloc_machine_p2p_is_inferred);
	end_document(&json);
}
