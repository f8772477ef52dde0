/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpualloc kernelspec: a kernel for Jupyter that is started by gpualloc run. run becomes the
 * kernel, so what Jupyter signals or kills is the kernel, and the lease ends with it.
 */
#include "bind.h"
#include "choose.h"
#include "file.h"
#include "json_writer.h"
#include "launcher.h"
#include "leasing.h"
#include "message.h"
#include "open.h"
#include "options.h"
#include "output.h"
#include "owned.h"
#include "run_options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPEC_MOST = 1 << 20, LOOK_MS = 10000 };

static const char connection[] = "{connection_file}";
static const char *const usual[] = {"-m", "ipykernel_launcher", "-f", connection, NULL};

/* What the kernel's file is made of. */
struct kernel {
	const char *name;   /* of its folder */
	char *program;      /* by its whole path */
	char *const *words; /* after the program; NULL: the usual ones */
	char *spec;         /* the machine; NULL without --machine */
	char self[PATH_MAX];
};

static void kernel_free(struct kernel *kernel)
{
	free(kernel->program);
	free(kernel->spec);
}

/* ---- reading ---- */

/* Jupyter accepts no other names. */
static bool is_name(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	return *text && *text != '.' && strspn(text, allowed) == strlen(text);
}

static int read_name(const struct call *call, struct kernel *kernel)
{
	const char *word = call->value[OPTION_NAME];

	kernel->name = word ? word : "gpualloc";
	if (is_name(kernel->name))
		return 0;
	return fail_usage(call->command,
			  "--name: \"%s\" cannot be the name of a kernel; use letters, digits, "
			  "\".\", \"-\" and \"_\"",
			  word);
}

static int check_connection(const struct call *call)
{
	for (size_t i = 0; i < call->operand_count; i++)
		if (strstr(call->operands[i], connection))
			return 0;
	return fail_usage(call->command,
			  "Jupyter tells a kernel its connection file: put {connection_file} where "
			  "the kernel's command wants it, for example: -- python3 -m "
			  "ipykernel_launcher -f {connection_file}");
}

static int read_program(const struct call *call, struct kernel *kernel)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	char *found = NULL;
	int result = call->operand_count ? check_connection(call) : 0;

	if (result)
		return result;
	result = gpualloc_program_find(call->operand_count ? call->operands[0] : "python3", &found,
				       error);
	if (result < 0)
		return fail_error(result, error);
	if (call->operand_count)
		kernel->words = call->operands + 1;
	/* Links stay: a Python knows its virtual environment by the link it was started as. */
	if (*found == '/') {
		kernel->program = found;
		return 0;
	}
	if (!getcwd(kernel->self, sizeof kernel->self) ||
	    asprintf(&kernel->program, "%s/%s", kernel->self, found) < 0)
		kernel->program = NULL;
	gpualloc_free(found);
	return kernel->program ? 0 : fail_memory();
}

/* Jupyter's PATH may be another than ours. */
static void find_self(struct kernel *kernel)
{
	ssize_t size = readlink("/proc/self/exe", kernel->self, sizeof kernel->self - 1);

	if (size < 0)
		size = stpcpy(kernel->self, "gpualloc") - kernel->self;
	kernel->self[size] = '\0';
}

/* Everything that run would refuse is refused here, where somebody reads it. */
static int check_choice(const struct call *call)
{
	auto_chosen struct chosen chosen = {0};
	enum gpualloc_form form;
	int64_t limit_ms;
	int result = form_read(call, &form);

	if (result == 0)
		result = limit_read(call, &limit_ms);
	if (result == 0)
		result = check_wait(call);
	if (result == 0 && call->operand_count)
		result = launcher_check(call);
	if (result == 0)
		result = bind_check(call);
	return result ? result : request_read(call, &chosen);
}

static int read_kernel(const struct call *call, struct kernel *kernel)
{
	int result = read_name(call, kernel);

	if (result == 0)
		result = check_choice(call);
	if (result == 0)
		result = read_program(call, kernel);
	if (result == 0)
		result = spec_read(call, &kernel->spec);
	if (result == 0)
		find_self(kernel);
	return result;
}

/* ---- the file ---- */

static bool is_for_run(enum option_id id)
{
	return id != OPTION_HELP && id != OPTION_NAME && id != OPTION_OUTPUT && id != OPTION_QUIET;
}

