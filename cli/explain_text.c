/* SPDX-License-Identifier: Apache-2.0 */
/* A choice and its reasons for a person; see explain.h. Things that are alike are said once. */
#include "cleanup.h"
#include "columns.h"
#include "device.h"
#include "explain.h"
#include "open.h"
#include "remedy.h"
#include "topo/p2p.h"

#include <stdlib.h>
#include <string.h>

enum {
	ROWS_MAX = 24,   /* for each part; nobody reads more, and --json has them all */
	CHOSEN_MAX = 16, /* devices with a row of their own */
	IDS_COLUMNS = 9, /* the width of most ids */
	IDS_INLINE = 30, /* how wide ids may be before they get a line of their own */
	NAME_COLUMNS = 28,
};

/* ---- pieces ---- */

/* MB/s as GB/s with one place; never rounded up. */
static void add_bandwidth(struct ga_buffer *text, int64_t bandwidth)
{
	ga_buffer_format(text, "%lld.%lld GB/s", (long long)bandwidth / 1000,
			 (long long)bandwidth % 1000 / 100);
}

/* "0-3,6"; with a blank after each comma if it is long, so that lines can be broken there. */
static void add_ids(struct ga_buffer *text, const gpualloc_device *const *devices, size_t count)
{
	size_t size = gpualloc_device_ids(devices, count, NULL, 0) + 1;
	ga_auto_free char *ids = malloc(size);

	if (!ids) {
		text->failed = true;
		return;
	}
	(void)gpualloc_device_ids(devices, count, ids, size);
	for (const char *c = ids; *c; c++) {
		ga_buffer_char(text, *c);
		if (*c == ',' && size > IDS_INLINE)
			ga_buffer_char(text, ' ');
	}
}

/* Ids, with what is said about them beside them, or below them if they are long. */
static void add_row(struct ga_buffer *text, const gpualloc_device *const *devices, size_t count,
		    const char *words, size_t columns)
{
	ga_auto_buffer struct ga_buffer ids = GA_BUFFER_OUTPUT, block = GA_BUFFER_OUTPUT;
	size_t indent = IDS_COLUMNS + 2, width;

	add_ids(&ids, devices, count);
	if (ids.failed || !ids.data) {
		text->failed = true;
		return;
	}
	width = columns_of(ids.data);
	if (width + 2 > IDS_INLINE) {
		columns_wrap(text, ids.data, 2, columns, 4);
		columns_wrap(text, words, indent, columns, 4);
		return;
	}
	if (width + 4 > indent)
		indent = width + 4;
	columns_wrap(&block, words, indent, columns, 4);
	text->failed = text->failed || block.failed;
	ga_buffer_format(text, "  %s", ids.data);
	ga_buffer_repeat(text, ' ', indent - 2 - width);
	if (block.data && block.size > indent)
		ga_buffer_text(text, block.data + indent);
	else
		ga_buffer_char(text, '\n');
}

/* ---- the chosen ---- */

/* In words, for the policies whose value is neither a bandwidth nor a score. */
static const char *unit_of(const char *policy)
{
	if (strcmp(policy, "balanced") == 0)
		return " of 1000000";
	if (strcmp(policy, "bandwidth") == 0)
		return " MB/s";
	return "";
}

static void add_value(struct ga_buffer *text, const gpualloc_choice *choice)
{
	int64_t value = gpualloc_choice_value(choice), bound = gpualloc_choice_bound(choice);

	ga_buffer_format(text, "value %lld%s, ", (long long)value,
			 unit_of(gpualloc_choice_policy(choice)));
	if (gpualloc_choice_proven(choice))
		ga_buffer_text(text, "proven: no set is worth more");
	else
		ga_buffer_format(text,
				 "not proven: no set is worth more than %lld (a gap of %.1f "
				 "%%)",
				 (long long)bound,
				 bound > 0 ? 100.0 * (double)(bound - value) / (double)bound : 0.0);
}

static void add_p2p(struct ga_buffer *text, const gpualloc_machine *machine,
		    const gpualloc_choice *choice, size_t columns)
{
	struct p2p_seen seen = p2p_of_choice(machine, choice);
	ga_auto_buffer struct ga_buffer words = GA_BUFFER_OUTPUT;

	if (p2p_sentence(&words, &seen))
		columns_wrap(text, words.data ? words.data : "", 2, columns, 4);
	text->failed = text->failed || words.failed;
}

