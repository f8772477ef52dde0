/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of `nvidia-smi -L`: GPUs, and below each its MIG instances, in all forms since driver
 * 450. Several lists in a row (from containers on one node) add up. A line that starts an entry but
 * is not whole means that the text was cut, and is refused. So is a MIG instance before any GPU: it
 * could be leased although nobody knows where it is.
 */
#include "smi.h"

#include "cleanup.h"

#include <string.h>

enum { ENTRIES_MAX = 16384, LINES_BEFORE = 64 };

/* A line of the list, taken apart. */
struct entry {
	bool is_mig;
	int64_t number;
	struct ga_view name; /* of the GPU; or the instance's profile, which may be empty */
	struct ga_view uuid;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Finds the last "GPU 7:" in line, and what follows it; there may be a prefix before it. */
static bool find_gpu(struct ga_view line, int64_t *ret_number, struct ga_view *ret_name)
{
	static const char word[] = "GPU ";
	bool found = false;

	for (size_t i = 0; i + sizeof word - 1 < line.size; i++) {
		size_t from = i + sizeof word - 1, to = from;

		if (memcmp(line.text + i, word, sizeof word - 1) != 0)
			continue;
		while (to < line.size && is_digit(line.text[to]))
			to++;
		if (to == line.size || line.text[to] != ':' ||
		    !ga_text_number(line.text + from, to - from, INT32_MAX, ret_number))
			continue;
		*ret_name = ga_view_trim(line.text + to + 1, line.size - to - 1);
		found = true;
		break;
	}
	return found;
}

/* "MIG 1g.5gb      Device  0:", and "MIG Device 0:" of the oldest drivers. */
static bool find_instance(struct ga_view line, int64_t *ret_number, struct ga_view *ret_profile)
{
	static const char word[] = "MIG ", device[] = "Device";
	const char *start = memmem(line.text, line.size, word, sizeof word - 1), *end = NULL;
	struct ga_view number;

	if (start)
		end = memmem(start, (size_t)(line.text + line.size - start), device,
			     sizeof device - 1);
	if (!end)
		return false;
	start += sizeof word - 1;
	*ret_profile = ga_view_trim(start, (size_t)(end - start));
	end += sizeof device - 1;
	number = ga_view_trim(end, (size_t)(line.text + line.size - end));
	return number.size > 1 && number.text[number.size - 1] == ':' &&
	       ga_text_number(number.text, number.size - 1, INT16_MAX, ret_number);
}

enum line_kind { NO_ENTRY, ENTRY, CUT_ENTRY };

/* Whether a line without a whole UUID is the rest of a cut entry. */
static enum line_kind kind_of_rest(struct ga_view line)
{
	line = ga_view_trim(line.text, line.size);
	if (line.size >= 5 && memcmp(line.text, "GPU ", 4) == 0 && is_digit(line.text[4]))
		return CUT_ENTRY;
	return line.size >= 4 && memcmp(line.text, "MIG ", 4) == 0 ? CUT_ENTRY : NO_ENTRY;
}

static enum line_kind parse_line(struct ga_view line, struct entry *ret_entry)
{
	static const char mark[] = "(UUID:";
	struct ga_view trimmed = ga_view_trim(line.text, line.size), before, uuid;
	const char *found = memmem(trimmed.text, trimmed.size, mark, sizeof mark - 1);
	struct entry entry = {0};

