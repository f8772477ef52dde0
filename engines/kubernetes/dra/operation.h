/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NodePrepareResources and NodeUnprepareResources: of each claim in a call an operation, which goes
 * its way by itself; the call is answered when the last is over. One that fails harms no other.
 */
#ifndef DRA_OPERATION_H
#define DRA_OPERATION_H

#include "dra.h"
#include "server.h"

void prepare_called(void *context, struct grpc_call *call, const uint8_t *message, size_t size);
void unprepare_called(void *context, struct grpc_call *call, const uint8_t *message, size_t size);
/* Nobody waits for the answer any more; what was begun is brought to its end. */
void operations_ended(void *context, struct grpc_call *call);

/* Those that waited for the machine to be known go on; those that waited for too long fail. */
void operations_continue(struct dra *dra);
/* Whether one is about this claim. */
bool operations_have(const struct dra *dra, const char *uid);

#endif
