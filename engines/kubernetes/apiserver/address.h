/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the API server is, how it is known to be the right one, and who we are to it: from a pod's
 * service account or from a kubeconfig.
 */
#ifndef APISERVER_ADDRESS_H
#define APISERVER_ADDRESS_H

#include "error.h"

/* Each is NULL where there is none. Of the pairs, at most one is there. */
struct api_address {
	char *url; /* "https://HOST:PORT", without a slash at its end */
	char *ca_file, *ca;
	char *token_file, *token;
	char *certificate_file, *certificate;
	char *key_file, *key;
};

/* In a pod. */
#define API_SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/* folder: /var/run/secrets/kubernetes.io/serviceaccount in a pod, with `token` and `ca.crt`. */
int api_address_of_pod(const char *folder, struct api_address *ret_address, gpualloc_error *error);

/*
 * A kubeconfig, YAML or JSON: what its current context names. Of a cluster `server` (https only),
 * `certificate-authority` and `-data`; of a user `token`, `tokenFile`, `client-certificate` and
 * `client-key`, also as `-data`. Whatever else would change how one connects (exec, auth-provider,
 * names and passwords, proxies, a server that is not verified) is refused by name.
 */
int api_address_of_kubeconfig(const char *path, struct api_address *ret_address,
			      gpualloc_error *error);
/* The same of its text; folder: which relative paths in it start from. */
int api_address_parse(const char *text, size_t size, const char *folder,
		      struct api_address *ret_address, gpualloc_error *error);

void api_address_free(struct api_address *address);

#endif
