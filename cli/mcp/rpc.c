/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and making JSON-RPC messages; see rpc.h. */
#include "mcp/rpc.h"

#include <string.h>

enum { ID_MOST = 256, METHOD_MOST = 128 };

static void wrong(struct rpc_message *message, int code, const char *why)
{
	message->kind = RPC_WRONG;
	message->code = code;
	message->why = why;
}

json_t *rpc_parse(const char *line, size_t size, struct rpc_message *ret_wrong)
{
	json_t *document = json_loadb(line, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);

	*ret_wrong = (struct rpc_message){0};
	if (!document)
		wrong(ret_wrong, RPC_PARSE, "this line is not one JSON document");
	return document;
}

static int is_id(const json_t *id)
{
	return json_is_integer(id) || (json_is_string(id) && json_string_length(id) <= ID_MOST);
}

void rpc_read(json_t *document, struct rpc_message *ret_message)
{
	const char *version = json_string_value(json_object_get(document, "jsonrpc"));
	json_t *id = json_object_get(document, "id");
	json_t *method = json_object_get(document, "method");

	*ret_message = (struct rpc_message){.id = is_id(id) ? id : NULL};
	if (!json_is_object(document)) {
		wrong(ret_message, RPC_INVALID, "a message is an object");
		return;
	}
	ret_message->params = json_object_get(document, "params");
	ret_message->method = json_string_value(method);
	if (!version || strcmp(version, "2.0") != 0)
		wrong(ret_message, RPC_INVALID, "jsonrpc must be \"2.0\"");
	else if (id && !ret_message->id)
		wrong(ret_message, RPC_INVALID, "an id is a text, not too long, or a whole number");
	else if (!method && id &&
		 (json_object_get(document, "result") || json_object_get(document, "error")))
		ret_message->kind = RPC_RESPONSE;
	else if (!ret_message->method || json_string_length(method) > METHOD_MOST)
		wrong(ret_message, RPC_INVALID, "a request has a method");
	else if (ret_message->params && !json_is_object(ret_message->params))
		wrong(ret_message, id ? RPC_PARAMS : RPC_INVALID, "params must be an object");
	else
		ret_message->kind = id ? RPC_REQUEST : RPC_NOTIFICATION;
}

json_t *rpc_result(json_t *id, json_t *result)
{
	return json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result);
}

json_t *rpc_error(json_t *id, int code, const char *why, json_t *data)
{
	json_t *error = json_pack("{s:i, s:s}", "code", code, "message", why);

	if (data)
		(void)json_object_set_new(error, "data", data);
	return json_pack("{s:s, s:o, s:o}", "jsonrpc", "2.0", "id",
			 id ? json_incref(id) : json_null(), "error", error);
}

json_t *rpc_notification(const char *method, json_t *params)
{
	return json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method, "params", params);
}
