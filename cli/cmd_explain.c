/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc explain: why this choice, and why not the others. */
#include "choice_json.h"
#include "choose.h"
#include "cleanup.h"
#include "list.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "terminal.h"
#include "topo.h"

#include <string.h>
#include <unistd.h>

/* MB/s as GB/s with one place; never rounded up. */
static void add_bandwidth(struct text *text, int64_t bandwidth)
{
	text_format(text, "%lld.%lld GB/s", (long long)bandwidth / 1000,
		    (long long)bandwidth % 1000 / 100);
}

static void add_ids(struct text *text, const gpualloc_device *const *devices, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char id[ID_SIZE];

		text_format(text, "%s%s", i ? "," : "", list_id(devices[i], id));
	}
}

static void add_worth(struct text *text, const gpualloc_choice *choice)
{
	int64_t value = gpualloc_choice_value(choice), bound = gpualloc_choice_bound(choice);

	if (gpualloc_choice_count(choice) > 1) {
		text_add(text, "  predicted bandwidth ");
		add_bandwidth(text, gpualloc_choice_bandwidth(choice));
		text_format(text, ", sum of pair scores %lld\n",
			    (long long)gpualloc_choice_score(choice));
	}
	if (value < 0)
		return;
	text_format(text, "  value %lld, ", (long long)value);
	if (gpualloc_choice_proven(choice))
		text_add(text, "proven: no set has more\n");
	else
		text_format(text, "not proven: no set has more than %lld (a gap of %.1f %%)\n",
			    (long long)bound,
			    bound > 0 ? 100.0 * (double)(bound - value) / (double)bound : 0.0);
}

static void add_chosen(struct text *text, const struct chosen *chosen)
{
	const gpualloc_choice *choice = chosen->choice;

	add_machine_name(text, chosen->machine);
	text_format(text, ": policy %s chose ", gpualloc_choice_policy(choice));
	for (size_t i = 0; i < gpualloc_choice_count(choice); i++) {
		char id[ID_SIZE];

		text_format(text, "%s%s", i ? "," : "",
			    list_id(gpualloc_choice_device(choice, i), id));
	}
	text_char(text, '\n');
	add_worth(text, choice);
	text_add(text, "\nCHOSEN\n");
	for (size_t i = 0; i < gpualloc_choice_count(choice); i++) {
		const gpualloc_device *device = gpualloc_choice_device(choice, i);
		const gpualloc_device *parent = gpualloc_device_parent(device);
		const char *name = gpualloc_device_name(parent ? parent : device);
		const char *uuid = gpualloc_device_uuid(device);
		char id[ID_SIZE];

		text_format(text, "  %-7s ", list_id(device, id));
		text_left(text, name ? name : "-", 28);
		text_format(text, " %s\n", uuid ? uuid : "-");
	}
}

/* What an alternative loses beside the chosen set, in the words in which it was compared. */
static void add_loss(struct text *text, const gpualloc_choice *choice, int64_t score,
		     int64_t bandwidth)
{
	int64_t less = gpualloc_choice_bandwidth(choice) - bandwidth;
	int64_t score_less = gpualloc_choice_score(choice) - score;

	if (less != 0) {
		add_bandwidth(text, less > 0 ? less : -less);
		text_add(text, less > 0 ? " less" : " more now, at a cost for what remains");
	} else if (score_less != 0) {
		text_format(text, "as fast, score %lld %s",
			    (long long)(score_less > 0 ? score_less : -score_less),
			    score_less > 0 ? "less" : "more");
	} else {
		text_add(text, "the same; the chosen comes first");
	}
}

static void add_alternatives(struct text *text, const gpualloc_choice *choice)
{
	const gpualloc_device *const *devices;
	int64_t score, bandwidth;
	size_t count;

	for (size_t i = 0;
	     (count = gpualloc_choice_alternative(choice, i, &devices, &score, &bandwidth)); i++) {
		text_add(text, i ? "  " : "\nNEXT BEST\n  ");
		add_ids(text, devices, count);
		text_add(text, "  ");
		add_bandwidth(text, bandwidth);
		text_format(text, ", score %lld: ", (long long)score);
		add_loss(text, choice, score, bandwidth);
		text_char(text, '\n');
	}
}

static void add_rejected(struct text *text, const gpualloc_choice *choice, size_t columns)
{
	const gpualloc_device *device;
	const char *reason;

	for (size_t i = 0; (device = gpualloc_choice_rejected(choice, i, &reason)); i++) {
		auto_text struct text lines = {0};
		char id[ID_SIZE];

		if (i == 0)
			text_add(text, "\nNOT CHOSEN\n");
		text_wrap(&lines, reason, 10, columns, 4);
		text_format(text, "  %-7s ", list_id(device, id));
		text_add(text, lines.data && lines.size > 10 ? lines.data + 10 : "\n");
		text->failed = text->failed || lines.failed;
	}
}

static int draw(const struct call *call, const struct chosen *chosen)
{
	auto_text struct text picture = {0};

	topo_svg(&picture, chosen->machine, chosen->choice);
	return output_save(call->value[OPTION_SVG], &picture);
}

static int run(const struct call *call)
{
	auto_chosen struct chosen chosen = {0};
	auto_text struct text text = {0};
	struct terminal terminal = terminal_of(STDOUT_FILENO);
	const char *picture = call->value[OPTION_SVG];
	int result;

	if (picture && call->value[OPTION_JSON] && strcmp(picture, "-") == 0)
		return fail_usage(call->command,
				  "--json and --svg - both want stdout; draw into a file");
	result = choose(call, true, &chosen);
	if (result)
		return result;
	if (picture)
		result = draw(call, &chosen);
	if (result || (picture && strcmp(picture, "-") == 0))
		return result;
	if (call->value[OPTION_JSON]) {
		choice_json(&text, call, &chosen, true);
		return output_print(&text);
	}
	add_chosen(&text, &chosen);
	add_alternatives(&text, chosen.choice);
	add_rejected(&text, chosen.choice, terminal.width);
	return output_print(&text);
}

const struct command command_explain = {
	.name = "explain",
	.sentence = "why this choice, why not the others",
	.description =
		"Chooses as pick does and says why: what the set is worth and whether that is "
		"proven to be the most, the next best sets and what they lose, and of every other "
		"device why it was not chosen. With --svg also as a picture of the machine with "
		"the chosen set drawn in.",
	.example = "gpualloc explain --machine dgx1-volta -n 3 --exclude 0",
	.options = (const enum option_id[]){OPTIONS_OF_CHOICE_BEFORE_FORMAT,
					    OPTIONS_OF_CHOICE_TO_MIXED, OPTION_SVG, OPTION_END},
	.run = run,
};
