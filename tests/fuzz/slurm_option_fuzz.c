/* SPDX-License-Identifier: Apache-2.0 */
/* --gpualloc and a word of plugstack.conf: the same text is read as either. */
#include "asked.h"
#include "fuzz.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

static void check_asked(const char *text)
{
	struct asked asked = {.count = -1};
	char sentence[256] = "";
	int result = asked_read(text, &asked, sentence, sizeof sentence);

	fuzz_require(result == 0 || result == GPUALLOC_EUSAGE, "read, or a usage error");
	fuzz_require((result == 0) == (*sentence == '\0'), "a sentence where it is refused");
	fuzz_require(strlen(sentence) < sizeof sentence, "a sentence that ends");
	fuzz_require((asked.count == -1) == (result != 0), "nothing written where it is refused");
	if (result == 0)
		fuzz_require(asked.count >= 0 && asked.count <= ASKED_MOST && asked.memory != 0 &&
				     (!asked.share || asked.memory > 0),
			     "the request makes sense");
}

static void check_settings(char *word)
{
	struct settings settings;
	char sentence[256] = "";
	int result = settings_read(1, &word, &settings, sentence, sizeof sentence);

	fuzz_require((result == 0) == (*sentence == '\0'), "a sentence where it is refused");
	if (result == 0)
		fuzz_require(settings.wait_ms >= -1, "a wait is for ever or not negative");
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
