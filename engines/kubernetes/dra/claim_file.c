/* SPDX-License-Identifier: Apache-2.0 */
/* CDI documents for claims, written and read; see claim_file.h. */
#include "claim_file.h"

#include "document.h"
#include "error.h"
#include "file.h"
#include "save.h"
#include "text.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CLASS "claim"
#define ADMIN "admin:"

enum { FILE_MOST = 4 << 20, PATH_SIZE = SETTINGS_TEXT * 2 };

void claim_units_free(struct claim_units *units)
{
	free(units->list);
	*units = (struct claim_units){0};
}

int claim_units_add(struct claim_units *units, const struct claim_unit *unit)
{
	struct claim_unit *more;

	for (size_t i = 0; i < units->count; i++)
		if (strcmp(units->list[i].uuid, unit->uuid) == 0 &&
		    units->list[i].is_admin == unit->is_admin)
			return 0;
	more = realloc(units->list, (units->count + 1) * sizeof *more);
	if (!more)
		return GPUALLOC_ENOMEM;
	units->list = more;
	more[units->count++] = *unit;
	return 0;
}

bool claim_uid_is_valid(const char *uid)
{
	size_t size =
		strspn(uid, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

	return size > 0 && size < CLAIM_UID && !uid[size] && uid[0] != '-' && uid[size - 1] != '-';
}

/* ---- names ---- */

static void file_path(const struct settings *settings, const char *uid, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/%s-" CLASS "_%s.json", settings->cdi_dir, settings->driver,
		       uid);
}

static void device_name(const char *uid, const struct claim_unit *unit, char *text, size_t size)
{
	(void)snprintf(text, size, "%s:%s%s", uid, unit->is_admin ? ADMIN : "", unit->uuid);
}

void claim_device_id(const struct settings *settings, const char *uid,
		     const struct claim_unit *unit, char *text, size_t size)
{
	char name[CLAIM_DEVICE];

	device_name(uid, unit, name, sizeof name);
	(void)snprintf(text, size, "%s/" CLASS "=%s", settings->driver, name);
}

/* ---- writing ---- */

struct named {
	char name[CLAIM_DEVICE];
	struct cdi_device device;
};

static void name_entries(const char *uid, const struct claim_units *units, struct named *named,
			 struct cdi_entry *entries)
{
	for (size_t i = 0; i < units->count; i++) {
		const struct claim_unit *unit = &units->list[i];

		device_name(uid, unit, named[i].name, sizeof named[i].name);
		named[i].device = (struct cdi_device){unit->minor, unit->gi, unit->ci};
		entries[i] = (struct cdi_entry){named[i].name, &named[i].device, 1};
	}
}

static int write_text(const struct settings *settings, const struct cdi_entry *entries,
		      size_t count, const char *driver, struct ga_buffer *text,
		      gpualloc_error *error)
{
	bool is_here = gpualloc_spec_is_live(*settings->machine ? settings->machine : NULL);
	struct cdi_place place = {.root = is_here ? settings->host_root : NULL,
				  .is_simulated = !is_here};
	char kind[SETTINGS_TEXT + 16];
	struct cdi_asked asked = {.kind = kind,
				  .driver = driver,
				  .host = "",
				  .place = &place,
				  .entries = entries,
				  .count = count};
	struct cdi_written written;
	int result;

	(void)snprintf(kind, sizeof kind, "%s/" CLASS, settings->driver);
	result = cdi_write(&asked, text, &written, error);
	cdi_place_free(&place);
	return result;
}

int claim_file_write(const struct settings *settings, const char *uid,
		     const struct claim_units *units, const char *driver, gpualloc_error *error)
{
	ga_auto_free struct named *named = calloc(units->count + 1, sizeof *named);
	ga_auto_free struct cdi_entry *entries = calloc(units->count + 1, sizeof *entries);
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(FILE_MOST);
	char path[PATH_SIZE];
	int result;

	if (!named || !entries)
		return ga_error_memory(error);
	name_entries(uid, units, named, entries);
	result = write_text(settings, entries, units->count, driver, &text, error);
	if (result < 0)
		return result;
	file_path(settings, uid, path, sizeof path);
	return cdi_save(path, &text, error);
}

