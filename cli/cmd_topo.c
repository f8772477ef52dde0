/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc topo: the links between the devices, as a matrix or a picture. */
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"
#include "stores.h"
#include "topo/topo.h"

#include <unistd.h>

static int run(const struct call *call)
{
	auto_machine gpualloc_machine *machine = NULL;
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct terminal terminal = terminal_of(STDOUT_FILENO);
	const char *picture = call->value[OPTION_SVG];
	int result;

	if (picture && call->value[OPTION_JSON])
		return fail_usage(call->command, "--json and --svg are two formats; use one of "
						 "them");
	result = open_machine(call, &machine);
	if (result)
		return result;
	if (picture) {
		result = add_config(call, machine, true);
		if (result == 0)
			result = add_leases(call, machine);
		if (result)
			return result;
		topo_svg(&text, machine, NULL);
		return output_save(picture, &text);
	}
	if (call->value[OPTION_JSON])
		topo_json(&text, call, machine);
	else
		topo_text(&text, machine, &terminal);
	return output_print(&text);
}

const struct command command_topo = {
	.name = "topo",
	.sentence = "the links between the GPUs, as a matrix or a picture",
	.description =
		"Shows how every pair of GPUs is linked: the number of NVLinks, or else the PCIe "
		"level as nvidia-smi names it. Also shows the CPUs near each GPU. --svg draws a "
		"picture: GPUs grouped by NUMA node and PCIe switch, NVLinks as lines; what is "
		"leased, kept, in use, unhealthy or out of use says so.",
	.example = "gpualloc topo --machine dgx1-volta --svg -",
	.options =
		(const enum option_id[]){OPTION_DEADLINE, OPTION_HELP, OPTION_JSON, OPTION_MACHINE,
					 OPTION_ON, OPTION_QUIET, OPTION_SVG, OPTION_END},
	.run = run,
};
