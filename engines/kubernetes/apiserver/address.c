/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service account's folder, and kubeconfigs; see address.h. A kubeconfig is walked by its keys,
 * never copied as a whole, so aliases cannot multiply it.
 */
#include "address.h"

#include "base64.h"
#include "file.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { KUBECONFIG_MOST = 1 << 20, KEYS_MOST = 4096 /* that are looked at in one place */ };

void api_address_free(struct api_address *address)
{
	char *texts[] = {address->url,         address->ca_file,  address->ca,
			 address->token_file,  address->token,    address->certificate_file,
			 address->certificate, address->key_file, address->key};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	*address = (struct api_address){0};
}

static int copy(char **ret_text, const char *text, size_t size, gpualloc_error *error)
{
	*ret_text = strndup(text, size);
	return *ret_text ? 0 : ga_error_memory(error);
}

static int join(char **ret_path, const char *folder, const char *name, gpualloc_error *error)
{
	const char *between = *name == '/' ? "" : "/";

	if (asprintf(ret_path, "%s%s%s", *name == '/' ? "" : folder, between, name) >= 0)
		return 0;
	*ret_path = NULL;
	return ga_error_memory(error);
}

/* ---- a pod ---- */

static int url_of_pod(char **ret_url, gpualloc_error *error)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	bool is_v6 = host && strchr(host, ':');

	if (!host || !port)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "this is no pod, for KUBERNETES_SERVICE_HOST and "
				    "KUBERNETES_SERVICE_PORT are not set: name a kubeconfig");
	if (asprintf(ret_url, "https://%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
		     port) >= 0)
		return 0;
	*ret_url = NULL;
	return ga_error_memory(error);
}

int api_address_of_pod(const char *folder, struct api_address *ret_address, gpualloc_error *error)
{
	struct api_address address = {0};
	int result = url_of_pod(&address.url, error);

	if (result == 0)
		result = join(&address.token_file, folder, "token", error);
	if (result == 0)
		result = join(&address.ca_file, folder, "ca.crt", error);
	if (result < 0)
		api_address_free(&address);
	else
		*ret_address = address;
	return result;
}

/* ---- a kubeconfig ---- */

struct config {
	yaml_document_t document;
	const char *folder;
	gpualloc_error *error;
};

static bool is_word(const yaml_node_t *node, const char *word)
{
	return node && node->type == YAML_SCALAR_NODE &&
	       ga_text_equal((const char *)node->data.scalar.value, node->data.scalar.length, word);
}

/* NULL: it is no mapping, or lacks the key. */
static yaml_node_t *find(struct config *config, const yaml_node_t *mapping, const char *key)
{
	const yaml_node_pair_t *pair;

	if (!mapping || mapping->type != YAML_MAPPING_NODE)
		return NULL;
	pair = mapping->data.mapping.pairs.start;
	for (size_t i = 0; pair < mapping->data.mapping.pairs.top && i < KEYS_MOST; pair++, i++)
		if (is_word(yaml_document_get_node(&config->document, pair->key), key))
			return yaml_document_get_node(&config->document, pair->value);
	return NULL;
}

/* A key that is there, but says nothing, is as if it were not. */
static bool is_empty(const yaml_node_t *node)
{
	if (!node)
		return true;
	if (node->type == YAML_SEQUENCE_NODE)
		return node->data.sequence.items.start == node->data.sequence.items.top;
	if (node->type == YAML_MAPPING_NODE)
		return node->data.mapping.pairs.start == node->data.mapping.pairs.top;
	return node->data.scalar.length == 0 ||
	       (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		(is_word(node, "null") || is_word(node, "~") || is_word(node, "false")));
}

/* Copies a text; *ret_text stays NULL where there is none. */
static int take(struct config *config, const yaml_node_t *mapping, const char *key, char **ret_text)
{
	const yaml_node_t *node = find(config, mapping, key);

	if (is_empty(node))
		return 0;
	if (node->type != YAML_SCALAR_NODE ||
	    memchr(node->data.scalar.value, '\0', node->data.scalar.length))
		return ga_error_set(config->error, GPUALLOC_EDATA, "\"%s\" is no text", key);
	return copy(ret_text, (const char *)node->data.scalar.value, node->data.scalar.length,
		    config->error);
}

static int take_path(struct config *config, const yaml_node_t *mapping, const char *key,
		     char **ret_path)
{
	ga_auto_free char *name = NULL;
	int result = take(config, mapping, key, &name);

	return result < 0 || !name ? result : join(ret_path, config->folder, name, config->error);
}

/* "KEY-data" counts before "KEY", as for kubectl. */
static int take_data(struct config *config, const yaml_node_t *mapping, const char *key,
		     char **ret_path, char **ret_data)
{
	ga_auto_free char *name = NULL, *text = NULL;
	size_t size = 0;
	int result;

	if (asprintf(&name, "%s-data", key) < 0) {
		name = NULL;
		return ga_error_memory(config->error);
	}
	result = take(config, mapping, name, &text);
	if (result < 0)
		return result;
	if (!text)
		return take_path(config, mapping, key, ret_path);
	*ret_data = base64_decode(text, strlen(text), &size);
	if (*ret_data && !memchr(*ret_data, '\0', size))
		return 0;
	return ga_error_set(config->error, GPUALLOC_EDATA, "\"%s\" is not in base64", name);
}

/* What we cannot do must not be left out in silence. */
static int refuse(struct config *config, const yaml_node_t *mapping, const char *const *keys,
		  size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!is_empty(find(config, mapping, keys[i])))
			return ga_error_set(
				config->error, GPUALLOC_EUSAGE,
				"\"%s\" is not supported here: use a token, a file with "
				"a token or a client certificate, and a server that is "
				"verified",
				keys[i]);
	return 0;
}