int claim_file_remove(const struct settings *settings, const char *uid, gpualloc_error *error)
{
	char path[PATH_SIZE];

	file_path(settings, uid, path, sizeof path);
	return cdi_remove(path, error);
}

/* ---- reading ---- */

static bool read_device(const char *uid, const json_t *device, struct claim_unit *ret_unit)
{
	const char *name = json_string_value(json_object_get(device, "name"));
	size_t size = strlen(uid);

	*ret_unit = (struct claim_unit){.minor = -1, .gi = -1, .ci = -1};
	if (!name || strncmp(name, uid, size) != 0 || name[size] != ':')
		return false;
	name += size + 1;
	ret_unit->is_admin = ga_text_starts(name, ADMIN);
	if (ret_unit->is_admin)
		name += strlen(ADMIN);
	ret_unit->is_mig = ga_text_starts(name, "MIG-");
	(void)snprintf(ret_unit->uuid, sizeof ret_unit->uuid, "%s", name);
	return *name && strlen(name) < sizeof ret_unit->uuid && cdi_name_is_valid(name);
}

static int read_document(const char *path, const char *uid, const json_t *document,
			 struct claim_units *units, gpualloc_error *error)
{
	const json_t *devices = json_object_get(document, "devices");

	for (size_t i = 0; i < json_array_size(devices); i++) {
		struct claim_unit unit;

		if (units->count == CLAIM_UNITS_MOST ||
		    !read_device(uid, json_array_get(devices, i), &unit))
			return ga_error_set(error, GPUALLOC_EDATA,
					    "%s: devices[%zu] is none of this claim", path, i);
		if (claim_units_add(units, &unit) < 0)
			return ga_error_memory(error);
	}
	return units->count ? 0
			    : ga_error_set(error, GPUALLOC_EDATA, "%s: there are no devices", path);
}

/* Nothing else than a file: reading a pipe would wait. */
static bool is_file(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && S_ISREG(status.st_mode);
}

int claim_file_parse(const char *text, size_t size, const char *name, const char *uid,
		     struct claim_units *ret_units, gpualloc_error *error)
{
	json_t *document = json_loadb(text, size, 0, NULL);
	int result;

	*ret_units = (struct claim_units){0};
	result = document ? read_document(name, uid, document, ret_units, error)
			  : ga_error_set(error, GPUALLOC_EDATA, "%s: it is no JSON", name);
	json_decref(document);
	if (result < 0)
		claim_units_free(ret_units);
	return result;
}

int claim_file_read(const struct settings *settings, const char *uid, struct claim_units *ret_units,
		    gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(0);
	char path[PATH_SIZE];
	int result;

	file_path(settings, uid, path, sizeof path);
	if (!is_file(path))
		return ga_error_set(error, GPUALLOC_ENOTFOUND, "%s: there is no such file", path);
	result = ga_file_read(path, FILE_MOST, &text, error);
	if (result < 0)
		return result;
	return claim_file_parse(text.data ? text.data : "", text.size, path, uid, ret_units, error);
}

bool claim_file_is_there(const struct settings *settings, const char *uid)
{
	struct stat status;
	char path[PATH_SIZE];

	file_path(settings, uid, path, sizeof path);
	return lstat(path, &status) == 0;
}

void claim_file_each(const struct settings *settings, void (*found)(void *context, const char *uid),
		     void *context)
{
	DIR *entries = opendir(settings->cdi_dir);
	struct dirent *entry;
	char prefix[SETTINGS_TEXT + 16];
	size_t size;

	(void)snprintf(prefix, sizeof prefix, "%s-" CLASS "_", settings->driver);
	size = strlen(prefix);
	while (entries && (entry = readdir(entries))) {
		char uid[CLAIM_UID];
		const char *name = entry->d_name;
		size_t length = strlen(name);

		if (!ga_text_starts(name, prefix) || length < size + 5 ||
		    strcmp(name + length - 5, ".json") != 0 || length - size - 5 >= sizeof uid)
			continue;
		(void)snprintf(uid, sizeof uid, "%.*s", (int)(length - size - 5), name + size);
		if (claim_uid_is_valid(uid))
			found(context, uid);
	}
	if (entries)
		(void)closedir(entries);
}
