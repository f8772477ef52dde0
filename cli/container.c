/* SPDX-License-Identifier: Apache-2.0 */
/* run --container, up to the client; see container.h. */
#include "container.h"

#include "buffer.h"
#include "cdi_look.h"
#include "cleanup.h"
#include "document.h"
#include "engine_words.h"
#include "message.h"
#include "options.h"
#include "owned.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* VERDICT_MS: for an engine that does not answer when the client has ended. */
enum { ASK_MS = 20000, ANSWER_MOST = 1 << 16, TEXTS_MOST = 1 << 20, VERDICT_MS = 10000 };

static const char *const usual_folders[] = {"/etc/cdi", "/var/run/cdi", NULL};

/* ---- signals ---- */

/* Signals that people send to the client, and would now send to this process; and SIGCHLD. */
static void take_signals(struct container *container)
{
	static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
				      SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD};
	struct sigaction usual = {.sa_handler = SIG_DFL};

	(void)sigemptyset(&container->taken);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		(void)sigaddset(&container->taken, signals[i]);
	(void)sigaction(SIGCHLD, &usual, &container->child_before);
	(void)sigprocmask(SIG_BLOCK, &container->taken, &container->before);
}

static void give_signals_back(const struct container *container)
{
	(void)sigaction(SIGCHLD, &container->child_before, NULL);
	(void)sigprocmask(SIG_SETMASK, &container->before, NULL);
}

void container_free(struct container *container)
{
	if (container->go >= 0)
		close(container->go);
	/* It has not been let go, and ends. */
	if (container->client > 0) {
		while (waitpid(container->client, NULL, 0) < 0 && errno == EINTR)
			continue;
		give_signals_back(container);
	}
	if (container->verdict >= 0)
		close(container->verdict);
	free(container->words);
	free(container->environment);
	free(container->texts);
	*container = CONTAINER_NONE;
}

/* ---- what cannot be done ---- */

static int refuse_options(const struct call *call)
{
	static const struct {
		enum option_id id;
		const char *instead;
	} others[] = {
		{OPTION_BIND, "the engine decides about CPUs; use its --cpuset-cpus"},
		{OPTION_FENCE, "a container sees no other GPU in any case"},
		{OPTION_FORM, "a container sees its devices only, and numbers them from 0"},
		{OPTION_IGNORE_LEASES, "without a lease there is nothing to keep"},
		{OPTION_SUPERVISE, "the lease is kept until the container has ended in any case"},
		{OPTION_TIME_LIMIT, "what would be ended is the client; podman has --timeout"},
	};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (call->value[others[i].id])
			return fail_usage(call->command, "--%s cannot be used with --container: %s",
					  option_info(others[i].id)->name, others[i].instead);
	return 0;
}

static int refuse_verb(const struct call *call, const struct engine_words *words)
{
	static const struct {
		const char *verb, *why;
	} known[] = {
		{"attach", "only joins a container, which has its devices already"},
		{"compose", "starts containers that take no devices from outside; name them in the "
			    "file, and run gpualloc hold for them"},
		{"create", "makes a container and does not start it; use run -d"},
		{"exec", "starts a process in a container that has its devices already"},
		{"restart", "starts a container again that got its devices when it was made"},
		{"start", "starts a container again that got its devices when it was made"},
	};
	const char *verb = words->words[words->verb];

	for (size_t i = 0; verb && i < sizeof known / sizeof *known; i++)
		if (strcmp(verb, known[i].verb) == 0)
			return fail_usage(call->command, "%s %s %s", words->name, verb,
					  known[i].why);
	return fail_usage(call->command, "--container is for `%s run`, which makes a container",
			  words->name);
}

