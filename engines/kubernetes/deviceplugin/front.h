/* SPDX-License-Identifier: Apache-2.0 */
/* The device plugin API of the kubelet, for the agent. */
#ifndef DEVICEPLUGIN_FRONT_H
#define DEVICEPLUGIN_FRONT_H

#include "agent.h"

extern const struct agent_front deviceplugin_front;

#endif
