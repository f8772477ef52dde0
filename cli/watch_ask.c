/* SPDX-License-Identifier: Apache-2.0 */
/* The asker of list --watch; see watch.h. */
#include "columns.h"
#include "file.h"
#include "owned.h"
#include "stores.h"
#include "text.h"
#include "watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct answer {
	struct watch_head head;
	struct ga_buffer rows, waiters;
};

/* Whole characters only, and none that a terminal obeys. */
static void copy(char *to, size_t size, const char *from)
{
	size_t columns, bytes;

	(void)snprintf(to, size, "%s", from ? from : "");
	bytes = columns_fit(to, size - 1, &columns);
	to[bytes] = '\0';
	ga_text_disarm(to);
	for (char *at = to; *at; at++)
		if (*at == '\n' || *at == '\t')
			*at = ' ';
}

static const gpualloc_held *find_held(const gpualloc_leases *leases, const char *id)
{
	for (size_t i = 0; id && i < gpualloc_leases_held_count(leases); i++) {
		const gpualloc_held *held = gpualloc_leases_held(leases, i);
		const char *own = gpualloc_held_id(held);

		if (own && strcmp(own, id) == 0)
			return held;
	}
	return NULL;
}

/* Who has it: its lease, or else the first process on it, or else why it is not free. */
static void add_holder(struct watch_row *row, const gpualloc_device *device,
		       const gpualloc_leases *leases)
{
	const gpualloc_held *held = find_held(leases, gpualloc_device_lease(device));
	const gpualloc_process *process = gpualloc_device_process(device, 0);
	char reason[256] = "";

	row->since = -1;
	if (held) {
		copy(row->user, sizeof row->user, gpualloc_held_user(held));
		copy(row->what, sizeof row->what, gpualloc_held_command(held));
		row->since = gpualloc_held_since(held);
		return;
	}
	if (gpualloc_device_state(device) == GPUALLOC_STATE_IN_USE && process) {
		copy(row->user, sizeof row->user, gpualloc_process_user(process));
		copy(row->what, sizeof row->what, gpualloc_process_name(process));
		return;
	}
	(void)gpualloc_device_reason(device, reason, sizeof reason);
	copy(row->what, sizeof row->what, reason);
}

static void add_row(struct answer *answer, const gpualloc_device *device,
		    const gpualloc_leases *leases)
{
	const gpualloc_device *parent = gpualloc_device_parent(device);
	struct watch_row row;

	memset(&row, 0, sizeof row);
	(void)gpualloc_device_ids(&device, 1, row.id, sizeof row.id);
	copy(row.state, sizeof row.state, gpualloc_state_name(gpualloc_device_state(device)));
	row.used = gpualloc_device_memory_used(device);
	row.total = gpualloc_device_memory_total(device);
	row.utilization = (int32_t)gpualloc_device_utilization(device);
	row.is_instance = parent != NULL;
	row.place = answer->head.rows;
	add_holder(&row, device, leases);
	ga_buffer_append(&answer->rows, &row, sizeof row);
	answer->head.rows++;
	answer->head.free += gpualloc_device_state(device) == GPUALLOC_STATE_FREE;
}

static void add_rows(struct answer *answer, const gpualloc_machine *machine,
		     const gpualloc_leases *leases)
{
	answer->head.gpus = (uint32_t)gpualloc_machine_device_count(machine);
	for (size_t i = 0; i < answer->head.gpus; i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(machine, i);

		add_row(answer, gpu, leases);
		for (size_t m = 0; m < gpualloc_device_mig_count(gpu); m++)
			add_row(answer, gpualloc_device_mig(gpu, m), leases);
	}
}

static void add_waiters(struct answer *answer, const gpualloc_leases *leases)
{
	const gpualloc_waiter *waiter;

	for (size_t i = 0; (waiter = gpualloc_leases_waiter(leases, i)); i++) {
		struct watch_waiter one;
		char what[256];
		const char *command = gpualloc_waiter_command(waiter);

		memset(&one, 0, sizeof one);
		copy(one.user, sizeof one.user, gpualloc_waiter_user(waiter));
		(void)snprintf(what, sizeof what, "%s%s%s",
			       gpualloc_waiter_request(waiter) ? gpualloc_waiter_request(waiter)
							       : "-",
			       command ? ": " : "", command ? command : "");
		copy(one.what, sizeof one.what, what);
		one.since = gpualloc_waiter_since(waiter);
		ga_buffer_append(&answer->waiters, &one, sizeof one);
		answer->head.waiters++;
	}
}

static void look(const struct call *call, struct answer *answer)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_machine gpualloc_machine *machine = NULL;
	auto_store gpualloc_store *store = NULL;
	auto_leases gpualloc_leases *leases = NULL;
	char name[128];

	if (gpualloc_machine_open(call->value[OPTION_MACHINE], call->deadline_ms, &machine, error) <
	    0) {
		copy(answer->head.trouble, sizeof answer->head.trouble,
		     gpualloc_error_message(error));
		return;
	}
	(void)gpualloc_machine_add_config(machine, NULL);
	if (store_to_look(call, STORE_FOR_DEVICES, &store) == 0 && store) {
		(void)gpualloc_machine_add_leases(machine, store, NULL);
		(void)gpualloc_leases_read(store, &leases, NULL);
	}
	(void)snprintf(name, sizeof name, "%s%s",
		       gpualloc_machine_name(machine) ? gpualloc_machine_name(machine) : "",
		       gpualloc_machine_is_simulated(machine) ? " (simulated)" : "");
	copy(answer->head.machine, sizeof answer->head.machine, name);
	add_rows(answer, machine, leases);
	add_waiters(answer, leases);
}

static bool send_answer(int to, const struct answer *answer)
{
	return ga_file_put(to, (const char *)&answer->head, sizeof answer->head) == 0 &&
	       ga_file_put(to, answer->rows.data, answer->rows.size) == 0 &&
	       ga_file_put(to, answer->waiters.data, answer->waiters.size) == 0;
}

void watch_ask(const struct call *call, int from, int to)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	char word;

	/* What is said on the way would be written over the picture. */
	if (nothing >= 0)
		(void)dup2(nothing, STDERR_FILENO);
	while (read(from, &word, 1) == 1) {
		struct answer answer = {.rows = GA_BUFFER_OUTPUT, .waiters = GA_BUFFER_OUTPUT};
		bool is_sent;

		look(call, &answer);
		is_sent = !answer.rows.failed && !answer.waiters.failed && send_answer(to, &answer);
		ga_buffer_free(&answer.rows);
		ga_buffer_free(&answer.waiters);
		if (!is_sent)
			break;
	}
	_exit(0);
}
