/* SPDX-License-Identifier: Apache-2.0 */
/* The process that asks, and the worker's end of it; see prober.h. */
#include "prober.h"

#include "clock.h"
#include "descriptors.h"
#include "error.h"
#include "file.h"
#include "keeper.h"
#include "owned.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { REASON_MOST = 256, EXCLUDED_MOST = 1 << 20, TEXT_MOST = 1 << 28 };

/* Before the machine's text or a sentence, and the two other texts. */
struct answer {
	int32_t result;
	uint32_t machine, excluded, mistakes; /* sizes */
};

/* ---- in the process ---- */

static void note_excluded(struct ga_buffer *text, const gpualloc_device *device)
{
	enum gpualloc_state state = gpualloc_device_state(device);
	const char *uuid = gpualloc_device_uuid(device);
	char reason[REASON_MOST];

	if (!uuid || (state != GPUALLOC_STATE_EXCLUDED && state != GPUALLOC_STATE_DRAINING &&
		      state != GPUALLOC_STATE_DRAINED))
		return;
	(void)gpualloc_device_reason(device, reason, sizeof reason);
	ga_buffer_format(text, "%s %s\n", uuid, reason);
}

static void note_all_excluded(struct ga_buffer *text, const gpualloc_machine *machine)
{
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(machine, i);

		note_excluded(text, gpu);
		for (size_t j = 0; j < gpualloc_device_mig_count(gpu); j++)
			note_excluded(text, gpualloc_device_mig(gpu, j));
	}
}

static int send_answer(int socket, struct answer answer, const char *machine, const char *excluded,
		       const char *mistakes)
{
	if (ga_file_put(socket, &answer, sizeof answer) < 0 ||
	    ga_file_put(socket, machine, answer.machine) < 0 ||
	    ga_file_put(socket, excluded, answer.excluded) < 0 ||
	    ga_file_put(socket, mistakes, answer.mistakes) < 0)
		return -1;
	return 0;
}

/* The machine goes out as it is, and the administrator's rules beside it. */
static int ask(const struct settings *settings, int socket)
{
	ga_auto_buffer struct ga_buffer excluded = GA_BUFFER_INIT(EXCLUDED_MOST);
	auto_machine gpualloc_machine *machine = NULL;
	gpualloc_error error = {0}, mistakes = {0};
	char *text = NULL;
	size_t size = 0;
	int result = gpualloc_machine_open(*settings->machine ? settings->machine : NULL, 0,
					   &machine, &error);

	if (result == 0)
		result = gpualloc_machine_write(machine, &text, &size, &error);
	if (result == 0) {
		(void)gpualloc_machine_add_config(machine, &mistakes);
		note_all_excluded(&excluded, machine);
	}
	if (result == 0 && (excluded.failed || size > TEXT_MOST))
		result = ga_error_memory(&error);
	result = send_answer(
		socket,
		(struct answer){.result = result,
				.machine = (uint32_t)(result ? strlen(error.message) : size),
				.excluded = (uint32_t)excluded.size,
				.mistakes = (uint32_t)strlen(mistakes.message)},
		result ? error.message : text, excluded.data, mistakes.message);
	gpualloc_free(text);
	(void)malloc_trim(0);
	return result;
}

_Noreturn static void serve(const struct settings *settings, int socket, pid_t parent)
{
	enum { OWN = STDERR_FILENO + 1 };
	sigset_t none;
	char question;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It must not keep the leases of an agent that starts it again. */
	if (getppid() != parent || (socket != OWN && dup3(socket, OWN, O_CLOEXEC) < 0) ||
	    ga_descriptors_close(OWN + 1) < 0)
		_exit(EXIT_FAILURE);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGINT, SIG_IGN); /* Ctrl-C is the agent's */
	while (read(OWN, &question, 1) == 1)
		if (ask(settings, OWN) < 0)
			break;
	_exit(EXIT_SUCCESS);
}

/* ---- the agent's end ---- */

int prober_start(struct prober *prober, const struct settings *settings, gpualloc_error *error)
{
	pid_t parent = getpid();
	int ends[2];

	*prober = (struct prober){.settings = settings, .socket = -1};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot make a socket");
	prober->process = fork();
	if (prober->process == 0) {
		close(ends[0]);
		serve(settings, ends[1], parent);
	}
	close(ends[1]);
	if (prober->process < 0) {
		close(ends[0]);
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot start a process");
	}
	prober->socket = ends[0];
	return 0;
}

static void prober_stop(struct prober *prober)
{
	if (prober->socket < 0)
		return;
	close(prober->socket);
	prober->socket = -1;
	(void)kill(prober->process, SIGKILL);
	(void)waitpid(prober->process, NULL, 0);
}

struct probing *probing_new(struct prober *prober)
{
	struct probing *probing = calloc(1, sizeof *probing);

	if (!probing)
		return NULL;
	probing->job.work = probing_work;
	probing->prober = prober;
	probing->text = -1;
	probing->error = gpualloc_error_new();
	return probing;
}

void probing_free(struct probing *probing)
{
	if (!probing)
		return;
	gpualloc_machine_free(probing->machine);
	if (probing->text >= 0)
		close(probing->text);
	free(probing->excluded);
	free(probing->mistakes);
	gpualloc_error_free(probing->error);
	free(probing);
}

static bool read_all(int socket, void *bytes, size_t size)
{
	char *at = bytes;

	while (size > 0) {
		ssize_t got = read(socket, at, size);

		if (got == 0 || (got < 0 && errno != EINTR))
			return false;
		at += got > 0 ? got : 0;
		size -= got > 0 ? (size_t)got : 0;
	}
	return true;
}

static char *read_text(int socket, size_t size)
{
	char *text = malloc(size + 1);

	if (!text || !read_all(socket, text, size)) {
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

static int take_answer(struct probing *probing, const struct answer *answer, const char *text)
{
	if (answer->result < 0)
		return ga_error_set(probing->error, answer->result, "%s", text);
	probing->text = snapshot_keep(text, answer->machine, probing->error);
	return gpualloc_machine_read(text, answer->machine, "the machine", &probing->machine,
				     probing->error);
}

void probing_work(struct job *job)
{
	struct probing *probing = (struct probing *)job;
	struct prober *prober = probing->prober;
	ga_auto_free char *text = NULL;
	struct answer answer = {0};
	int result = 0;

	probing->began_at = ga_clock_ms();
	/* It was killed, or memory was short. */
	if (prober->socket < 0)
		result = prober_start(prober, prober->settings, probing->error);
	if (result < 0)
		return;
	if (send(prober->socket, "?", 1, MSG_NOSIGNAL) == 1 &&
	    read_all(prober->socket, &answer, sizeof answer)) {
		text = read_text(prober->socket, answer.machine);
		probing->excluded = text ? read_text(prober->socket, answer.excluded) : NULL;
		probing->mistakes =
			probing->excluded ? read_text(prober->socket, answer.mistakes) : NULL;
	}
	if (probing->mistakes) {
		(void)take_answer(probing, &answer, text);
		return;
	}
	(void)ga_error_set(probing->error, GPUALLOC_EIO,
			   "the process that asks the driver has ended; another is started");
	prober_stop(prober);
}
