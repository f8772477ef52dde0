/* SPDX-License-Identifier: Apache-2.0 */
/* One device of those allowed; see common.h. */
#include "common.h"

#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALLOW_LIST "/usr/local/share/gpus/ids"

/* Lines longer than any UUID are none. */
enum { LINE_SIZE = 256, ALLOWED_MAX = 1 << 16 };

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

	return fail(one, gpualloc_exit_status(status), "%s",
		    status == GPUALLOC_ENOMEM || !*message ? "out of memory" : message);
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

/* A line without comment, blanks and end. */
static char *trim(char *line)
{
	char *end;

	line[strcspn(line, "#\r\n")] = '\0';
	line += strspn(line, " \t");
	end = line + strlen(line);
	while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	return line;
}

static bool is_listed(const char *list, const char *uuid)
{
	size_t size = strlen(uuid);

	for (const char *at = list; *at;) {
		size_t length = strcspn(at, ",");

		if (length == size && memcmp(at, uuid, size) == 0)
			return true;
		at += length + (at[length] == ',');
	}
	return false;
}

bool is_allowed(const struct one_device *one, const gpualloc_device *device)
{
	const char *uuid = gpualloc_device_uuid(device);

	return !one->allowed || (uuid && is_listed(one->allowed, uuid));
}

/* Only what the machine has: an id of a card that was taken out is no mistake of who calls. */
static bool is_there(const struct one_device *one, const char *uuid)
{
	const gpualloc_device *device;

	for (size_t i = 0; (device = device_at(one, i)); i++) {
		const char *own = gpualloc_device_uuid(device);

		if (own && strcmp(own, uuid) == 0)
			return true;
	}
	return false;
}

/* Where there is no list everything is allowed; an unreadable one allows nothing. */
static int read_allowed(struct one_device *one)
{
	FILE *file = fopen(allow_list(), "re");
	char line[LINE_SIZE];
	size_t size = 0;

	if (!file && errno == ENOENT && !getenv("GPUALLOC_IDS"))
		return 0;
	if (!file)
		return fail(one, STATUS_PERMISSION, "cannot read the list of allowed GPUs %s: %s",
			    allow_list(), strerror(errno));
	one->allowed = calloc(1, ALLOWED_MAX);
	while (one->allowed && fgets(line, sizeof line, file)) {
		const char *uuid = trim(line);
		size_t length = strlen(uuid);

		if (length == 0 || !is_there(one, uuid) || is_listed(one->allowed, uuid) ||
		    size + length + 2 > ALLOWED_MAX)
			continue;
		size += (size_t)sprintf(one->allowed + size, "%s%s", size ? "," : "", uuid);
	}
	(void)fclose(file);
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

static bool is_real_machine(void)
{
	const char *spec = getenv("GPUALLOC_MACHINE");

	return !spec || !*spec || strcmp(spec, "nvml") == 0 || strcmp(spec, "nvidia-smi") == 0;
}

static int open_store(struct one_device *one)
{
	const char *named = getenv("GPUALLOC_STATE_DIR");
	bool own = !is_real_machine() && !(named && *named) &&
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

/* Nothing of it hinders; that others do not see who has the device is worth a line. */
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
