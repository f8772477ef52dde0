/* SPDX-License-Identifier: Apache-2.0 */
/* One child and its reports; see worker.h. */
#include "worker.h"

#include "cleanup.h"
#include "clock.h"
#include "machine_file.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 2 * GA_ERROR_SIZE };

int ga_nvml_worker_start_with(struct ga_nvml_worker *worker, const char *name,
			      int (*work)(void *context, int out), void *context,
			      gpualloc_error *error)
{
	int result;

	/* Two machines may come, and the lines between them. */
	worker->text = GA_BUFFER_INIT(2 * (size_t)GA_MACHINE_FILE_MAX);
	worker->count = worker->index = worker->status = GA_UNKNOWN;
	worker->heard_ms = ga_clock_ms();
	result = ga_child_start(name, work, context, &worker->child, error);
	if (result < 0)
		return result;
	(void)fcntl(worker->child.out, F_SETFL, O_NONBLOCK);
	worker->state = GA_NVML_ASKING;
	return 0;
}

int ga_nvml_worker_start(struct ga_nvml_worker *worker, const struct ga_nvml_question *question,
			 gpualloc_error *error)
{
	*worker = (struct ga_nvml_worker){.question = *question};
	return ga_nvml_worker_start_with(worker, "NVML", ga_nvml_answer, &worker->question, error);
}

/* ---- its reports ---- */

/* "3 its name" */
static bool parse_question(struct ga_nvml_worker *worker, struct ga_view line)
{
	const char *blank = memchr(line.text, ' ', line.size);
	bool is_none = line.size > 2 && memcmp(line.text, "-1", 2) == 0;
	int64_t index = GA_UNKNOWN;

	if (!blank || (!is_none && !ga_text_number(line.text, (size_t)(blank - line.text),
						   GA_DEVICES_MAX, &index)))
		return false;
	worker->index = index;
	blank++;
	(void)snprintf(worker->doing, sizeof worker->doing, "%.*s",
		       (int)(line.size - (size_t)(blank - line.text)), blank);
	return ga_text_is_clean(worker->doing, strlen(worker->doing));
}

static bool parse_count(struct ga_nvml_worker *worker, struct ga_view line)
{
	const char *blank = memchr(line.text, ' ', line.size);

	worker->index = GA_UNKNOWN;
	return blank && ga_text_number(line.text, (size_t)(blank - line.text), GA_DEVICES_MAX,
				       &worker->count);
}

static bool parse_waiting(struct ga_nvml_worker *worker, struct ga_view line)
{
	(void)snprintf(worker->waiting, sizeof worker->waiting, "%.*s", (int)line.size, line.text);
	return ga_text_is_clean(worker->waiting, strlen(worker->waiting));
}

/* A line that a machine follows: checks whether all of it is here, or whether it is not such a
 * line. */
enum followed { NOT_YET, FOLLOWED, NONSENSE };

static enum followed parse_machine(struct ga_nvml_worker *worker, struct ga_view line, size_t from)
{
	int64_t size = 0;

	if (!ga_text_number(line.text + 1, line.size - 1, GA_MACHINE_FILE_MAX, &size) || size == 0)
		return NONSENSE;
	if (worker->text.size - from < (size_t)size)
		return NOT_YET;
	if (line.text[0] == '=') {
		worker->answer = (struct ga_nvml_span){from, (size_t)size};
		worker->state = GA_NVML_ANSWERED;
	} else {
		worker->part = (struct ga_nvml_span){from, (size_t)size};
	}
	worker->parsed = from + (size_t)size;
	return FOLLOWED;
}

/* Takes one more complete report; false if there is none yet. */
static bool parse_one(struct ga_nvml_worker *worker)
{
	struct ga_view rest = {worker->text.data + worker->parsed,
			       worker->text.size - worker->parsed};
	const char *end = rest.size > 0 ? memchr(rest.text, '\n', rest.size) : NULL;
	struct ga_view line, words;
	size_t from;
	bool sense = false;

	if (!end && rest.size <= LINE_MAX_BYTES)
		return false;
	line = (struct ga_view){rest.text, end ? (size_t)(end - rest.text) : 0};
	words = (struct ga_view){line.text + 1, line.size ? line.size - 1 : 0};
	from = worker->parsed + line.size + 1;
	if (line.size > 0 && (line.text[0] == '=' || line.text[0] == '+')) {
		enum followed followed = parse_machine(worker, line, from);

		if (followed != NONSENSE)
			return followed == FOLLOWED && worker->state == GA_NVML_ASKING;
	} else if (line.size > 0 && line.text[0] == '@') {
		sense = parse_question(worker, words);
	} else if (line.size > 0 && line.text[0] == '#') {
		sense = parse_count(worker, words);
	} else if (line.size > 0 && line.text[0] == '~') {
		sense = parse_waiting(worker, words);
	} else if (line.size > 0 && line.text[0] == '!') {
		worker->answer = (struct ga_nvml_span){worker->parsed + 1, words.size};
		worker->state = GA_NVML_REFUSED;
		return false;
	}
	if (!sense)
		worker->state = GA_NVML_DEAD;
	worker->parsed = from;
	return sense;
}

