/* SPDX-License-Identifier: Apache-2.0 */
/* Starting ssh and understanding its failures; see ssh.h. */
#include "hosts/ssh.h"

#include "child.h"
#include "message.h"
#include "owned.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_UNAVAILABLE = 69, ARGUMENTS_MOST = 40 };

int ssh_find(char **ret_path)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	const char *named = getenv("GPUALLOC_SSH");

	if (!named || !*named)
		named = "ssh";
	if (gpualloc_program_find(named, ret_path, error) == 0)
		return 0;
	return fail(STATUS_UNAVAILABLE,
		    "--on needs OpenSSH's ssh: %s; install it (Debian: openssh-client), or name it "
		    "with GPUALLOC_SSH",
		    gpualloc_error_message(error));
}

/* A socket's path is short, and ssh adds to it while it makes one. */
int ssh_make_folder(char path[static SOCKETS_PATH])
{
	enum { RUNTIME_MOST = SOCKETS_PATH - 20 };
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (!runtime || *runtime != '/' || strlen(runtime) > RUNTIME_MOST ||
	    access(runtime, W_OK) < 0)
		runtime = "/tmp";
	(void)snprintf(path, SOCKETS_PATH, "%s/gpualloc-XXXXXX", runtime);
	if (mkdtemp(path))
		return 0;
	*path = '\0';
	return fail(STATUS_OUTPUT, "cannot make a folder in %s: %s", runtime, strerror(errno));
}

/* ---- its command line ---- */

struct arguments {
	const char *list[ARGUMENTS_MOST];
	size_t count;
	char control[256], persist[32];
};

static void add(struct arguments *arguments, const char *word)
{
	if (arguments->count + 1 < ARGUMENTS_MOST)
		arguments->list[arguments->count++] = word;
}

static void add_option(struct arguments *arguments, const char *option)
{
	add(arguments, "-o");
	add(arguments, option);
}

static void fill(struct arguments *arguments, const struct ssh *ssh)
{
	/* Of the user's configuration only what would get in the way is changed. */
	static const char *const always[] = {"BatchMode=yes", "ClearAllForwardings=yes",
					     "ForwardX11=no", "PermitLocalCommand=no",
					     "RemoteCommand=none"};

	add(arguments, ssh->path);
	add(arguments, ssh->terminal ? "-tt" : "-T");
	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		add_option(arguments, always[i]);
	add_option(arguments, ssh->is_master   ? "ControlMaster=yes"
			      : ssh->persist_s ? "ControlMaster=auto"
					       : "ControlMaster=no");
	if (ssh->control) {
		(void)snprintf(arguments->control, sizeof arguments->control, "ControlPath=%s",
			       ssh->control);
		(void)snprintf(arguments->persist, sizeof arguments->persist, "ControlPersist=%u",
			       ssh->persist_s);
		add_option(arguments, arguments->control);
		add_option(arguments, ssh->persist_s ? arguments->persist : "ControlPersist=no");
	}
	/* "Shared connection closed" is not for the user, who does not know that it is shared. */
	if (ssh->foreground)
		add_option(arguments, "LogLevel=ERROR");
	add(arguments, "--");
	add(arguments, ssh->host->name);
	add(arguments, ssh->host->program);
	add(arguments, "remote");
	if (ssh->token)
		add(arguments, ssh->token);
}

/* ---- starting it ---- */

