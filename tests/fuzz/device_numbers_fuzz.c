/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel and the driver say of device nodes: the first byte says which of the lists it is.
 * Every number that is let through is one that a node can have.
 */
#include "caps.h"
#include "fence/numbers.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static void capabilities_come(const char *text)
{
	const char *rest = text, *before = text;
	int64_t found[2];
	struct mig_cap cap;

	while (mig_caps_next(&rest, &cap)) {
		fuzz_require(rest > before && rest <= text + strlen(text), "each takes its line");
		fuzz_require(cap.minor >= 0 && cap.gi >= 0 && cap.ci >= -1 && cap.number >= 0 &&
				     cap.number <= INT32_MAX,
			     "numbers are numbers");
		if (mig_caps_find(text, cap.minor, cap.gi, cap.ci, found))
			fuzz_require(cap.ci >= 0 && found[0] >= 0 && found[1] >= 0,
				     "a compute instance and its GPU instance are found");
		before = rest;
	}
	fuzz_require(!*rest, "all is read");
}

static void address_comes(const char *text)
{
	char folder[FENCE_PCI_SIZE], again[FENCE_PCI_SIZE];

	if (!fence_pci(text, folder))
		return;
	fuzz_require(strspn(folder, "0123456789abcdef:.") == strlen(folder) &&
			     !strstr(folder, ".."),
		     "a folder is a folder's name");
	fuzz_require(fence_pci(folder, again) && strcmp(folder, again) == 0, "it stays what it is");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned number;
	dev_t device;
	char *text;

	if (size == 0)
		return 0;
	text = malloc(size);
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] == 'c')
		capabilities_come(text);
	else if (data[0] == 'a')
		address_comes(text);
	else if (data[0] == 'd' && fence_major(text, "nvidia", &number))
		fuzz_require(number <= FENCE_MAJOR_MOST, "a major number is one");
	else if (data[0] == 'n' && fence_number(text, &device))
		fuzz_require(major(device) <= FENCE_MAJOR_MOST && minor(device) <= FENCE_MINOR_MOST,
			     "both numbers are some");
	else if (data[0] == 'i' && fence_minor(text, &number))
		fuzz_require(number <= FENCE_MINOR_MOST, "a minor number is one");
	free(text);
	return 0;
}
