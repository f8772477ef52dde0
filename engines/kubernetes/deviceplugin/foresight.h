/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers before they are asked for: whenever the machine or what is free on it has changed, a
 * worker asks the policy what it would give to pods of the usual sizes.
 */
#ifndef DEVICEPLUGIN_FORESIGHT_H
#define DEVICEPLUGIN_FORESIGHT_H

#include "answers.h"
#include "worker.h"

struct agent;

struct foresight {
	struct worker worker;
	struct answers answers;
	struct gpu_set free; /* what the last work was about */
	bool is_current;     /* that work was for this snapshot */
	bool is_working;
};

/* Something may have changed. */
void foresight_look(struct agent *agent);
/* Before the inventory takes a new machine: the worker may still read the old one. */
void foresight_forget(struct agent *agent);

#endif
