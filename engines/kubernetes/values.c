/* SPDX-License-Identifier: Apache-2.0 */
/* What each setting may be; see values.h. */
#include "values.h"

#include "duration.h"
#include "error.h"
#include "http.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <sys/utsname.h>

enum { MINUTE_MS = 60000, DAY_MS = 24 * 60 * MINUTE_MS, OUR_NAME = 48, NAME_MOST = 63 };

/* ---- kinds ---- */

static int copy(char *setting, const char *value, gpualloc_error *error)
{
	if (strlen(value) >= SETTINGS_TEXT)
		return ga_error_set(error, GPUALLOC_EUSAGE, "it is too long");
	(void)snprintf(setting, SETTINGS_TEXT, "%s", value);
	return 0;
}

static int set_path(char *setting, const char *value, gpualloc_error *error)
{
	if (*value != '/')
		return ga_error_set(error, GPUALLOC_EUSAGE, "\"%s\" does not begin with /", value);
	return copy(setting, value, error);
}

/* One of some words; its place. */
static int pick(const char *value, const char *const *words, size_t count, gpualloc_error *error)
{
	char known[256] = "";
	size_t length = 0;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(value, words[i]) == 0)
			return (int)i;
		length += (size_t)snprintf(known + length, sizeof known - length, "%s%s",
					   i == 0          ? ""
					   : i + 1 < count ? ", "
							   : " or ",
					   words[i]);
	}
	return ga_error_set(error, GPUALLOC_EUSAGE, "\"%s\" is not one of %s", value, known);
}

static int set_duration(int64_t *setting, const char *value, int64_t least, int64_t most,
			gpualloc_error *error)
{
	int64_t ms;
	int result = ga_duration_parse(value, most, &ms, error);

	if (result < 0)
		return result;
	if (ms < least)
		return ga_error_set(error, GPUALLOC_EUSAGE, "%s is too short; at least %lld ms",
				    value, (long long)least);
	*setting = ms;
	return 0;
}

static int set_yes(bool *setting, const char *value, gpualloc_error *error)
{
	static const char *const words[] = {"no", "yes"};
	int choice = pick(value, words, 2, error);

	if (choice >= 0)
		*setting = choice == 1;
	return choice < 0 ? choice : 0;
}

/* ---- names of Kubernetes ---- */

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(const char *text, size_t size, size_t most, const char *more, bool lower)
{
	if (size == 0 || size > most || !is_alphanumeric(text[0]) ||
	    !is_alphanumeric(text[size - 1]))
		return false;
	for (size_t i = 0; i < size; i++)
		if ((!is_alphanumeric(text[i]) && !strchr(more, text[i])) ||
		    (lower && text[i] >= 'A' && text[i] <= 'Z'))
			return false;
	return true;
}

/* The kubelet accepts extended resources only: "vendor.domain/name". */
int set_resource(struct settings *settings, const char *value, gpualloc_error *error)
{
	const char *slash = strchr(value, '/');
	size_t domain = slash ? (size_t)(slash - value) : 0;

	if (!slash || !is_name(value, domain, 100, ".-", true) ||
	    !is_name(slash + 1, strlen(slash + 1), 63, "-_.", false) || strchr(slash + 1, '/'))
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "\"%s\" is not the name of a resource like nvidia.com/gpu",
				    value);
	if (domain >= 13 && strncmp(slash - 13, "kubernetes.io", 13) == 0)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "\"%s\": kubelets refuse names in kubernetes.io", value);
	(void)snprintf(settings->resource, sizeof settings->resource, "%s", value);
	return 0;
}

int set_cdi_kind(struct settings *settings, const char *value, gpualloc_error *error)
{
	const char *slash = strchr(value, '/');

	if (!slash || !is_name(value, (size_t)(slash - value), 100, ".-_", false) ||
	    !is_name(slash + 1, strlen(slash + 1), 63, "-_", false) || is_digit(*value) ||
	    is_digit(slash[1]))
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "\"%s\" is not a kind of CDI devices like nvidia.com/gpu",
				    value);
	return copy(settings->cdi_kind, value, error);
}

/* Labels of small letters, digits and hyphens, with dots between them. */
static bool is_subdomain(const char *value, size_t most)
{
	return is_name(value, strlen(value), most, ".-", true) && !strstr(value, "..") &&
	       !strstr(value, ".-") && !strstr(value, "-.");
}

int set_driver(struct settings *settings, const char *value, gpualloc_error *error)
{
	/* Claims' CDI devices are of a kind of this vendor, and CDI wants a letter first. */
	if (!is_subdomain(value, sizeof settings->driver - 1) || is_digit(*value))
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "\"%s\" is not the name of a driver like gpu.example.com",
				    value);
	(void)snprintf(settings->driver, sizeof settings->driver, "%s", value);
	return 0;
}

int set_node(struct settings *settings, const char *value, gpualloc_error *error)
{
	if (!is_subdomain(value, sizeof settings->node - 3))
		return ga_error_set(error, GPUALLOC_EUSAGE, "\"%s\" is not the name of a node",
				    value);
	(void)snprintf(settings->node, sizeof settings->node, "%s", value);
	return 0;
}

