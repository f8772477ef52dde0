/* SPDX-License-Identifier: Apache-2.0 */
/* The options that only run has; see run_options.h. */
#include "run_options.h"

#include "duration.h"
#include "message.h"
#include "options.h"

#include <stdlib.h>
#include <string.h>

int form_read(const struct call *call, enum gpualloc_form *ret_form)
{
	const char *word = call->value[OPTION_FORM];

	if (!word)
		return 0;
	if (strcmp(word, "index") != 0 && strcmp(word, "uuid") != 0)
		return fail_usage(call->command,
				  "--format: there is no format \"%s\"; use index "
				  "or uuid",
				  word);
	*ret_form = *word == 'i' ? GPUALLOC_FORM_INDEX : GPUALLOC_FORM_UUID;
	return 0;
}

int spec_read(const struct call *call, char **ret_spec)
{
	const char *word = call->value[OPTION_MACHINE], *name;

	if (!word)
		return 0;
	for (size_t i = 0; (name = gpualloc_spec_name(i)); i++)
		if (strcmp(name, word) == 0)
			break;
	if (!name && *word != '/')
		*ret_spec = realpath(word, NULL);
	if (!*ret_spec)
		*ret_spec = strdup(word);
	return *ret_spec ? 0 : fail_memory();
}

int limit_read(const struct call *call, int64_t *ret_ms)
{
	const char *word = call->value[OPTION_TIME_LIMIT];

	return word ? duration_read(call, "--time-limit", word, GA_DURATION_MAX, ret_ms) : 0;
}