	if (!found)
		return kind_of_rest(line);
	before = ga_view_trim(trimmed.text, (size_t)(found - trimmed.text));
	found += sizeof mark - 1;
	uuid = ga_view_trim(found, (size_t)(trimmed.text + trimmed.size - found));
	entry.is_mig = find_instance(before, &entry.number, &entry.name);
	if (!entry.is_mig && !find_gpu(before, &entry.number, &entry.name))
		return kind_of_rest(line);
	if (uuid.size == 0 || uuid.text[uuid.size - 1] != ')')
		return CUT_ENTRY;
	entry.uuid = ga_view_trim(uuid.text, uuid.size - 1);
	*ret_entry = entry;
	return ENTRY;
}

/* "MIG-GPU-<uuid>/<gi>/<ci>", as drivers before 470 name instances, says where they are. */
static void take_place(struct gpualloc_device *instance, struct ga_view uuid)
{
	const char *last = memrchr(uuid.text, '/', uuid.size), *first = NULL;

	if (last)
		first = memrchr(uuid.text, '/', (size_t)(last - uuid.text));
	if (!first)
		return;
	(void)ga_text_number(first + 1, (size_t)(last - first - 1), INT16_MAX, &instance->gi);
	(void)ga_text_number(last + 1, (size_t)(uuid.text + uuid.size - last - 1), INT16_MAX,
			     &instance->ci);
}

static bool has_uuid(const struct gpualloc_device *device, struct ga_view uuid)
{
	return device->uuid && ga_text_equal(uuid.text, uuid.size, device->uuid);
}

static int add_instance(struct gpualloc_device *device, const struct entry *entry,
			gpualloc_error *error)
{
	struct gpualloc_device *instance;
	bool named = entry->uuid.size > 4 && memcmp(entry->uuid.text, "MIG-", 4) == 0;

	for (size_t i = 0; i < device->mig_count; i++)
		if (has_uuid(&device->mig[i], entry->uuid) && device->mig[i].index == entry->number)
			return 0;
	if (device->mig_count == GA_MIG_MAX)
		return ga_error_set(error, GPUALLOC_EDATA, "more than %d MIG devices", GA_MIG_MAX);
	device->mig_enabled = true;
	instance = ga_device_add_mig(device);
	if (!instance)
		return ga_error_memory(error);
	instance->index = entry->number;
	if (named)
		take_place(instance, entry->uuid);
	if ((named && ga_set_text_sized(&instance->uuid, entry->uuid.text, entry->uuid.size) < 0) ||
	    ga_set_text_sized(&instance->profile, entry->name.text, entry->name.size) < 0)
		return ga_error_memory(error);
	return 0;
}

/* The place of the GPU in part; a GPU that is listed again, by index and UUID, is the same. */
static int add_gpu(gpualloc_machine *part, const struct entry *entry, size_t *ret_place,
		   gpualloc_error *error)
{
	static const struct ga_view uuid = {"uuid", 4}, name = {"name", 4};
	struct gpualloc_device *device;

	for (*ret_place = 0; *ret_place < part->device_count; (*ret_place)++) {
		device = &part->devices[*ret_place];
		if (device->index == entry->number && has_uuid(device, entry->uuid))
			return 0;
	}
	if (part->device_count == GA_DEVICES_MAX)
		return ga_error_set(error, GPUALLOC_EDATA, "more than %d GPUs", GA_DEVICES_MAX);
	device = ga_machine_add_device(part);
	if (!device)
		return ga_error_memory(error);
	device->index = entry->number;
	if (ga_smi_take(ga_smi_field_by_query(uuid), device, entry->uuid) < 0 ||
	    ga_smi_take(ga_smi_field_by_query(name), device, entry->name) < 0)
		return ga_error_memory(error);
	return 0;
}

/* Lists in a row repeat indices; a different GPU with a used index gets another one. */
static int read_lines(struct ga_view rest, gpualloc_machine *part, gpualloc_error *error)
{
	struct ga_view line;
	struct entry entry;
	size_t place = SIZE_MAX, entries = 0;
	int result = 0;

	for (size_t number = 1; result == 0 && ga_view_line(&rest, &line); number++) {
		enum line_kind kind = parse_line(line, &entry);

		if (kind == NO_ENTRY)
			continue;
		if (kind == CUT_ENTRY)
			return ga_error_set(error, GPUALLOC_EDATA,
					    "line %zu: the entry ends in the middle of its UUID",
					    number);
		if (entry.is_mig && place == SIZE_MAX)
			return ga_error_set(error, GPUALLOC_EDATA,
					    "line %zu: a MIG instance with no GPU above it",
					    number);
		if (++entries > ENTRIES_MAX)
			return ga_error_set(error, GPUALLOC_EDATA, "more than %d entries",
					    ENTRIES_MAX);
		result = entry.is_mig ? add_instance(&part->devices[place], &entry, error)
				      : add_gpu(part, &entry, &place, error);
		if (result == GPUALLOC_EDATA)
			return ga_error_prefix(error, result, "line %zu: ", number);
	}
	return result;
}

int ga_smi_list_read(const char *text, size_t size, gpualloc_machine **ret_part,
		     gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *part = NULL;
	int result = ga_machine_new(0, &part, error);

	if (result == 0)
		result = read_lines((struct ga_view){text, size}, part, error);
	if (result == 0 && part->device_count == 0)
		result = ga_error_set(error, GPUALLOC_EDATA, "line 1: the list has no GPU");
	if (result == 0 && ga_smi_lost_read(text, size, part) < 0)
		result = ga_error_memory(error);
	if (result == 0)
		*ret_part = ga_steal(&part);
	return result;
}

bool ga_smi_list_recognises(const char *text, size_t size)
{
	struct ga_view rest = {text, size}, line;
	struct entry entry;

	for (unsigned lines = 0; lines < LINES_BEFORE && ga_view_line(&rest, &line); lines++)
		if (parse_line(line, &entry) != NO_ENTRY)
			return true;
	return false;
}
