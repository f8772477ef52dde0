/* SPDX-License-Identifier: Apache-2.0 */
/* What is known about the step; see step.h. */
#include "step.h"

#include <stdio.h>

bool step_is_counted(const struct step *step)
{
	return step->number < UINT32_MAX - 16;
}

static void join_words(spank_t spank, char *text, size_t size)
{
	char **words = NULL;
	size_t used = 0;
	int count = 0;

	*text = '\0';
	(void)spank_get_item(spank, S_JOB_ARGV, &count, &words);
	for (int i = 0; words && i < count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? " " : "", words[i]);
}

void step_name(spank_t spank, const struct step *step, char *command, char *note, size_t size)
{
	char name[128] = "", part[32] = "";

	join_words(spank, command, size);
	(void)spank_getenv(spank, "SLURM_JOB_NAME", name, sizeof name);
	if (step_is_counted(step))
		(void)snprintf(part, sizeof part, ".%u", step->number);
	(void)snprintf(note, size, "slurm job %u%s %s", step->job, part, name);
}
