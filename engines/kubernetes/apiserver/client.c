/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One curl handle, so that the connection lasts; a call is a few attempts within one deadline; see
 * client.h.
 */
#include "client.h"

#include "clock.h"
#include "curl_library.h"
#include "file.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

enum {
	ANSWER_MOST = 8 << 20,
	HEADERS_MOST = 1 << 16,
	TOKEN_MOST = 1 << 16,
	CONNECT_MS = 5000,
	PAUSE_MS = 100, /* before the second attempt; doubled for each that follows */
	PAUSE_MOST_MS = 2000,
	EDITS = 5
};

struct api_client {
	struct api_address address;
	struct curl_library curl;
	CURL *handle;
	int64_t patience_ms;
	char said[CURL_ERROR_SIZE];
};

int api_client_new(struct api_address *address, int64_t patience_ms, struct api_client **ret_client,
		   gpualloc_error *error)
{
	struct api_client *client = calloc(1, sizeof *client);
	int result;

	if (!client) {
		api_address_free(address);
		return ga_error_memory(error);
	}
	client->address = *address;
	*address = (struct api_address){0};
	client->patience_ms = patience_ms;
	result = curl_library_load(&client->curl, error);
	if (result == 0) {
		client->handle = client->curl.easy_init();
		result = client->handle ? 0 : ga_error_memory(error);
	}
	if (result < 0)
		api_client_free(client);
	else
		*ret_client = client;
	return result;
}

int api_client_open(const char *kubeconfig, int64_t patience_ms, struct api_client **ret_client,
		    gpualloc_error *error)
{
	struct api_address address = {0};
	int result = *kubeconfig ? api_address_of_kubeconfig(kubeconfig, &address, error)
				 : api_address_of_pod(API_SERVICE_ACCOUNT, &address, error);

	return result < 0 ? result : api_client_new(&address, patience_ms, ret_client, error);
}

void api_client_free(struct api_client *client)
{
	if (!client)
		return;
	if (client->handle)
		client->curl.easy_cleanup(client->handle);
	api_address_free(&client->address);
	free(client);
}

const char *api_client_url(const struct api_client *client)
{
	return client->address.url;
}

void api_answer_free(struct api_answer *answer)
{
	json_decref(answer->body);
	*answer = (struct api_answer){0};
}

/* ---- one attempt ---- */

struct attempt {
	struct api_client *client;
	enum api_method method;
	const char *url;
	const char *body; /* NULL: none */
	int64_t time_ms;
	struct curl_slist *headers;
	struct ga_buffer head, content;
	CURLcode code;
	long status;
	curl_off_t retry_after; /* seconds */
};

/* A server that sends more than there is room for is not listened to any longer. */
static size_t receive(char *data, size_t size, size_t count, void *context)
{
	struct ga_buffer *buffer = context;

	ga_buffer_append(buffer, data, size * count);
	return buffer->failed ? 0 : size * count;
}

static int add_header(struct attempt *attempt, const char *line, gpualloc_error *error)
{
	struct curl_slist *list = attempt->client->curl.slist_append(attempt->headers, line);

	if (!list)
		return ga_error_memory(error);
	attempt->headers = list;
	return 0;
}

/* The kubelet writes a new token into the file long before the old one expires. */
static int add_token(struct attempt *attempt, gpualloc_error *error)
{
	const struct api_address *address = &attempt->client->address;
	ga_auto_buffer struct ga_buffer file = GA_BUFFER_INIT(0), line = GA_BUFFER_INIT(TOKEN_MOST);
	struct ga_view token = {address->token, address->token ? strlen(address->token) : 0};

	if (address->token_file) {
		int result = ga_file_read(address->token_file, TOKEN_MOST / 2, &file, error);

		if (result < 0)
			return result;
		token = ga_view_trim(file.data ? file.data : "", file.size);
	}
	if (!token.text)
		return 0;
	for (size_t i = 0; i < token.size; i++)
		if (token.text[i] <= ' ' || token.text[i] > '~')
			return ga_error_set(error, GPUALLOC_EDATA, "%s: this is no token",
					    address->token_file ? address->token_file
								: "the kubeconfig's token");
	ga_buffer_format(&line, "Authorization: Bearer %.*s", (int)token.size, token.text);
	return line.failed ? ga_error_memory(error) : add_header(attempt, line.data, error);
}

