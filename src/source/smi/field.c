/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cells of nvidia-smi: which words mean no value, which mean a sick GPU, and one table of the
 * fields we read with their names in both the CSV and the XML.
 */
#include "smi.h"

#include "cleanup.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The driver's words for its error codes, and words added by the tool and by people who mask its
 * output. */
static const char *const no_values[] = {
	"N/A",
	"Argument version mismatch",
	"Corrupted infoROM",
	"Driver Not Loaded",
	"Driver/library version mismatch",
	"Function Not Found",
	"GPU Not Supported",
	"GPU access blocked by the operating system",
	"In use by another client",
	"Insufficient External Power",
	"Insufficient Memory",
	"Insufficient Permissions",
	"Insufficient Resources",
	"Insufficient Size",
	"Interrupt Request Issue",
	"Invalid Argument",
	"Invalid Frequency",
	"No data",
	"Not Available",
	"Not Found",
	"Not Supported",
	"REDACTED",
	"Requested functionality has been deprecated",
	"Resource not in correct state to perform requested operation",
	"System is not in ready state",
	"Timeout",
	"Uninitialized",
	"Unknown",
	"Unknown Error",
	"vGPU ECC not supported",
};

static bool same_word(struct ga_view cell, const char *word)
{
	return cell.size == strlen(word) && strncasecmp(cell.text, word, cell.size) == 0;
}

static bool starts_with(struct ga_view cell, const char *word)
{
	return cell.size >= strlen(word) && strncasecmp(cell.text, word, strlen(word)) == 0;
}

static bool is_bracketed(struct ga_view cell)
{
	return cell.size >= 2 && cell.text[0] == '[' && cell.text[cell.size - 1] == ']';
}

static struct ga_view without_brackets(struct ga_view cell)
{
	return is_bracketed(cell) ? ga_view_trim(cell.text + 1, cell.size - 2) : cell;
}

enum ga_smi_word ga_smi_word(struct ga_view cell)
{
	bool bracketed;

	cell = ga_view_trim(cell.text, cell.size);
	bracketed = is_bracketed(cell);
	cell = without_brackets(cell);
	/* "GPU is lost", in some versions followed by what to do about it. */
	if (starts_with(cell, "GPU is lost"))
		return GA_SMI_LOST;
	if (starts_with(cell, "GPU requires reset"))
		return GA_SMI_RESET;
	if (same_word(cell, "ERR!"))
		return GA_SMI_FAULT;
	for (size_t i = 0; i < COUNT(no_values); i++)
		if (same_word(cell, no_values[i]))
			return GA_SMI_UNKNOWN;
	return bracketed || cell.size == 0 ? GA_SMI_UNKNOWN : GA_SMI_VALUE;
}

bool ga_smi_bytes(struct ga_view cell, int64_t *ret_bytes)
{
	static const struct {
		const char *name;
		unsigned shift;
	} units[] = {{"", 20},    {"MiB", 20}, {"B", 0},   {"KiB", 10},
		     {"GiB", 30}, {"MB", 20},  {"KB", 10}, {"GB", 30}};
	size_t digits = 0;
	struct ga_view unit;
	int64_t number;

	cell = ga_view_trim(cell.text, cell.size);
	while (digits < cell.size && cell.text[digits] >= '0' && cell.text[digits] <= '9')
		digits++;
	unit = ga_view_trim(cell.text + digits, cell.size - digits);
	for (size_t i = 0; i < COUNT(units); i++)
		if (same_word(unit, units[i].name) &&
		    ga_text_number(cell.text, digits, (INT64_C(1) << 56) >> units[i].shift,
				   &number)) {
			*ret_bytes = number << units[i].shift;
			return true;
		}
	return false;
}

/* The rank of a health; the worst is 0. */
static size_t worse_first(enum gpualloc_health health)
{
	static const enum gpualloc_health order[] = {
		GPUALLOC_HEALTH_LOST,
		GPUALLOC_HEALTH_UNRESPONSIVE,
		GPUALLOC_HEALTH_NO_PERMISSION,
		GPUALLOC_HEALTH_BLOCKED,
		GPUALLOC_HEALTH_NO_POWER,
		GPUALLOC_HEALTH_INTERRUPT,
		GPUALLOC_HEALTH_FAILED,
		GPUALLOC_HEALTH_NEEDS_RESET,
		GPUALLOC_HEALTH_ROW_REMAP_FAILED,
		GPUALLOC_HEALTH_FABRIC_NOT_READY,
		GPUALLOC_HEALTH_RETIRED_PENDING,
	};
	size_t place = 0;

	while (place < COUNT(order) && order[place] != health)
		place++;
	return place;
}

int ga_smi_ail(struct gpualloc_device *device, enum gpualloc_health health, const char *reason)
{
	if (worse_first(device->health) <= worse_first(health))
		return 0;
	device->health = health;
	return ga_set_text(&device->reason, reason);
}

/* ---- values ---- */

