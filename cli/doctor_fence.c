/* SPDX-License-Identifier: Apache-2.0 */
/* The fence around the machine's GPUs, for root, who alone can look at it; see doctor.h. */
#include "doctor.h"

#include "fence_probe.h"
#include "fence_rules.h"
#include "file.h"
#include "owned.h"

#include <unistd.h>

static const char renew[] = "`gpualloc setup --fence` renews it";

static void compare(struct doctor *doctor, const struct fence_state *state)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_fence_plan struct fence_plan plan = {0};
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(1 << 16);
	int result =
		fence_plan_make(doctor->call->value[OPTION_MACHINE], doctor->machine, &plan, error);
	bool is_grave;

	if (result == 0)
		result = fence_plan_expect_probe(&plan, error);
	doctor->no_memory = doctor->no_memory || result == GPUALLOC_ENOMEM;
	if (result < 0) {
		doctor_note(doctor, "fence", NULL,
			    "it stands, and whether it is up to date is not "
			    "known: %s",
			    gpualloc_error_message(error));
		return;
	}
	is_grave = fence_plan_compare(&plan, state, &text);
	doctor->no_memory = doctor->no_memory || text.failed;
	if (text.size)
		text.data[text.size - 1] = '\0';
	if (text.size && is_grave)
		doctor_fault(doctor, "fence", gpualloc_exit_status(GPUALLOC_EPERM), renew,
			     "it is not up to date: %s", text.data);
	else if (text.size)
		doctor_note(doctor, "fence", renew, "it is not up to date: %s", text.data);
	else
		doctor_ok(doctor, "fence", "it stands, around %zu device nodes", plan.nodes.count);
}

/* Nothing is said where there is none and none is meant to be: most machines have none. */
void doctor_fence(struct doctor *doctor)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_fence_state struct fence_state state = {0};

	if (!doctor_is_here(doctor) || geteuid() != 0)
		return;
	if (fence_look(&state, error) < 0 && ga_file_exists("", FENCE_PINS))
		doctor_note(doctor, "fence", NULL, "whether it stands is not known: %s",
			    gpualloc_error_message(error));
	else if (state.stands && doctor->machine)
		compare(doctor, &state);
	else if (state.stands)
		doctor_note(doctor, "fence", NULL,
			    "it stands; whether it is up to date is not known without the GPUs");
	else if (*state.missing)
		doctor_fault(doctor, "fence", gpualloc_exit_status(GPUALLOC_EPERM),
			     "`gpualloc setup --fence` puts it up again", "it is broken: %s",
			     state.missing);
	else if (fence_unit_is_enabled(doctor->root))
		doctor_fault(doctor, "fence", gpualloc_exit_status(GPUALLOC_EPERM),
			     "`systemctl status " FENCE_UNIT "` says why",
			     "there is none, and " FENCE_UNIT " is to put one up: everybody "
			     "can open every GPU");
	else if (fence_probe_is_set())
		doctor_note(
			doctor, "fence",
			"`gpualloc setup --fence` puts it up, `gpualloc setup --fence --remove` "
			"takes the bit away",
			"there is none, but %s has the set-gid bit as if one stood",
			fence_probe_path());
}
