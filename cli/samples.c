/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger of samples in memory, and reading it; see samples.h. */
#include "samples.h"

#include "file.h"
#include "message.h"
#include "owned.h"
#include "owner.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No hour of a user has more: a thousand GPUs. */
#define MS_MOST (INT64_C(1000) * 3600 * 1000)
#define TIME_MOST (INT64_C(1) << 40)

const char *samples_folder(void)
{
	const char *named = secure_getenv("GPUALLOC_USAGE_DIR");

	return named && *named ? named : "/var/lib/gpualloc";
}

/* ---- in memory ---- */

static void free_seen(const struct seen_lease *lease)
{
	free(lease->id);
	free(lease->user);
	free(lease->devices);
	free(lease->command);
}

void samples_free(struct samples *samples)
{
	for (size_t i = 0; i < samples->sum_count; i++) {
		free(samples->sums[i].user);
		free(samples->sums[i].group);
		free(samples->sums[i].gpu);
	}
	for (size_t i = 0; i < samples->lease_count; i++)
		free_seen(&samples->leases[i]);
	free(samples->sums);
	free(samples->leases);
	*samples = (struct samples){0};
}

/* The arrays grow by doubling: their size is the next power of two. */
static bool is_full(size_t count)
{
	return (count & (count - 1)) == 0;
}

static int append_sum(struct samples *samples, const struct sum *values)
{
	struct sum *sum;

	if (is_full(samples->sum_count)) {
		struct sum *longer =
			reallocarray(samples->sums, samples->sum_count ? 2 * samples->sum_count : 1,
				     sizeof *longer);

		if (!longer)
			return GPUALLOC_ENOMEM;
		samples->sums = longer;
	}
	sum = &samples->sums[samples->sum_count];
	*sum = *values;
	sum->user = strdup(values->user);
	sum->group = strdup(values->group);
	sum->gpu = strdup(values->gpu);
	sum->order = samples->sum_count++;
	return sum->user && sum->group && sum->gpu ? 0 : GPUALLOC_ENOMEM;
}

int samples_add(struct samples *samples, int64_t hour, const char *user, const char *group,
		const char *gpu, int64_t leased_ms, int64_t used_ms)
{
	struct sum values = {.hour = hour,
			     .user = (char *)user,
			     .group = (char *)group,
			     .gpu = (char *)gpu,
			     .leased_ms = leased_ms,
			     .used_ms = used_ms};

	for (size_t i = 0; i < samples->sum_count; i++) {
		struct sum *sum = &samples->sums[i];

		if (sum->hour != hour || strcmp(sum->user, user) != 0 || strcmp(sum->gpu, gpu) != 0)
			continue;
		sum->leased_ms += leased_ms;
		sum->used_ms += used_ms;
		return 0;
	}
	return append_sum(samples, &values);
}

int samples_add_lease(struct samples *samples, const struct seen_lease *lease)
{
	struct seen_lease *copy;

	if (is_full(samples->lease_count)) {
		struct seen_lease *longer = reallocarray(
			samples->leases, samples->lease_count ? 2 * samples->lease_count : 1,
			sizeof *longer);

		if (!longer)
			return GPUALLOC_ENOMEM;
		samples->leases = longer;
	}
	copy = &samples->leases[samples->lease_count++];
	*copy = *lease;
	copy->id = strdup(lease->id);
	copy->user = strdup(lease->user);
	copy->devices = strdup(lease->devices);
	copy->command = strdup(lease->command);
	return copy->id && copy->user && copy->devices && copy->command ? 0 : GPUALLOC_ENOMEM;
}

/* ---- lines ---- */

static bool take_word(struct ga_view *line, struct ga_view *ret_word)
{
	const char *blank;
	size_t length;

	if (line->size == 0)
		return false;
	blank = memchr(line->text, ' ', line->size);
	length = blank ? (size_t)(blank - line->text) : line->size;
	*ret_word = (struct ga_view){line->text, length};
	length += blank ? 1 : 0;
	*line = (struct ga_view){line->text + length, line->size - length};
	return ret_word->size > 0;
}

