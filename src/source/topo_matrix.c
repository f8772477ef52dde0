/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

const struct ga_source ga_source_topo_matrix = {
	.name = "topo_matrix",
};
