/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the ledger of samples so that a crash at any moment costs little; see samples.h. */
#include "samples.h"

#include "file.h"
#include "message.h"
#include "owner.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { FOLDER_MODE = 0755, FILE_MODE = 0644, LOCK_MODE = 0600 };

static int failed(const char *name, int reason)
{
	return fail(reason == EACCES || reason == EPERM || reason == EROFS
			    ? gpualloc_exit_status(GPUALLOC_EPERM)
			    : STATUS_OUTPUT,
		    "cannot write the ledger %s%s%s: %s%s", samples_folder(), *name ? "/" : "",
		    name, strerror(reason),
		    reason == EACCES
			    ? "; samples are taken by root, once a minute: `sudo systemctl "
			      "enable --now gpualloc-usage.timer`"
			    : "");
}

int samples_open(int *ret_folder, int *ret_lock)
{
	const char *path = samples_folder();
	ga_auto_close int folder = -1, lock = -1;
	struct stat status;

	if (mkdir(path, FOLDER_MODE) < 0 && errno != EEXIST)
		return failed("", errno);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder < 0 || fstat(folder, &status) < 0)
		return failed("", errno);
	if (!ga_is_trusted_owner(folder, &status) || (status.st_mode & (S_IWGRP | S_IWOTH)))
		return fail(gpualloc_exit_status(GPUALLOC_EPERM),
			    "%s can be written by users other than root; nothing was sampled",
			    path);
	lock = openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		      LOCK_MODE);
	if (lock < 0)
		return failed("lock", errno);
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return fail(gpualloc_exit_status(GPUALLOC_EBUSY),
			    "another sample is being taken at this moment");
	*ret_folder = folder;
	*ret_lock = lock;
	folder = lock = -1;
	return 0;
}

/* ---- lines ---- */

/* The devices of one lease, and its words. */
enum { LINE_MOST = SAMPLE_DEVICES_MOST + 4096 };

/* A word of a line: "=" and the text, in which all but plain characters are %xx. */
static void add_word(struct ga_buffer *text, const char *word)
{
	size_t size = 0;

	ga_buffer_text(text, " =");
	for (; *word && size < SAMPLE_WORD - 2; word++, size++) {
		unsigned char c = (unsigned char)*word;

		if (c > ' ' && c < 127 && c != '%')
			ga_buffer_char(text, *word);
		else
			ga_buffer_format(text, "%%%02x", c);
	}
}

static void add_sum(struct ga_buffer *text, const struct sum *sum)
{
	ga_buffer_format(text, "sum %lld", (long long)sum->hour);
	add_word(text, sum->user);
	add_word(text, sum->group);
	add_word(text, sum->gpu);
	ga_buffer_format(text, " %lld %lld\n", (long long)sum->leased_ms, (long long)sum->used_ms);
}

static void add_lease(struct ga_buffer *text, const struct seen_lease *lease)
{
	ga_buffer_text(text, "lease");
	add_word(text, lease->id);
	add_word(text, lease->user);
	add_word(text, lease->command);
	ga_buffer_format(text, " %lld %lld %d %s\n", (long long)lease->since,
			 (long long)lease->active, lease->is_told, lease->devices);
}

/* ---- files ---- */

static int put(int fd, const struct ga_buffer *text)
{
	int result = ga_file_put(fd, text->data, text->size);

	return result < 0 ? -result : fsync(fd) < 0 ? errno : 0;
}

/* Whether the file ends within a line: the machine went down while it was written. */
static bool is_torn(int fd, const struct stat *status)
{
	char last;

	return status->st_size > 0 && pread(fd, &last, 1, status->st_size - 1) == 1 && last != '\n';
}

static int open_hours(int folder)
{
	return openat(folder, "hours", O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		      FILE_MODE);
}

static int append_hours(int folder, struct ga_buffer *lines)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT((size_t)SAMPLES_FILE_MOST);
	ga_auto_close int fd = open_hours(folder);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return errno;
	if (status.st_size > 0 && status.st_size + (off_t)lines->size > SAMPLES_FILE_MOST) {
		if (renameat(folder, "hours", folder, "hours.1") < 0)
			return errno;
		close(fd);
		fd = open_hours(folder);
		if (fd < 0 || fstat(fd, &status) < 0)
			return errno;
	}
	if (is_torn(fd, &status))
		ga_buffer_char(&text, '\n');
	ga_buffer_append(&text, lines->data, lines->size);
	return text.failed ? EFBIG : put(fd, &text);
}

static int replace_now(int folder, const struct ga_buffer *text)
{
	ga_auto_close int fd =
		openat(folder, "now.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		       FILE_MODE);
	int reason = fd < 0 ? errno : put(fd, text);

	if (reason == 0 && renameat(folder, "now.new", folder, "now") < 0)
		reason = errno;
	return reason;
}

/* Whether there was room for the whole line. */
static bool add_line(struct ga_buffer *text, const struct ga_buffer *line)
{
	bool fits = !line->failed && line->size <= text->limit - text->size;

	if (fits)
		ga_buffer_append(text, line->data, line->size);
	return fits;
}

static bool put_sum(struct ga_buffer *text, const struct sum *sum)
{
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_INIT(LINE_MOST);

	add_sum(&line, sum);
	return add_line(text, &line);
}

static bool put_lease(struct ga_buffer *text, const struct seen_lease *lease)
{
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_INIT(LINE_MOST);

	add_lease(&line, lease);
	return add_line(text, &line);
}

int samples_write(int folder, const struct samples *samples, int64_t hour)
{
	size_t left_out = 0;
	ga_auto_buffer struct ga_buffer ended = GA_BUFFER_INIT((size_t)SAMPLES_FILE_MOST / 2);
	ga_auto_buffer struct ga_buffer now = GA_BUFFER_INIT((size_t)SAMPLES_FILE_MOST);
	int reason = 0;

	ga_buffer_format(&now, "sample %lld %lld %s\n", (long long)samples->at,
			 (long long)samples->at_clock, *samples->boot ? samples->boot : "?");
	for (size_t i = 0; i < samples->sum_count; i++)
		left_out +=
			!put_sum(samples->sums[i].hour == hour ? &now : &ended, &samples->sums[i]);
	for (size_t i = 0; i < samples->lease_count; i++)
		left_out += !put_lease(&now, &samples->leases[i]);
	if (ended.failed || now.failed)
		return fail_memory();
	if (ended.size > 0)
		reason = append_hours(folder, &ended);
	if (reason)
		return failed("hours", reason);
	reason = replace_now(folder, &now);
	if (left_out > 0)
		say("note: %zu lines were left out, because there is no room for them in %s",
		    left_out, samples_folder());
	return reason ? failed("now", reason) : 0;
}