static void add_worth(struct ga_buffer *text, const gpualloc_machine *machine,
		      const gpualloc_choice *choice, size_t columns)
{
	ga_auto_buffer struct ga_buffer links = GA_BUFFER_OUTPUT, value = GA_BUFFER_OUTPUT;

	if (gpualloc_choice_bandwidth(choice) >= 0) {
		ga_buffer_text(&links, "predicted bandwidth ");
		add_bandwidth(&links, gpualloc_choice_bandwidth(choice));
		ga_buffer_format(&links, ", sum of pair scores %lld",
				 (long long)gpualloc_choice_score(choice));
		columns_wrap(text, links.data ? links.data : "", 2, columns, 4);
	}
	add_p2p(text, machine, choice, columns);
	if (gpualloc_choice_value(choice) >= 0) {
		add_value(&value, choice);
		columns_wrap(text, value.data ? value.data : "", 2, columns, 4);
	}
	text->failed = text->failed || links.failed || value.failed;
}

static void add_device(struct ga_buffer *text, const gpualloc_device *device, size_t columns)
{
	const gpualloc_device *parent = gpualloc_device_parent(device);
	const char *name = gpualloc_device_name(parent ? parent : device);
	const char *uuid = gpualloc_device_uuid(device);
	size_t taken = IDS_COLUMNS + 2 + 1 + columns_of(uuid ? uuid : "-"), room = NAME_COLUMNS;
	ga_auto_buffer struct ga_buffer whole = GA_BUFFER_OUTPUT;
	char id[ID_SIZE];

	if (parent && gpualloc_device_profile(device))
		ga_buffer_format(&whole, "%s, ", gpualloc_device_profile(device));
	ga_buffer_text(&whole, name ? name : "-");
	if (taken + room > columns)
		room = taken + 8 < columns ? columns - taken : 8;
	ga_buffer_text(text, "  ");
	columns_left(text, device_id(device, id), IDS_COLUMNS);
	columns_left(text, whole.data ? whole.data : "", room);
	ga_buffer_format(text, " %s\n", uuid ? uuid : "-");
	text->failed = text->failed || whole.failed;
}

static const gpualloc_device **devices_of(const gpualloc_choice *choice)
{
	size_t count = gpualloc_choice_device_count(choice);
	const gpualloc_device **devices = malloc((count + 1) * sizeof *devices);

	for (size_t i = 0; devices && i < count; i++)
		devices[i] = gpualloc_choice_device(choice, i);
	return devices;
}

static void add_chosen(struct ga_buffer *text, const struct chosen *chosen, size_t columns)
{
	const gpualloc_choice *choice = chosen->choice;
	size_t count = gpualloc_choice_device_count(choice);
	ga_auto_free const gpualloc_device **devices = devices_of(choice);
	ga_auto_buffer struct ga_buffer title = GA_BUFFER_OUTPUT;

	if (!devices) {
		text->failed = true;
		return;
	}
	add_machine_name(&title, chosen->machine);
	ga_buffer_format(&title, ": policy %s chose ", gpualloc_choice_policy(choice));
	add_ids(&title, devices, count);
	text->failed = text->failed || title.failed;
	columns_wrap(text, title.data ? title.data : "", 0, columns, 100);
	add_worth(text, chosen->machine, choice, columns);
	ga_buffer_text(text, "\nCHOSEN\n");
	for (size_t i = 0; i < count && (i < CHOSEN_MAX || count == CHOSEN_MAX + 1); i++)
		add_device(text, devices[i], columns);
	if (count > CHOSEN_MAX + 1)
		ga_buffer_format(text, "  and %zu more\n", count - CHOSEN_MAX);
}

/* ---- the next best ---- */

static const gpualloc_device **devices_of_alternative(const gpualloc_alternative *other)
{
	size_t count = gpualloc_alternative_device_count(other);
	const gpualloc_device **devices = malloc((count + 1) * sizeof *devices);

	for (size_t i = 0; devices && i < count; i++)
		devices[i] = gpualloc_alternative_device(other, i);
	return devices;
}

static void add_difference(struct ga_buffer *text, const char *what, int64_t less)
{
	ga_buffer_format(text, "%s %lld %s", what, (long long)(less > 0 ? less : -less),
			 less > 0 ? "less" : "more");
}