/* ---- the rest ---- */

int set_machine(struct settings *settings, const char *value, gpualloc_error *error)
{
	gpualloc_machine *machine = NULL;
	int result = copy(settings->machine, value, error);

	/* A driver may still be on its way; a file is there or not. */
	if (result < 0 || gpualloc_spec_is_live(value))
		return result;
	result = gpualloc_machine_open(value, 0, &machine, error);
	gpualloc_machine_free(machine);
	return result;
}

int set_kubelet_dir(struct settings *settings, const char *value, gpualloc_error *error)
{
	size_t most = sizeof((struct sockaddr_un *)0)->sun_path - OUR_NAME - 1;

	if (strlen(value) > most)
		return ga_error_set(
			error, GPUALLOC_EUSAGE,
			"the folder's path may have %zu bytes, because sockets lie in it", most);
	return set_path(settings->kubelet_dir, value, error);
}

int set_kubelet_root(struct settings *settings, const char *value, gpualloc_error *error)
{
	return set_path(settings->kubelet_root, value, error);
}

int set_cdi_dir(struct settings *settings, const char *value, gpualloc_error *error)
{
	return set_path(settings->cdi_dir, value, error);
}

/* Paths are put together as ROOT + "/usr/…", so "/" is the empty one. */
int set_host_root(struct settings *settings, const char *value, gpualloc_error *error)
{
	int result = set_path(settings->host_root, value, error);

	for (size_t size = strlen(settings->host_root);
	     result == 0 && size > 0 && settings->host_root[size - 1] == '/'; size--)
		settings->host_root[size - 1] = '\0';
	return result;
}

int set_kubeconfig(struct settings *settings, const char *value, gpualloc_error *error)
{
	return set_path(settings->kubeconfig, value, error);
}

int set_pod_resources(struct settings *settings, const char *value, gpualloc_error *error)
{
	if (strlen(value) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "the path of a socket has %zu bytes at most",
				    sizeof((struct sockaddr_un *)0)->sun_path - 1);
	return set_path(settings->pod_resources, value, error);
}

int set_kernel_log(struct settings *settings, const char *value, gpualloc_error *error)
{
	if (strcmp(value, "none") == 0) {
		*settings->kernel_log = '\0';
		return 0;
	}
	return set_path(settings->kernel_log, value, error);
}

int set_store(struct settings *settings, const char *value, gpualloc_error *error)
{
	return set_path(settings->store, value, error);
}

int set_policy(struct settings *settings, const char *value, gpualloc_error *error)
{
	gpualloc_policy *policy = NULL;
	int result = gpualloc_policy_open(value, &policy, error);

	gpualloc_policy_free(policy);
	return result < 0 ? result : copy(settings->policy, value, error);
}

int set_metrics(struct settings *settings, const char *value, gpualloc_error *error)
{
	int result = strlen(value) < sizeof settings->metrics
			     ? http_check(value, error)
			     : ga_error_set(error, GPUALLOC_EUSAGE, "it is too long");

	if (result == 0)
		(void)snprintf(settings->metrics, sizeof settings->metrics, "%s", value);
	return result;
}

int set_api(struct settings *settings, const char *value, gpualloc_error *error)
{
	static const char *const words[] = {"device-plugin", "dra"};
	int choice = pick(value, words, 2, error);

	if (choice == API_DRA && !HAS_DRA)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "\"dra\" is not in this gpualloc-k8s: it was built without "
				    "libcurl and libyaml");
	if (choice >= 0)
		settings->api = (enum kubelet_api)choice;
	return choice < 0 ? choice : 0;
}

int set_mig(struct settings *settings, const char *value, gpualloc_error *error)
{
	static const char *const words[] = {"none", "single", "mixed"};
	int choice = pick(value, words, 3, error);

	if (choice >= 0)
		settings->mig = (enum mig_strategy)choice;
	return choice < 0 ? choice : 0;
}

int set_sharing(struct settings *settings, const char *value, gpualloc_error *error)
{
	static const char *const words[] = {"pack", "spread"};
	int choice = pick(value, words, 2, error);

	if (choice >= 0)
		settings->spread = choice == 1;
	return choice < 0 ? choice : 0;
}

int set_log(struct settings *settings, const char *value, gpualloc_error *error)
{
	static const char *const words[] = {"text", "json"};
	int choice = pick(value, words, 2, error);

	if (choice >= 0)
		settings->log_json = choice == 1;
	return choice < 0 ? choice : 0;
}

int set_facts(struct settings *settings, const char *value, gpualloc_error *error)
{
	static const char *const words[] = {"none", "labels", "annotation"};
	int choice = pick(value, words, 3, error);

	if (choice > 0 && !HAS_DRA)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "this gpualloc-k8s cannot talk to the API server: it was built "
				    "without libcurl and libyaml");
	if (choice >= 0)
		settings->facts = (enum facts_form)choice;
	return choice < 0 ? choice : 0;
}

