/* SPDX-License-Identifier: Apache-2.0 */
/* Leases one of the allowed devices; see common.h. */
#include "common.h"

#include "file.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALLOW_LIST "/usr/local/share/gpus/ids"

enum { LIST_MAX = 1 << 20 };

void one_device_free(struct one_device *one)
{
	gpualloc_lease_free(one->lease);
	gpualloc_store_free(one->store);
	gpualloc_lease_wish_free(one->wish);
	gpualloc_request_free(one->request);
	gpualloc_policy_free(one->policy);
	gpualloc_machine_free(one->machine);
	gpualloc_error_free(one->error);
	free(one->allowed);
}

int fail(const struct one_device *one, int status, const char *format, ...)
{
	va_list arguments;
	char message[4096];

	va_start(arguments, format);
	(void)vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	ga_text_disarm(message);
	(void)dprintf(STDERR_FILENO, "%s: %s\n", one->program, message);
	return status;
}

int fail_error(const struct one_device *one, int status)
{
	const char *message = gpualloc_error_message(one->error);

	if (status == GPUALLOC_ENOMEM || !*message)
		message = "out of memory";
	return fail(one, gpualloc_exit_status(status), "%s%s", message,
		    gpualloc_error_remedies(one->error) & GPUALLOC_REMEDY_SET_UP_STORE
			    ? "; `sudo gpualloc setup` makes or repairs it for everybody"
			    : "");
}

bool asks_for_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int print_help(const struct one_device *one, const char *text)
{
	if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
		return fail(one, STATUS_OUTPUT, "cannot write to stdout: %s", strerror(errno));
	return 0;
}

/* ---- devices ---- */

const gpualloc_device *device_at(const struct one_device *one, size_t i)
{
	for (size_t g = 0; g < gpualloc_machine_device_count(one->machine); g++) {
		const gpualloc_device *gpu = gpualloc_machine_device(one->machine, g);
		size_t count = one->has_mig ? gpualloc_device_mig_count(gpu) : 1;

		if (i < count)
			return one->has_mig ? gpualloc_device_mig(gpu, i) : gpu;
		i -= count;
	}
	return NULL;
}

static bool has_mig(const gpualloc_machine *machine)
{
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++)
		if (gpualloc_device_mig_count(gpualloc_machine_device(machine, i)) > 0)
			return true;
	return false;
}

/* ---- the allow-list ---- */

static const char *allow_list(void)
{
	const char *path = getenv("GPUALLOC_IDS");

	return path && *path ? path : ALLOW_LIST;
}

static bool is_listed(const char *list, struct ga_view uuid)
{
	for (const char *at = list; *at;) {
		size_t length = strcspn(at, ",");

		if (length == uuid.size && memcmp(at, uuid.text, length) == 0)
			return true;
		at += length + (at[length] == ',');
	}
	return false;
}

bool is_allowed(const struct one_device *one, const gpualloc_device *device)
{
	const char *uuid = gpualloc_device_uuid(device);

	return !one->allowed ||
	       (uuid && is_listed(one->allowed, (struct ga_view){uuid, strlen(uuid)}));
}

/*
 * Ignores ids that the machine does not have: if a card was taken out, that is not the caller's
 * mistake.
 */
static bool is_there(const struct one_device *one, struct ga_view uuid)
{
	const gpualloc_device *device;

	for (size_t i = 0; (device = device_at(one, i)); i++) {
		const char *own = gpualloc_device_uuid(device);

		if (own && ga_text_equal(uuid.text, uuid.size, own))
			return true;
	}
	return false;
}

/* Without a list everything is allowed; with an unreadable list nothing is. */
int read_allowed(struct one_device *one)
{
	ga_auto_buffer struct ga_buffer content = {0}, allowed = GA_BUFFER_INIT(LIST_MAX);
	struct ga_view rest, line;
	int result;

	if (!getenv("GPUALLOC_IDS") && access(ALLOW_LIST, F_OK) < 0 && errno == ENOENT)
		return 0;
	result = ga_file_read(allow_list(), LIST_MAX, &content, one->error);
	if (result < 0)
		return result == GPUALLOC_ENOMEM ? fail_error(one, result)
						 : fail(one, STATUS_PERMISSION,
							"cannot read the list of allowed GPUs: %s",
							gpualloc_error_message(one->error));
	ga_buffer_text(&allowed, "");
	rest = (struct ga_view){content.data, content.size};
	while (!allowed.failed && ga_view_line(&rest, &line)) {
		struct ga_view uuid = ga_view_entry(line);

		if (uuid.size == 0 || !is_there(one, uuid) || is_listed(allowed.data, uuid))
			continue;
		if (allowed.size > 0)
			ga_buffer_char(&allowed, ',');
		ga_buffer_append(&allowed, uuid.text, uuid.size);
	}
	one->allowed = ga_buffer_take(&allowed, NULL);
	return one->allowed ? 0 : fail_error(one, GPUALLOC_ENOMEM);
}

int look(struct one_device *one)
{
	int result;

	if (!one->error)
		one->error = gpualloc_error_new();
	result = gpualloc_machine_open(NULL, 0, &one->machine, one->error);
	if (result < 0)
		return fail_error(one, result);
	one->has_mig = has_mig(one->machine);
	return read_allowed(one);
}

/* ---- leasing ---- */

static int open_store(struct one_device *one)
{
	const char *named = getenv("GPUALLOC_STATE_DIR");
	bool own = !gpualloc_spec_is_live(NULL) && !(named && *named) &&
		   access(gpualloc_store_default(), F_OK) < 0;

	return gpualloc_store_open(NULL, own, &one->store, one->error);
}

static int fill_request(struct one_device *one, const char *policy)
{
	const char *visible = getenv("CUDA_VISIBLE_DEVICES");
	int result = 0;

	one->request = gpualloc_request_new();
	one->wish = gpualloc_lease_wish_new();
	if (!one->request || !one->wish)
		return GPUALLOC_ENOMEM;
	if (one->has_mig)
		result = gpualloc_request_set_mig(one->request, NULL);
	if (result == 0 && one->allowed)
		result = gpualloc_request_set_only(one->request, one->allowed);
	if (result == 0 && visible && *visible && strcmp(visible, "-1") != 0)
		result = gpualloc_request_set_environment(one->request, visible,
							  getenv("CUDA_DEVICE_ORDER"));
	if (result == 0 && policy)
		result = gpualloc_policy_open(policy, &one->policy, one->error);
	if (result == 0 && policy)
		gpualloc_request_set_policy(one->request, one->policy);
	return result;
}

/* None of this is fatal, but if others cannot see who has the device, that deserves a line. */
static void say_notes(const struct one_device *one)
{
	const char *note;

	for (size_t i = 0; (note = gpualloc_lease_note(one->lease, i)); i++)
		(void)fail(one, 0, "note: %s", note);
}

int lease_one(struct one_device *one, const char *policy, const char *command)
{
	int result = fill_request(one, policy);

	if (result == 0 && one->allowed && !*one->allowed)
		return fail(one, STATUS_PERMISSION, "%s allows no GPU of this machine",
			    allow_list());
	if (result == 0)
		result = gpualloc_lease_wish_set_machine(one->wish, NULL, 0);
	if (result == 0)
		result = gpualloc_lease_wish_set_command(one->wish, command);
	if (result == 0)
		result = open_store(one);
	if (result == 0)
		result = gpualloc_lease_acquire(one->store, one->request, one->wish, &one->lease,
						one->error);
	if (result < 0)
		return fail_error(one, result);
	say_notes(one);
	return 0;
}
