/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that are not what they seem: values that lost their option, and programs whose real work
 * is not done in a child of theirs. A lease would end before that work or outlive it by days.
 */
#ifndef CLI_LAUNCHER_H
#define CLI_LAUNCHER_H

#include "command.h"

/* Looks at the words of a command. Returns 0, perhaps after a hint, or the exit status of a
 * refusal. */
int launcher_check(const struct call *call);

#endif