static int refuse_run(const struct call *call, const struct engine_words *words)
{
	if (words->gpus)
		return fail_usage(call->command,
				  "%s of %s run asks for GPUs, and the lease says which; leave it "
				  "out",
				  words->gpus, words->name);
	if (words->restart && strcmp(words->restart, "no") != 0)
		return fail_usage(call->command,
				  "a container with --restart=%s would start again later, without "
				  "a lease; leave it out",
				  words->restart);
	if (words->cidfile && !*words->cidfile)
		return fail_usage(call->command, "--cidfile without a name tells nobody which "
						 "container it is; leave it out");
	if (words->cidfile && access(words->cidfile, F_OK) == 0)
		return fail_usage(call->command, "--cidfile: %s is there already", words->cidfile);
	return 0;
}

/* ---- where the engine is ---- */

static int refuse_remote(const struct call *call, const struct engine_words *words,
			 const char *where)
{
	return fail_usage(call->command,
			  "%s (%s) starts containers elsewhere, where this lease means nothing; "
			  "put gpualloc on that machine before %s",
			  words->name, where, words->name);
}

/* The engine with its own options, then these words. NULL: out of memory. */
static const char **engine_with(const struct engine_words *words, const char *const *more)
{
	size_t count = words->verb, extra = 0;
	const char **all;

	if (count > 1 && strcmp(words->words[count - 1], "container") == 0)
		count--;
	while (more[extra])
		extra++;
	all = calloc(count + extra + 1, sizeof *all);
	if (!all)
		return NULL;
	for (size_t i = 0; i < count; i++)
		all[i] = words->words[i];
	memcpy(all + count, more, extra * sizeof *all);
	return all;
}

/* What the engine prints, without the last line's end; NULL if it cannot say. */
static char *ask_engine(const struct engine_words *words, const char *const *more)
{
	ga_auto_free const char **argv = engine_with(words, more);
	char *text = NULL;

	if (!argv || gpualloc_program_output(argv, ASK_MS, ANSWER_MOST, &text, NULL) < 0)
		return NULL;
	text[strcspn(text, "\r\n")] = '\0';
	return text;
}

static int check_docker(const struct call *call, const struct engine_words *words)
{
	static const char *const context[] = {"context", "inspect", "--format",
					      "{{.Endpoints.docker.Host}}", NULL};
	static const char *const system[] = {"info", "--format", "{{.OperatingSystem}}", NULL};
	const char *host = words->host ? words->host : getenv("DOCKER_HOST");
	ga_auto_free char *asked = host && *host ? NULL : ask_engine(words, context);
	ga_auto_free char *what = NULL;

	if (!host || !*host)
		host = asked;
	if (host && *host && strncmp(host, "unix://", 7) != 0)
		return refuse_remote(call, words, host);
	what = ask_engine(words, system);
	if (what && strcmp(what, "Docker Desktop") == 0)
		return refuse_remote(call, words, what);
	return 0;
}

static int check_place(const struct call *call, const struct engine_words *words)
{
	const char *host = getenv("CONTAINER_HOST");

	if (words->remote)
		return refuse_remote(call, words, words->remote);
	if (!words->is_podman)
		return check_docker(call, words);
	return host && *host ? refuse_remote(call, words, "CONTAINER_HOST") : 0;
}

/* A docker that is podman in disguise takes --gpus and does nothing about it. */
static void unmask(struct engine_words *words)
{
	static const char *const version[] = {"--version", NULL};
	ga_auto_free char *answer = words->is_podman ? NULL : ask_engine(words, version);

	words->is_podman |= answer && ga_text_starts(answer, "podman");
}

/* ---- whether it knows the devices ---- */

static int no_cdi(const struct call *call, const struct engine_words *words, const char *device)
{
	const char *machine = call->value[OPTION_MACHINE];

	return fail(gpualloc_exit_status(GPUALLOC_ENOSOURCE),
		    "no CDI file tells %s of %s; root writes one with: gpualloc cdi generate "
		    "%s%s%s--output /var/run/cdi/gpualloc.json",
		    words->name, device ? device : "any GPU", machine ? "--machine " : "",
		    machine ? machine : "", machine ? " " : "");
}