static bool take_number(struct ga_view *line, int64_t most, int64_t *ret_number)
{
	struct ga_view word;

	return take_word(line, &word) && ga_text_number(word.text, word.size, most, ret_number);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What add_word() in samples_write.c made of a text. NULL if it is none, or out of memory. */
static char *take_text(struct samples *samples, struct ga_view *line)
{
	char *clean;
	char plain[SAMPLE_WORD];
	struct ga_view word;
	size_t size = 0;

	if (!take_word(line, &word) || word.size >= sizeof plain * 3 || *word.text != '=')
		return NULL;
	for (size_t i = 1; i < word.size; i++) {
		int high, low;

		if (size + 1 >= sizeof plain)
			return NULL;
		if (word.text[i] != '%') {
			plain[size++] = word.text[i];
			continue;
		}
		high = i + 1 < word.size ? hex_digit(word.text[i + 1]) : -1;
		low = i + 2 < word.size ? hex_digit(word.text[i + 2]) : -1;
		if (high < 0 || low < 0)
			return NULL;
		plain[size++] = (char)(high * 16 + low);
		i += 2;
	}
	clean = ga_text_clean(plain, size);
	samples->no_memory = samples->no_memory || !clean;
	return clean;
}

static bool read_sum(struct samples *samples, struct ga_view line, int64_t from_hour)
{
	struct sum sum = {0};
	ga_auto_free char *user = NULL, *group = NULL, *gpu = NULL;

	if (!take_number(&line, TIME_MOST, &sum.hour))
		return false;
	if (sum.hour < from_hour)
		return true;
	user = take_text(samples, &line);
	group = take_text(samples, &line);
	gpu = take_text(samples, &line);
	if (!user || !group || !gpu || !take_number(&line, MS_MOST, &sum.leased_ms) ||
	    !take_number(&line, MS_MOST, &sum.used_ms) || line.size > 0)
		return false;
	sum.user = user;
	sum.group = group;
	sum.gpu = gpu;
	if (append_sum(samples, &sum) == 0)
		return true;
	samples->no_memory = true;
	return false;
}

static bool read_sample(struct samples *samples, struct ga_view line)
{
	struct ga_view boot;

	if (!take_number(&line, TIME_MOST, &samples->at) ||
	    !take_number(&line, INT64_MAX, &samples->at_clock) || !take_word(&line, &boot))
		return false;
	(void)snprintf(samples->boot, sizeof samples->boot, "%.*s", (int)(boot.size % SAMPLE_WORD),
		       boot.text);
	samples->has_sample = true;
	return true;
}

/* A list may be longer than a text; each of its UUIDs is one. */
static bool are_devices(struct ga_view list)
{
	if (list.size > SAMPLE_DEVICES_MOST)
		return false;
	for (size_t length; list.size > 0;) {
		const char *comma = memchr(list.text, ',', list.size);

		length = comma ? (size_t)(comma - list.text) : list.size;
		if (length == 0 || !ga_text_is_clean(list.text, length))
			return false;
		length += comma ? 1 : 0;
		list = (struct ga_view){list.text + length, list.size - length};
	}
	return true;
}

static bool read_lease(struct samples *samples, struct ga_view line)
{
	struct seen_lease lease = {0};
	ga_auto_free char *id = take_text(samples, &line), *user = take_text(samples, &line);
	ga_auto_free char *command = take_text(samples, &line), *devices = NULL;
	struct ga_view list;
	int64_t told;

	if (!id || !user || !command || !take_number(&line, TIME_MOST, &lease.since) ||
	    !take_number(&line, TIME_MOST, &lease.active) || !take_number(&line, 1, &told) ||
	    !take_word(&line, &list) || line.size > 0)
		return false;
	if (!are_devices(list)) /* a NUL is none */
		return false;
	devices = strndup(list.text, list.size);
	samples->no_memory = samples->no_memory || !devices;
	if (!devices)
		return false;
	lease.id = id;
	lease.user = user;
	lease.command = command;
	lease.devices = devices;
	lease.is_told = told == 1;
	if (samples_add_lease(samples, &lease) == 0)
		return true;
	samples->no_memory = true;
	return false;
}

static bool read_line(struct samples *samples, struct ga_view line, int64_t from_hour)
{
	struct ga_view kind;

	if (!take_word(&line, &kind))
		return false;
	if (ga_text_equal(kind.text, kind.size, "sum"))
		return read_sum(samples, line, from_hour);
	if (ga_text_equal(kind.text, kind.size, "sample"))
		return read_sample(samples, line);
	return ga_text_equal(kind.text, kind.size, "lease") && read_lease(samples, line);
}

void samples_parse(struct samples *samples, const char *text, size_t size, int64_t from_hour)
{
	struct ga_view rest = {text, size}, line;

	while (ga_view_line(&rest, &line))
		if (!read_line(samples, line, from_hour))
			samples->bad_lines++;
}

/* ---- files ---- */

/* Whoever can write to it can say anything of anybody. */
static int check_trust(int fd, const char *name)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return fail(STATUS_OUTPUT, "%s/%s: %s", samples_folder(), name, strerror(errno));
	if (*name && !S_ISREG(status.st_mode))
		return fail(STATUS_OUTPUT, "%s/%s is not a file; remove it", samples_folder(),
			    name);
	if (!ga_is_trusted_owner(fd, &status) || (status.st_mode & (S_IWGRP | S_IWOTH)))
		return fail(
			gpualloc_exit_status(GPUALLOC_EPERM),
			"the ledger %s%s%s can be written by users other than root, so it proves "
			"nothing; remove it, or give it back to root",
			samples_folder(), *name ? "/" : "", name);
	return 0;
}

