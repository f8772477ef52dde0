/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the node's ResourceSlices at the API server as the inventory has them. Everything that
 * waits is done by a worker of its own. What is written changes only with the devices, their health
 * and leases of others; a device that goes is tainted first, and stays for as long as anybody may
 * still have it.
 */
#ifndef SLICES_PUBLISHER_H
#define SLICES_PUBLISHER_H

#include "apiserver/client.h"
#include "log.h"
#include "offer.h"
#include "worker.h"

struct publisher;

/*
 * Takes the client over, also if it fails. changed() is called in the loop when it has learned
 * labels from what was published before, or knows which sets there are.
 */
int publisher_new(struct loop *loop, const struct settings *settings, const struct log *log,
		  struct api_client *client, struct inventory *inventory,
		  void (*changed)(void *context), void *context, struct publisher **ret_publisher,
		  gpualloc_error *error);

/* Whether labels are final: names mean what they meant to the scheduler. */
bool publisher_is_ready(const struct publisher *publisher);

/* Those that are published, or will be next. */
const struct offer_sets *publisher_sets(const struct publisher *publisher);

/*
 * The inventory may have changed, or time has passed; cheap when nothing did. snapshot: a
 * descriptor of the inventory's machine as text.
 */
void publisher_update(struct publisher *publisher, int snapshot);

/* Others may have removed slices: a kubelet does when it starts, and when a driver was away. */
void publisher_check(struct publisher *publisher);

#endif