static int add_headers(struct attempt *attempt, gpualloc_error *error)
{
	int result = add_token(attempt, error);

	if (result == 0)
		result = add_header(
			attempt,
			attempt->method == API_GET_METADATA
				? "Accept: application/json;as=PartialObjectMetadataList;v=v1;"
				  "g=meta.k8s.io"
				: "Accept: application/json",
			error);
	if (result == 0 && attempt->body)
		result = add_header(attempt,
				    attempt->method == API_PATCH
					    ? "Content-Type: application/merge-patch+json"
					    : "Content-Type: application/json",
				    error);
	/* Otherwise curl waits a second for the server to say that a long body is welcome. */
	return result == 0 ? add_header(attempt, "Expect:", error) : result;
}

static CURLcode set_blob(const struct api_client *client, CURLoption option, const char *text)
{
	struct curl_blob blob = {
		.data = (char *)text, .len = strlen(text), .flags = CURL_BLOB_COPY};

	return client->curl.easy_setopt(client->handle, option, &blob);
}

static CURLcode set_trust(const struct api_client *client)
{
	const struct api_address *address = &client->address;
	const struct {
		const char *path, *text;
		CURLoption by_path, by_text;
	} parts[] = {
		{address->ca_file, address->ca, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB},
		{address->certificate_file, address->certificate, CURLOPT_SSLCERT,
		 CURLOPT_SSLCERT_BLOB},
		{address->key_file, address->key, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB},
	};
	CURLcode code = CURLE_OK;

	/* Where the cluster has an authority of its own, those of the system do not count. */
	if (address->ca || address->ca_file)
		code = client->curl.easy_setopt(client->handle, CURLOPT_CAPATH, NULL);
	for (size_t i = 0; i < sizeof parts / sizeof *parts && code == CURLE_OK; i++)
		if (parts[i].text)
			code = set_blob(client, parts[i].by_text, parts[i].text);
		else if (parts[i].path)
			code = client->curl.easy_setopt(client->handle, parts[i].by_path,
							parts[i].path);
	return code;
}

static CURLcode set_numbers(const struct api_client *client, int64_t time_ms)
{
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{CURLOPT_NOSIGNAL, 1},
		{CURLOPT_FOLLOWLOCATION, 0},
		{CURLOPT_TCP_KEEPALIVE, 1},
		{CURLOPT_SSL_VERIFYPEER, 1},
		{CURLOPT_SSL_VERIFYHOST, 2},
		{CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
		{CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
		{CURLOPT_CONNECTTIMEOUT_MS, (long)(time_ms < CONNECT_MS ? time_ms : CONNECT_MS)},
		{CURLOPT_TIMEOUT_MS, (long)time_ms},
	};
	CURLcode code = CURLE_OK;

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers && code == CURLE_OK; i++)
		code = client->curl.easy_setopt(client->handle, numbers[i].option,
						numbers[i].value);
	return code;
}

static CURLcode set_request(struct attempt *attempt)
{
	static const char *const methods[] = {"GET", "GET", "POST", "PUT", "PATCH", "DELETE"};
	const struct api_client *client = attempt->client;
	const struct {
		CURLoption option;
		const void *value;
	} parts[] = {
		{CURLOPT_URL, attempt->url},
		{CURLOPT_PROXY, ""},
		{CURLOPT_PROTOCOLS_STR, "https"},
		{CURLOPT_HTTPHEADER, attempt->headers},
		{CURLOPT_ERRORBUFFER, client->said},
		{CURLOPT_WRITEDATA, &attempt->content},
		{CURLOPT_HEADERDATA, &attempt->head},
		{CURLOPT_CUSTOMREQUEST, methods[attempt->method]},
		/* Only with a body: this alone would make it a POST. */
		{CURLOPT_POSTFIELDS, attempt->body},
	};
	size_t count = sizeof parts / sizeof *parts - (attempt->body ? 0 : 1);
	CURLcode code = set_numbers(client, attempt->time_ms);

	for (size_t i = 0; i < count && code == CURLE_OK; i++)
		code = client->curl.easy_setopt(client->handle, parts[i].option, parts[i].value);
	if (code == CURLE_OK)
		code = client->curl.easy_setopt(client->handle, CURLOPT_WRITEFUNCTION, receive);
	if (code == CURLE_OK)
		code = client->curl.easy_setopt(client->handle, CURLOPT_HEADERFUNCTION, receive);
	return code == CURLE_OK ? set_trust(client) : code;
}

