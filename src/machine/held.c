/* SPDX-License-Identifier: Apache-2.0 */
/* Leases and waiters as plain data; see held.h. */
#include "held.h"

#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void free_texts(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

void ga_held_init(struct gpualloc_held *held)
{
	*held = (struct gpualloc_held){.uid = GA_UNKNOWN,
				       .pid = GA_UNKNOWN,
				       .since = GA_UNKNOWN,
				       .until = GA_UNKNOWN,
				       .memory = GA_UNKNOWN};
}

void ga_held_clear(struct gpualloc_held *held)
{
	free(held->id);
	free(held->user);
	free(held->command);
	free(held->note);
	free(held->agent);
	free_texts(held->devices, held->device_count);
	ga_held_init(held);
}

void ga_waiter_clear(struct gpualloc_waiter *waiter)
{
	free(waiter->user);
	free(waiter->request);
	free(waiter->command);
	free(waiter->note);
	free_texts(waiter->keeps, waiter->keep_count);
	*waiter = (struct gpualloc_waiter){.pid = GA_UNKNOWN, .since = GA_UNKNOWN};
}

size_t ga_held_words(const struct gpualloc_held *held, bool brief, char *text, size_t size)
{
	char since[32] = "", memory[48] = "", pid[32] = "";
	const char *command = brief ? NULL : held->command;
	time_t time = (time_t)held->since;
	struct tm local;

	if (!brief && held->since >= 0 && localtime_r(&time, &local))
		(void)strftime(since, sizeof since, " since %Y-%m-%d %H:%M", &local);
	if (held->memory >= 0)
		(void)snprintf(memory, sizeof memory, ", %lld MiB of it",
			       (long long)(held->memory >> 20));
	if (!brief && held->pid >= 0)
		(void)snprintf(pid, sizeof pid, ", process %lld", (long long)held->pid);
	return (size_t)snprintf(text, size, "by %s%s%s%s%.60s%s%s%s (lease %s)",
				held->agent ? "an agent of " : "", held->user ? held->user : "?",
				pid, command ? " (" : "", command ? command : "",
				command ? ")" : "", since, memory, held->id ? held->id : "?");
}

size_t ga_waiter_words(const struct gpualloc_waiter *waiter, char *text, size_t size)
{
	return (size_t)snprintf(text, size, "for %s (process %lld), who has waited longer",
				waiter->user ? waiter->user : "?", (long long)waiter->pid);
}

int ga_add_text(char ***list, size_t *count, const char *text)
{
	char **longer = reallocarray(*list, *count + 1, sizeof *longer);

	if (!longer)
		return GPUALLOC_ENOMEM;
	*list = longer;
	longer[*count] = strdup(text);
	if (!longer[*count])
		return GPUALLOC_ENOMEM;
	(*count)++;
	return 0;
}
