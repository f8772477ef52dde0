/* SPDX-License-Identifier: Apache-2.0 */
/* The options that only run has, and commands that write down how to run something. */
#ifndef CLI_RUN_OPTIONS_H
#define CLI_RUN_OPTIONS_H

#include "command.h"

/* Each returns 0, or after a message the exit status of the mistake. */
int form_read(const struct call *call, enum gpualloc_form *ret_form);
/* The machine by a name that works from any folder; NULL without --machine. The caller frees it. */
int spec_read(const struct call *call, char **ret_spec);
int limit_read(const struct call *call, int64_t *ret_ms);

#endif
