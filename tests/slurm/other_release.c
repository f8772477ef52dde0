/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that was built for another release of Slurm, as one is left behind by an upgrade. */
#include <slurm/spank.h>

const char plugin_name[] = "gpualloc";
const char plugin_type[] = "spank";
const unsigned int plugin_version = SLURM_VERSION_NUMBER - 0x10000;
const unsigned int spank_plugin_version = 1;

int slurm_spank_init(spank_t spank, int count, char **words)
{
	(void)spank, (void)count, (void)words;
	slurm_error("the plugin of another release was called");
	return -1;
}