/* docker, since 25, says where it looks, if it does: the first folder that is not the usual one. */
static bool docker_reads_cdi(const struct engine_words *words)
{
	static const char *const folders[] = {"info", "--format",
					      "{{range .CDISpecDirs}}{{.}} {{end}}", NULL};
	ga_auto_free char *answer = ask_engine(words, folders);

	return answer && strchr(answer, '/');
}

/* podman always does, docker if it is told to; for docker there is --gpus else. */
static bool reads_cdi(const struct engine_words *words)
{
	return words->is_podman ||
	       (cdi_look(usual_folders, CDI_KIND, NULL) && docker_reads_cdi(words));
}

int container_check(const struct call *call)
{
	struct engine_words words;
	int result = refuse_options(call);

	if (result)
		return result;
	engine_words_read(call->operands, &words);
	if (!words.name)
		return fail_usage(call->command,
				  "--container is for `podman run` and `docker run`, not for %s",
				  call->operands[0]);
	if (!words.runs)
		return refuse_verb(call, &words);
	if (!words.words[words.image])
		return fail_usage(call->command, "%s run needs an image", words.name);
	result = refuse_run(call, &words);
	if (result == 0)
		unmask(&words);
	if (result == 0)
		result = check_place(call, &words);
	if (result == 0 && words.is_podman && !cdi_look(usual_folders, CDI_KIND, NULL))
		result = no_cdi(call, &words, NULL);
	return result;
}

/* ---- the client's words ---- */

static const char *value_in(char *const *environment, const char *name)
{
	size_t size = strlen(name);

	for (; *environment; environment++)
		if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=')
			return *environment + size + 1;
	return NULL;
}

static void add_word(struct ga_buffer *texts, const char *word)
{
	ga_buffer_append(texts, word, strlen(word) + 1);
}

/* Each device of "UUID,UUID" as a word of CDI. Returns an exit status. */
static int add_cdi_devices(const struct call *call, const struct engine_words *words,
			   const char *devices, struct ga_buffer *texts)
{
	char name[96];

	for (const char *at = devices; *at; at += *at == ',') {
		size_t size = strcspn(at, ",");

		(void)snprintf(name, sizeof name, "%.*s", size < 80 ? (int)size : 80, at);
		if (!cdi_look(usual_folders, CDI_KIND, name))
			return no_cdi(call, words, name);
		add_word(texts, "--device");
		ga_buffer_text(texts, CDI_KIND "=");
		add_word(texts, name);
		at += size;
	}
	return 0;
}

static int add_devices(const struct call *call, const struct engine_words *words,
		       char *const *environment, struct ga_buffer *texts)
{
	const char *devices = value_in(environment, "GPUALLOC_DEVICES");

	if (!devices)
		return fail(gpualloc_exit_status(GPUALLOC_EIMPOSSIBLE),
			    "%s cannot be told which devices: the UUID of one is not known",
			    words->name);
	if (reads_cdi(words))
		return add_cdi_devices(call, words, devices, texts);
	add_word(texts, "--gpus");
	/* The quotes are docker's own, around a value with commas. */
	ga_buffer_format(texts, "\"device=%s\"", devices);
	ga_buffer_char(texts, '\0');
	return 0;
}

/* The client's words with the new ones behind its verb. */
static int put_together(const struct engine_words *words, struct ga_buffer *texts,
			struct container *container)
{
	size_t count = 0, extra = 0, at = 0;

	for (size_t i = 0; i < texts->size; i++)
		extra += texts->data[i] == '\0';
	while (words->words[count])
		count++;
	container->words = calloc(count + extra + 1, sizeof *container->words);
	if (texts->failed || !container->words)
		return fail_memory();
	for (size_t i = 0; i <= words->verb; i++)
		container->words[at++] = words->words[i];
	container->texts = ga_buffer_take(texts, NULL);
	for (char *text = container->texts; extra > 0; extra--, text += strlen(text) + 1)
		container->words[at++] = text;
	for (size_t i = words->verb + 1; i < count; i++)
		container->words[at++] = words->words[i];
	return 0;
}

