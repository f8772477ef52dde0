/* SPDX-License-Identifier: Apache-2.0 */
/* Asking side by side; see ask.h. */
#include "hosts/ask.h"

#include "clock.h"
#include "message.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OUT_MOST = 32 << 20, ERRORS_MOST = 64 << 10, PART = 32 << 10 };
enum { STATUS_UNAVAILABLE = 69, SSH_FAILED = 255, NOT_FOUND = 127, NOT_RUNNABLE = 126 };
enum { SENTENCE = 300 };

struct asking {
	struct answer *answers;
	size_t count;
	const struct question *question;
	struct ga_buffer request;
};

void answers_free(struct answer *answers, size_t count)
{
	for (size_t i = 0; answers && i < count; i++) {
		ga_buffer_free(&answers[i].printed);
		ga_buffer_free(&answers[i].errors);
		free(answers[i].reason);
		json_decref(answers[i].document);
	}
	free(answers);
}

/* ---- reasons ---- */

static void set_reason(struct answer *answer, int status, char *reason)
{
	answer->status = status;
	free(answer->reason);
	answer->reason = reason ? reason : strdup("out of memory");
}

static void no_answer(struct answer *answer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void no_answer(struct answer *answer, const char *format, ...)
{
	char sentence[2 * SENTENCE];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	set_reason(answer, STATUS_UNAVAILABLE, ga_text_clean(sentence, strlen(sentence)));
}

/* With --json what it says beside the answer is documents too: their sentence, for free(). */
static char *sentence_of_document(struct ga_view line, bool *ret_is_note)
{
	json_t *document = json_loadb(line.text, line.size, 0, NULL);
	const json_t *error = json_object_get(document, "error");
	const char *note = json_string_value(json_object_get(document, "note"));
	const char *word = json_string_value(json_object_get(error, "message"));
	char *sentence = NULL;

	*ret_is_note = !word;
	word = word ? word : note;
	if (word)
		sentence = ga_text_clean(word, strcspn(word, "\n"));
	json_decref(document);
	return sentence;
}

char *answer_sentence(struct ga_view line, bool *ret_is_note)
{
	static const char name[] = "gpualloc: ", note[] = "note: ";

	*ret_is_note = false;
	if (line.size > 0 && line.text[0] == '{')
		return sentence_of_document(line, ret_is_note);
	if (line.size < sizeof name || memcmp(line.text, name, sizeof name - 1) != 0)
		return NULL;
	line.text += sizeof name - 1;
	line.size -= sizeof name - 1;
	*ret_is_note = line.size >= sizeof note && memcmp(line.text, note, sizeof note - 1) == 0;
	return ga_text_clean(line.text, line.size);
}

/* The first sentence that gpualloc there said, or else the first line that anybody said, in new
 * memory; "" if there is none. */
static char *first_sentence(struct ga_view rest)
{
	struct ga_view line;
	char *first = NULL;

	while (rest.size > 0 && ga_view_line(&rest, &line)) {
		bool is_note;
		char *sentence = answer_sentence(line, &is_note);

		if (sentence && !is_note) {
			free(first);
			return sentence;
		}
		free(sentence);
		if (!first && line.size > 0)
			first = ga_text_clean(line.text, line.size);
	}
	return first ? first : strdup("");
}

/* ---- judging ---- */

const char *answer_after_greeting(const char *text, size_t size, int64_t *ret_protocol)
{
	static const char greeting[] = REQUEST_GREETING;
	struct ga_view rest = {text, size}, line;

	*ret_protocol = 0;
	while (rest.size > 0 && ga_view_line(&rest, &line)) {
		const char *word = line.text + sizeof greeting - 1;
		const char *blank;

		if (line.size < sizeof greeting ||
		    memcmp(line.text, greeting, sizeof greeting - 1) != 0)
			continue;
		blank = memchr(word, ' ', line.size - (sizeof greeting - 1));
		if (!blank || !ga_text_number(word, (size_t)(blank - word), 999, ret_protocol))
			*ret_protocol = 0;
		return *ret_protocol ? rest.text : NULL;
	}
	return NULL;
}

static json_t *wrong_document(char **ret_wrong, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static json_t *wrong_document(char **ret_wrong, const char *format, ...)
{
	char sentence[SENTENCE];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	*ret_wrong = ga_text_clean(sentence, strlen(sentence));
	return NULL;
}

json_t *answer_parse(const char *text, size_t size, const char *command, char **ret_wrong)
{
	json_error_t error;
	json_t *document = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	const char *from = json_string_value(json_object_get(document, "command"));
	json_int_t schema = json_integer_value(json_object_get(document, "schema"));

	if (!document)
		return wrong_document(ret_wrong, "what came back is no JSON: line %d: %.150s",
				      error.line, error.text);
	if (schema == 1 && from && strcmp(from, command) == 0)
		return document;
	if (schema != 1)
		(void)wrong_document(
			ret_wrong,
			"its answer has schema %lld, and this gpualloc knows 1: update "
			"the older",
			(long long)schema);
	else
		(void)wrong_document(ret_wrong, "what came back is not what %s was asked for",
				     command);
	json_decref(document);
	return NULL;
}

/* There was no greeting, so no gpualloc that knows --on. */
static char *reason_of_silence(const struct host *host, int status, const char *said)
{
	ga_auto_free char *reason = NULL;
	int size;

	if (status == NOT_FOUND || status == NOT_RUNNABLE)
		size = asprintf(&reason,
				"has no %s that ssh finds: %.*s (gpualloc=PATH in the hosts file "
				"says where it is)",
				host->program, SENTENCE, said);
	else if (strstr(said, "is not a command of"))
		size = asprintf(&reason, "its gpualloc is older than --on; update it: %.*s",
				(int)strcspn(said, ",\n"), said);
	else
		size = asprintf(&reason, "does not answer as gpualloc does (exit status %d)%s%.*s",
				status, *said ? ": " : "", SENTENCE, said);
	if (size < 0)
		reason = NULL;
	/* What was cut off may have left half a character. */
	return size < 0 ? NULL : ga_text_clean(reason, (size_t)size);
}

/* A word that is no host may have been meant as a group. */
static char *reason_of_ssh(const struct host *host, struct ga_view errors)
{
	char *reason = ssh_reason(errors.text ? errors.text : "", errors.size), *longer;

	if (!reason || host->line > 0 || !strstr(reason, "Could not resolve hostname") ||
	    asprintf(&longer, "%s, and the hosts file has no group of this name", reason) < 0)
		return reason;
	free(reason);
	return longer;
}

char *answer_silence(const struct host *host, int status, struct ga_view errors)
{
	ga_auto_free char *said = NULL;

	if (status == SSH_FAILED)
		return reason_of_ssh(host, errors);
	said = first_sentence(errors);
	return said ? reason_of_silence(host, status, said) : NULL;
}

static void judge_failure(struct answer *answer, int status, struct ga_view errors)
{
	ga_auto_free char *said = first_sentence(errors);

	if (status == SSH_FAILED)
		no_answer(answer, "the connection was lost while it answered");
	else if (!said || *said)
		set_reason(answer, status, ga_steal(&said));
	else
		no_answer(answer, "gpualloc there ended with status %d and said nothing", status);
}

char *answer_other_protocol(int64_t protocol)
{
	char *reason = NULL;
	int size = asprintf(&reason,
			    "its gpualloc speaks protocol %lld, and this one %d: update the older",
			    (long long)protocol, REQUEST_PROTOCOL);

	return size < 0 ? NULL : reason;
}

static void judge(const struct asking *asking, struct answer *answer, int status)
{
	const char *text = answer->printed.data ? answer->printed.data : "", *rest;
	struct ga_view errors = {answer->errors.data, answer->errors.size};
	int64_t protocol;
	char *wrong;

	rest = answer_after_greeting(text, answer->printed.size, &protocol);
	if (protocol == 0) {
		set_reason(answer, STATUS_UNAVAILABLE,
			   answer_silence(answer->host, status, errors));
		return;
	}
	if (protocol != REQUEST_PROTOCOL) {
		set_reason(answer, STATUS_UNAVAILABLE, answer_other_protocol(protocol));
		return;
	}
	if (status != 0) {
		judge_failure(answer, status, errors);
		return;
	}
	answer->out = rest;
	answer->size = answer->printed.size - (size_t)(rest - text);
	if (!asking->question->command)
		return;
	answer->document = answer_parse(rest, answer->size, asking->question->command, &wrong);
	if (!answer->document)
		set_reason(answer, STATUS_UNAVAILABLE, wrong);
}

/* ---- speaking and listening ---- */

static bool is_open(const struct answer *answer)
{
	return answer->ended >= 0;
}

static void give_up(struct answer *answer)
{
	if (!is_open(answer))
		return;
	(void)kill(answer->pid, SIGKILL);
	(void)ssh_status(answer->pid);
	ga_close_and_forget(&answer->in);
	ga_close_and_forget(&answer->from_out);
	ga_close_and_forget(&answer->from_errors);
	ga_close_and_forget(&answer->ended);
}

static void speak(const struct asking *asking, struct answer *answer)
{
	ssize_t put = write(answer->in, asking->request.data + answer->sent,
			    asking->request.size - answer->sent);

	if (put < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (put > 0)
		answer->sent += (size_t)put;
	if (put <= 0 || answer->sent == asking->request.size)
		ga_close_and_forget(&answer->in);
}

/* False at the end of what there is now. */
static bool take(int *fd, struct ga_buffer *into, size_t most)
{
	char part[PART];
	ssize_t got = read(*fd, part, sizeof part);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) {
		ga_close_and_forget(fd);
		return false;
	}
	if (into->size + (size_t)got <= most)
		ga_buffer_append(into, part, (size_t)got);
	else
		into->failed = true;
	return true;
}

static void hear_out(struct answer *answer)
{
	while (answer->from_out >= 0 && !answer->printed.failed &&
	       take(&answer->from_out, &answer->printed, OUT_MOST))
		;
	if (!answer->printed.failed)
		return;
	give_up(answer);
	no_answer(answer, "sent more than %d MiB, which is no answer", OUT_MOST >> 20);
}

/* Of what it says beside the answer, what is too much is dropped. */
static void hear_errors(struct answer *answer)
{
	while (answer->from_errors >= 0 && take(&answer->from_errors, &answer->errors, ERRORS_MOST))
		answer->errors.failed = false;
}

/*
 * The end is that of ssh: a master that the user's configuration leaves in the background may keep
 * its standard error open for hours.
 */
static void hear_end(const struct asking *asking, struct answer *answer)
{
	int status;

	hear_out(answer);
	hear_errors(answer);
	if (!is_open(answer))
		return;
	status = ssh_status(answer->pid);
	ga_close_and_forget(&answer->in);
	ga_close_and_forget(&answer->from_out);
	ga_close_and_forget(&answer->from_errors);
	ga_close_and_forget(&answer->ended);
	judge(asking, answer, status);
}

/* ---- all of them ---- */

enum { IN, OUT, ERRORS, ENDED, ENDS };

static size_t fill(const struct asking *asking, struct pollfd *fds)
{
	size_t open = 0;

	for (size_t i = 0; i < asking->count; i++) {
		const struct answer *answer = &asking->answers[i];
		struct pollfd *own = &fds[i * ENDS];

		own[IN] = (struct pollfd){answer->in, POLLOUT, 0};
		own[OUT] = (struct pollfd){answer->from_out, POLLIN, 0};
		own[ERRORS] = (struct pollfd){answer->from_errors, POLLIN, 0};
		own[ENDED] = (struct pollfd){answer->ended, POLLIN, 0};
		open += is_open(answer);
	}
	return open;
}

static void look(const struct asking *asking, const struct pollfd *fds)
{
	for (size_t i = 0; i < asking->count; i++) {
		struct answer *answer = &asking->answers[i];
		const struct pollfd *own = &fds[i * ENDS];

		if (is_open(answer) && own[OUT].revents)
			hear_out(answer);
		if (is_open(answer) && own[ERRORS].revents)
			hear_errors(answer);
		if (is_open(answer) && answer->in >= 0 && own[IN].revents)
			speak(asking, answer);
		if (is_open(answer) && own[ENDED].revents)
			hear_end(asking, answer);
	}
}

static void give_up_all(const struct asking *asking)
{
	for (size_t i = 0; i < asking->count; i++)
		if (is_open(&asking->answers[i])) {
			give_up(&asking->answers[i]);
			no_answer(&asking->answers[i], "did not answer within %lld s",
				  (long long)(asking->question->deadline_ms + 999) / 1000);
		}
}

static int listen_to_all(const struct asking *asking)
{
	ga_auto_free struct pollfd *fds = calloc(asking->count * ENDS + 1, sizeof *fds);
	int64_t until = ga_clock_ms() + asking->question->deadline_ms;
	bool has_end = asking->question->deadline_ms >= 0;

	if (!fds) {
		give_up_all(asking);
		return fail_memory();
	}
	while (fill(asking, fds) > 0) {
		int64_t left = until - ga_clock_ms();

		if (has_end && left <= 0)
			give_up_all(asking);
		else if (poll(fds, asking->count * ENDS, has_end ? (int)left : -1) > 0)
			look(asking, fds);
	}
	return 0;
}

void ask_socket(const char *sockets, const struct host *host, char path[static SOCKET_PATH])
{
	/* Names may be long and have slashes; a socket's may not. */
	(void)snprintf(path, SOCKET_PATH, "%s/%zx", sockets, host->number);
}

static void start(const struct asking *asking, const struct ssh *how, struct answer *answer)
{
	char control[SOCKET_PATH];
	int reason;
	struct ssh ssh = *how;

	if (asking->question->sockets) {
		ask_socket(asking->question->sockets, answer->host, control);
		ssh.control = control;
		ssh.persist_s = asking->question->stay_s;
	}
	ssh.host = answer->host;
	reason = ssh_start_piped(&ssh, &answer->pid, &answer->ended);
	answer->in = ssh.in;
	answer->from_out = ssh.out;
	answer->from_errors = ssh.err;
	if (reason) {
		no_answer(answer, "cannot start ssh: %s", strerror(reason));
		return;
	}
	(void)fcntl(answer->in, F_SETFL, O_NONBLOCK);
	(void)fcntl(answer->from_out, F_SETFL, O_NONBLOCK);
	(void)fcntl(answer->from_errors, F_SETFL, O_NONBLOCK);
}

int ask(const struct hosts *hosts, const struct question *question, struct answer **ret_answers)
{
	ga_auto_free char *path = NULL;
	struct asking asking = {.question = question,
				.count = hosts->count,
				.request = GA_BUFFER_INIT(REQUEST_MOST + 64)};
	struct ssh how = {0};
	struct sigaction before;
	int result = ssh_find(&path);

	if (result)
		return result;
	how.path = path;
	request_write(&asking.request, question->request);
	asking.answers = calloc(hosts->count + 1, sizeof *asking.answers);
	if (asking.request.failed || !asking.answers) {
		ga_buffer_free(&asking.request);
		free(asking.answers);
		return asking.request.failed ? fail(STATUS_USAGE, "the words are too long for --on")
					     : fail_memory();
	}
	/* A host that hangs up while it is spoken to is no reason to end. */
	(void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, &before);
	for (size_t i = 0; i < hosts->count; i++) {
		struct answer *answer = &asking.answers[i];

		*answer = (struct answer){.host = &hosts->list[i],
					  .printed = GA_BUFFER_INIT(OUT_MOST),
					  .errors = GA_BUFFER_INIT(ERRORS_MOST),
					  .in = -1,
					  .from_out = -1,
					  .from_errors = -1,
					  .ended = -1};
		start(&asking, &how, answer);
	}
	result = listen_to_all(&asking);
	(void)sigaction(SIGPIPE, &before, NULL);
	ga_buffer_free(&asking.request);
	if (result)
		answers_free(asking.answers, asking.count);
	else
		*ret_answers = asking.answers;
	return result;
}
