/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc explain: why this choice and not another. */
#include "choice_json.h"
#include "choose.h"
#include "explain.h"
#include "message.h"
#include "output.h"
#include "terminal.h"
#include "topo/topo.h"

#include <string.h>
#include <unistd.h>

static int draw(const struct call *call, const struct chosen *chosen)
{
	ga_auto_buffer struct ga_buffer picture = GA_BUFFER_OUTPUT;

	topo_svg(&picture, chosen->machine, chosen->choice);
	return output_save(call->value[OPTION_SVG], &picture);
}

static int run(const struct call *call)
{
	auto_chosen struct chosen chosen = {0};
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct terminal terminal = terminal_of(STDOUT_FILENO);
	const char *picture = call->value[OPTION_SVG];
	int result;

	if (picture && call->value[OPTION_JSON] && strcmp(picture, "-") == 0)
		return fail_usage(call->command,
				  "--json and --svg - both write to stdout; name a file for --svg");
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
	explain_text(&text, &chosen, terminal.width);
	return output_print(&text);
}

const struct command command_explain = {
	.name = "explain",
	.sentence = "why this choice and not another",
	.description =
		"Chooses as pick does and says why: what the set is worth, whether that is proven "
		"to be the best, what the next best sets would lose, and why each other device was "
		"not chosen. With --svg it also draws the machine with the chosen set marked.",
	.example = "gpualloc explain --machine dgx1-volta -n 3 --exclude 0",
	.options = (const enum option_id[]){OPTIONS_OF_CHOICE_BEFORE_FORMAT,
					    OPTIONS_OF_CHOICE_TO_MIXED, OPTION_SVG, OPTION_END},
	.goes_on = true,
	.run = run,
};