static void add_option(struct ga_json *json, const struct call *call, const struct kernel *kernel,
		       enum option_id id)
{
	ga_auto_buffer struct ga_buffer word = GA_BUFFER_OUTPUT;
	const char *value = id == OPTION_MACHINE ? kernel->spec : call->value[id];

	ga_buffer_format(&word, "--%s", option_info(id)->name);
	if (*value)
		ga_buffer_format(&word, "=%s", value);
	ga_json_text(json, NULL, word.data);
	json->out->failed = json->out->failed || word.failed;
}

static void add_words(struct ga_json *json, const struct call *call, const struct kernel *kernel)
{
	ga_json_open_line(json, "\n ", "argv", '[');
	ga_json_text(json, NULL, kernel->self);
	ga_json_text(json, NULL, "run");
	for (const enum option_id *id = call->command->options; *id != OPTION_END; id++)
		if (call->value[*id] && is_for_run(*id))
			add_option(json, call, kernel, *id);
	ga_json_text(json, NULL, "--");
	ga_json_text(json, NULL, kernel->program);
	for (size_t i = 0; kernel->words ? kernel->words[i] != NULL : usual[i] != NULL; i++)
		ga_json_text(json, NULL, kernel->words ? kernel->words[i] : usual[i]);
	ga_json_close(json, ']');
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_python(const struct kernel *kernel)
{
	return strncmp(base_of(kernel->program), "python", strlen("python")) == 0;
}

/* "Python 3 on 2 GPUs": what people choose it by. */
static void add_title(struct ga_buffer *title, const struct call *call, const struct kernel *kernel)
{
	const char *count = call->value[OPTION_COUNT] ? call->value[OPTION_COUNT] : "1";
	const char *mig = call->value[OPTION_MIG], *memory = call->value[OPTION_MEMORY];

	ga_buffer_format(title, "%s on ", kernel->words ? base_of(kernel->program) : "Python 3");
	if (call->value[OPTION_SHARE] && memory)
		ga_buffer_format(title, "%s of ", memory);
	ga_buffer_format(title, "%s %s%s", count, mig ? "MIG instance" : "GPU",
			 strcmp(count, "1") == 0 ? "" : "s");
	if (mig && *mig)
		ga_buffer_format(title, " %s", mig);
	if (call->value[OPTION_MODEL])
		ga_buffer_format(title, " %s", call->value[OPTION_MODEL]);
}

static void write_spec(struct ga_buffer *text, const struct call *call, const struct kernel *kernel)
{
	ga_auto_buffer struct ga_buffer title = GA_BUFFER_OUTPUT;
	struct ga_json json = {.out = text};

	add_title(&title, call, kernel);
	ga_json_open(&json, NULL, '{');
	add_words(&json, call, kernel);
	ga_json_line(&json, "\n ");
	ga_json_text(&json, "display_name", title.data);
	ga_json_line(&json, "\n ");
	ga_json_text(&json, "language", is_python(kernel) ? "python" : base_of(kernel->program));
	ga_json_open_line(&json, "\n ", "metadata", '{');
	ga_json_text(&json, "gpualloc", gpualloc_version());
	ga_json_close(&json, '}');
	ga_json_close(&json, '}');
	ga_buffer_char(text, '\n');
	text->failed = text->failed || title.failed;
}

/* ---- where it goes ---- */

/* Where Jupyter looks for what its user has installed. */
static int folder_of(const struct kernel *kernel, struct ga_buffer *path)
{
	const char *jupyter = getenv("JUPYTER_DATA_DIR"), *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");

	if (jupyter && *jupyter)
		ga_buffer_text(path, jupyter);
	else if (data && *data)
		ga_buffer_format(path, "%s/jupyter", data);
	else if (home && *home)
		ga_buffer_format(path, "%s/.local/share/jupyter", home);
	else
		return fail(STATUS_OUTPUT, "no folder for kernels: HOME is not set; name a file "
					   "with --output");
	ga_buffer_format(path, "/kernels/%s", kernel->name);
	return path->failed ? fail_memory() : 0;
}

static int make_folders(char *path)
{
	for (char *at = path + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		(void)mkdir(path, 0777);
		*at = '/';
	}
	if (mkdir(path, 0777) == 0 || errno == EEXIST)
		return 0;
	return fail(errno == EACCES || errno == EPERM || errno == EROFS
			    ? gpualloc_exit_status(GPUALLOC_EPERM)
			    : STATUS_OUTPUT,
		    "cannot make the folder %s: %s", path, strerror(errno));
}

/* A kernel of somebody else's making is not replaced. */
static int check_ours(const struct call *call, const struct kernel *kernel, const char *path)
{
	ga_auto_buffer struct ga_buffer before = GA_BUFFER_INIT(SPEC_MOST);

	if (access(path, F_OK) < 0 || (ga_file_read(path, SPEC_MOST, &before, NULL) == 0 &&
				       before.data && strstr(before.data, "\"gpualloc\": ")))
		return 0;
	return fail_usage(call->command,
			  "there is a kernel %s already, which gpualloc did not write (%s); give "
			  "this one another --name",
			  kernel->name, path);
}

static void look_for_ipykernel(const struct call *call, const struct kernel *kernel)
{
	const char *const words[] = {
		kernel->program, "-c",
		"import importlib.util, sys; sys.exit(not importlib.util.find_spec('ipykernel'))",
		NULL};
	char *text = NULL;

	if (kernel->words || call->value[OPTION_QUIET])
		return;
	if (gpualloc_program_output(words, LOOK_MS, 1 << 10, &text, NULL) < 0)
		say("note: %s has no ipykernel, without which the kernel does not start; install "
		    "it there, or name another Python: -- /path/to/python3 -m ipykernel_launcher "
		    "-f {connection_file}",
		    kernel->program);
	gpualloc_free(text);
}

static int install(const struct call *call, const struct kernel *kernel,
		   const struct ga_buffer *text)
{
	ga_auto_buffer struct ga_buffer path = GA_BUFFER_OUTPUT;
	int result = folder_of(kernel, &path);

	if (result == 0)
		result = make_folders(path.data);
	if (result)
		return result;
	ga_buffer_text(&path, "/kernel.json");
	if (path.failed)
		return fail_memory();
	result = check_ours(call, kernel, path.data);
	if (result == 0)
		result = output_save(path.data, text);
	if (result)
		return result;
	look_for_ipykernel(call, kernel);
	ga_buffer_char(&path, '\n');
	return output_print(&path);
}

static int run(const struct call *call)
{
	ga_cleanup(kernel_free) struct kernel kernel = {0};
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	int result = read_kernel(call, &kernel);

	if (result)
		return result;
	write_spec(&text, call, &kernel);
	if (text.failed)
		return fail_memory();
	if (call->value[OPTION_OUTPUT])
		return output_save(call->value[OPTION_OUTPUT], &text);
	return install(call, &kernel, &text);
}

const struct command command_kernelspec = {
	.name = "kernelspec",
	.sentence = "write a Jupyter kernel that leases its devices",
	.description =
		"Writes a kernel for Jupyter and prints the file's name. Jupyter starts it with "
		"gpualloc run and these options: each notebook gets devices of its own, which are "
		"free again when its kernel ends, however it ends. Without a command the kernel is "
		"Python, the first python3 on PATH; another command says where it wants "
		"{connection_file}. jupyter kernelspec remove NAME takes it away again.",
	.example = "gpualloc kernelspec --machine dgx1-volta -n 2 -o -",
	.operand = "[[--] COMMAND...]",
	.operands_most = SIZE_MAX,
	.complete = COMPLETE_PROGRAM,
	.others_words = true,
	.options = (const enum option_id[]){OPTION_BIND,       OPTION_COUNT,
					    OPTION_DEADLINE,   OPTION_EXCLUDE,
					    OPTION_FORM,       OPTION_HELP,
					    OPTION_IGNORE_ENV, OPTION_IGNORE_PROCESSES,
					    OPTION_MACHINE,    OPTION_MEMORY,
					    OPTION_MIG,        OPTION_MIXED,
					    OPTION_MODEL,      OPTION_NAME,
					    OPTION_NOTE,       OPTION_ONLY,
					    OPTION_OUTPUT,     OPTION_POLICY,
					    OPTION_PRIVATE,    OPTION_QUIET,
					    OPTION_REQUIRE,    OPTION_SEED,
					    OPTION_SHARE,      OPTION_SUPERVISE,
					    OPTION_TIME_LIMIT, OPTION_WAIT,
					    OPTION_END},
	.gives = true,
	.run = run,
};
