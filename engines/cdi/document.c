/* SPDX-License-Identifier: Apache-2.0 */
/* A CDI document, byte by byte; see document.h. */
#include "document.h"

#include "cleanup.h"
#include "driver.h"
#include "file.h"
#include "json_writer.h"

#include <stdio.h>
#include <string.h>

enum { PATH_MOST = 8192 };

/* ---- names ---- */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Letters, digits and these between; both ends are letters or digits. */
static bool is_word(const char *text, size_t size, const char *between)
{
	if (size == 0 || !(is_letter(text[size - 1]) || is_digit(text[size - 1])) ||
	    !(is_letter(*text) || is_digit(*text)))
		return false;
	for (size_t i = 0; i < size; i++)
		if (!is_letter(text[i]) && !is_digit(text[i]) && !strchr(between, text[i]))
			return false;
	return true;
}

bool cdi_kind_is_valid(const char *kind)
{
	const char *slash = strchr(kind, '/');

	return slash && is_letter(*kind) && is_word(kind, (size_t)(slash - kind), "-_.") &&
	       is_letter(slash[1]) && is_word(slash + 1, strlen(slash + 1), "-_.");
}

bool cdi_name_is_valid(const char *name)
{
	return is_word(name, strlen(name), "-_.:");
}

/* ---- the version ---- */

static const char *lowest_version(const struct cdi_asked *asked)
{
	bool has_digit = *asked->host != '\0'; /* hostPath is as new as names that begin with one */
	const char *class = strchr(asked->kind, '/');

	if (class && strchr(class, '.'))
		return "0.6.0";
	for (size_t i = 0; i < asked->count; i++)
		has_digit |= is_digit(*asked->entries[i].name);
	return has_digit ? "0.5.0" : "0.3.0";
}

/* ---- the parts ---- */

static void write_nodes(struct ga_json *json, const char *blanks, const struct cdi_nodes *nodes,
			const char *host)
{
	char path[PATH_MOST];

	ga_json_open(json, "deviceNodes", '[');
	for (size_t i = 0; i < nodes->count; i++) {
		ga_json_open_line(json, blanks, NULL, '{');
		ga_json_text(json, "path", nodes->paths[i]);
		if (*host) {
			(void)snprintf(path, sizeof path, "%s%s", host, nodes->paths[i]);
			ga_json_text(json, "hostPath", path);
		}
		/* Nobody has to make such files in a container. */
		ga_json_text(json, "permissions", "rw");
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}

static void write_mounts(struct ga_json *json, const struct cdi_mounts *mounts, const char *host)
{
	static const char *const options[] = {"ro", "nosuid", "nodev", "bind"};
	char path[PATH_MOST];

	ga_json_line(json, "\n  ");
	ga_json_open(json, "mounts", '[');
	for (size_t i = 0; i < mounts->count; i++) {
		(void)snprintf(path, sizeof path, "%s%s", host, mounts->list[i].host);
		ga_json_open_line(json, "\n   ", NULL, '{');
		ga_json_text(json, "hostPath", path);
		ga_json_text(json, "containerPath", mounts->list[i].container);
		ga_json_open(json, "options", '[');
		for (size_t k = 0; k < sizeof options / sizeof *options; k++)
			ga_json_text(json, NULL, options[k]);
		ga_json_close(json, ']');
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}

/* What any of the devices needs. */
static int write_common(struct ga_json *json, const struct cdi_asked *asked,
			struct cdi_written *ret_written, gpualloc_error *error)
{
	ga_cleanup(cdi_nodes_free) struct cdi_nodes nodes = {0};
	ga_cleanup(cdi_mounts_free) struct cdi_mounts mounts = {0};
	int result = 0;

	if (cdi_nodes_add_common(&nodes, asked->place) < 0)
		return ga_error_memory(error);
	if (asked->place->root)
		result = cdi_driver_find(asked->place->root, asked->driver, &mounts, error);
	if (result < 0)
		return result;
	ga_json_open_line(json, "\n ", "containerEdits", '{');
	/* Keeps NVIDIA's own runtime, where it is the default, from adding its idea of devices. */
	ga_json_open(json, "env", '[');
	ga_json_text(json, NULL, "NVIDIA_VISIBLE_DEVICES=void");
	ga_json_close(json, ']');
	ga_json_line(json, "\n  ");
	write_nodes(json, "\n   ", &nodes, asked->host);
	if (mounts.count > 0)
		write_mounts(json, &mounts, asked->host);
	ga_json_close(json, '}');
	ret_written->libraries = mounts.count;
	ret_written->lacks_uvm =
		asked->place->root && !ga_file_exists(asked->place->root, "/dev/nvidia-uvm");
	return 0;
}

static int write_entry(struct ga_json *json, const struct cdi_asked *asked,
		       const struct cdi_entry *entry, gpualloc_error *error)
{
	ga_cleanup(cdi_nodes_free) struct cdi_nodes nodes = {0};
	int result = entry->count > 0 ? 0 : GPUALLOC_EDATA;

	for (size_t i = 0; result == 0 && i < entry->count; i++)
		result = cdi_nodes_add_device(&nodes, asked->place, &entry->devices[i]);
	if (result == GPUALLOC_EDATA)
		return ga_error_set(error, result,
				    "the files in /dev that belong to %s are not known",
				    entry->name);
	if (result < 0)
		return ga_error_memory(error);
	ga_json_open_line(json, "\n  ", NULL, '{');
	ga_json_text(json, "name", entry->name);
	ga_json_open(json, "containerEdits", '{');
	write_nodes(json, NULL, &nodes, asked->host);
	ga_json_close(json, '}');
	ga_json_close(json, '}');
	return 0;
}

static int check(const struct cdi_asked *asked, gpualloc_error *error)
{
	if (!cdi_kind_is_valid(asked->kind))
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "\"%s\" is not a kind of devices as CDI has them; they look "
				    "like " CDI_KIND,
				    asked->kind);
	if (asked->count == 0)
		return ga_error_set(error, GPUALLOC_EUSAGE, "there is no device to describe");
	for (size_t i = 0; i < asked->count; i++)
		if (!cdi_name_is_valid(asked->entries[i].name))
			return ga_error_set(error, GPUALLOC_EUSAGE,
					    "CDI does not allow a device to be called \"%s\"",
					    asked->entries[i].name);
	return 0;
}

int cdi_write(const struct cdi_asked *asked, struct ga_buffer *out, struct cdi_written *ret_written,
	      gpualloc_error *error)
{
	struct ga_json json = GA_JSON_INIT(out);
	int result = check(asked, error);

	if (result < 0)
		return result;
	ga_json_open(&json, NULL, '{');
	ga_json_text(&json, "cdiVersion", lowest_version(asked));
	ga_json_text(&json, "kind", asked->kind);
	result = write_common(&json, asked, ret_written, error);
	ga_json_open_line(&json, "\n ", "devices", '[');
	for (size_t i = 0; result == 0 && i < asked->count; i++)
		result = write_entry(&json, asked, &asked->entries[i], error);
	ga_json_close(&json, ']');
	ga_json_close(&json, '}');
	ga_buffer_char(out, '\n');
	return result == 0 && out->failed ? ga_error_memory(error) : result;
}
