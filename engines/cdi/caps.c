/* SPDX-License-Identifier: Apache-2.0 */
/* The capability files of MIG instances; see caps.h. */
#include "caps.h"

#include "text.h"

#include <string.h>

/* Takes a word off *text. */
static bool take(const char **text, const char *word)
{
	if (!ga_text_starts(*text, word))
		return false;
	*text += strlen(word);
	return true;
}

/* A line "gpu0/gi1/access 12" or "gpu0/gi1/ci2/access 15". */
static bool read_line(const char *line, struct mig_cap *ret_cap)
{
	struct mig_cap cap = {.ci = -1};

	if (!take(&line, "gpu") || !ga_text_take_number(&line, INT32_MAX, &cap.minor) ||
	    !take(&line, "/gi") || !ga_text_take_number(&line, INT32_MAX, &cap.gi))
		return false;
	if (take(&line, "/ci") && !ga_text_take_number(&line, INT32_MAX, &cap.ci))
		return false;
	if (!take(&line, "/access ") ||
	    !ga_text_number(line, strcspn(line, "\r\n"), INT32_MAX, &cap.number))
		return false;
	*ret_cap = cap;
	return true;
}

bool mig_caps_next(const char **text, struct mig_cap *ret_cap)
{
	bool found = false;

	while (!found && **text) {
		found = read_line(*text, ret_cap);
		*text += strcspn(*text, "\n");
		*text += **text == '\n';
	}
	return found;
}

bool mig_caps_find(const char *text, int64_t minor, int64_t gi, int64_t ci, int64_t ret_caps[2])
{
	int64_t caps[2] = {-1, -1};
	struct mig_cap cap;

	while ((caps[0] < 0 || caps[1] < 0) && mig_caps_next(&text, &cap)) {
		if (cap.minor != minor || cap.gi != gi)
			continue;
		if (cap.ci < 0 && caps[0] < 0)
			caps[0] = cap.number;
		else if (cap.ci == ci && ci >= 0 && caps[1] < 0)
			caps[1] = cap.number;
	}
	if (caps[0] < 0 || caps[1] < 0)
		return false;
	memcpy(ret_caps, caps, sizeof caps);
	return true;
}

/* MIG User Guide, "Device Nodes and Capabilities": from 3 on, 15 GPU instances per GPU, each with
 * one number of its own and 8 for compute instances; gpu31/gi14/ci7 is 4322. */
void mig_caps_documented(int64_t minor, int64_t gi, int64_t ci, int64_t ret_caps[2])
{
	ret_caps[0] = 3 + (minor * 15 + gi) * 9;
	ret_caps[1] = ret_caps[0] + 1 + ci;
}
