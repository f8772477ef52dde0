/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPUs that fell off the bus or that the driver gives to nobody here. nvidia-smi says so on a
 * separate line, before or within its usual output, and leaves the GPU out of everything else.
 */
#include "smi.h"

#include "cleanup.h"

#include <string.h>
#include <strings.h>

/* What one such line says; missing parts are empty or unknown. */
struct lost {
	char pci[20];
	int64_t index;
	struct ga_view reason;
};

static const char start[] = "Unable to determine the device handle for ";

static struct ga_view next_word(struct ga_view *rest)
{
	struct ga_view word = *rest = ga_view_trim(rest->text, rest->size);

	for (word.size = 0; word.size < rest->size; word.size++)
		if (word.text[word.size] == ' ' || word.text[word.size] == '\t')
			break;
	rest->text += word.size;
	rest->size -= word.size;
	return word;
}

/* "GPU 0000:03:00.0: …", "GPU0: 0000:01:00.0: …", "gpu 0000:0B:00.0: …" */
static bool parse(struct ga_view line, struct lost *ret_lost)
{
	struct lost lost = {.index = GA_UNKNOWN};

	line = ga_view_trim(line.text, line.size);
	if (line.size < sizeof start || strncasecmp(line.text, start, sizeof start - 1) != 0)
		return false;
	line.text += sizeof start - 1;
	line.size -= sizeof start - 1;
	while (line.size > 0 && !*lost.pci) {
		struct ga_view word = next_word(&line);

		if (word.size > 0 && word.text[word.size - 1] == ':')
			word.size--;
		if (word.size > 3 && strncasecmp(word.text, "GPU", 3) == 0)
			(void)ga_text_number(word.text + 3, word.size - 3, INT32_MAX, &lost.index);
		else
			(void)ga_pci_normalise(word.text, word.size, lost.pci);
	}
	lost.reason = ga_view_trim(line.text, line.size);
	*ret_lost = lost;
	return true;
}

static struct gpualloc_device *find(gpualloc_machine *part, const struct lost *lost)
{
	for (size_t i = 0; i < part->device_count; i++) {
		struct gpualloc_device *device = &part->devices[i];

		if (*lost->pci ? device->pci && strcmp(device->pci, lost->pci) == 0
			       : device->index == lost->index)
			return device;
	}
	return NULL;
}

/* By the driver's words; newer versions say "Unknown Error" of one that fell off the bus. */
static enum gpualloc_health health_of(const char *reason)
{
	static const struct {
		const char *word;
		enum gpualloc_health health;
	} words[] = {
		{"Insufficient Permissions", GPUALLOC_HEALTH_NO_PERMISSION},
		{"Insufficient External Power", GPUALLOC_HEALTH_NO_POWER},
		{"Timeout", GPUALLOC_HEALTH_UNRESPONSIVE},
		{"Interrupt Request Issue", GPUALLOC_HEALTH_INTERRUPT},
		{"GPU requires reset", GPUALLOC_HEALTH_NEEDS_RESET},
		{"GPU access blocked by the operating system", GPUALLOC_HEALTH_BLOCKED},
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strstr(reason, words[i].word))
			return words[i].health;
	return GPUALLOC_HEALTH_LOST;
}

static int add(gpualloc_machine *part, const struct lost *lost)
{
	struct gpualloc_device *device = find(part, lost);
	ga_auto_free char *reason = ga_text_clean(lost->reason.text, lost->reason.size);

	if (!reason)
		return GPUALLOC_ENOMEM;
	if (!*lost->pci && lost->index < 0)
		return ga_machine_note(part, "a GPU%s%s cannot be used: %s",
				       *lost->pci ? " at " : "", lost->pci, reason);
	if (!device)
		device = ga_machine_add_device(part);
	if (!device)
		return GPUALLOC_ENOMEM;
	if (device->index < 0)
		device->index = lost->index;
	if (*lost->pci && ga_set_text(&device->pci, lost->pci) < 0)
		return GPUALLOC_ENOMEM;
	return ga_smi_ail(device, health_of(reason), reason);
}

int ga_smi_lost_read(const char *text, size_t size, gpualloc_machine *part)
{
	struct ga_view rest = {text, size}, line;
	struct lost lost;
	int result = 0;

	for (size_t found = 0;
	     result == 0 && found < GA_DEVICES_MAX && ga_view_line(&rest, &line);) {
		if (!parse(line, &lost))
			continue;
		found++;
		if (part->device_count < GA_DEVICES_MAX)
			result = add(part, &lost);
	}
	return result;
}