static int take_number(int64_t *field, struct ga_view value, int64_t most)
{
	(void)ga_text_number(value.text, value.size, most, field);
	return 0;
}

static int take_memory(int64_t *field, struct ga_view value)
{
	(void)ga_smi_bytes(value, field);
	return 0;
}

static int take_index(struct gpualloc_device *device, struct ga_view value)
{
	return take_number(&device->index, value, INT32_MAX);
}

static int take_minor(struct gpualloc_device *device, struct ga_view value)
{
	return take_number(&device->minor, value, INT32_MAX);
}

/* Anything else in its place is not a UUID, and must not become the name of a lease. */
static int take_uuid(struct gpualloc_device *device, struct ga_view value)
{
	if ((!starts_with(value, "GPU-") || memchr(value.text, ' ', value.size)) &&
	    !ga_text_is_bare_uuid(value.text, value.size))
		return 0;
	return ga_set_text_sized(&device->uuid, value.text, value.size);
}

static int take_name(struct gpualloc_device *device, struct ga_view value)
{
	return ga_set_text_sized(&device->name, value.text, value.size);
}

static int take_serial(struct gpualloc_device *device, struct ga_view value)
{
	return ga_set_text_sized(&device->serial, value.text, value.size);
}

static int take_pci(struct gpualloc_device *device, struct ga_view value)
{
	char pci[20];

	return ga_pci_normalise(value.text, value.size, pci) ? ga_set_text(&device->pci, pci) : 0;
}

static int take_total(struct gpualloc_device *device, struct ga_view value)
{
	return take_memory(&device->memory.total, value);
}

static int take_reserved(struct gpualloc_device *device, struct ga_view value)
{
	return take_memory(&device->memory.reserved, value);
}

static int take_used(struct gpualloc_device *device, struct ga_view value)
{
	return take_memory(&device->memory.used, value);
}

static int take_utilization(struct gpualloc_device *device, struct ga_view value)
{
	if (value.size > 0 && value.text[value.size - 1] == '%')
		value = ga_view_trim(value.text, value.size - 1);
	return take_number(&device->utilization, value, 100);
}

static int take_compute_mode(struct gpualloc_device *device, struct ga_view value)
{
	char name[24];

	if (value.size >= sizeof name)
		return 0;
	for (size_t i = 0; i < value.size; i++) {
		char c = value.text[i];

		name[i] = c == '_' || c == ' '   ? '-'
			  : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a')
						 : c;
	}
	name[value.size] = '\0';
	(void)ga_compute_mode_find(name, &device->compute_mode);
	return 0;
}

static int take_mig_mode(struct gpualloc_device *device, struct ga_view value)
{
	device->mig_enabled = same_word(value, "Enabled");
	return 0;
}

static int take_display(struct gpualloc_device *device, struct ga_view value)
{
	if (same_word(value, "Enabled") || same_word(value, "Disabled"))
		device->display = same_word(value, "Enabled");
	return 0;
}

static int take_retired(struct gpualloc_device *device, struct ga_view value)
{
	return same_word(value, "Yes") ? ga_smi_ail(device, GPUALLOC_HEALTH_RETIRED_PENDING, NULL)
				       : 0;
}

static int take_remap_failed(struct gpualloc_device *device, struct ga_view value)
{
	return same_word(value, "Yes") ? ga_smi_ail(device, GPUALLOC_HEALTH_ROW_REMAP_FAILED, NULL)
				       : 0;
}

static int take_reset(struct gpualloc_device *device, struct ga_view value)
{
	return same_word(value, "Yes")
		       ? ga_smi_ail(device, GPUALLOC_HEALTH_NEEDS_RESET, "the driver asks for it")
		       : 0;
}

/* "None", "Reset", "Reboot", "Drain P2P", "Drain and Reset": all but "None" mean that no job
 * belongs there. */
static int take_recovery(struct gpualloc_device *device, struct ga_view value)
{
	char reason[64];

	if (same_word(value, "None"))
		return 0;
	(void)snprintf(reason, sizeof reason, "recovery action \"%.*s\"",
		       (int)(value.size < 32 ? value.size : 32), value.text);
	return ga_smi_ail(device, GPUALLOC_HEALTH_NEEDS_RESET, reason);
}

/* "Completed", "Not Started", "In Progress"; "N/A" and "Not Supported" never get here. */
static int take_fabric(struct gpualloc_device *device, struct ga_view value)
{
	char reason[64];

	if (device->mig_enabled ||
	    (!same_word(value, "Not Started") && !same_word(value, "In Progress")))
		return 0;
	(void)snprintf(reason, sizeof reason, "nvidia-smi reports \"%.*s\" for it",
		       (int)(value.size < 32 ? value.size : 32), value.text);
	return ga_smi_ail(device, GPUALLOC_HEALTH_FABRIC_NOT_READY, reason);
}

/*
 * In the order of the query. display_active, not display_mode: in some versions the latter says
 * whether a monitor could be plugged in, and in the newest it is deprecated.
 */
