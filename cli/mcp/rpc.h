/* SPDX-License-Identifier: Apache-2.0 */
/* JSON-RPC 2.0: what a line says, and what is answered. Lines are hostile until they are read. */
#ifndef CLI_MCP_RPC_H
#define CLI_MCP_RPC_H

#include <jansson.h>
#include <stddef.h>

/* A longer line is skipped; a message that is a batch may have so many parts. */
enum { RPC_LINE_MOST = 1 << 20, RPC_BATCH_MOST = 64 };

enum rpc_code {
	RPC_PARSE = -32700,
	RPC_INVALID = -32600,
	RPC_NO_METHOD = -32601,
	RPC_PARAMS = -32602,
	RPC_INTERNAL = -32603,
	RPC_VERSION = -32022 /* of the protocol: the client asks for one that is not known here */
};

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESPONSE, RPC_WRONG };

/* A message. All of it belongs to the document that it was read from. */
struct rpc_message {
	enum rpc_kind kind;
	json_t *id; /* NULL unless it can be answered by it */
	const char *method;
	json_t *params;  /* an object; NULL if there are none */
	const char *why; /* RPC_WRONG: what is wrong, and … */
	int code;        /* … its number */
};

/* The document in a line, which the caller frees; NULL and why not. */
json_t *rpc_parse(const char *line, size_t size, struct rpc_message *ret_wrong);
/* What one document says. */
void rpc_read(json_t *document, struct rpc_message *ret_message);

/* Whole messages; all but id is taken over. NULL when out of memory. */
json_t *rpc_result(json_t *id, json_t *result);
json_t *rpc_error(json_t *id, int code, const char *why, json_t *data);
json_t *rpc_notification(const char *method, json_t *params);

#endif
