/* SPDX-License-Identifier: Apache-2.0 */
/* The options for choosing devices, the same for every command, and the choice they lead to. */
#ifndef CLI_CHOOSE_H
#define CLI_CHOOSE_H

#include "command.h"

/* What a command that chooses owns until it ends. */
struct chosen {
	gpualloc_machine *machine;
	gpualloc_request *request;
	gpualloc_policy *policy;
	gpualloc_choice *choice;
};

void chosen_free(struct chosen *chosen);
#define auto_chosen __attribute__((cleanup(chosen_free)))

/*
 * Reads the options of choice into a request. Returns 0, or after a message the exit status of the
 * mistake.
 */
int request_read(const struct call *call, struct chosen *ret_chosen);

/*
 * Opens the machine and chooses as the options say; with alternatives the choice explains itself.
 * Returns 0, or after a message the exit status of the failure.
 */
int choose(const struct call *call, bool alternatives, struct chosen *ret_chosen);

/* The options of choice, for a command's table. */
#define OPTIONS_OF_CHOICE_BEFORE_FORMAT OPTION_COUNT, OPTION_DEADLINE, OPTION_EXCLUDE
#define OPTIONS_OF_CHOICE_TO_MIXED                                                                 \
	OPTION_HELP, OPTION_IGNORE_ENV, OPTION_IGNORE_LEASES, OPTION_IGNORE_PROCESSES,             \
		OPTION_JSON, OPTION_MACHINE, OPTION_MEMORY, OPTION_MIG, OPTION_MIXED,              \
		OPTION_MODEL, OPTION_ON, OPTION_ONLY, OPTION_POLICY, OPTION_QUIET, OPTION_REQUIRE, \
		OPTION_SEED, OPTION_SHARE

#endif
