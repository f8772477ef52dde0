/* SPDX-License-Identifier: Apache-2.0 */
/* The machine a command was asked about, and what every command says about it. */
#ifndef CLI_OPEN_H
#define CLI_OPEN_H

#include "buffer.h"
#include "command.h"
#include "json_writer.h"

/* Takes the snapshot that --machine and --deadline ask for and prints the machine's notes. Returns
 * 0, or after a message the exit status of the failure. */
int open_machine(const struct call *call, gpualloc_machine **ret_machine);

/* The beginning and the end that all documents share. */
void begin_document(struct ga_json *json, const struct call *call);
void end_document(struct ga_json *json);
/* The beginning of documents about a machine, which may be missing. */
void open_document(struct ga_json *json, const struct call *call, const gpualloc_machine *machine);

/* The GPU or instance of that UUID; NULL if the machine has none. */
const gpualloc_device *find_device(const gpualloc_machine *machine, const char *uuid);

/* "node7", "dgx1-volta (simulated)". */
void add_machine_name(struct ga_buffer *text, const gpualloc_machine *machine);
/* "1 GPU", "8 GPUs": a number and its noun. */
void add_count(struct ga_buffer *text, size_t count, const char *noun);

#endif