static int strip_environment(char *const *environment, struct container *container)
{
	size_t count = 0, at = 0;

	while (environment[count])
		count++;
	container->environment = calloc(count + 1, sizeof *container->environment);
	for (size_t i = 0; container->environment && i < count; i++)
		if (gpualloc_lease_has_variable(environment[i]) != 1)
			container->environment[at++] = environment[i];
	return container->environment ? 0 : fail_memory();
}

/* ---- the keeper ---- */

struct keeper_words {
	const char **words;
	char *const *environment;
};

/* In the orphan: becomes the keeper. It keeps the folder, for words of the engine may need it. */
static int become_keeper(void *context, const gpualloc_error *trouble)
{
	const struct keeper_words *keeper = context;
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (trouble || nothing < 0 || setsid() < 0 || ga_orphan_hand_on() != 0)
		return EXIT_FAILURE;
	for (int fd = CONTAINER_LEASE; fd <= CONTAINER_VERDICT; fd++)
		if (fcntl(fd, F_SETFD, 0) < 0)
			return EXIT_FAILURE;
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(nothing, fd) < 0)
			return EXIT_FAILURE;
	/* execve() takes arguments that are not const, but does not change them. */
	(void)execve("/proc/self/exe", (char *const *)(void *)keeper->words, keeper->environment);
	return EXIT_FAILURE;
}

static bool runs(int from)
{
	char word = 0;

	return ga_orphan_read(from, &word, 1) == 1 && word == GA_ORPHAN_RUNS;
}

static int cannot_keep(int reason)
{
	return fail(gpualloc_exit_status(GPUALLOC_EIO),
		    "the lease cannot be kept for a container: %s", strerror(reason));
}

static int start_keeper(int lease, struct keeper_words *keeper, struct container *container)
{
	ga_auto_close int client = (int)syscall(SYS_pidfd_open, container->client, 0);
	ga_auto_close int from = -1, verdict = -1;
	int answer[2], said[2], result;

	if (client < 0 || pipe2(said, O_CLOEXEC) < 0)
		return cannot_keep(errno);
	container->verdict = said[0];
	verdict = said[1];
	if (pipe2(answer, O_CLOEXEC) < 0)
		return cannot_keep(errno);
	from = answer[0];
	result = ga_orphan_start_with(become_keeper, keeper,
				      (const int[]){answer[1], lease, client, verdict}, 4, NULL);
	close(answer[1]);
	if (result < 0 || !runs(from))
		return fail(gpualloc_exit_status(GPUALLOC_EIO),
			    "the process that keeps the lease for the container did not start");
	return 0;
}

/* The container's number appears in this file, in a folder that nobody else can write to. */
static int make_cidfile(char path[static PATH_MAX], char folder[static PATH_MAX])
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	if (!base || *base != '/' || access(base, W_OK) < 0)
		base = "/tmp";
	if (snprintf(folder, PATH_MAX - 8, "%s/gpualloc-container-XXXXXX", base) >= PATH_MAX - 8 ||
	    !mkdtemp(folder))
		return fail(gpualloc_exit_status(GPUALLOC_EIO), "cannot make a folder in %s: %s",
			    base, strerror(errno));
	(void)snprintf(path, PATH_MAX, "%.*s/cid", PATH_MAX - 8, folder);
	return 0;
}

static int keep(const struct engine_words *words, const char *path, int lease,
		char *const *environment, const char *cidfile, const char *folder,
		struct container *container)
{
	const char *const none[] = {NULL};
	ga_auto_free const char **engine = engine_with(words, none);
	ga_auto_free const char **all = NULL;
	size_t count = 0, at = 0;
	struct keeper_words keeper = {.environment = environment};

