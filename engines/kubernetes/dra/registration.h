/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's two sockets: one in the folder where the kubelet looks for plugins, by which it
 * learns of the driver, and the driver's own. Both have names of this process alone, so that at an
 * update two agents can be there side by side; whichever socket is gone is made again.
 */
#ifndef DRA_REGISTRATION_H
#define DRA_REGISTRATION_H

#include "agent.h"
#include "server.h"

struct registration {
	struct agent *agent;
	const struct grpc_method *methods;
	size_t method_count;
	void (*registered)(void *context); /* the kubelet has taken the driver */
	void *context;                     /* of methods and registered() */
	struct grpc_server *driver, *registrar;
	char endpoint[SETTINGS_TEXT]; /* the driver's socket */
	unsigned sockets;             /* how many pairs there were */
	char told[512];
};

/* Agent, methods of the driver's socket, registered() and context are set. */
void registration_open(struct registration *registration);
/* Makes what is gone again. */
void registration_check(struct registration *registration);
/* Whether another agent of this driver listens. */
bool registration_is_shared(const struct registration *registration);
void registration_close(struct registration *registration);

#endif
