/* SPDX-License-Identifier: Apache-2.0 */
/* A line of the kernel's log; see xid.h. */
#include "xid.h"

#include <string.h>

struct rest {
	const char *text;
	size_t size;
};

static bool take(struct rest *rest, const char *word)
{
	size_t length = strlen(word);

	if (rest->size < length || memcmp(rest->text, word, length) != 0)
		return false;
	rest->text += length;
	rest->size -= length;
	return true;
}

static int digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : 99;
}

/* Up to eight digits. */
static bool take_number(struct rest *rest, int base, int64_t *ret_number)
{
	int64_t number = 0;
	size_t length = 0;

	while (length < rest->size && length < 8 && digit(rest->text[length]) < base)
		number = number * base + digit(rest->text[length++]);
	rest->text += length;
	rest->size -= length;
	*ret_number = number;
	return length > 0;
}

/* "4,1234,5678,-;": priority and facility; programs that write to the log have another facility. */
static bool skip_prefix(struct rest *rest)
{
	const char *end = memchr(rest->text, ';', rest->size);
	struct rest prefix = *rest;
	int64_t priority;

	if (!take_number(&prefix, 10, &priority) || !take(&prefix, ","))
		return true;
	if (!end || priority >= 8)
		return false;
	rest->size -= (size_t)(end + 1 - rest->text);
	rest->text = end + 1;
	return true;
}

static bool read_place(struct rest *rest, struct xid *xid)
{
	return take_number(rest, 16, &xid->domain) && take(rest, ":") &&
	       take_number(rest, 16, &xid->bus) && take(rest, ":") &&
	       take_number(rest, 16, &xid->device);
}

bool xid_read(const char *line, size_t size, struct xid *ret_xid)
{
	struct rest rest = {line, size};
	struct xid xid = {.gi = -1};
	int64_t function;

	if (!skip_prefix(&rest) || !take(&rest, "NVRM: Xid (PCI:") || !read_place(&rest, &xid))
		return false;
	if (take(&rest, ".") && !take_number(&rest, 16, &function))
		return false;
	if (take(&rest, " GPU-I:") && !take_number(&rest, 10, &xid.gi))
		return false;
	if (!take(&rest, "): ") || !take_number(&rest, 10, &xid.number))
		return false;
	*ret_xid = xid;
	return true;
}

bool xid_is_at(const struct xid *xid, const char *pci)
{
	struct rest rest = {pci, strlen(pci)};
	struct xid place;

	return read_place(&rest, &place) && place.domain == xid->domain && place.bus == xid->bus &&
	       place.device == xid->device;
}
