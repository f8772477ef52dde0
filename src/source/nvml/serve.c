/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gpualloc-probe does once nothing of its caller's is left in it; see probe.h. While it waits
 * it speaks each second, so that the caller knows that it lives; and if the caller has gone, it
 * ends by that (SIGPIPE).
 */
#include "answer.h"
#include "ask.h"
#include "cleanup.h"
#include "probe.h"

#include <stdio.h>
#include <sysexits.h>

static void say_waiting(void *context, const char *text)
{
	const int *out = context;

	if (text)
		(void)dprintf(*out, "~%s\n", text);
}

int ga_nvml_serve(unsigned deadline_ms, int out)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	const struct ga_source_request request = {
		.root = "",
		.deadline_ms = deadline_ms,
		/* Looking up names loads libraries and asks services, which needs no rights. */
		.users_later = true,
		.waiting = say_waiting,
		.waiting_context = &out,
	};
	int result = ga_nvml_ask(&request, &machine, &error);

	if (result == 0)
		result = ga_nvml_say_machine(out, '=', machine, &error);
	if (result == 0)
		return 0;
	error.status = result;
	(void)ga_nvml_say_error(out, &error);
	return EX_UNAVAILABLE;
}

int ga_nvml_serve_refusal(const char *why, int out)
{
	gpualloc_error error = {0};

	(void)ga_error_set(&error, GPUALLOC_EPERM, "%s", why);
	(void)ga_nvml_say_error(out, &error);
	return EX_NOPERM;
}
