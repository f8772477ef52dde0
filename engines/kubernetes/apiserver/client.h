/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the Kubernetes API server, in JSON over HTTPS. A call waits for its answer: make it in a
 * worker's thread (worker.h), never in the loop. A client belongs to one thread at a time and keeps
 * its connection from call to call; who must not wait for others has a client and a worker of its
 * own.
 *
 *	struct api_address address;
 *	struct api_client *client;
 *	struct api_answer answer;
 *
 *	api_address_of_pod(folder, &address, error)     or api_address_of_kubeconfig()
 *	api_client_new(&address, 10000, &client, error)  takes the address over
 *	api_get(client, "/apis/resource.k8s.io/v1/namespaces/NS/resourceclaims/NAME", &answer,
 *error)
 *	... answer.body ...
 *	api_answer_free(&answer)
 *
 * Within a call's time, what is not the caller's affair is tried again: lost connections, servers
 * that restart, 429 and 5xx (no sooner than Retry-After says), and 401, since the file with the
 * token is read anew each time. A POST is repeated only if the server cannot have seen it or says
 * that it did nothing (429). Answers have at most 8 MiB; redirects and proxies are not followed.
 */
#ifndef APISERVER_CLIENT_H
#define APISERVER_CLIENT_H

#include "address.h"

#include <jansson.h>
#include <stdint.h>

struct api_client;

enum api_method {
	API_GET,
	API_GET_METADATA, /* of a list: names and versions without what they are of */
	API_POST,  /* create */
	API_PUT,   /* replace: 409 where the resourceVersion is not the current one */
	API_PATCH, /* a merge patch (RFC 7386) */
	API_DELETE
};

struct api_answer {
	long status;  /* of HTTP; 0: there was no answer */
	json_t *body; /* of a success; NULL: there is none */
};

/* patience_ms: how long a call may take in all. Takes the address over, also if it fails. */
int api_client_new(struct api_address *address, int64_t patience_ms, struct api_client **ret_client,
		   gpualloc_error *error);
/* By a kubeconfig; "": as a pod does, by its service account. */
int api_client_open(const char *kubeconfig, int64_t patience_ms, struct api_client **ret_client,
		    gpualloc_error *error);
void api_client_free(struct api_client *client);
/* "https://10.96.0.1:443" */
const char *api_client_url(const struct api_client *client);

/*
 * path begins with a slash; body is borrowed and may be NULL. Returns 0 for 2xx. Otherwise the
 * error has a sentence and ret_answer->status what HTTP said: 404 is GPUALLOC_ENOTFOUND, 409
 * GPUALLOC_EBUSY, 401 and 403 GPUALLOC_EPERM, other 4xx GPUALLOC_EUSAGE, no answer in time
 * GPUALLOC_ETIMEOUT. The caller frees the answer in any case.
 */
int api_call(struct api_client *client, enum api_method method, const char *path,
	     const json_t *body, struct api_answer *ret_answer, gpualloc_error *error);
int api_get(struct api_client *client, const char *path, struct api_answer *ret_answer,
	    gpualloc_error *error);
void api_answer_free(struct api_answer *answer);

/*
 * Reads an object, lets edit() change it and writes it back; from the start again if somebody else
 * wrote it in between (409). edit() returns 1 if it changed something, 0 to leave the object as it
 * is, or a negative error.
 */
typedef int api_edit_function(void *context, json_t *object, gpualloc_error *error);
int api_edit(struct api_client *client, const char *path, api_edit_function *edit, void *context,
	     gpualloc_error *error);

#endif
