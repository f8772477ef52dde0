/* SPDX-License-Identifier: Apache-2.0 */
/* One table says what can be set; see options.h. */
#include "options.h"

#include "error.h"
#include "file.h"
#include "text.h"
#include "values.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { MISTAKES_MOST = 1 << 20, FILE_MOST = 1 << 20, NAME_SIZE = 64, VARIABLE_SIZE = 96 };

enum only { BOTH, PLUGIN, DRA };

struct row {
	const char *name;
	const char *argument;
	const char *usual; /* the default, as one would write it; NULL: none */
	const char *help;
	value_function *set;
	enum only only; /* which of the kubelet's interfaces it is for */
};

static const struct row rows[] = {
	{"api", "WORD", "device-plugin", "how pods ask for GPUs: device-plugin or dra", set_api,
	 BOTH},
	{"cdi-dir", "DIR", "/var/run/cdi", "where the CDI files of claims are written", set_cdi_dir,
	 DRA},
	{"cdi-kind", "KIND", "nvidia.com/gpu", "the kind of the CDI devices that are named",
	 set_cdi_kind, PLUGIN},
	{"driver", "NAME", "gpu.gpualloc.example", "the name of the DRA driver", set_driver, DRA},
	{"facts", "WORD", "none", "what the node tells schedulers: none, labels or annotation",
	 set_facts, PLUGIN},
	{"hand-over", "LIST", "environment", "a list of environment, devices, cdi, annotations",
	 set_hand_over, PLUGIN},
	{"host-root", "DIR", "/", "where the node's files are, for the driver's libraries",
	 set_host_root, DRA},
	{"ignore-xids", "LIST", SETTINGS_IGNORED_XIDS, "driver errors that do not make a GPU sick",
	 set_ignore_xids, BOTH},
	{"in-use", "WORD", "withhold", "GPUs that programs without a lease use: withhold or offer",
	 set_in_use, BOTH},
	{"interval", "DURATION", "15s", "how often the driver is asked", set_interval, BOTH},
	{"kernel-log", "FILE", "/dev/kmsg", "where the driver's errors (XIDs) appear, or none",
	 set_kernel_log, BOTH},
	{"kubeconfig", "FILE", NULL, "how to reach the API server; default: as a pod",
	 set_kubeconfig, BOTH},
	{"kubelet-dir", "DIR", "/var/lib/kubelet/device-plugins", "the folder with kubelet.sock",
	 set_kubelet_dir, PLUGIN},
	{"kubelet-root", "DIR", "/var/lib/kubelet", "the folder with plugins_registry and plugins",
	 set_kubelet_root, DRA},
	{"lease", "WORD", "yes", "lease in the node's store what pods have: yes or no", set_lease,
	 BOTH},
	{"log", "WORD", "text", "the form of the log: text or json", set_log, BOTH},
	{"machine", "SPEC", NULL, "nvml, nvidia-smi, a built-in machine or a file", set_machine,
	 BOTH},
	{"metrics", "[ADDRESS:]PORT", NULL, "where metrics are served, by default on 127.0.0.1",
	 set_metrics, BOTH},
	{"mig", "WORD", "none", "MIG instances: none, single or mixed", set_mig, BOTH},
	{"node", "NAME", NULL, "the node's name in the cluster; default: the host's", set_node,
	 BOTH},
	{"pod-resources", "FILE", "/var/lib/kubelet/pod-resources/kubelet.sock",
	 "where the kubelet lists pods", set_pod_resources, PLUGIN},
	{"pod-wait", "DURATION", "60s", "how long a pod may take to start with what it was given",
	 set_pod_wait, BOTH},
	{"policy", "NAME", "balanced", "how whole GPUs are chosen", set_policy, PLUGIN},
	{"poll", "DURATION", "5s", "how often the kubelet is asked for its pods", set_poll, PLUGIN},
	{"recover-after", "DURATION", "60s", "how long a sick GPU must be well to be offered",
	 set_recover_after, BOTH},
	{"replicas", "N", "1", "offer each device so many times", set_replicas, PLUGIN},
	{"resource", "NAME", "nvidia.com/gpu", "the name of the resource", set_resource, PLUGIN},
	{"sharing", "WORD", "pack", "replicas and MIG instances: pack or spread", set_sharing,
	 PLUGIN},
	{"store", "DIR", NULL, "the store of leases; default: as for gpualloc", set_store, BOTH},
};
enum { ROWS = sizeof rows / sizeof *rows, CONFIG = 1000, CHECK, PRINT_SLICES, HELP, VERSION };

