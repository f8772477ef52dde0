/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from another host, and what another host is asked: the first byte says which of the
 * three it is, a request, an answer or a hosts file. Nothing that is let through can hurt a
 * terminal, a shell or ssh.
 */
#include "fuzz.h"
#include "hosts/ask.h"
#include "hosts/document.h"
#include "text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A file with these bytes, at its beginning. */
static int file_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", 0);

	fuzz_require(fd >= 0 && write(fd, data, size) == (ssize_t)size &&
			     lseek(fd, 0, SEEK_SET) == 0,
		     "there is a file");
	return fd;
}

static void request_comes(const uint8_t *data, size_t size)
{
	int fd = file_of(data, size);
	struct request request = {0};

	if (!request_read_from(fd, &request)) {
		fuzz_require(request.word_count > 0 && request.silence_s > 0 &&
				     request.silence_s <= SILENCE_S,
			     "a request has a command and an end of patience");
		for (size_t i = 0; i < request.variable_count; i++)
			fuzz_require(strchr(request.variables[i], '=') != NULL,
				     "variables have values");
		fuzz_require(!request.words[request.word_count], "the list of words ends");
		request_free(&request);
	}
	close(fd);
}

static void answer_comes(const char *text, size_t size)
{
	char *wrong = NULL, *sentence, *silence;
	char name[] = "h", program[] = "gpualloc";
	struct host host = {.name = name, .program = program};
	struct ga_view line = {text, size};
	int64_t protocol;
	bool is_note;
	const char *rest = answer_after_greeting(text, size, &protocol);
	json_t *document = answer_parse(text, size, "list", &wrong);

	fuzz_require(!rest || (rest >= text && rest <= text + size), "the rest is within the text");
	fuzz_require(!document != !wrong, "there is a document or a reason");
	fuzz_require(!wrong || ga_text_is_clean(wrong, strlen(wrong)), "reasons are clean");
	(void)document_holder(document);
	sentence = answer_sentence(line, &is_note);
	fuzz_require(!sentence || ga_text_is_clean(sentence, strlen(sentence)),
		     "sentences are clean");
	silence = answer_silence(&host, 3, line);
	fuzz_require(silence && ga_text_is_clean(silence, strlen(silence)), "so is silence");
	json_decref(document);
	free(wrong);
	free(sentence);
	free(silence);
}

static void hosts_are_read(const uint8_t *data, size_t size)
{
	int fd = file_of(data, size), saved = dup(STDERR_FILENO);
	int nothing = open("/dev/null", O_WRONLY);
	struct hosts hosts = {0};
	char name[32], *path = NULL;

	(void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	(void)setenv("GPUALLOC_HOSTS", name, 1);
	/* Mistakes are said on stderr. */
	(void)dup2(nothing, STDERR_FILENO);
	if (hosts_read(&hosts, &path) == 0)
		for (size_t i = 0; i < hosts.count; i++) {
			const struct host *host = &hosts.list[i];

			fuzz_require(host->name[0] != '-' && host->program[0] != '-',
				     "nothing looks like an option");
			fuzz_require(!strpbrk(host->program, " \t'\"\\$`;&|<>()*?~"),
				     "no shell sees anything in a program");
			fuzz_require(ga_text_is_clean(host->name, strlen(host->name)),
				     "names are clean");
		}
	(void)dup2(saved, STDERR_FILENO);
	hosts_free(&hosts);
	free(path);
	close(nothing);
	close(saved);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = malloc(size);
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] == 'r')
		request_comes(data + 1, size - 1);
	else if (data[0] == 'a')
		answer_comes(text, size - 1);
	else
		hosts_are_read(data + 1, size - 1);
	free(text);
	return 0;
}