int set_in_use(struct settings *settings, const char *value, gpualloc_error *error)
{
	static const char *const words[] = {"withhold", "offer"};
	int choice = pick(value, words, 2, error);

	if (choice >= 0)
		settings->offer_in_use = choice == 1;
	return choice < 0 ? choice : 0;
}

int set_lease(struct settings *settings, const char *value, gpualloc_error *error)
{
	return set_yes(&settings->lease, value, error);
}

int set_replicas(struct settings *settings, const char *value, gpualloc_error *error)
{
	int64_t number;

	if (!ga_text_number(value, strlen(value), REPLICAS_MOST, &number) || number < 1)
		return ga_error_set(error, GPUALLOC_EUSAGE, "\"%s\" is not a number from 1 to %d",
				    value, REPLICAS_MOST);
	settings->replicas = number;
	return 0;
}

int set_interval(struct settings *settings, const char *value, gpualloc_error *error)
{
	return set_duration(&settings->interval_ms, value, 100, DAY_MS, error);
}

int set_recover_after(struct settings *settings, const char *value, gpualloc_error *error)
{
	return set_duration(&settings->recover_ms, value, 1, DAY_MS, error);
}

int set_poll(struct settings *settings, const char *value, gpualloc_error *error)
{
	return set_duration(&settings->poll_ms, value, 100, (int64_t)10 * MINUTE_MS, error);
}

int set_pod_wait(struct settings *settings, const char *value, gpualloc_error *error)
{
	return set_duration(&settings->pod_wait_ms, value, 100, DAY_MS, error);
}

/* ---- lists ---- */

/* Takes the next word off a list with commas; false when nothing is left. */
static bool next_word(const char **rest, struct ga_view *ret_word)
{
	size_t size;

	if (!*rest)
		return false;
	size = strcspn(*rest, ",");
	*ret_word = ga_view_trim(*rest, size);
	*rest = (*rest)[size] ? *rest + size + 1 : NULL;
	return true;
}

int set_hand_over(struct settings *settings, const char *value, gpualloc_error *error)
{
	static const char *const words[] = {"environment", "devices", "cdi", "annotations"};
	unsigned hand_over = 0;
	struct ga_view word;
	char text[64];

	for (const char *rest = value; next_word(&rest, &word);) {
		int choice;

		(void)snprintf(text, sizeof text, "%.*s",
			       word.size < sizeof text ? (int)word.size : 63, word.text);
		choice = pick(text, words, 4, error);
		if (choice < 0)
			return choice;
		hand_over |= 1U << choice;
	}
	settings->hand_over = hand_over;
	return 0;
}

int set_ignore_xids(struct settings *settings, const char *value, gpualloc_error *error)
{
	struct ga_view word;
	size_t count = 0;

	if (strcmp(value, "none") == 0) {
		settings->ignored_xid_count = 0;
		return 0;
	}
	for (const char *rest = value; next_word(&rest, &word);) {
		if (count == XIDS_MOST)
			return ga_error_set(error, GPUALLOC_EUSAGE, "more than %d numbers",
					    XIDS_MOST);
		if (!ga_text_number(word.text, word.size, 99999, &settings->ignored_xids[count++]))
			return ga_error_set(error, GPUALLOC_EUSAGE,
					    "\"%s\" is not a list of numbers like 13,31,43", value);
	}
	settings->ignored_xid_count = count;
	return 0;
}

/* ---- several together ---- */

/* A kubelet's node is called as its host, in small letters, if nothing else is said. */
static int name_node(struct settings *settings, gpualloc_error *error)
{
	struct utsname host;

	if (*settings->node)
		return 0;
	if (uname(&host) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot learn the host's name");
	for (char *c = host.nodename; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
	return set_node(settings, host.nodename, error) < 0
		       ? ga_error_set(error, GPUALLOC_EUSAGE,
				      "say the node's name with --node: the host's cannot be one")
		       : 0;
}

int settle_dra(struct settings *settings, gpualloc_error *error)
{
	size_t longest = strlen(settings->kubelet_root) + strlen("/plugins_registry/-reg.sock") +
			 strlen(settings->driver) + OUR_NAME / 2;

	if (longest >= sizeof((struct sockaddr_un *)0)->sun_path)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "--kubelet-root and --driver are too long together by %zu "
				    "bytes: sockets are named after both",
				    longest + 1 - sizeof((struct sockaddr_un *)0)->sun_path);
	(void)snprintf(settings->registry_dir, sizeof settings->registry_dir,
		       "%.*s/plugins_registry", SETTINGS_TEXT - 32, settings->kubelet_root);
	return name_node(settings, error);
}

int settle_facts(struct settings *settings, gpualloc_error *error)
{
	const char *slash = strchr(settings->resource, '/');

	if (slash && strlen(slash + 1) + strlen(".largest-pcie-switch") > NAME_MOST)
		return ga_error_set(
			error, GPUALLOC_EUSAGE,
			"--facts makes labels of the resource's name, and \"%s\" is too "
			"long for that",
			slash + 1);
	return name_node(settings, error);
}