static const struct ga_smi_field fields[] = {
	{"index", NULL, NULL, true, take_index},
	{"uuid", "gpu_uuid", "uuid", true, take_uuid},
	{"name", "gpu_name", "product_name", true, take_name},
	{"serial", "gpu_serial", "serial", true, take_serial},
	{"pci.bus_id", "gpu_bus_id", "pci/pci_bus_id", true, take_pci},
	{"memory.total", NULL, "fb_memory_usage/total", true, take_total},
	{"memory.reserved", NULL, "fb_memory_usage/reserved", true, take_reserved},
	{"memory.used", NULL, "fb_memory_usage/used", true, take_used},
	{"utilization.gpu", NULL, "utilization/gpu_util", true, take_utilization},
	{"compute_mode", NULL, "compute_mode", true, take_compute_mode},
	{"mig.mode.current", NULL, "mig_mode/current_mig", true, take_mig_mode},
	{"display_active", NULL, "display_active", true, take_display},
	{"gpu_recovery_action", NULL, "gpu_recovery_action", false, take_recovery},
	{"remapped_rows.failure", NULL, "remapped_rows/remapped_row_failure", false,
	 take_remap_failed},
	{"retired_pages.pending", NULL, "retired_pages/pending_retirement", false, take_retired},
	{NULL, NULL, "retired_pages/pending_blacklist", false, take_retired},
	{"reset_status.reset_required", NULL, "gpu_reset_status/reset_required", false, take_reset},
	{"reset_status.drain_and_reset_recommended", NULL,
	 "gpu_reset_status/drain_and_reset_recommended", false, take_reset},
	{NULL, NULL, "minor_number", false, take_minor},
	{"fabric.state", NULL, "fabric/state", false, take_fabric},
};

const struct ga_smi_field *ga_smi_field(size_t i)
{
	return i < COUNT(fields) ? &fields[i] : NULL;
}

const struct ga_smi_field *ga_smi_field_by_query(struct ga_view name)
{
	for (size_t i = 0; i < COUNT(fields); i++)
		if ((fields[i].query && ga_text_equal(name.text, name.size, fields[i].query)) ||
		    (fields[i].alias && ga_text_equal(name.text, name.size, fields[i].alias)))
			return &fields[i];
	return NULL;
}

const struct ga_smi_field *ga_smi_field_by_path(const char *path)
{
	for (size_t i = 0; i < COUNT(fields); i++)
		if (fields[i].path && strcmp(fields[i].path, path) == 0)
			return &fields[i];
	return NULL;
}

/* Memory that every GPU has: a driver that has the question and cannot answer has no GPU there. */
static int hear_failure(const struct ga_smi_field *field, struct gpualloc_device *device,
			struct ga_view cell)
{
	static const struct {
		const char *word;
		enum gpualloc_health health;
	} failures[] = {
		{"Unknown Error", GPUALLOC_HEALTH_FAILED},
		{"Invalid Argument", GPUALLOC_HEALTH_FAILED},
		{"Not Found", GPUALLOC_HEALTH_FAILED},
		{"Uninitialized", GPUALLOC_HEALTH_FAILED},
		{"Timeout", GPUALLOC_HEALTH_UNRESPONSIVE},
		{"Insufficient External Power", GPUALLOC_HEALTH_NO_POWER},
		{"Interrupt Request Issue", GPUALLOC_HEALTH_INTERRUPT},
		{"GPU access blocked by the operating system", GPUALLOC_HEALTH_BLOCKED},
	};
	char reason[128];

	if (field->take != take_total && field->take != take_used)
		return 0;
	cell = without_brackets(cell);
	for (size_t i = 0; i < COUNT(failures); i++) {
		if (!same_word(cell, failures[i].word))
			continue;
		(void)snprintf(reason, sizeof reason, "nvidia-smi shows \"%s\" for %s",
			       failures[i].word, field->query);
		return ga_smi_ail(device, failures[i].health, reason);
	}
	return 0;
}

int ga_smi_take(const struct ga_smi_field *field, struct gpualloc_device *device,
		struct ga_view cell)
{
	char reason[96];
	enum ga_smi_word word;

	cell = ga_view_trim(cell.text, cell.size);
	word = ga_smi_word(cell);
	if (word == GA_SMI_LOST)
		return ga_smi_ail(device, GPUALLOC_HEALTH_LOST, NULL);
	if (word == GA_SMI_RESET)
		return ga_smi_ail(device, GPUALLOC_HEALTH_NEEDS_RESET, NULL);
	if (!field)
		return 0;
	if (word == GA_SMI_UNKNOWN)
		return hear_failure(field, device, cell);
	if (word == GA_SMI_VALUE)
		return field->take(device, cell);
	(void)snprintf(reason, sizeof reason, "nvidia-smi shows ERR! for %s",
		       field->query ? field->query : field->path);
	return ga_smi_ail(device, GPUALLOC_HEALTH_NEEDS_RESET, reason);
}