struct sources {
	const char *by_option[ROWS];
	char *by_file[ROWS];
	const char *config;
};

void options_free(struct options *options)
{
	ga_buffer_free(&options->mistakes);
	ga_buffer_free(&options->effective);
}

static void variable_of(const char *name, char variable[static VARIABLE_SIZE])
{
	(void)snprintf(variable, VARIABLE_SIZE, "GPUALLOC_K8S_%s", name);
	for (char *c = variable; *c; c++)
		*c = (char)(*c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
}

/* ---- options ---- */

static void list_options(struct option *list)
{
	static const struct option others[] = {{"config", required_argument, NULL, CONFIG},
					       {"check", no_argument, NULL, CHECK},
					       {"print-slices", no_argument, NULL, PRINT_SLICES},
					       {"help", no_argument, NULL, HELP},
					       {"version", no_argument, NULL, VERSION},
					       {NULL, 0, NULL, 0}};

	for (size_t i = 0; i < ROWS; i++)
		list[i] = (struct option){rows[i].name, required_argument, NULL, (int)i};
	memcpy(list + ROWS, others, sizeof others);
}

static void read_options(struct options *options, struct sources *sources, int argc, char **argv)
{
	struct option list[ROWS + 6];
	int choice;

	list_options(list);
	opterr = 0;
	optind = 0;
	while ((choice = getopt_long(argc, argv, ":", list, NULL)) != -1) {
		if (choice >= 0 && choice < (int)ROWS)
			sources->by_option[choice] = optarg;
		else if (choice == CONFIG)
			sources->config = optarg;
		else if (choice == CHECK)
			options->check = true;
		else if (choice == PRINT_SLICES)
			options->print_slices = true;
		else if (choice == HELP)
			options->help = true;
		else if (choice == VERSION)
			options->version = true;
		else
			ga_buffer_format(&options->mistakes,
					 choice == ':' ? "%s needs a value\n"
						       : "there is no option %s\n",
					 argv[optind - 1]);
	}
	for (int i = optind; i < argc; i++)
		ga_buffer_format(&options->mistakes, "\"%s\" is not understood\n", argv[i]);
}

/* ---- the file ---- */

static int find_row(const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (strcmp(rows[i].name, name) == 0)
			return (int)i;
	return -1;
}

static const char *read_line(struct sources *sources, struct ga_view line)
{
	const char *equals = memchr(line.text, '=', line.size);
	struct ga_view name, value;
	char text[NAME_SIZE];
	int row;

	if (!equals)
		return "expected NAME = VALUE";
	name = ga_view_trim(line.text, (size_t)(equals - line.text));
	value = ga_view_trim(equals + 1, line.size - (size_t)(equals + 1 - line.text));
	(void)snprintf(text, sizeof text, "%.*s", name.size < sizeof text ? (int)name.size : 0,
		       name.text);
	row = find_row(text);
	if (row < 0)
		return "there is no setting of this name";
	if (sources->by_file[row])
		return "this was set before";
	if (memchr(value.text, '\0', value.size))
		return "a NUL byte";
	sources->by_file[row] = strndup(value.text, value.size);
	return sources->by_file[row] ? NULL : "out of memory";
}

static void read_file(struct options *options, struct sources *sources)
{
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT(0);
	gpualloc_error error = {0};
	struct ga_view rest, line;
	size_t number = 0;

	if (ga_file_read(sources->config, FILE_MOST, &content, &error) < 0) {
		ga_buffer_format(&options->mistakes, "%s\n", error.message);
		options->is_file_wrong = true;
		return;
	}
	rest = (struct ga_view){content.data, content.size};
	while (ga_view_line(&rest, &line)) {
		struct ga_view entry = ga_view_entry(line);
		const char *wrong = entry.size ? read_line(sources, entry) : NULL;

		number++;
		if (wrong)
			ga_buffer_format(&options->mistakes, "%s: line %zu: %.*s: %s\n",
					 sources->config, number,
					 entry.size < 80 ? (int)entry.size : 80, entry.text, wrong);
		options->is_file_wrong = options->is_file_wrong || wrong;
	}
}

/* ---- what counts ---- */

/* A setting that does nothing is a mistake. The interface is the first row, so it is known. */
static bool is_for_the_other(struct options *options, const struct row *row, const char *where,
			     const char *sign)
{
	enum only used = options->settings.api == API_DRA ? DRA : PLUGIN;

	if (row->only == BOTH || row->only == used)
		return false;
	ga_buffer_format(&options->mistakes, "%s%s%s: it is only for `--api %s`; leave it out\n",
			 where, sign, row->name, row->only == DRA ? "dra" : "device-plugin");
	return true;
}

static void try(struct options *options, const struct row *row, const char *value,
		const char *where, const char *sign)
{
	gpualloc_error error = {0};

	if (is_for_the_other(options, row, where, sign))
		return;
	if (row->set(&options->settings, value, &error) < 0)
		ga_buffer_format(&options->mistakes, "%s%s%s: %s\n", where, sign, row->name,
				 error.message);
}

/* From the weakest to the strongest, so that mistakes are found in all. */
static void settle(struct options *options, const struct sources *sources, size_t i)
{
	const struct row *row = &rows[i];
	size_t before = options->mistakes.size;
	const char *by_variable, *counts = row->usual;
	char variable[VARIABLE_SIZE];

	variable_of(row->name, variable);
	by_variable = getenv(variable);
	if (row->usual && row->set(&options->settings, row->usual, NULL) < 0)
		ga_buffer_format(&options->mistakes, "the default of --%s is wrong\n", row->name);
	if (sources->by_file[i]) {
		counts = sources->by_file[i];
		try(options, row, counts, sources->config, ": ");
		options->is_file_wrong = options->is_file_wrong || options->mistakes.size > before;
	}
	if (by_variable) {
		counts = by_variable;
		try(options, row, counts, variable, ": --");
	}
	if (sources->by_option[i]) {
		counts = sources->by_option[i];
		try(options, row, counts, "", "--");
	}
	if (counts &&
	    (row->only == BOTH || row->only == (options->settings.api == API_DRA ? DRA : PLUGIN)))
		ga_buffer_format(&options->effective, "%s = %s\n", row->name, counts);
}

int options_read(struct options *options, int argc, char **argv)
{
	struct sources sources = {0};
	gpualloc_error error = {0};

	*options = (struct options){.mistakes = GA_BUFFER_INIT(MISTAKES_MOST),
				    .effective = GA_BUFFER_INIT(MISTAKES_MOST)};
	read_options(options, &sources, argc, argv);
	if (!sources.config)
		sources.config = getenv("GPUALLOC_K8S_CONFIG");
	if (sources.config)
		read_file(options, &sources);
	for (size_t i = 0; i < ROWS; i++) {
		settle(options, &sources, i);
		/* There are slices for DRA only; the interface is the first row. */
		if (options->print_slices)
			options->settings.api = API_DRA;
		free(sources.by_file[i]);
	}
	if (options->settings.api == API_DRA && settle_dra(&options->settings, &error) < 0)
		ga_buffer_format(&options->mistakes, "%s\n", error.message);
	if (options->settings.facts != FACTS_NONE && !options->mistakes.size &&
	    settle_facts(&options->settings, &error) < 0)
		ga_buffer_format(&options->mistakes, "%s\n", error.message);
	return options->mistakes.size || options->mistakes.failed ? -1 : 0;
}

void options_help(struct ga_buffer *text)
{
	ga_buffer_text(
		text,
		"Offers the GPUs of this node to Kubernetes, as a device plugin or by Dynamic "
		"Resource\nAllocation: pods get those that are best connected, and what pods "
		"have is leased on\nthe node.\n\nusage: gpualloc-k8s [OPTION...]\n\n");
	for (size_t i = 0; i < ROWS; i++) {
		char option[64];

		(void)snprintf(option, sizeof option, "--%s %s", rows[i].name, rows[i].argument);
		ga_buffer_format(text, "  %-24s  %s%s%s%s\n", option, rows[i].help,
				 rows[i].usual ? " [" : "", rows[i].usual ? rows[i].usual : "",
				 rows[i].usual ? "]" : "");
	}
	ga_buffer_format(text, "\n  %-24s  %s\n", "--config FILE",
			 "settings as lines NAME = VALUE");
	ga_buffer_format(text, "  %-24s  %s\n", "--check",
			 "check all settings, print those that count, start nothing");
	ga_buffer_format(text, "  %-24s  %s\n", "--print-slices",
			 "print this node's ResourceSlices for kubectl, start nothing");
	ga_buffer_format(text, "  %-24s  %s\n", "--help", "this");
	ga_buffer_format(text, "  %-24s  %s\n", "--version", "the version");
	ga_buffer_text(text,
		       "\nEach may also be set by a variable: GPUALLOC_K8S_KUBELET_DIR for "
		       "--kubelet-dir.\nAn option counts before a variable, and that before the "
		       "file.\n\nTo see it work without a cluster:\n\n"
		       "  gpualloc-k8s --check --machine dgx1-volta --replicas 2\n");
}