static int read_file(int folder, const char *name, int64_t from_hour, struct samples *samples)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT((size_t)2 * SAMPLES_FILE_MOST);
	ga_auto_close int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int result;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return fail(STATUS_OUTPUT, "%s/%s: %s", samples_folder(), name, strerror(errno));
	result = check_trust(fd, name);
	if (result)
		return result;
	result = ga_file_read_at(folder, name, content.limit, &content, error);
	if (result == GPUALLOC_EDATA)
		return fail(gpualloc_exit_status(result),
			    "%s/%s; remove it, and what it says is lost", samples_folder(),
			    gpualloc_error_message(error));
	if (result < 0)
		return fail_error(result, error);
	samples_parse(samples, content.data, content.size, from_hour);
	return samples->no_memory ? fail_memory() : 0;
}

int samples_read_now(int folder, struct samples *ret_samples)
{
	*ret_samples = (struct samples){0};
	return read_file(folder, "now", 0, ret_samples);
}

static int compare_sums(const void *a, const void *b)
{
	const struct sum *one = a, *two = b;
	int result = one->hour < two->hour ? -1 : one->hour > two->hour;

	if (result == 0)
		result = strcmp(one->user, two->user);
	if (result == 0)
		result = strcmp(one->gpu, two->gpu);
	return result ? result : one->order < two->order ? -1 : one->order > two->order;
}

/* Of lines about the same hour, user and GPU only the last one stays. */
static void drop_repeated(struct samples *samples)
{
	size_t kept = 0;

	if (samples->sum_count == 0)
		return;
	qsort(samples->sums, samples->sum_count, sizeof *samples->sums, compare_sums);
	for (size_t i = 0; i < samples->sum_count; i++) {
		struct sum *sum = &samples->sums[i], *next = sum + 1;

		if (i + 1 < samples->sum_count && next->hour == sum->hour &&
		    strcmp(next->user, sum->user) == 0 && strcmp(next->gpu, sum->gpu) == 0) {
			free(sum->user);
			free(sum->group);
			free(sum->gpu);
		} else {
			samples->sums[kept++] = *sum;
		}
	}
	samples->sum_count = kept;
}

/* -1 and *ret_result 0: there is none, so nothing has been sampled. */
static int open_folder(int *ret_result)
{
	int folder = open(samples_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret_result = 0;
	if (folder < 0 && errno != ENOENT)
		*ret_result = fail(STATUS_OUTPUT, "%s: %s", samples_folder(), strerror(errno));
	if (folder >= 0)
		*ret_result = check_trust(folder, "");
	return folder;
}

int samples_read_last(struct samples *ret_samples)
{
	int result;
	ga_auto_close int folder = open_folder(&result);

	*ret_samples = (struct samples){0};
	return result || folder < 0 ? result : read_file(folder, "now", 0, ret_samples);
}

int samples_read(int64_t from_hour, struct samples *ret_samples)
{
	static const char *const names[] = {"hours.1", "hours", "now"};
	int result;
	ga_auto_close int folder = open_folder(&result);

	*ret_samples = (struct samples){0};
	if (folder < 0)
		return result;
	for (size_t i = 0; result == 0 && i < sizeof names / sizeof *names; i++)
		result = read_file(folder, names[i], from_hour, ret_samples);
	if (result == 0)
		drop_repeated(ret_samples);
	return result;
}
