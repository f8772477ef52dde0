/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes calls to an API server for the tests, one after the other on one connection. Arguments:
 * "kubeconfig FILE" or "pod FOLDER", the patience in milliseconds, then METHOD PATH BODY as often
 * as wanted ("" for no body; EDIT sets what BODY has in what is there). Prints a line a call: the
 * result, the status, and the body or the sentence.
 */
#include "client.h"

#include <stdio.h>
#include <string.h>

static int set_all(void *context, json_t *object, gpualloc_error *error)
{
	(void)error;
	return json_object_update(object, context) == 0 ? 1 : GPUALLOC_ENOMEM;
}

static int call_once(struct api_client *client, char **words, gpualloc_error *error)
{
	static const char *const methods[] = {"GET", "METADATA", "POST", "PUT", "PATCH", "DELETE"};
	json_t *body = *words[2] ? json_loads(words[2], 0, NULL) : NULL;
	struct api_answer answer = {0};
	char *text = NULL;
	int result = GPUALLOC_EUSAGE;

	if (strcmp(words[0], "EDIT") == 0)
		result = api_edit(client, words[1], set_all, body, error);
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (strcmp(words[0], methods[i]) == 0)
			result = api_call(client, (enum api_method)i, words[1], body, &answer,
					  error);
	text = answer.body ? json_dumps(answer.body, JSON_COMPACT) : NULL;
	(void)printf("%d %ld %s\n", result, answer.status,
		     result < 0 ? error->message
		     : text     ? text
				: "");
	free(text);
	api_answer_free(&answer);
	json_decref(body);
	return result;
}

int main(int argc, char **argv)
{
	gpualloc_error error = {0};
	struct api_address address = {0};
	struct api_client *client = NULL;
	int result = argc < 4 ? GPUALLOC_EUSAGE
		     : strcmp(argv[1], "pod") == 0
			     ? api_address_of_pod(argv[2], &address, &error)
			     : api_address_of_kubeconfig(argv[2], &address, &error);

	if (result == 0)
		result = api_client_new(&address, atoi(argv[3]), &client, &error);
	if (result < 0)
		(void)printf("%d 0 %s\n", result, error.message);
	for (int i = 4; client && i + 2 < argc; i += 3)
		result = call_once(client, argv + i, &error);
	api_client_free(client);
	return result < 0;
}
