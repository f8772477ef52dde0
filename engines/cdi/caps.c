/* SPDX-License-Identifier: Apache-2.0 */
/* The capability files of MIG instances; see caps.h. */
#include "caps.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

/* The number after "KEY " if a line starts with it. */
static bool find_number(const char *text, const char *key, int64_t *ret_number)
{
	size_t size = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, size) == 0 && line[size] == ' ')
			return ga_text_number(line + size + 1, strcspn(line + size + 1, "\r\n"),
					      INT32_MAX, ret_number);
	}
	return false;
}

bool mig_caps_find(const char *text, int64_t minor, int64_t gi, int64_t ci, int64_t ret_caps[2])
{
	char key[96];
	int64_t caps[2];

	(void)snprintf(key, sizeof key, "gpu%lld/gi%lld/access", (long long)minor, (long long)gi);
	if (!find_number(text, key, &caps[0]))
		return false;
	(void)snprintf(key, sizeof key, "gpu%lld/gi%lld/ci%lld/access", (long long)minor,
		       (long long)gi, (long long)ci);
	if (!find_number(text, key, &caps[1]))
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
