/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishes slices for the tests, as the agent does but told line by line what happens. Arguments:
 * a kubeconfig, a machine file, the node, and the milliseconds that a device may take to leave.
 * Lines: "machine FILE", "leased UUID", "ours UUID", "free UUID", "check". "tick" as the agent's
 * second does; each is answered with "ok", and with the labels of all units.
 */
#include "clock.h"
#include "file.h"
#include "publisher.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

struct run {
	struct loop loop;
	struct settings settings;
	struct log log;
	struct inventory inventory;
	struct publisher *publisher;
	struct loop_watch input;
	int snapshot;
	bool is_over;
};

static int take_machine(struct run *run, const char *path, gpualloc_error *error)
{
	gpualloc_machine *machine = NULL;
	ga_auto_free char *text = NULL;
	size_t size = 0;
	FILE *file;
	int result = gpualloc_machine_open(path, 0, &machine, error);

	if (result == 0)
		result = gpualloc_machine_write(machine, &text, &size, error);
	if (result < 0)
		return result;
	file = tmpfile();
	if (!file || fwrite(text, 1, size, file) != size || fflush(file) != 0)
		return GPUALLOC_EIO;
	run->snapshot = dup(fileno(file));
	(void)fclose(file);
	return inventory_update(&run->inventory, machine, &run->settings, ga_clock_ms(), "", error);
}

static void obey(struct run *run, char *line)
{
	gpualloc_error error = {0};
	char *word = strchr(line, ' ');
	struct unit *unit = NULL;

	if (word) {
		*word++ = '\0';
		unit = inventory_find(&run->inventory, word);
	}
	if (strcmp(line, "machine") == 0 && word && take_machine(run, word, &error) < 0)
		(void)printf("%s\n", error.message);
	if (strcmp(line, "check") == 0)
		publisher_check(run->publisher);
	if (unit) {
		unit->is_leased = strcmp(line, "leased") == 0;
		unit->is_ours = strcmp(line, "ours") == 0;
	}
	publisher_update(run->publisher, run->snapshot);
	(void)printf("ok %d", publisher_is_ready(run->publisher));
	for (size_t i = 0; i < run->inventory.count; i++)
		(void)printf(" %s=%lld", run->inventory.units[i].uuid,
			     (long long)run->inventory.units[i].label);
	(void)printf("\n");
}

static void read_line(void *context, uint32_t events)
{
	struct run *run = context;
	char line[4096];

	(void)events;
	/* The test waits for the answer to each line, so there is never more than one. */
	if (!fgets(line, sizeof line, stdin)) {
		run->loop.stop = true;
		return;
	}
	line[strcspn(line, "\n")] = '\0';
	obey(run, line);
}

static void changed(void *context)
{
	(void)context;
}

int main(int argc, char **argv)
{
	static struct run run;
	gpualloc_error error = {0};
	struct api_address address;
	struct api_client *client = NULL;
	int result = argc == 5 ? 0 : GPUALLOC_EUSAGE;

	if (result < 0)
		return 1;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)snprintf(run.settings.driver, sizeof run.settings.driver, "gpu.test");
	(void)snprintf(run.settings.node, sizeof run.settings.node, "%s", argv[3]);
	(void)snprintf(run.settings.resource, sizeof run.settings.resource, "test/gpu");
	run.settings.mig = MIG_MIXED;
	run.settings.offer_in_use = true;
	run.settings.pod_wait_ms = atoll(argv[4]);
	result = take_machine(&run, argv[2], &error);
	if (result == 0)
		result = loop_open(&run.loop, &error);
	if (result == 0)
		result = api_address_of_kubeconfig(argv[1], &address, &error);
	if (result == 0)
		result = api_client_new(&address, 5000, &client, &error);
	if (result == 0)
		result = publisher_new(&run.loop, &run.settings, &run.log, client, &run.inventory,
				       changed, NULL, &run.publisher, &error);
	run.input = (struct loop_watch){.fd = STDIN_FILENO, .ready = read_line, .context = &run};
	if (result == 0)
		result = loop_watch(&run.loop, &run.input, EPOLLIN);
	if (result == 0)
		result = loop_run(&run.loop, &error);
	if (result < 0)
		(void)fprintf(stderr, "%s\n", error.message);
	return result < 0;
}
