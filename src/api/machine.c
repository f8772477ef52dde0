/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exported face of machines, devices, processes and links: the calls pass on what they are
 * given and decide nothing.
 */
#include "machine.h"

#include "anonymise.h"
#include "cleanup.h"
#include "cuda_order.h"
#include "device_state.h"
#include "machine_file.h"
#include "source.h"

#include <stdlib.h>

int gpualloc_machine_open(const char *spec, unsigned deadline_ms, gpualloc_machine **ret_machine,
			  gpualloc_error *error)
{
	return ga_source_open_here(spec, deadline_ms, ret_machine, error);
}

int gpualloc_machine_open_waiting(const char *spec, unsigned deadline_ms,
				  gpualloc_waiting_function *waiting, void *context,
				  gpualloc_machine **ret_machine, gpualloc_error *error)
{
	return ga_source_open_telling(spec, deadline_ms, waiting, context, ret_machine, error);
}

int gpualloc_available(const char *spec, unsigned deadline_ms, gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	int result = gpualloc_machine_open(spec, deadline_ms, &machine, error);

	if (result < 0)
		return result == GPUALLOC_ENOSOURCE ? 0 : result;
	return machine->device_count > 0;
}

int gpualloc_machine_read(const void *data, size_t size, const char *name,
			  gpualloc_machine **ret_machine, gpualloc_error *error)
{
	if (!data && size > 0)
		return ga_error_missing(error, "the text");
	return ga_source_read(data ? data : "", size, name ? name : "the text", ret_machine, error);
}

void gpualloc_machine_free(gpualloc_machine *machine)
{
	ga_machine_free(machine);
}

size_t gpualloc_spec_count(void)
{
	size_t count = 0;

	while (ga_source_spec_name(count))
		count++;
	return count;
}

const char *gpualloc_spec_name(size_t i)
{
	return ga_source_spec_name(i);
}

const char *gpualloc_spec_description(size_t i)
{
	return ga_source_spec_description(i);
}

int gpualloc_spec_is_live(const char *spec)
{
	return ga_source_is_live(spec);
}

int gpualloc_machine_anonymise(gpualloc_machine *machine, gpualloc_error *error)
{
	return machine ? ga_machine_anonymise(machine, error)
		       : ga_error_missing(error, "the machine");
}

int gpualloc_machine_write(const gpualloc_machine *machine, char **ret_text, size_t *ret_size,
			   gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer out = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX);
	int result = machine ? ga_machine_file_write(machine, GA_FORM_FILE, &out, error)
			     : ga_error_missing(error, "the machine");
	char *text;

	if (result < 0)
		return result;
	text = ga_buffer_take(&out, ret_size);
	if (!text)
		return ga_error_memory(error);
	*ret_text = text;
	return 0;
}

const char *gpualloc_machine_name(const gpualloc_machine *machine)
{
	return machine ? machine->name : NULL;
}

const char *gpualloc_machine_source(const gpualloc_machine *machine)
{
	return machine ? machine->source : NULL;
}

const char *gpualloc_machine_driver(const gpualloc_machine *machine)
{
	return machine ? machine->driver : NULL;
}

void gpualloc_machine_pci_order(const gpualloc_machine *machine, const gpualloc_device **ret_gpus)
{
	if (machine && ret_gpus)
		ga_pci_order(machine, ret_gpus);
}

int gpualloc_machine_cuda_order(const gpualloc_machine *machine, const gpualloc_device **ret_gpus,
				gpualloc_error *error)
{
	return machine && ret_gpus ? ga_cuda_order(machine, ret_gpus, error)
				   : ga_error_missing(error, "the machine");
}

int gpualloc_machine_is_simulated(const gpualloc_machine *machine)
{
	return machine && ga_machine_is_simulated(machine);
}

int gpualloc_machine_is_here(const gpualloc_machine *machine)
{
	return machine ? machine->is_here : 0;
}

int64_t gpualloc_machine_sockets(const gpualloc_machine *machine)
{
	return machine ? machine->sockets : GA_UNKNOWN;
}

int64_t gpualloc_machine_cores_per_socket(const gpualloc_machine *machine)
{
	return machine ? machine->cores_per_socket : GA_UNKNOWN;
}

int64_t gpualloc_machine_threads_per_core(const gpualloc_machine *machine)
{
	return machine ? machine->threads_per_core : GA_UNKNOWN;
}

const char *gpualloc_machine_note(const gpualloc_machine *machine, size_t i)
{
	return machine && i < machine->note_count ? machine->notes[i] : NULL;
}

size_t gpualloc_machine_device_count(const gpualloc_machine *machine)
{
	return machine ? machine->device_count : 0;
}

const gpualloc_device *gpualloc_machine_device(const gpualloc_machine *machine, size_t i)
{
	return machine && i < machine->device_count ? &machine->devices[i] : NULL;
}

size_t gpualloc_machine_note_count(const gpualloc_machine *machine)
{
	return machine ? machine->note_count : 0;
}

int64_t gpualloc_device_number(const gpualloc_machine *machine, const gpualloc_device *device)
{
	const gpualloc_device *gpu = device && device->parent ? device->parent : device;

	for (size_t i = 0; machine && gpu && i < machine->device_count; i++)
		if (gpu == &machine->devices[i])
			return (int64_t)i;
	return GA_UNKNOWN;
}

/* ---- links ---- */

static int is_pair(const gpualloc_machine *machine, size_t i, size_t j)
{
	return machine && i < machine->device_count && j < machine->device_count;
}

enum gpualloc_level gpualloc_machine_level(const gpualloc_machine *machine, size_t i, size_t j)
{
	return is_pair(machine, i, j) ? ga_links_level(&machine->links, i, j)
				      : GPUALLOC_LEVEL_UNKNOWN;
}

const char *gpualloc_level_name(enum gpualloc_level level)
{
	return ga_level_name(level);
}

int gpualloc_machine_link_count(const gpualloc_machine *machine, size_t i, size_t j)
{
	return is_pair(machine, i, j) ? ga_links_nvlinks(&machine->links, i, j) : GA_UNKNOWN;
}

enum gpualloc_link_kind gpualloc_machine_link_kind(const gpualloc_machine *machine, size_t i,
						   size_t j)
{
	return gpualloc_machine_link_count(machine, i, j) > 0 ? GPUALLOC_LINK_NVLINK
							      : GPUALLOC_LINK_NONE;
}

const char *gpualloc_link_kind_name(enum gpualloc_link_kind kind)
{
	switch (kind) {
	case GPUALLOC_LINK_NVLINK: return "NVLink";
	case GPUALLOC_LINK_XGMI: return "xGMI";
	case GPUALLOC_LINK_NONE: break;
	}
	return "none";
}

int gpualloc_machine_level_is_inferred(const gpualloc_machine *machine, size_t i, size_t j)
{
	return is_pair(machine, i, j) && ga_links_inferred(&machine->links, i, j);
}

enum gpualloc_p2p gpualloc_machine_p2p(const gpualloc_machine *machine, size_t i, size_t j)
{
	return is_pair(machine, i, j) ? ga_links_p2p(&machine->links, i, j) : GPUALLOC_P2P_UNKNOWN;
}

const char *gpualloc_p2p_name(enum gpualloc_p2p p2p)
{
	return ga_p2p_name(p2p);
}

int gpualloc_machine_p2p_is_inferred(const gpualloc_machine *machine, size_t i, size_t j)
{
	return is_pair(machine, i, j) && ga_links_p2p_inferred(&machine->links, i, j);
}
