/* SPDX-License-Identifier: Apache-2.0 */
/* The store, where it lies, and what the administrator allows; see doctor.h. */
#include "doctor.h"

#include "duration.h"
#include "file.h"
#include "owned.h"
#include "stores.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MOUNTS_MAX = 1 << 22, CONF_MAX = 1 << 16, FEW_FILES = 100 };

/* ---- the store ---- */

void doctor_store(struct doctor *doctor)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	const char *path = gpualloc_store_default(), *named = getenv("GPUALLOC_STATE_DIR");
	int result;

	if (!doctor_is_here(doctor))
		return;
	if (store_is_absent(path) && !is_real_machine(doctor->call)) {
		doctor_note(doctor, "store", NULL,
			    "there is no store %s; leases of a machine that is not real are kept "
			    "in a store of your own",
			    path);
		return;
	}
	if (store_is_absent(path) && named && *named) {
		doctor_note(doctor, "store", NULL,
			    "GPUALLOC_STATE_DIR names %s, which the first lease makes", path);
		return;
	}
	result = gpualloc_store_check(path, error);
	doctor->no_memory = doctor->no_memory || result == GPUALLOC_ENOMEM;
	if (result == 0)
		doctor_ok(doctor, "store", "%s is in order", path);
	else
		doctor_fault(doctor, "store", gpualloc_exit_status(result),
			     "`sudo gpualloc setup` makes or repairs it; `sudo systemctl enable "
			     "gpualloc-store.service` does so at each boot",
			     "%s", gpualloc_error_message(error));
}

/* ---- its file system ---- */

struct mount {
	char type[32];
	char options[256];
	size_t length; /* of the place where it is mounted */
};

/* Whether place is path or a folder above it. */
static bool is_above(struct ga_view place, const char *path)
{
	return strncmp(path, place.text, place.size) == 0 &&
	       (place.size == 1 || path[place.size] == '/' || !path[place.size]);
}

static struct ga_view take_word(struct ga_view *rest)
{
	const char *blank = rest->size ? memchr(rest->text, ' ', rest->size) : NULL;
	size_t length = blank ? (size_t)(blank - rest->text) : rest->size;
	struct ga_view word = {rest->text, length};

	length += blank ? 1 : 0;
	*rest = (struct ga_view){rest->text + length, rest->size - length};
	return word;
}

/* A line of mountinfo: proc(5). The later of two mounts in one place is the one that is seen. */
static void consider_mount(struct mount *found, struct ga_view line, const char *path)
{
	struct ga_view place, options, type;

	for (int i = 0; i < 4; i++)
		(void)take_word(&line);
	place = take_word(&line);
	options = take_word(&line);
	if (place.size == 0 || place.size < found->length || !is_above(place, path))
		return;
	do
		type = take_word(&line);
	while (type.size > 0 && !ga_text_equal(type.text, type.size, "-"));
	type = take_word(&line);
	found->length = place.size;
	(void)snprintf(found->type, sizeof found->type, "%.*s", (int)type.size, type.text);
	(void)snprintf(found->options, sizeof found->options, "%.*s,%.*s", (int)options.size,
		       options.text, (int)line.size, line.text);
}

static bool find_mount(struct doctor *doctor, const char *path, struct mount *ret_mount)
{
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT(MOUNTS_MAX);
	struct ga_view rest, line;

	*ret_mount = (struct mount){0};
	if (!doctor_read(doctor, "/proc/self/mountinfo", &content))
		return false;
	rest = (struct ga_view){content.data, content.size};
	while (ga_view_line(&rest, &line))
		consider_mount(ret_mount, line, path);
	return *ret_mount->type;
}

static bool is_local(const char *type)
{
	static const char *const good[] = {"tmpfs", "ext4", "ext3", "ext2", "xfs", "btrfs"};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (strcmp(good[i], type) == 0)
			return true;
	return false;
}