/* The entry of a list ("clusters") whose name is given: what it has under `kind` ("cluster"). */
static yaml_node_t *find_named(struct config *config, const yaml_node_t *root, const char *list,
			       const char *kind, const char *name)
{
	const yaml_node_t *entries = find(config, root, list);
	const yaml_node_item_t *item;

	if (!entries || entries->type != YAML_SEQUENCE_NODE)
		return NULL;
	item = entries->data.sequence.items.start;
	for (size_t i = 0; item < entries->data.sequence.items.top && i < KEYS_MOST; item++, i++) {
		yaml_node_t *entry = yaml_document_get_node(&config->document, *item);

		if (is_word(find(config, entry, "name"), name))
			return find(config, entry, kind);
	}
	return NULL;
}

static int find_used(struct config *config, const yaml_node_t *root, const yaml_node_t *context,
		     const char *kind, yaml_node_t **ret_node)
{
	ga_auto_free char *name = NULL, *list = NULL;
	int result = take(config, context, kind, &name);

	if (result == 0 && asprintf(&list, "%ss", kind) < 0) {
		list = NULL;
		result = ga_error_memory(config->error);
	}
	if (result < 0)
		return result;
	*ret_node = name ? find_named(config, root, list, kind, name) : NULL;
	if (*ret_node)
		return 0;
	return ga_error_set(config->error, GPUALLOC_EDATA,
			    "the current context names no %s that is in the list \"%s\"", kind,
			    list);
}

static int read_cluster(struct config *config, const yaml_node_t *cluster,
			struct api_address *address)
{
	static const char *const others[] = {"insecure-skip-tls-verify", "proxy-url",
					     "tls-server-name"};
	static const char scheme[] = "https://";
	int result = refuse(config, cluster, others, sizeof others / sizeof *others);
	size_t size;

	if (result == 0)
		result = take(config, cluster, "server", &address->url);
	if (result == 0)
		result = take_data(config, cluster, "certificate-authority", &address->ca_file,
				   &address->ca);
	if (result < 0)
		return result;
	if (!address->url || !ga_text_starts(address->url, scheme) ||
	    address->url[sizeof scheme - 1] == '\0' || address->url[sizeof scheme - 1] == '/' ||
	    !ga_text_is_clean(address->url, strlen(address->url)) || strpbrk(address->url, " @?#"))
		return ga_error_set(config->error, GPUALLOC_EDATA,
				    "\"server\" is not an address like https://10.0.0.1:6443");
	for (size = strlen(address->url); address->url[size - 1] == '/'; size--)
		address->url[size - 1] = '\0';
	return 0;
}

static int read_user(struct config *config, const yaml_node_t *user, struct api_address *address)
{
	static const char *const others[] = {"as",   "as-groups",     "as-uid",   "as-user-extra",
					     "exec", "auth-provider", "username", "password"};
	int result = refuse(config, user, others, sizeof others / sizeof *others);

	if (result == 0)
		result = take_path(config, user, "tokenFile", &address->token_file);
	if (result == 0 && !address->token_file)
		result = take(config, user, "token", &address->token);
	if (result == 0)
		result = take_data(config, user, "client-certificate", &address->certificate_file,
				   &address->certificate);
	if (result == 0)
		result = take_data(config, user, "client-key", &address->key_file, &address->key);
	if (result < 0)
		return result;
	if (!address->certificate != !address->key ||
	    !address->certificate_file != !address->key_file)
		return ga_error_set(config->error, GPUALLOC_EDATA,
				    "\"client-certificate\" and \"client-key\" come together, "
				    "both as files or both as data");
	return 0;
}

static int read_config(struct config *config, struct api_address *address)
{
	const yaml_node_t *root = yaml_document_get_root_node(&config->document);
	yaml_node_t *context, *cluster, *user;
	ga_auto_free char *current = NULL;
	int result = take(config, root, "current-context", &current);

	if (result < 0)
		return result;
	context = current ? find_named(config, root, "contexts", "context", current) : NULL;
	if (!context)
		return ga_error_set(config->error, GPUALLOC_EDATA,
				    "\"current-context\" names none of its \"contexts\"");
	result = find_used(config, root, context, "cluster", &cluster);
	if (result == 0)
		result = read_cluster(config, cluster, address);
	if (result == 0)
		result = find_used(config, root, context, "user", &user);
	return result == 0 ? read_user(config, user, address) : result;
}

int api_address_parse(const char *text, size_t size, const char *folder,
		      struct api_address *ret_address, gpualloc_error *error)
{
	struct config config = {.folder = folder, .error = error};
	struct api_address address = {0};
	yaml_parser_t parser;
	int result;

	if (!yaml_parser_initialize(&parser))
		return ga_error_memory(error);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	if (!yaml_parser_load(&parser, &config.document)) {
		result = ga_error_set(error, GPUALLOC_EDATA, "line %zu: this is no YAML: %s",
				      parser.problem_mark.line + 1,
				      parser.problem ? parser.problem : "out of memory");
		yaml_parser_delete(&parser);
		return result;
	}
	result = read_config(&config, &address);
	yaml_document_delete(&config.document);
	yaml_parser_delete(&parser);
	if (result < 0)
		api_address_free(&address);
	else
		*ret_address = address;
	return result;
}

int api_address_of_kubeconfig(const char *path, struct api_address *ret_address,
			      gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT(0);
	const char *slash = strrchr(path, '/');
	ga_auto_free char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	int result;

	if (!folder)
		return ga_error_memory(error);
	result = ga_file_read(path, KUBECONFIG_MOST, &content, error);
	if (result < 0)
		return result;
	result = api_address_parse(content.data, content.size, folder, ret_address, error);
	return result < 0 ? ga_error_prefix(error, result, "%s: ", path) : 0;
}
