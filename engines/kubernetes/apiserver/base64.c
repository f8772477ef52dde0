/* SPDX-License-Identifier: Apache-2.0 */
/* Six bits at a time; see base64.h. */
#include "base64.h"

#include "cleanup.h"

#include <string.h>

char *base64_decode(const char *text, size_t size, size_t *ret_size)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	ga_auto_free char *bytes = malloc(size / 4 * 3 + 4);
	size_t digits = 0, padding = 0, count = 0;
	unsigned bits = 0;

	for (size_t i = 0; bytes && i < size; i++) {
		const char *place = text[i] ? strchr(alphabet, text[i]) : NULL;

		if (strchr("\r\n\t ", text[i]) && text[i])
			continue;
		if (text[i] == '=' ? ++padding > 2 : !place || padding)
			return NULL;
		bits = bits << 6 | (place ? (unsigned)(place - alphabet) : 0);
		if (++digits % 4)
			continue;
		bytes[count++] = (char)(bits >> 16 & 0xff);
		bytes[count++] = (char)(bits >> 8 & 0xff);
		bytes[count++] = (char)(bits & 0xff);
		bits = 0;
	}
	if (!bytes || digits % 4)
		return NULL;
	count -= padding;
	bytes[count] = '\0';
	*ret_size = count;
	return ga_steal(&bytes);
}
