/* SPDX-License-Identifier: Apache-2.0 */
/* --gpualloc and a word of plugstack.conf: the same text is read as either. */
#include "asked.h"
#include "fuzz.h"
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "broken: %s\n", what);
	abort();
}

static void check_asked(const char *text)
{
	struct asked asked = {.count = -1};
	char sentence[256] = "";
	int result = asked_read(text, &asked, sentence, sizeof sentence);

	require(result == 0 || result == GPUALLOC_EUSAGE, "read, or a usage error");
	require((result == 0) == (*sentence == '\0'), "a sentence where it is refused");
	require(strlen(sentence) < sizeof sentence, "a sentence that ends");
	require((asked.count == -1) == (result != 0), "nothing written where it is refused");
	if (result == 0)
		require(asked.count >= 0 && asked.count <= ASKED_MOST && asked.memory != 0 &&
				(!asked.share || asked.memory > 0),
			"the request makes sense");
}

static void check_settings(char *word)
{
	struct settings settings;
	char sentence[256] = "";
	int result = settings_read(1, &word, &settings, sentence, sizeof sentence);

	require((result == 0) == (*sentence == '\0'), "a sentence where it is refused");
	if (result == 0)
		require(settings.wait_ms >= -1, "a wait is for ever or not negative");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	check_asked(text);
	check_settings(text);
	free(text);
	return 0;
}