/* A negative result is not the server's doing. */
static int make_attempt(struct attempt *attempt, gpualloc_error *error)
{
	struct api_client *client = attempt->client;
	int result = add_headers(attempt, error);

	if (result < 0)
		return result;
	/* Options go; the connection stays. */
	client->curl.easy_reset(client->handle);
	*client->said = '\0';
	attempt->code = set_request(attempt);
	if (attempt->code != CURLE_OK)
		return ga_error_set(error, GPUALLOC_EIMPOSSIBLE, "this libcurl cannot do it: %s",
				    client->curl.easy_strerror(attempt->code));
	attempt->code = client->curl.easy_perform(client->handle);
	(void)client->curl.easy_getinfo(client->handle, CURLINFO_RESPONSE_CODE, &attempt->status);
	(void)client->curl.easy_getinfo(client->handle, CURLINFO_RETRY_AFTER,
					&attempt->retry_after);
	return 0;
}

static void attempt_end(struct attempt *attempt)
{
	attempt->client->curl.slist_free_all(attempt->headers);
	ga_buffer_free(&attempt->head);
	ga_buffer_free(&attempt->content);
}

/* ---- what came of it ---- */

/* The server cannot have begun with what was asked. */
static bool is_unseen(const struct attempt *attempt)
{
	return attempt->code == CURLE_COULDNT_CONNECT ||
	       attempt->code == CURLE_COULDNT_RESOLVE_HOST;
}

/* Another server, or the same one later, may do better. */
static bool is_worth_another(const struct attempt *attempt, bool was_refused_before)
{
	if (attempt->code == CURLE_OK) {
		if (attempt->status == 429)
			return true;
		if (attempt->status == 401)
			return attempt->client->address.token_file && !was_refused_before;
		return attempt->status >= 500 && attempt->method != API_POST;
	}
	switch (attempt->code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST: return true;
	case CURLE_GOT_NOTHING:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_SSL_CONNECT_ERROR: return is_unseen(attempt) || attempt->method != API_POST;
	default: return false;
	}
}

static int no_answer(const struct attempt *attempt, gpualloc_error *error)
{
	const struct api_client *client = attempt->client;
	const char *why = *client->said ? client->said : client->curl.easy_strerror(attempt->code);

	if (attempt->head.failed || attempt->content.failed)
		return ga_error_set(error, GPUALLOC_EDATA, "%s: the answer is too large",
				    attempt->url);
	return ga_error_set(
		error, attempt->code == CURLE_OPERATION_TIMEDOUT ? GPUALLOC_ETIMEOUT : GPUALLOC_EIO,
		"%s: no answer: %s", attempt->url, why);
}

/* The server's sentence is in an object of kind Status. */
static int refused(const struct attempt *attempt, gpualloc_error *error)
{
	json_t *status = json_loadb(attempt->content.data ? attempt->content.data : "",
				    attempt->content.size, 0, NULL);
	const char *said = json_string_value(json_object_get(status, "message"));
	ga_auto_free char *sentence = said ? ga_text_clean(said, strlen(said)) : NULL;
	int kind = attempt->status == 404                             ? GPUALLOC_ENOTFOUND
		   : attempt->status == 409                           ? GPUALLOC_EBUSY
		   : attempt->status == 401 || attempt->status == 403 ? GPUALLOC_EPERM
		   : attempt->status >= 400 && attempt->status < 500  ? GPUALLOC_EUSAGE
								      : GPUALLOC_EIO;

	json_decref(status);
	return ga_error_set(error, kind, "%s: the API server answers %ld%s%s", attempt->url,
			    attempt->status, sentence ? ": " : "", sentence ? sentence : "");
}

