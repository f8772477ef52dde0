/* SPDX-License-Identifier: Apache-2.0 */
/* The asker of list --watch; see watch.h. */
#include "columns.h"
#include "file.h"
#include "hosts/watch_hosts.h"
#include "list.h"
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

/* The same words as in the table of list. */
static void add_holder(struct watch_row *row, const gpualloc_device *device)
{
	char reason[256] = "";
	ga_auto_free char *what = NULL;

	(void)gpualloc_device_reason(device, reason, sizeof reason);
	what = list_what(device, reason);
	copy(row->what, sizeof row->what, what);
	copy(row->user, sizeof row->user, list_user(device));
	row->since = list_since_seconds(device);
}

static void add_row(struct answer *answer, const gpualloc_device *device)
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
	add_holder(&row, device);
	ga_buffer_append(&answer->rows, &row, sizeof row);
	answer->head.rows++;
	answer->head.free += gpualloc_device_state(device) == GPUALLOC_STATE_FREE;
}

static void add_rows(struct answer *answer, const gpualloc_machine *machine)
{
	answer->head.gpus = (uint32_t)gpualloc_machine_device_count(machine);
	for (size_t i = 0; i < answer->head.gpus; i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(machine, i);

		add_row(answer, gpu);
		for (size_t m = 0; m < gpualloc_device_mig_count(gpu); m++)
			add_row(answer, gpualloc_device_mig(gpu, m));
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
	add_rows(answer, machine);
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
	if (call->value[OPTION_ON])
		watch_ask_hosts(call, from, to);
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
