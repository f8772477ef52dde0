/* SPDX-License-Identifier: Apache-2.0 */
/* What this shell was started with and hands on to what it starts; see doctor.h. */
#include "doctor.h"

#include "lease_find.h"
#include "owned.h"
#include "stores.h"
#include "text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* ---- a lease that the environment tells of ---- */

static bool is_held(const struct doctor *doctor, const char *id)
{
	ga_cleanup(lease_stores_free) struct lease_stores stores = {0};
	bool found = false;

	if (lease_stores_open(doctor->call, &stores) != 0)
		return false;
	for (size_t s = 0; s < stores.count; s++) {
		auto_leases gpualloc_leases *leases = NULL;

		if (gpualloc_leases_read(stores.list[s], &leases, NULL) < 0)
			continue;
		for (size_t i = 0; i < gpualloc_leases_held_count(leases); i++)
			if (ga_text_same(gpualloc_held_id(gpualloc_leases_held(leases, i)), id))
				found = true;
	}
	return found;
}

/* Programs that close what they do not know lose the descriptor, and with it the lease. */
static bool has_descriptor(void)
{
	const char *word = getenv("GPUALLOC_FD");
	int64_t fd;

	return word && ga_text_number(word, strlen(word), INT32_MAX, &fd) &&
	       fcntl((int)fd, F_GETFD) >= 0;
}

static void look_at_lease(struct doctor *doctor)
{
	const char *id = getenv("GPUALLOC_LEASE");

	if (!id)
		return;
	if (!is_held(doctor, id))
		doctor_note(
			doctor, "environment",
			"`unset GPUALLOC_LEASE GPUALLOC_FD GPUALLOC_DEVICES GPUALLOC_MEMORY "
			"CUDA_VISIBLE_DEVICES NVIDIA_VISIBLE_DEVICES`, or open a new shell",
			"GPUALLOC_LEASE is %s, but that lease has ended: its devices may belong "
			"to others now",
			id);
	else if (!has_descriptor())
		doctor_note(doctor, "environment",
			    "use `gpualloc run --supervise` for such a program",
			    "GPUALLOC_LEASE is %s, but its descriptor is not here: what this shell "
			    "starts does not keep the lease",
			    id);
	else
		doctor_ok(doctor, "environment", "this shell is in the lease %s", id);
}

/* ---- variables ---- */

static bool is_number(const char *word)
{
	return *word >= '0' && *word <= '9';
}

static void look_at_visible(struct doctor *doctor)
{
	const char *visible = getenv("CUDA_VISIBLE_DEVICES"), *order = getenv("CUDA_DEVICE_ORDER");

	if (!visible || getenv("GPUALLOC_LEASE"))
		return;
	if (!*visible || strcmp(visible, "-1") == 0)
		doctor_note(
			doctor, "environment", "`unset CUDA_VISIBLE_DEVICES`",
			"CUDA_VISIBLE_DEVICES is \"%s\": programs started here without gpualloc "
			"see no GPU",
			visible);
	else
		doctor_note(doctor, "environment",
			    "`unset CUDA_VISIBLE_DEVICES`, or --ignore-env for one command",
			    "CUDA_VISIBLE_DEVICES is \"%s\": nothing else is ever chosen", visible);
	if (is_number(visible) && !(order && strcmp(order, "PCI_BUS_ID") == 0))
		doctor_note(doctor, "environment", "`export CUDA_DEVICE_ORDER=PCI_BUS_ID`",
			    "CUDA_VISIBLE_DEVICES has numbers, but CUDA counts the fastest GPUs "
			    "first, and nvidia-smi by PCI address");
}

/* What makes every command look elsewhere; easily forgotten in a shell that is days old. */
static void look_at_ours(struct doctor *doctor)
{
	static const struct {
		const char *name, *effect;
	} ours[] = {
		{"GPUALLOC_MACHINE", "every command is about that machine"},
		{"GPUALLOC_STATE_DIR", "leases are made there, where others may not see them"},
		{"GPUALLOC_CONFIG", "it counts instead of /etc/gpualloc.conf"},
		{"GPUALLOC_NVML", "that library is asked, not the driver's"},
		{"GPUALLOC_NVIDIA_SMI", "that program is asked, not nvidia-smi"},
	};

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
		const char *value = getenv(ours[i].name);

		if (value && *value && !getenv("GPUALLOC_LEASE"))
			doctor_note(doctor, "environment", "unset it if that is not meant",
				    "%s is %s: %s", ours[i].name, value, ours[i].effect);
	}
}

void doctor_environment(struct doctor *doctor)
{
	size_t before = doctor->count;

	if (!doctor_is_here(doctor))
		return;
	look_at_lease(doctor);
	look_at_visible(doctor);
	look_at_ours(doctor);
	if (doctor->count == before)
		doctor_ok(doctor, "environment", "nothing in it restricts the choice");
}

/* ---- tmux ---- */

void doctor_tmux(struct doctor *doctor)
{
	long long pid = doctor->multiplexer_in_lease;

	if (pid && doctor_is_here(doctor) && !is_held(doctor, doctor->lease_of_multiplexer))
		doctor_note(doctor, "tmux",
			    "end that server (`tmux kill-server`) when its windows are done",
			    "a terminal multiplexer's server, process %lld, was started in the "
			    "lease %s, which has ended, or is in a store of that user's own: its "
			    "new windows believe that they are in it",
			    pid, doctor->lease_of_multiplexer);
	else if (pid)
		doctor_note(doctor, "tmux",
			    "end that server (`tmux kill-server`) when its windows are done, and "
			    "start gpualloc inside of tmux, not tmux inside of gpualloc",
			    "a terminal multiplexer's server, process %lld, was started in the "
			    "lease %s: it keeps that lease until it ends, and its new windows "
			    "believe that they are in it",
			    pid, doctor->lease_of_multiplexer);
	else if (doctor->pid[PROCESS_MULTIPLEXER])
		doctor_ok(doctor, "tmux",
			  "no server that can be looked into was started in a lease");
	else
		doctor_ok(doctor, "tmux", "no tmux, screen or zellij runs");
}
