/* SPDX-License-Identifier: Apache-2.0 */
/* Values of a host's document; see document.h. */
#include "hosts/document.h"

const char *document_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

int64_t document_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
									: -1;
}

struct document_holder document_holder(const json_t *device)
{
	const json_t *lease = json_array_get(json_object_get(device, "leases"), 0);
	const json_t *process = json_array_get(json_object_get(device, "processes"), 0);
	const json_t *kept = json_object_get(device, "kept_for");
	const json_t *who = lease ? lease : process ? process : kept;
	const char *what = lease     ? document_text(lease, "command")
			   : process ? document_text(process, "name")
				     : document_text(kept, "request");

	return (struct document_holder){.user = document_text(who, "user"),
					.what = what ? what : document_text(device, "reason"),
					.since = document_number(who, "since")};
}
