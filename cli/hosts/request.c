/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and reading what the other end is asked; see request.h. */
#include "hosts/request.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_LINE "gpualloc-request "

/* What a word is: its first byte. */
enum {
	WORD_ARGUMENT = 'a',
	WORD_FOLDER = 'd',
	WORD_FOLDER_THAT_MUST_EXIST = 'D',
	WORD_MODE = 'm',
	WORD_OUTLIVES = 'o',
	WORD_SILENCE = 's',
	WORD_UNKEPT = 'u',
	WORD_VARIABLE = 'v'
};

static const char *const modes[] = {[REQUEST_ASK] = "ask", [REQUEST_JOB] = "job"};
enum { MODES = sizeof modes / sizeof *modes };

void request_free(struct request *request)
{
	free(request->variables);
	free(request->words);
	free(request->text);
	*request = (struct request){0};
}

/* ---- writing ---- */

static void put(struct ga_buffer *text, char kind, const char *word)
{
	ga_buffer_char(text, kind);
	ga_buffer_append(text, word, strlen(word) + 1);
}

void request_write(struct ga_buffer *text, const struct request *request)
{
	ga_auto_buffer struct ga_buffer words = GA_BUFFER_INIT(REQUEST_MOST);
	char number[16];

	put(&words, WORD_MODE, modes[request->mode]);
	if (request->folder)
		put(&words, request->must_exist ? WORD_FOLDER_THAT_MUST_EXIST : WORD_FOLDER,
		    request->folder);
	if (request->outlives)
		put(&words, WORD_OUTLIVES, "");
	if (request->is_unkept)
		put(&words, WORD_UNKEPT, "");
	(void)snprintf(number, sizeof number, "%u", request->silence_s);
	if (request->silence_s > 0)
		put(&words, WORD_SILENCE, number);
	if (request->agent && *request->agent) {
		ga_buffer_format(&words, "%cGPUALLOC_AGENT=%s", WORD_VARIABLE, request->agent);
		ga_buffer_char(&words, '\0');
	}
	for (size_t i = 0; i < request->variable_count; i++)
		put(&words, WORD_VARIABLE, request->variables[i]);
	for (size_t i = 0; i < request->word_count; i++)
		put(&words, WORD_ARGUMENT, request->words[i]);
	ga_buffer_format(text, FIRST_LINE "%d %zu\n", REQUEST_PROTOCOL, words.size);
	ga_buffer_append(text, words.data, words.size);
	text->failed = text->failed || words.failed;
}

/* ---- reading ---- */

static bool read_all(int fd, char *text, size_t size)
{
	while (size > 0) {
		ssize_t got = read(fd, text, size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		text += got;
		size -= (size_t)got;
	}
	return true;
}

/* One byte at a time: what follows the request may be for somebody else. */
static bool read_first_line(int fd, char *line, size_t room)
{
	for (size_t i = 0; i + 1 < room; i++) {
		if (!read_all(fd, line + i, 1))
			return false;
		if (line[i] == '\n') {
			line[i] = '\0';
			return true;
		}
	}
	return false;
}

static const char *take_mode(const char *word, struct request *request)
{
	for (int i = 0; i < MODES; i++)
		if (strcmp(word, modes[i]) == 0) {
			request->mode = (enum request_mode)i;
			return NULL;
		}
	return "the request has a mode that is not known here";
}

static const char *take_word(char *word, struct request *request)
{
	int64_t seconds;

	switch (word[0]) {
	case WORD_MODE: return take_mode(word + 1, request);
	case WORD_FOLDER_THAT_MUST_EXIST: request->must_exist = true; /* fall through */
	case WORD_FOLDER: request->folder = word + 1; return NULL;
	case WORD_OUTLIVES: request->outlives = true; return NULL;
	case WORD_UNKEPT: request->is_unkept = true; return NULL;
	case WORD_VARIABLE:
		if (!strchr(word + 1, '=') || word[1] == '=')
			return "the request has a variable without a name";
		request->variables[request->variable_count++] = word + 1;
		return NULL;
	case WORD_ARGUMENT: request->words[request->word_count++] = word + 1; return NULL;
	case WORD_SILENCE:
		if (!ga_text_number(word + 1, strlen(word + 1), SILENCE_S, &seconds) ||
		    seconds == 0)
			return "the request has a silence out of range";
		request->silence_s = (unsigned)seconds;
		return NULL;
	default: return "the request has a word that is not known here";
	}
}

static const char *take_words(struct request *request, size_t size)
{
	const char *wrong = NULL;
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		count += !request->text[i];
	if (size == 0 || request->text[size - 1] || count > REQUEST_WORDS_MOST)
		return "the request is cut off";
	request->variables = calloc(count + 1, sizeof *request->variables);
	request->words = calloc(count + 1, sizeof *request->words);
	if (!request->variables || !request->words)
		return "out of memory";
	for (size_t at = 0; !wrong && at < size; at += strlen(request->text + at) + 1)
		wrong = take_word(request->text + at, request);
	return wrong ? wrong : request->word_count == 0 ? "the request has no command" : NULL;
}

const char *request_read_from(int fd, struct request *ret_request)
{
	struct request request = {.silence_s = SILENCE_S};
	char line[64], first[32];
	const char *wrong = NULL;
	int64_t size;

	(void)snprintf(first, sizeof first, FIRST_LINE "%d ", REQUEST_PROTOCOL);
	if (!read_first_line(fd, line, sizeof line))
		return "there is no request on standard input; `gpualloc COMMAND --on HOST` sends "
		       "one";
	if (!ga_text_starts(line, FIRST_LINE))
		return "standard input does not begin with a request; `gpualloc COMMAND --on HOST` "
		       "sends one";
	if (!ga_text_starts(line, first))
		return "the request is in another version's words; both hosts need the same "
		       "protocol";
	if (!ga_text_number(line + strlen(first), strlen(line + strlen(first)), REQUEST_MOST,
			    &size))
		return "the request is too large";
	request.text = malloc((size_t)size + 1);
	if (!request.text)
		return "out of memory";
	if (!read_all(fd, request.text, (size_t)size))
		wrong = "the request is cut off";
	if (!wrong)
		wrong = take_words(&request, (size_t)size);
	if (wrong)
		request_free(&request);
	else
		*ret_request = request;
	return wrong;
}