void doctor_file_system(struct doctor *doctor)
{
	static const char subject[] = "file system";
	const char *path = gpualloc_store_default();
	struct mount mount;
	struct statvfs room;

	if (!find_mount(doctor, path, &mount))
		return;
	ga_text_disarm(mount.type);
	if (!is_local(mount.type))
		doctor_fault(
			doctor, subject, gpualloc_exit_status(GPUALLOC_EPERM),
			"leases are locks of this machine's kernel: let the store be on tmpfs, "
			"ext4, xfs or btrfs; in a container, mount the host's (-v "
			"/run/gpualloc:/run/gpualloc)",
			"%s would be on %s", path, mount.type);
	else if (ga_text_starts(mount.options, "ro,"))
		doctor_fault(doctor, subject, gpualloc_exit_status(GPUALLOC_EPERM),
			     "mount it so that it can be written to",
			     "%s is on a file system that can only be read", path);
	else if (doctor_is_here(doctor) && statvfs(path, &room) == 0 && room.f_files > 0 &&
		 room.f_favail < FEW_FILES)
		doctor_note(doctor, subject,
			    "see who fills it; gpualloc-store.service puts the store on a file "
			    "system of its own",
			    "only %llu more files fit on that of %s: leases will be held, but "
			    "without a record",
			    (unsigned long long)room.f_favail, path);
	else
		doctor_ok(doctor, subject, "%s is on %s", path, mount.type);
}

/* ---- the configuration ---- */

/* Each mistake is a line of the message. */
static void add_mistakes(struct doctor *doctor, int status, const char *lines)
{
	for (size_t length; *lines; lines += length + (lines[length] == '\n')) {
		length = strcspn(lines, "\n");
		doctor_fault(doctor, "configuration", status,
			     "gpualloc.conf(5) says what may be there", "%.*s", (int)length, lines);
	}
}

void doctor_configuration(struct doctor *doctor)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	const char *named = getenv("GPUALLOC_CONFIG");
	const char *path = named && *named ? named : "/etc/gpualloc.conf";
	const char *note;
	size_t before = 0;
	int64_t hold_ms;
	int result;

	if (!doctor_is_here(doctor))
		return;
	while (gpualloc_machine_note(doctor->machine, before))
		before++;
	result = doctor->machine ? gpualloc_machine_add_config(doctor->machine, error)
				 : gpualloc_max_hold(NULL, &hold_ms, error);
	doctor->no_memory = doctor->no_memory || result == GPUALLOC_ENOMEM;
	for (size_t i = before; (note = gpualloc_machine_note(doctor->machine, i)); i++)
		doctor_note(doctor, "configuration", NULL, "%s", note);
	if (result < 0)
		add_mistakes(doctor, gpualloc_exit_status(result), gpualloc_error_message(error));
	else if (access(path, F_OK) < 0)
		doctor_ok(doctor, "configuration", "there is no %s, and none is needed", path);
	else
		doctor_ok(doctor, "configuration", "%s has no mistakes", path);
}

/* ---- time ---- */

/* "KillUserProcesses=yes" in logind.conf ends what a user leaves running at logout. */
static bool ends_at_logout(struct doctor *doctor)
{
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT(CONF_MAX);
	struct ga_view rest, line;
	bool ends = false;

	if (!doctor_read(doctor, "/etc/systemd/logind.conf", &content))
		return false;
	rest = (struct ga_view){content.data, content.size};
	while (ga_view_line(&rest, &line)) {
		line = ga_view_trim(line.text, line.size);
		if (ga_text_equal(line.text, line.size, "KillUserProcesses=yes"))
			ends = true;
		if (ga_text_equal(line.text, line.size, "KillUserProcesses=no"))
			ends = false;
	}
	return ends;
}

void doctor_time_limits(struct doctor *doctor)
{
	static const char subject[] = "time limits";
	int64_t hold_ms = -1;
	bool ends = ends_at_logout(doctor);

	if (doctor_is_here(doctor) && gpualloc_max_hold(doctor->call->value[OPTION_MACHINE],
							&hold_ms, NULL) == GPUALLOC_ENOMEM)
		doctor->no_memory = true;
	if (hold_ms >= 0)
		doctor_ok(doctor, subject, "holds last at most %lld minutes (max-hold)",
			  (long long)(hold_ms / 60000));
	if (ends)
		doctor_note(doctor, subject,
			    "`loginctl enable-linger` keeps a user's processes, or set it to no in "
			    "/etc/systemd/logind.conf",
			    "KillUserProcesses=yes: holds and jobs end when their user logs out");
	else if (hold_ms < 0)
		doctor_ok(doctor, subject,
			  "none: holds last as long as is asked, and nothing ends "
			  "at logout");
}