/* What an alternative loses against the chosen set, in the words in which they were compared. */
static void add_loss(struct ga_buffer *text, const gpualloc_choice *choice,
		     const gpualloc_alternative *other)
{
	int64_t value = gpualloc_alternative_value(other);
	int64_t value_less = value < 0 ? 0 : gpualloc_choice_value(choice) - value;
	int64_t less = gpualloc_choice_bandwidth(choice) - gpualloc_alternative_bandwidth(other);
	int64_t score_less = gpualloc_choice_score(choice) - gpualloc_alternative_score(other);

	if (less != 0) {
		add_bandwidth(text, less > 0 ? less : -less);
		ga_buffer_text(text, less > 0 ? " less" : " more now");
		if (less < 0 && value_less != 0) {
			ga_buffer_text(text, ", ");
			add_difference(text, "value", value_less);
		}
	} else if (value_less != 0) {
		add_difference(text, "value", value_less);
	} else if (score_less != 0) {
		add_difference(text, "score", score_less);
	} else {
		ga_buffer_text(text, "the same");
	}
}

static void add_alternatives(struct ga_buffer *text, const gpualloc_choice *choice, size_t columns)
{
	for (size_t i = 0; i < gpualloc_choice_alternative_count(choice); i++) {
		const gpualloc_alternative *other = gpualloc_choice_alternative(choice, i);
		int64_t value = gpualloc_alternative_value(other);
		int64_t bandwidth = gpualloc_alternative_bandwidth(other);
		ga_auto_free const gpualloc_device **devices = devices_of_alternative(other);
		ga_auto_buffer struct ga_buffer words = GA_BUFFER_OUTPUT;

		if (i == 0)
			ga_buffer_text(text, "\nNEXT BEST\n");
		if (bandwidth >= 0) {
			add_bandwidth(&words, bandwidth);
			ga_buffer_format(&words, ", score %lld%s",
					 (long long)gpualloc_alternative_score(other),
					 value >= 0 ? ", " : "");
		}
		if (value >= 0)
			ga_buffer_format(&words, "value %lld", (long long)value);
		ga_buffer_text(&words, words.size ? ": " : "");
		add_loss(&words, choice, other);
		if (devices)
			add_row(text, devices, gpualloc_alternative_device_count(other),
				words.data ? words.data : "", columns);
		text->failed = text->failed || words.failed || !devices;
	}
}

/* ---- the others ---- */

static const char *reason_of(const gpualloc_choice *choice, size_t i)
{
	return gpualloc_rejection_reason(gpualloc_choice_rejection(choice, i));
}

/* Whether an earlier device has the same reason, and so shares its line. */
static bool said_before(const gpualloc_choice *choice, size_t i, const char *reason)
{
	for (size_t j = 0; j < i; j++)
		if (strcmp(reason_of(choice, j), reason) == 0)
			return true;
	return false;
}

static size_t gather_alike(const gpualloc_choice *choice, const char *reason,
			   const gpualloc_device **alike)
{
	size_t count = 0;

	for (size_t i = 0; i < gpualloc_choice_rejection_count(choice); i++)
		if (strcmp(reason_of(choice, i), reason) == 0)
			alike[count++] =
				gpualloc_rejection_device(gpualloc_choice_rejection(choice, i));
	return count;
}

static void add_rejected(struct ga_buffer *text, const gpualloc_choice *choice, size_t columns)
{
	ga_auto_free const gpualloc_device **alike = NULL;
	size_t all = gpualloc_choice_rejection_count(choice), rows = 0, said = 0;
	alike = malloc((all + 1) * sizeof *alike);
	if (!alike) {
		text->failed = true;
		return;
	}
	for (size_t i = 0; i < all && rows < ROWS_MAX; i++) {
		const char *reason = reason_of(choice, i);
		ga_auto_buffer struct ga_buffer words = GA_BUFFER_OUTPUT;
		size_t count;

		if (said_before(choice, i, reason))
			continue;
		count = gather_alike(choice, reason, alike);
		remedy_add_rejection(&words, gpualloc_choice_rejection(choice, i));
		ga_buffer_text(text, rows++ ? "" : "\nNOT CHOSEN\n");
		add_row(text, alike, count, words.data ? words.data : "", columns);
		text->failed = text->failed || words.failed;
		said += count;
	}
	if (said < all)
		ga_buffer_format(text, "  and %zu more; --json has them all\n", all - said);
}

void explain_text(struct ga_buffer *text, const struct chosen *chosen, size_t columns)
{
	add_chosen(text, chosen, columns);
	add_alternatives(text, chosen->choice, columns);
	add_rejected(text, chosen->choice, columns);
}
