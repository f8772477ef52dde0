/* SPDX-License-Identifier: Apache-2.0 */
/* Values of a host's document. Any of them may be missing or of another type: then it is not known.
 */
#ifndef CLI_HOSTS_DOCUMENT_H
#define CLI_HOSTS_DOCUMENT_H

#include <jansson.h>
#include <stdint.h>

/* NULL if it is not known. */
const char *document_text(const json_t *object, const char *key);
/* -1 if it is not known, or negative. */
int64_t document_number(const json_t *object, const char *key);

/* Who has a device, or else who uses it, or else for whom it is kept; what for, or else why it
 * cannot be had. */
struct document_holder {
	const char *user, *what;
	int64_t since;
};
struct document_holder document_holder(const json_t *device);

#endif