	while (engine && engine[count])
		count++;
	all = calloc(count + CONTAINER_WORDS_LEAST, sizeof *all);
	if (!engine || !all)
		return fail_memory();
	all[at++] = "gpualloc-container";
	all[at++] = CONTAINER_WORD;
	all[at++] = cidfile;
	all[at++] = folder;
	all[at++] = path;
	for (size_t i = 1; i < count; i++)
		all[at++] = engine[i];
	keeper.words = all;
	return start_keeper(lease, &keeper, container);
}

/* ---- the client ---- */

/* In the child: waits until the lease is kept. */
_Noreturn static void be_client(const char *path, const struct container *container, int wait)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	char word;

	if (read(wait, &word, 1) != 1)
		_exit(EXIT_FAILURE);
	give_signals_back(container);
	_exit(fail_error(
		gpualloc_program_become(path, container->words, container->environment, error),
		error));
}

static int make_client(const char *path, struct container *container)
{
	int go[2];

	if (pipe2(go, O_CLOEXEC) < 0)
		return cannot_keep(errno);
	take_signals(container);
	container->go = go[1];
	container->client = fork();
	if (container->client == 0) {
		close(go[1]);
		be_client(path, container, go[0]);
	}
	close(go[0]);
	if (container->client > 0)
		return 0;
	give_signals_back(container);
	return cannot_keep(errno);
}

static int add_words(const struct call *call, const struct engine_words *words,
		     char *const *environment, const char *cidfile, struct ga_buffer *texts)
{
	const char *memory = value_in(environment, "GPUALLOC_MEMORY");

	if (!words->cidfile) {
		add_word(texts, "--cidfile");
		add_word(texts, cidfile);
	}
	if (memory) {
		add_word(texts, "--env");
		ga_buffer_text(texts, "GPUALLOC_MEMORY=");
		add_word(texts, memory);
	}
	return add_devices(call, words, environment, texts);
}

int container_begin(const struct call *call, const char *path, char *const *environment,
		    struct container *ret_container)
{
	ga_auto_buffer struct ga_buffer texts = GA_BUFFER_INIT(TEXTS_MOST);
	char cidfile[PATH_MAX] = "", folder[PATH_MAX] = "";
	const char *lease = value_in(environment, "GPUALLOC_FD");
	struct engine_words words;
	int result = 0;

	engine_words_read(call->operands, &words);
	unmask(&words);
	if (!lease)
		return fail(gpualloc_exit_status(GPUALLOC_EPERM),
			    "this system does not let a process copy another's descriptors, so "
			    "the lease cannot be kept for a container");
	if (words.cidfile)
		(void)snprintf(cidfile, sizeof cidfile, "%s", words.cidfile);
	else
		result = make_cidfile(cidfile, folder);
	if (result == 0)
		result = add_words(call, &words, environment, cidfile, &texts);
	if (result == 0)
		result = put_together(&words, &texts, ret_container);
	if (result == 0)
		result = strip_environment(environment, ret_container);
	if (result == 0)
		result = make_client(path, ret_container);
	if (result == 0)
		result = keep(&words, path, atoi(lease), environment, cidfile, folder,
			      ret_container);
	if (result && *folder)
		(void)rmdir(folder);
	return result;
}

/* ---- while the client runs ---- */

/* Ctrl-C reaches the client by itself; what is sent to this process is meant for it. */
static void pass_on(const struct container *container, const siginfo_t *info)
{
	if (info->si_code != SI_KERNEL)
		(void)kill(container->client, info->si_signo);
}

int container_run(struct container *container)
{
	const char word = 'g';
	int status = 0;
	struct pollfd verdict = {.fd = container->verdict, .events = POLLIN};
	siginfo_t info;

	(void)!write(container->go, &word, 1);
	while (waitpid(container->client, &status, WNOHANG) != container->client)
		if (sigwaitinfo(&container->taken, &info) > 0 && info.si_signo != SIGCHLD)
			pass_on(container, &info);
	container->client = 0;
	(void)poll(&verdict, 1, VERDICT_MS);
	give_signals_back(container);
	return status;
}
