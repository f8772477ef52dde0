/* SPDX-License-Identifier: Apache-2.0 */
/* A lease as programs see it, wherever it is shown. */
#ifndef CLI_HELD_JSON_H
#define CLI_HELD_JSON_H

#include "json_writer.h"

#include <gpualloc/gpualloc.h>

/* The members of an object that is open: who has it, and what. */
void held_json(struct ga_json *json, const gpualloc_held *held);
/* The same without its devices. */
void held_json_who(struct ga_json *json, const gpualloc_held *held);

#endif