int ga_nvml_worker_hear(struct ga_nvml_worker *worker)
{
	char chunk[1 << 14];
	int64_t now = ga_clock_ms();

	while (worker->state == GA_NVML_ASKING) {
		ssize_t got = read(worker->child.out, chunk, sizeof chunk);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return 0;
		if (got <= 0) {
			worker->status = ga_child_stop(&worker->child, now + 1000);
			worker->state = GA_NVML_DEAD;
			return 0;
		}
		if (ga_nvml_worker_silence(worker, now) > worker->longest_ms)
			worker->longest_ms = ga_nvml_worker_silence(worker, now);
		worker->heard_ms = now;
		ga_buffer_append(&worker->text, chunk, (size_t)got);
		if (worker->text.failed && worker->text.size < worker->text.limit / 2)
			return GPUALLOC_ENOMEM;
		if (worker->text.failed)
			worker->state = GA_NVML_DEAD;
		while (worker->state == GA_NVML_ASKING && parse_one(worker))
			;
	}
	return 0;
}

void ga_nvml_worker_stop(struct ga_nvml_worker *worker, int64_t until_ms)
{
	(void)ga_child_stop(&worker->child, until_ms);
	if (worker->state == GA_NVML_ASKING)
		worker->state = GA_NVML_DEAD;
}

void ga_nvml_worker_free(struct ga_nvml_worker *worker)
{
	ga_nvml_worker_stop(worker, 0);
	ga_buffer_free(&worker->text);
	*worker = (struct ga_nvml_worker){0};
}

/* ---- its last word ---- */

int ga_nvml_worker_machine(const struct ga_nvml_worker *worker, struct ga_nvml_span span,
			   gpualloc_machine **ret_machine, gpualloc_error *error)
{
	int result = ga_machine_file_read(worker->text.data + span.at, span.size, GA_FORM_COMPLETE,
					  ret_machine, error);

	if (result == 0 || result == GPUALLOC_ENOMEM)
		return result;
	return ga_error_prefix(error, GPUALLOC_ENOSOURCE, "NVML: its answer cannot be used: ");
}

/* "STATUS REMEDIES SENTENCE": takes the number that *said begins with, and the blank after it. */
static bool take_number(struct ga_view *said, int64_t most, int64_t *ret_number)
{
	const char *blank = said->size ? memchr(said->text, ' ', said->size) : NULL;
	size_t size = blank ? (size_t)(blank - said->text) : 0;

	if (!blank || !ga_text_number(said->text, size, most, ret_number))
		return false;
	*said = (struct ga_view){blank + 1, said->size - size - 1};
	return true;
}

static struct ga_view last_word(const struct ga_nvml_worker *worker)
{
	return (struct ga_view){worker->text.data + worker->answer.at, worker->answer.size};
}

int ga_nvml_worker_status(const struct ga_nvml_worker *worker)
{
	struct ga_view said = last_word(worker);
	int64_t status = 0;

	return take_number(&said, -GPUALLOC_ENOTRUNNABLE, &status) ? -(int)status : 0;
}

int ga_nvml_worker_error(const struct ga_nvml_worker *worker, gpualloc_error *error)
{
	ga_auto_free char *sentence = NULL;
	struct ga_view said = last_word(worker);
	int64_t status = 0, remedies = 0;

	if (!take_number(&said, -GPUALLOC_ENOTRUNNABLE, &status) || status == 0 ||
	    !take_number(&said, UINT16_MAX, &remedies))
		return ga_error_set(error, GPUALLOC_ENOSOURCE,
				    "NVML: the query ended with an answer that makes no sense");
	sentence = ga_text_clean(said.text, said.size);
	if (!sentence || status == -GPUALLOC_ENOMEM)
		return ga_error_memory(error);
	return ga_error_remedy(
		error,
		ga_error_set(error, GPUALLOC_ENOSOURCE, "%s",
			     *sentence ? sentence : "NVML: the query ended and did not say why"),
		(unsigned)remedies & GPUALLOC_REMEDY_MORE_TIME);
}
