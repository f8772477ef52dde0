/* SPDX-License-Identifier: Apache-2.0 */
/* Who has what at this moment, for a refusal that a program reads. */
#ifndef CLI_ERROR_HOLDERS_H
#define CLI_ERROR_HOLDERS_H

#include "command.h"
#include "json_writer.h"

/* Adds "holders", every lease in the store that the call uses; nothing if that cannot be read. */
void error_holders(struct ga_json *json, const struct call *call);

#endif
