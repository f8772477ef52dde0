/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end of a tether; see run.h. */
#include "hosts/job.h"
#include "hosts/job_log.h"
#include "hosts/run.h"

#include "clock.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum {
	STATUS_UNAVAILABLE = 69,
	SSH_FAILED = 255,
	SAID_MOST = 1 << 16,
	SILENCE_MS = SILENCE_S * 1000
};

static bool is_open(const struct contender *contender)
{
	return contender->ended >= 0;
}

static bool is_asked(const struct contender *contender)
{
	return contender->sent == contender->request->size;
}

/* As much of the request as goes: a host that does not read holds up nobody. If it cannot be sent,
 * ssh says why when it ends. */
static void speak(struct contender *contender)
{
	const struct ga_buffer *request = contender->request;

	while (contender->in >= 0 && !is_asked(contender)) {
		ssize_t put = write(contender->in, request->data + contender->sent,
				    request->size - contender->sent);

		if (put < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (put <= 0)
			ga_close_and_forget(&contender->in);
		else
			contender->sent += (size_t)put;
	}
}

int contender_start(struct contender *contender, const char *ssh, const struct ga_buffer *request)
{
	struct ssh how = {.path = ssh,
			  .host = contender->host,
			  .control = *contender->control ? contender->control : NULL,
			  .is_master = *contender->control != '\0'};
	int reason = ssh_start_piped(&how, &contender->pid, &contender->ended);

	contender->in = how.in;
	contender->out = how.out;
	contender->err = how.err;
	contender->said = GA_BUFFER_INIT(SAID_MOST);
	contender->errors = GA_BUFFER_INIT(SAID_MOST);
	contender->heard_at = ga_clock_ms();
	contender->request = request;
	if (reason)
		return reason;
	(void)fcntl(contender->in, F_SETFL, O_NONBLOCK);
	(void)fcntl(contender->out, F_SETFL, O_NONBLOCK);
	(void)fcntl(contender->err, F_SETFL, O_NONBLOCK);
	speak(contender);
	return 0;
}

void contender_watch(const struct contender *contender, struct pollfd *fds)
{
	fds[0] = (struct pollfd){contender->out, POLLIN, 0};
	fds[1] = (struct pollfd){contender->err, POLLIN, 0};
	fds[2] = (struct pollfd){contender->ended, POLLIN, 0};
	fds[3] = (struct pollfd){is_asked(contender) ? -1 : contender->in, POLLOUT, 0};
}

void contender_say(const struct contender *contender, const char *line)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(LINE_MOST);

	ga_buffer_format(&text, "%s\n", line);
	if (contender->in >= 0 && is_asked(contender) && !text.failed)
		(void)!write(contender->in, text.data, text.size);
}

void contender_hang_up(struct contender *contender)
{
	ga_close_and_forget(&contender->in);
	/* SIGTERM, so that it removes its socket. */
	if (is_open(contender))
		(void)kill(contender->pid, SIGTERM);
}

void contender_drop(struct contender *contender)
{
	enum { PATIENCE_MS = 2000 };
	struct pollfd ended = {contender->ended, POLLIN, 0};

	contender_hang_up(contender);
	ga_close_and_forget(&contender->out);
	ga_close_and_forget(&contender->err);
	if (is_open(contender)) {
		if (poll(&ended, 1, PATIENCE_MS) <= 0)
			(void)kill(contender->pid, SIGKILL);
		contender->status = ssh_status(contender->pid);
		ga_close_and_forget(&contender->ended);
	}
	free(contender->failure);
	contender->failure = NULL;
	ga_buffer_free(&contender->said);
	ga_buffer_free(&contender->errors);
}

/* ---- what it says ---- */

static void take(int *fd, struct ga_buffer *into, int64_t *heard_at)
{
	char part[4096];

	while (*fd >= 0) {
		ssize_t got = read(*fd, part, sizeof part);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			ga_close_and_forget(fd);
			return;
		}
		if (heard_at)
			*heard_at = ga_clock_ms();
		/* Events are short lines: what is longer is not ours. */
		if (into->size + (size_t)got > SAID_MOST)
			into->size = 0;
		ga_buffer_append(into, part, (size_t)got);
	}
}

static void forget(struct ga_buffer *text, size_t size)
{
	memmove(text->data, text->data + size, text->size - size);
	text->size -= size;
}

/* The size of the first line with its end; 0 if there is none yet. */
static size_t line_size(const struct ga_buffer *text)
{
	const char *end = text->size ? memchr(text->data, '\n', text->size) : NULL;

	return end ? (size_t)(end - text->data) + 1 : 0;
}

static void set_words(struct contender_news *news, const char *words)
{
	size_t size = words ? strlen(words) : 0;
	ga_auto_free char *clean = ga_text_clean(words ? words : "", size);

	(void)snprintf(news->words, sizeof news->words, "%s", clean ? clean : "");
}

static void take_event(struct contender *contender, const char *line, size_t size,
		       struct contender_news *news)
{
	json_t *document = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
	const char *event = json_string_value(json_object_get(document, "event"));
	const json_t *status = json_object_get(document, "status");
	const char *words = NULL;

