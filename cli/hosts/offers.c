/* SPDX-License-Identifier: Apache-2.0 */
/* Which host; see offers.h. */
#include "hosts/offers.h"

#include "hosts/document.h"
#include "hosts/on.h"
#include "message.h"

#include <string.h>

enum { STATUS_UNAVAILABLE = 69 };

static int by_worth(const void *a, const void *b)
{
	const struct offer *one = a, *other = b;

	if ((one->status == 0) != (other->status == 0))
		return one->status == 0 ? -1 : 1;
	if (one->bandwidth != other->bandwidth)
		return one->bandwidth > other->bandwidth ? -1 : 1;
	if (one->left != other->left)
		return one->left > other->left ? -1 : 1;
	return one->place < other->place ? -1 : 1;
}

/* Their UUIDs as pick prints them. */
static char *ids_of(const json_t *document)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const json_t *devices = json_object_get(document, "devices"), *device;
	size_t i;

	json_array_foreach(devices, i, device)
	{
		const char *uuid = document_text(device, "uuid");

		ga_buffer_format(&text, "%s%s", i ? "," : "", uuid ? uuid : "-");
	}
	return text.data ? ga_text_clean(text.data, text.size) : NULL;
}

static int ask_offers(const struct call *call, const struct hosts *hosts, struct answer **ret_list)
{
	static const char *const json[] = {"--json", NULL};
	struct call as_pick = *call;
	ga_auto_free char **words = NULL;

	as_pick.command = command_find(call->commands, "pick");
	as_pick.operand_count = 0;
	as_pick.value[OPTION_FORMAT] = NULL;
	words = on_words(&as_pick, json);
	if (!words)
		return fail_memory();
	as_pick.value[OPTION_WAIT] = NULL;
	return ask_words(&as_pick, hosts, words, "pick", ret_list);
}

int offers_find(const struct call *call, const struct hosts *hosts, struct offer *ret_offers)
{
	struct answer *list = NULL;
	int result = ask_offers(call, hosts, &list);

	if (result)
		return result;
	for (size_t i = 0; i < hosts->count; i++) {
		const struct answer *answer = &list[i];
		bool is_only_busy = answer->status == STATUS_BUSY_THERE && call->value[OPTION_WAIT];

		ret_offers[i] =
			(struct offer){.host = answer->host,
				       .ids = ids_of(answer->document),
				       .bandwidth = document_number(answer->document, "bandwidth"),
				       .left = document_number(answer->document, "left"),
				       .place = i,
				       .status = answer->status};
		if (answer->reason && !is_only_busy)
			say("%s: %s", answer->host->name, answer->reason);
	}
	answers_free(list, hosts->count);
	qsort(ret_offers, hosts->count, sizeof *ret_offers, by_worth);
	return 0;
}

void offers_free(struct offer *offers, size_t count)
{
	for (size_t i = 0; offers && i < count; i++)
		free(offers[i].ids);
	free(offers);
}

int offers_status(const struct offer *offers, size_t count)
{
	int status = offers[0].status;

	for (size_t i = 0; i < count; i++) {
		if (offers[i].status == STATUS_BUSY_THERE || offers[i].status == 0)
			return offers[0].status == 0 ? 0 : STATUS_BUSY_THERE;
		if (offers[i].status != status)
			status = STATUS_UNAVAILABLE;
	}
	return status;
}