static void set_signals(const struct ssh *ssh)
{
	struct sigaction usual = {.sa_handler = SIG_DFL};
	sigset_t blocked;

	(void)sigaction(SIGPIPE, &usual, NULL);
	(void)sigaction(SIGCHLD, &usual, NULL);
	(void)sigemptyset(&blocked);
	/* A signal to the group is for the command there: we pass it on, and ssh must live to do
	 * so. */
	if (ssh->foreground) {
		(void)sigaddset(&blocked, SIGINT);
		(void)sigaddset(&blocked, SIGQUIT);
		(void)sigaddset(&blocked, SIGTERM);
		(void)sigaddset(&blocked, SIGHUP);
	}
	(void)sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/* With the descriptors in place; above 2, all are ours and close-on-exec. */
static void become(const struct ssh *ssh, pid_t parent)
{
	struct arguments arguments = {0};
	char *words[ARGUMENTS_MOST];
	int ends[] = {ssh->in, ssh->out, ssh->err};

	/* Without us nobody would speak to it; a master removes its socket. */
	if (prctl(PR_SET_PDEATHSIG, ssh->foreground ? SIGKILL : SIGTERM) < 0 || getppid() != parent)
		_exit(127);
	/* In a session of its own it has no terminal to ask on, and no Ctrl-C reaches it. */
	if (!ssh->foreground)
		(void)setsid();
	for (int i = 0; i < 3; i++)
		if (ends[i] <= 2 && ends[i] != i)
			ends[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 3; i++)
		if (ends[i] != i && dup2(ends[i], i) < 0)
			_exit(127);
	set_signals(ssh);
	fill(&arguments, ssh);
	memcpy(words, arguments.list, sizeof words);
	(void)execv(ssh->path, words);
	_exit(127);
}

int ssh_start(const struct ssh *ssh, pid_t *ret_pid, int *ret_ended)
{
	pid_t parent = getpid(), pid = fork();
	int ended, reason;

	if (pid == 0)
		become(ssh, parent);
	if (pid < 0)
		return errno;
	ended = (int)syscall(SYS_pidfd_open, pid, 0);
	if (ended < 0) {
		reason = errno;
		(void)kill(pid, SIGKILL);
		(void)ssh_status(pid);
		return reason;
	}
	*ret_pid = pid;
	*ret_ended = ended;
	return 0;
}

int ssh_start_piped(struct ssh *ssh, pid_t *ret_pid, int *ret_ended)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, reason = 0;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		reason = errno;
	ssh->in = in[0];
	ssh->out = out[1];
	ssh->err = err[1];
	if (reason == 0)
		reason = ssh_start(ssh, ret_pid, ret_ended);
	ga_close_and_forget(&in[0]);
	ga_close_and_forget(&out[1]);
	ga_close_and_forget(&err[1]);
	if (reason) {
		ga_close_and_forget(&in[1]);
		ga_close_and_forget(&out[0]);
		ga_close_and_forget(&err[0]);
	}
	ssh->in = in[1];
	ssh->out = out[0];
	ssh->err = err[0];
	return reason;
}

int ssh_status(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 127;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool ssh_has_master(const char *path, const struct host *host)
{
	enum { PATIENCE_MS = 2000, LITTLE = 1 << 12 };
	const char *const words[] = {path, "-O", "check", "--", host->name, NULL};
	struct ga_child_result result = {0};
	bool has = ga_child_run(words, PATIENCE_MS, LITTLE, &result, NULL) == 0 &&
		   !result.timed_out && result.exit_status == 0;

	ga_child_result_free(&result);
	return has;
}

void ssh_end_master(const char *path, const struct host *host, const char *control)
{
	enum { PATIENCE_MS = 2000, LITTLE = 1 << 12 };
	const char *const words[] = {path, "-S", control, "-O", "exit", "--", host->name, NULL};
	struct ga_child_result result = {0};

	if (access(control, F_OK) == 0)
		(void)ga_child_run(words, PATIENCE_MS, LITTLE, &result, NULL);
	ga_child_result_free(&result);
	(void)unlink(control);
}

/* ---- its failures ---- */

static bool has(struct ga_view line, const char *word)
{
	return memmem(line.text, line.size, word, strlen(word)) != NULL;
}

/* The last line that says something; warnings and banners come before it. */
static struct ga_view last_line(const char *printed, size_t size)
{
	struct ga_view rest = {printed, size}, line, last = {"", 0};

	while (ga_view_line(&rest, &line)) {
		line = ga_view_trim(line.text, line.size);
		if (line.size > 0)
			last = line;
	}
	return last;
}

char *ssh_reason(const char *printed, size_t size)
{
	enum { SHOWN = 300 };
	struct ga_view line = last_line(printed, size);
	ga_auto_free char *clean = ga_text_clean(line.text, line.size);
	const char *before = "", *after = "";
	ga_auto_free char *reason = NULL;
	int length;

	if (!clean)
		return NULL;
	if (!*clean)
		return strdup("ssh failed and did not say why");
	if (has(line, "Permission denied") || has(line, "Too many authentication failures"))
		before = "asks for a password, or for a key that is not here: ";
	if (has(line, "Host key verification failed"))
		after = " Connect to it once by hand to check its key";
	length = asprintf(&reason, "%s%.*s%s", before, SHOWN, clean, after);
	if (length < 0)
		reason = NULL;
	/* What was cut off may have left half a character. */
	return length < 0 ? NULL : ga_text_clean(reason, (size_t)length);
}
