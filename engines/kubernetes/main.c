/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc-k8s, the agent of a Kubernetes node. */
#include "file.h"
#include "front.h"
#include "options.h"
#include "text.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if HAS_DRA
#include "dra.h"
#include "facts.h"
#include "offer.h"
#endif

enum { EXIT_USAGE = 64, EXIT_OUTPUT = 74, EXIT_CONFIG = 78 };

static int print(const char *text)
{
	return ga_file_put(STDOUT_FILENO, text, strlen(text)) == 0 ? EXIT_SUCCESS : EXIT_OUTPUT;
}

static int print_help(void)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	options_help(&text);
	return text.failed ? EXIT_OUTPUT : print(text.data);
}

static int print_version(void)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	ga_buffer_format(&text, "gpualloc-k8s %s\n", gpualloc_version());
	return text.failed ? EXIT_OUTPUT : print(text.data);
}

#if HAS_DRA
static int print_slices(const struct settings *settings)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	gpualloc_error *error = gpualloc_error_new();
	int result = offer_print(settings, &text, error);

	if (result < 0)
		log_say(&(struct log){0}, LOG_LEVEL_ERROR, "%s", gpualloc_error_message(error));
	gpualloc_error_free(error);
	return result < 0 ? gpualloc_exit_status(result) : print(text.data);
}
#else
static int print_slices(const struct settings *settings)
{
	(void)settings;
	(void)fputs("gpualloc-k8s: there are no ResourceSlices in this gpualloc-k8s: it was built "
		    "without libcurl and libyaml\n",
		    stderr);
	return EXIT_USAGE;
}
#endif

static int tell_mistakes(const struct options *options)
{
	struct ga_view rest = {options->mistakes.data, options->mistakes.size}, line;

	while (ga_view_line(&rest, &line)) {
		char sentence[GA_TEXT_MAX * 4];

		(void)snprintf(sentence, sizeof sentence, "%.*s", (int)line.size, line.text);
		ga_text_disarm(sentence);
		(void)fprintf(stderr, "gpualloc-k8s: %s\n", sentence);
	}
	(void)fprintf(stderr, "gpualloc-k8s: nothing was started; --help lists what there is\n");
	return options->is_file_wrong ? EXIT_CONFIG : EXIT_USAGE;
}

static const struct agent_front *front_for(const struct settings *settings)
{
#if HAS_DRA
	if (settings->api == API_DRA)
		return &dra_front;
	if (settings->facts != FACTS_NONE)
		return &facts_front;
#endif
	(void)settings;
	return &deviceplugin_front;
}

static int serve(const struct settings *settings)
{
	gpualloc_error *error = gpualloc_error_new();
	struct log log = {.json = settings->log_json};
	int result;

	/* It is no program inside a lease, whatever started it. */
	(void)unsetenv("GPUALLOC_LEASE");
	(void)unsetenv("GPUALLOC_FD");
	/* It comes with libcurl, which does TLS by another library; else it takes 0.7 MiB. */
	(void)setenv("GNUTLS_NO_IMPLICIT_INIT", "1", 0);
	result = agent_run(settings, front_for(settings), error);
	if (result < 0)
		log_say(&log, LOG_LEVEL_ERROR, "%s%s", gpualloc_error_message(error),
			gpualloc_error_remedies(error) & GPUALLOC_REMEDY_SET_UP_STORE
				? "\nrun `gpualloc setup` as root on this node, or do without leases: "
				  "--lease no"
				: "");
	gpualloc_error_free(error);
	result = result < 0 ? gpualloc_exit_status(result) : EXIT_SUCCESS;
	/* A worker may be within TLS, whose library takes itself apart at exit(). */
	if (settings->api == API_DRA || settings->facts != FACTS_NONE)
		_exit(result);
	return result;
}

int main(int argc, char **argv)
{
	static struct options options;
	int result = options_read(&options, argc, argv);

	if (options.help)
		result = print_help();
	else if (options.version)
		result = print_version();
	else if (result < 0)
		result = tell_mistakes(&options);
	else if (options.check)
		result = print(options.effective.data);
	else if (options.print_slices)
		result = print_slices(&options.settings);
	else
		result = serve(&options.settings);
	options_free(&options);
	return result;
}
