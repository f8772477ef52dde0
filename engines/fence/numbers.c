/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of device nodes; see numbers.h. */
#include "numbers.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* A line "195 nvidia", numbers being right-aligned. */
static bool read_driver(struct ga_view line, const char *driver, unsigned *ret_major)
{
	struct ga_view entry = ga_view_trim(line.text, line.size);
	const char *blank = memchr(entry.text, ' ', entry.size);
	size_t digits = blank ? (size_t)(blank - entry.text) : 0;
	int64_t number;

	if (!blank || !ga_text_equal(blank + 1, entry.size - digits - 1, driver) ||
	    !ga_text_number(entry.text, digits, FENCE_MAJOR_MOST, &number))
		return false;
	*ret_major = (unsigned)number;
	return true;
}

bool fence_major(const char *devices, const char *driver, unsigned *ret_major)
{
	struct ga_view rest = {devices, strlen(devices)}, line;
	bool among_characters = false;

	while (ga_view_line(&rest, &line)) {
		if (line.size > 0 && line.text[line.size - 1] == ':')
			among_characters =
				ga_text_equal(line.text, line.size, "Character devices:");
		else if (among_characters && read_driver(line, driver, ret_major))
			return true;
	}
	return false;
}

bool fence_number(const char *text, dev_t *ret_number)
{
	int64_t major_number, minor_number;

	if (!ga_text_take_number(&text, FENCE_MAJOR_MOST, &major_number) || *text != ':' ||
	    !ga_text_number(text + 1, strlen(text + 1), FENCE_MINOR_MOST, &minor_number))
		return false;
	*ret_number = makedev((unsigned)major_number, (unsigned)minor_number);
	return true;
}

bool fence_minor(const char *information, unsigned *ret_minor)
{
	static const char key[] = "Device Minor:";
	struct ga_view rest = {information, strlen(information)}, line;
	int64_t number;

	while (ga_view_line(&rest, &line)) {
		struct ga_view value;

		if (line.size < sizeof key || memcmp(line.text, key, sizeof key - 1) != 0)
			continue;
		value = ga_view_trim(line.text + sizeof key - 1, line.size - (sizeof key - 1));
		if (!ga_text_number(value.text, value.size, FENCE_MINOR_MOST, &number))
			return false;
		*ret_minor = (unsigned)number;
		return true;
	}
	return false;
}

/* Takes a number of one to so many hexadecimal digits and what ends it off *text. */
static bool take_hex(const char **text, size_t most, char end, unsigned *ret_number)
{
	char digits[9] = "";
	size_t size = strspn(*text, "0123456789abcdefABCDEF");

	if (size == 0 || size > most || (*text)[size] != end)
		return false;
	memcpy(digits, *text, size);
	*ret_number = (unsigned)strtoul(digits, NULL, 16);
	*text += size + (end != '\0');
	return true;
}

bool fence_pci(const char *address, char ret_folder[static FENCE_PCI_SIZE])
{
	unsigned domain, bus, device, function;

	if (!take_hex(&address, 8, ':', &domain) || !take_hex(&address, 2, ':', &bus) ||
	    !take_hex(&address, 2, '.', &device) || !take_hex(&address, 1, '\0', &function))
		return false;
	(void)snprintf(ret_folder, FENCE_PCI_SIZE, "%04x:%02x:%02x.%x", domain, bus, device,
		       function);
	return true;
}