static int take_answer(const struct attempt *attempt, struct api_answer *answer,
		       gpualloc_error *error)
{
	json_error_t wrong;

	if (attempt->code != CURLE_OK)
		return no_answer(attempt, error);
	answer->status = attempt->status;
	if (attempt->status < 200 || attempt->status > 299)
		return refused(attempt, error);
	if (attempt->content.size == 0)
		return 0;
	answer->body = json_loadb(attempt->content.data, attempt->content.size,
				  JSON_REJECT_DUPLICATES, &wrong);
	if (!json_is_object(answer->body)) {
		json_decref(ga_steal(&answer->body));
		return ga_error_set(error, GPUALLOC_EDATA, "%s: the answer is no JSON object",
				    attempt->url);
	}
	return 0;
}

/* ---- a call ---- */

/* How long to wait before the next attempt; -1: it would be too late then. */
static int64_t pause_before(const struct attempt *attempt, unsigned made, int64_t deadline)
{
	int64_t pause = (int64_t)PAUSE_MS << (made < 6 ? made : 6);
	int64_t asked = attempt->retry_after > 0 && attempt->retry_after < 3600
				? (int64_t)attempt->retry_after * 1000
				: 0;

	if (attempt->code == CURLE_OK && attempt->status == 401)
		pause = 0;
	pause = pause > PAUSE_MOST_MS ? PAUSE_MOST_MS : pause;
	pause = pause > asked ? pause : asked;
	return attempt->retry_after >= 3600 || ga_clock_ms() + pause >= deadline ? -1 : pause;
}

static int call(struct api_client *client, enum api_method method, const char *url,
		const char *body, struct api_answer *answer, gpualloc_error *error)
{
	int64_t deadline = ga_clock_ms() + client->patience_ms, pause = 0;
	bool was_refused = false;
	int result;

	for (unsigned made = 0; pause >= 0; made++) {
		struct attempt attempt = {.client = client,
					  .method = method,
					  .url = url,
					  .body = body,
					  .head = GA_BUFFER_INIT(HEADERS_MOST),
					  .content = GA_BUFFER_INIT(ANSWER_MOST)};
		bool again;

		ga_clock_sleep_us(pause * 1000);
		attempt.time_ms = deadline - ga_clock_ms();
		attempt.time_ms = attempt.time_ms > 1 ? attempt.time_ms : 1;
		result = make_attempt(&attempt, error);
		again = result == 0 && is_worth_another(&attempt, was_refused);
		was_refused = was_refused || attempt.status == 401;
		if (result == 0)
			result = take_answer(&attempt, answer, error);
		pause = again ? pause_before(&attempt, made, deadline) : -1;
		attempt_end(&attempt);
	}
	return result;
}

int api_call(struct api_client *client, enum api_method method, const char *path,
	     const json_t *body, struct api_answer *ret_answer, gpualloc_error *error)
{
	ga_auto_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL, *url = NULL;

	*ret_answer = (struct api_answer){0};
	if (asprintf(&url, "%s%s", client->address.url, path) < 0)
		url = NULL;
	if (!url || (body && !text))
		return ga_error_memory(error);
	return call(client, method, url, text, ret_answer, error);
}

int api_get(struct api_client *client, const char *path, struct api_answer *ret_answer,
	    gpualloc_error *error)
{
	return api_call(client, API_GET, path, NULL, ret_answer, error);
}

int api_edit(struct api_client *client, const char *path, api_edit_function *edit, void *context,
	     gpualloc_error *error)
{
	int result = GPUALLOC_EBUSY;

	for (int i = 0; i < EDITS && result == GPUALLOC_EBUSY; i++) {
		struct api_answer found, written = {0};

		result = api_get(client, path, &found, error);
		if (result == 0 && !found.body)
			result = ga_error_set(error, GPUALLOC_EDATA, "%s: the answer is empty",
					      path);
		if (result == 0)
			result = edit(context, found.body, error);
		if (result > 0)
			result = api_call(client, API_PUT, path, found.body, &written, error);
		api_answer_free(&found);
		api_answer_free(&written);
	}
	return result;
}