	if (!event || json_integer_value(json_object_get(document, "schema")) != 1)
		event = "";
	if (strcmp(event, "granted") == 0) {
		const char *lease = json_string_value(json_object_get(document, "lease"));

		(void)snprintf(contender->lease, sizeof contender->lease, "%s",
			       lease && job_log_is_name(lease) ? lease : "");
		news->event = CONTENDER_GRANTED;
		words = json_string_value(json_object_get(document, "words"));
	} else if (strcmp(event, "ready") == 0) {
		news->event = CONTENDER_READY;
		words = json_string_value(json_object_get(document, "token"));
	} else if (strcmp(event, "ended") == 0 && json_is_integer(status)) {
		news->event = CONTENDER_ENDED;
		news->value = (int)(json_integer_value(status) & 0xff);
	}
	set_words(news, words);
	json_decref(document);
}

/* Lines before the greeting are those of a login shell. */
static void take_lines(struct contender *contender, struct contender_news *news)
{
	size_t size;

	while (news->event == CONTENDER_NOTHING && (size = line_size(&contender->said))) {
		int64_t protocol;

		if (contender->is_greeted) {
			take_event(contender, contender->said.data, size, news);
		} else {
			(void)answer_after_greeting(contender->said.data, size, &protocol);
			contender->is_greeted = protocol == REQUEST_PROTOCOL;
			contender->protocol = protocol ? protocol : contender->protocol;
		}
		forget(&contender->said, size);
	}
}

/* What gpualloc there says while it lives is said here; what ssh says is kept for the end. */
static void take_errors(struct contender *contender)
{
	size_t at = 0, size;

	while (at < contender->errors.size) {
		char *start = contender->errors.data + at;
		char *end = memchr(start, '\n', contender->errors.size - at);
		ga_auto_free char *sentence = NULL;
		bool is_note;

		if (!end)
			return;
		size = (size_t)(end - start) + 1;
		sentence = answer_sentence((struct ga_view){start, size - 1}, &is_note);
		if (!sentence || !contender->is_greeted) {
			at += size;
			continue;
		}
		/* Whoever reads documents wants it as the error that it is, once it is the last
		 * word. */
		if (message_is_json() && !is_note) {
			free(contender->failure);
			contender->failure = ga_steal(&sentence);
		} else {
			say("%s: %s", contender->host->name, sentence);
		}
		memmove(start, end + 1, contender->errors.size - at - size);
		contender->errors.size -= size;
	}
}

static void give_reason(struct contender *contender, struct contender_news *news)
{
	ga_auto_free char *reason = NULL;

	news->value = contender->status;
	if (contender->status > 128 && contender->status != SSH_FAILED) {
		news->value = STATUS_UNAVAILABLE;
		if (asprintf(&reason, "ssh here was ended by signal %d", contender->status - 128) <
		    0)
			reason = NULL;
	} else if (!contender->is_greeted && contender->protocol &&
		   contender->status != SSH_FAILED) {
		news->value = STATUS_UNAVAILABLE;
		reason = answer_other_protocol(contender->protocol);
	} else if (!contender->is_greeted || contender->status == SSH_FAILED) {
		news->value = STATUS_UNAVAILABLE;
		reason = answer_silence(
			contender->host, contender->status,
			(struct ga_view){contender->errors.data, contender->errors.size});
	} else if (contender->status == 0) {
		/* Nothing ran, so it is no success. */
		news->value = STATUS_UNAVAILABLE;
		reason = strdup("gpualloc there ended and did not say why");
	}
	if (!reason)
		reason = ga_steal(&contender->failure);
	set_words(news, reason);
}

static void end(struct contender *contender, struct contender_news *news)
{
	contender->status = ssh_status(contender->pid);
	ga_close_and_forget(&contender->ended);
	ga_close_and_forget(&contender->in);
	take(&contender->err, &contender->errors, NULL);
	take_errors(contender);
	news->event = CONTENDER_GONE;
	give_reason(contender, news);
}

void contender_hear(struct contender *contender, struct contender_news *ret_news)
{
	struct contender_news news = {.event = CONTENDER_NOTHING};
	struct pollfd ended = {contender->ended, POLLIN, 0};

	if (is_open(contender)) {
		bool has_ended = poll(&ended, 1, 0) > 0;

		speak(contender);
		take(&contender->out, &contender->said, &contender->heard_at);
		take(&contender->err, &contender->errors, NULL);
		take_lines(contender, &news);
		take_errors(contender);
		if (news.event == CONTENDER_NOTHING && has_ended) {
			end(contender, &news);
		} else if (news.event == CONTENDER_NOTHING &&
			   ga_clock_ms() - contender->heard_at > SILENCE_MS) {
			news.event = CONTENDER_GONE;
			news.value = STATUS_UNAVAILABLE;
			(void)snprintf(news.words, sizeof news.words,
				       "nothing was heard from it for %d s", SILENCE_S);
			contender_drop(contender);
		}
	}
	*ret_news = news;
}
