/* SPDX-License-Identifier: Apache-2.0 */
/* The fence around this machine's GPUs; see setup_fence.h. */
#include "setup_fence.h"

#include "fence_probe.h"
#include "fence_rules.h"
#include "fence_users.h"
#include "file.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"
#include "stores.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

enum { NAMED_MOST = 8, SENTENCE_SIZE = 512 };

static int not_permitted(void)
{
	return gpualloc_exit_status(GPUALLOC_EPERM);
}

static const char *kind_name(enum fence_kind kind)
{
	return kind == FENCE_LSM ? "lsm" : "functions";
}

/* ---- what is told ---- */

/* What there is to tell of a fence that stands. */
struct told {
	const gpualloc_machine *machine;
	const struct fence_plan *plan;
	const struct fence_state *state;
	const struct fence_users *users;
};

static void add_since(struct ga_buffer *text, int64_t since)
{
	time_t then = (time_t)since;
	struct tm parts;
	char word[64] = "?";

	if (localtime_r(&then, &parts))
		(void)strftime(word, sizeof word, "%Y-%m-%d %H:%M:%S", &parts);
	ga_buffer_text(text, word);
}

static void add_exempt(struct ga_buffer *text, const struct fence_plan *plan)
{
	ga_buffer_text(text, "exempt: root outside of containers");
	for (size_t i = 0; i < plan->name_count; i++)
		ga_buffer_format(text, ", %s %s%s", fence_who_name(plan->names[i].who),
				 plan->names[i].name,
				 plan->names[i].is_absent ? " (not there)" : "");
	ga_buffer_char(text, '\n');
}

static void add_gaps(struct ga_buffer *text, const struct fence_nodes *nodes)
{
	char sentence[SENTENCE_SIZE];

	for (size_t i = 0; i < nodes->gap_count; i++) {
		(void)fence_gap_text(&nodes->gaps[i], sentence, sizeof sentence);
		ga_buffer_format(text, "not behind it: %s\n", sentence);
	}
}

static void add_text(struct ga_buffer *text, const struct told *told, bool is_check)
{
	const struct fence_plan *plan = told->plan;

	ga_buffer_text(text, "the fence stands: only who has leased the GPU can open ");
	fence_add_nodes(text, plan->nodes.list, plan->nodes.count);
	ga_buffer_char(text, '\n');
	add_gaps(text, &plan->nodes);
	if (!is_check)
		return;
	add_exempt(text, plan);
	ga_buffer_format(text, "it asks %s, %s, since ", plan->ledger,
			 told->state->kind == FENCE_LSM
				 ? "as a security module of the kernel (lsm)"
				 : "attached to the kernel's functions (fmod_ret)");
	add_since(text, told->state->since);
	ga_buffer_char(text, '\n');
}

static void add_json_nodes(struct ga_json *json, const struct fence_nodes *nodes)
{
	char number[32], sentence[SENTENCE_SIZE];

	ga_json_open(json, "nodes", '[');
	for (size_t i = 0; i < nodes->count; i++) {
		const struct fence_node *node = &nodes->list[i];

		(void)snprintf(number, sizeof number, "%u:%u", major(node->number),
			       minor(node->number));
		ga_json_open_line(json, "\n  ", NULL, '{');
		ga_json_text(json, "path", node->path);
		ga_json_text(json, "number", number);
		ga_json_number(json, "start", (int64_t)node->start);
		ga_json_number(json, "length", (int64_t)node->length);
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
	ga_json_open(json, "gaps", '[');
	for (size_t i = 0; i < nodes->gap_count; i++) {
		(void)fence_gap_text(&nodes->gaps[i], sentence, sizeof sentence);
		ga_json_text(json, NULL, sentence);
	}
	ga_json_close(json, ']');
}

static void add_json_people(struct ga_json *json, const struct told *told)
{
	ga_json_open(json, "exempt", '[');
	for (size_t i = 0; i < told->plan->name_count; i++) {
		const struct fence_name *name = &told->plan->names[i];

		ga_json_open(json, NULL, '{');
		ga_json_text(json, "kind", fence_who_name(name->who));
		ga_json_text(json, "name", name->name);
		ga_json_number(json, "id", name->is_absent ? -1 : (int64_t)name->id);
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
	ga_json_open(json, "open", '[');
	for (size_t i = 0; i < told->users->count; i++) {
		const struct fence_user *user = &told->users->list[i];

		ga_json_open(json, NULL, '{');
		ga_json_number(json, "pid", user->pid);
		ga_json_text(json, "user", user->user);
		ga_json_text(json, "name", user->name);
		ga_json_text(json, "node", user->node);
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}

static void add_json(struct ga_buffer *text, const struct call *call, const struct told *told)
{
	struct ga_json json = GA_JSON_INIT(text);

	open_document(&json, call, told->machine);
	ga_json_open(&json, "fence", '{');
	ga_json_bool(&json, "stands", true);
	ga_json_text(&json, "kind", kind_name(told->state->kind));
	ga_json_number(&json, "since", told->state->since);
	ga_json_text(&json, "ledger", told->plan->ledger);
	ga_json_text(&json, "probe", fence_probe_is_set() ? fence_probe_path() : NULL);
	add_json_nodes(&json, &told->plan->nodes);
	add_json_people(&json, told);
	ga_json_close(&json, '}');
	end_document(&json);
}

/* What an administrator may not have thought of. */
static void say_hints(const struct told *told)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const struct fence_users *users = told->users;
	const char *account;

	for (size_t i = 0; (account = fence_service_account(told->plan, i)); i++)
		say("note: the user %s cannot open GPUs behind the fence; `fence-exempt = user %s` "
		    "in %s and `gpualloc setup --fence` let it",
		    account, account, "/etc/gpualloc.conf");
	for (size_t i = 0; i < told->plan->name_count; i++)
		if (told->plan->names[i].is_absent)
			say("note: there is no control group %s now; when it is there, `gpualloc "
			    "setup --fence` exempts it",
			    told->plan->names[i].name);
	for (size_t i = 0; i < users->count && i < NAMED_MOST; i++)
		ga_buffer_format(&text, "%s%s of %s (process %lld, %s)", i > 0 ? ", " : "",
				 users->list[i].name, users->list[i].user,
				 (long long)users->list[i].pid, users->list[i].node);
	if (users->count > NAMED_MOST)
		ga_buffer_format(&text, " and %zu more", users->count - NAMED_MOST);
	if (text.size && !text.failed)
		say("note: these have a GPU open without a lease, and what is open stays open: %s",
		    text.data);
}

static int tell(const struct call *call, struct told told, bool is_check)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	auto_fence_users struct fence_users users = {0};

	if (fence_users_find(told.plan, &users) < 0)
		return fail_memory();
	told.users = &users;
	if (call->value[OPTION_JSON])
		add_json(&text, call, &told);
	else
		add_text(&text, &told, is_check);
	if (!call->value[OPTION_QUIET] && !is_check)
		say_hints(&told);
	return output_print(&text);
}

/* ---- putting it up ---- */

/* The group of the probe is exempt only where the program is there and has its bit. */
static int prepare_probe(struct fence_plan *plan, gpualloc_error *error)
{
	gid_t group;

	if (!fence_probe_is_there() || !fence_probe_make_group(&group) || !fence_probe_set(group))
		return 0;
	return fence_plan_add_probe(plan, group, error);
}

/* Also if it cannot be looked at, as without libbpf. */
static bool is_left(void)
{
	return ga_file_exists("", FENCE_PINS);
}

static int no_nodes(const struct fence_plan *plan)
{
	char sentence[SENTENCE_SIZE] = "this machine shows none";

	if (plan->nodes.gap_count > 0)
		(void)fence_gap_text(&plan->nodes.gaps[0], sentence, sizeof sentence);
	return fail(gpualloc_exit_status(GPUALLOC_EIMPOSSIBLE),
		    "there is no device node to put a fence around: %s", sentence);
}

/* A machine file is meant, whatever it was made from; a name of ours has been left in a variable.
 */
static bool is_built_in(const struct call *call, const gpualloc_machine *machine)
{
	const char *spec = call->value[OPTION_MACHINE], *name;

	if (!spec)
		spec = getenv("GPUALLOC_MACHINE");
	for (size_t i = 0; spec && (name = gpualloc_spec_name(i)); i++)
		if (strcmp(spec, name) == 0)
			return gpualloc_machine_is_simulated(machine);
	return false;
}

static int open_plan(const struct call *call, gpualloc_machine **ret_machine,
		     struct fence_plan *ret_plan)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = open_machine(call, ret_machine);

	if (result)
		return result;
	if (is_built_in(call, *ret_machine))
		return fail_usage(
			call->command,
			"%s is a simulated machine, and a fence is around this one's GPUs; "
			"leave out --machine and GPUALLOC_MACHINE",
			gpualloc_machine_name(*ret_machine));
	result = fence_plan_make(call->value[OPTION_MACHINE], *ret_machine, ret_plan, error);
	return result < 0 ? fail_error(result, error) : 0;
}

static int raise_by(struct fence_plan *plan, gpualloc_error *error)
{
	ga_auto_close int lock = fence_lock();
	struct fence_rules rules;
	int result = gpualloc_store_setup(gpualloc_store_default(), error);

	if (result < 0)
		return result;
	(void)lock; /* until the end */
	result = prepare_probe(plan, error);
	rules = fence_plan_rules(plan);
	if (result == 0)
		result = fence_raise(&rules, error);
	/* The bit must not say what is not so. */
	if (result < 0 && !is_left())
		(void)fence_probe_clear();
	return result;
}

/* What can fail without touching anything comes first. */
static int put_up(const struct call *call, gpualloc_machine **ret_machine, struct fence_plan *plan)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = open_plan(call, ret_machine, plan);

	if (result)
		return result;
	if (plan->nodes.count == 0)
		return no_nodes(plan);
	result = fence_possible(error);
	if (result == 0)
		result = raise_by(plan, error);
	return result < 0 ? fail_error(result, error) : 0;
}

static int raise_fence(const struct call *call)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_machine gpualloc_machine *machine = NULL;
	auto_fence_plan struct fence_plan plan = {0};
	auto_fence_state struct fence_state state = {0};
	int result = put_up(call, &machine, &plan);

	if (result)
		return result;
	result = fence_look(&state, error);
	if (result < 0)
		return fail_error(result, error);
	if (!store_is_for_everybody() && !call->value[OPTION_QUIET])
		say("note: GPUALLOC_STATE_DIR is set: the fence asks the leases in %s and in no "
		    "other store",
		    gpualloc_store_default());
	return tell(call, (struct told){.machine = machine, .plan = &plan, .state = &state}, false);
}

/* ---- looking at it ---- */

static int check_as_user(void)
{
	return fail(not_permitted(),
		    "only root can look at the fence; %s %s its set-gid bit, which is there while "
		    "the fence stands",
		    fence_probe_path(), fence_probe_is_set() ? "has" : "does not have");
}

static int differs(struct ga_buffer *differences)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	if (differences->failed)
		return fail_memory();
	ga_buffer_format(&text,
			 "gpualloc: the fence stands, but not as it should; `gpualloc setup "
			 "--fence` renews it:\n%.*s%s",
			 (int)differences->size - 1, differences->data,
			 message_is_json() ? "" : "\n");
	return fail_text(not_permitted(), &text);
}

static int check_state(const struct fence_state *state)
{
	if (state->stands)
		return 0;
	if (*state->missing)
		return fail(not_permitted(),
			    "the fence is broken: %s; `gpualloc setup --fence` puts it up again",
			    state->missing);
	return fail(not_permitted(), "no fence stands around this machine's GPUs; `gpualloc setup "
				     "--fence` puts it up");
}

static int check_fence(const struct call *call)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_machine gpualloc_machine *machine = NULL;
	auto_fence_plan struct fence_plan plan = {0};
	auto_fence_state struct fence_state state = {0};
	ga_auto_buffer struct ga_buffer differences = GA_BUFFER_OUTPUT;
	int result;

	if (geteuid() != 0)
		return check_as_user();
	result = fence_look(&state, error);
	if (result < 0 && is_left())
		return fail(
			gpualloc_exit_status(result),
			"the fence cannot be looked at: %s; `gpualloc setup --fence` puts it up "
			"again",
			gpualloc_error_message(error));
	if (result < 0)
		return fail_error(result, error);
	result = check_state(&state);
	if (result == 0)
		result = open_plan(call, &machine, &plan);
	if (result)
		return result;
	result = fence_plan_expect_probe(&plan, error);
	if (result < 0)
		return fail_error(result, error);
	(void)fence_plan_compare(&plan, &state, &differences);
	if (differences.size || differences.failed)
		return differs(&differences);
	return tell(call, (struct told){.machine = machine, .plan = &plan, .state = &state}, true);
}

/* ---- taking it down ---- */

/* 1 if one was there, else 0 or GPUALLOC_E...; *ret_cleared says whether the probe has no bit. */
static int take_down(bool *ret_cleared, gpualloc_error *error)
{
	ga_auto_close int lock = fence_lock();
	int was_there = fence_remove(error);

	(void)lock; /* until the end */
	*ret_cleared = was_there >= 0 && fence_probe_clear();
	return was_there;
}

static int remove_fence(const struct call *call)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct ga_json json = GA_JSON_INIT(&text);
	bool is_cleared;
	int was_there = take_down(&is_cleared, error);

	if (was_there < 0)
		return fail_error(was_there, error);
	if (!is_cleared)
		return not_permitted();
	if (fence_unit_is_enabled("") && !call->value[OPTION_QUIET])
		say("note: " FENCE_UNIT " puts it up again when the machine or the driver starts; "
		    "`systemctl disable --now " FENCE_UNIT "` keeps it from that");
	if (call->value[OPTION_JSON]) {
		begin_document(&json, call);
		ga_json_open(&json, "fence", '{');
		ga_json_bool(&json, "stands", false);
		ga_json_bool(&json, "removed", was_there);
		ga_json_close(&json, '}');
		end_document(&json);
	} else {
		ga_buffer_text(&text, was_there ? "the fence is gone: everybody can open every GPU "
						  "again\n"
						: "there was no fence\n");
	}
	return output_print(&text);
}

int setup_fence(const struct call *call)
{
	if (call->value[OPTION_CHECK])
		return check_fence(call);
	if (geteuid() != 0)
		return fail(not_permitted(), "only root can %s the fence",
			    call->value[OPTION_REMOVE] ? "take down" : "put up");
	return call->value[OPTION_REMOVE] ? remove_fence(call) : raise_fence(call);
}

/* ---- a store that comes or goes ---- */

int setup_fence_spares(const char *store)
{
	auto_fence_state struct fence_state state = {0};
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_free char *ledger = fence_ledger(store);

	if (!ledger)
		return fail_memory();
	if (geteuid() != 0)
		return 0;
	if (fence_look(&state, error) < 0 && is_left())
		return fail(STATUS_BUSY,
			    "a fence stands, and whether it asks the leases in %s is not known "
			    "(%s); take it down first: `gpualloc setup --fence --remove`",
			    store, gpualloc_error_message(error));
	if (!state.stands || !fence_asks(&state, ledger))
		return 0;
	return fail(STATUS_BUSY,
		    "the fence asks the leases in %s, so without it nobody could open a GPU; take "
		    "it down first: `gpualloc setup --fence --remove`",
		    store);
}

int setup_fence_follows(const struct call *call, const char *store)
{
	auto_fence_state struct fence_state state = {0};
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_free char *ledger = fence_ledger(store);
	auto_machine gpualloc_machine *machine = NULL;
	auto_fence_plan struct fence_plan plan = {0};
	int result;

	if (!ledger)
		return fail_memory();
	/* It is everybody's store that the fence asks; one that a variable names is another. */
	if (geteuid() != 0 || !store_is_for_everybody())
		return 0;
	if (fence_look(&state, error) < 0 && is_left())
		say("note: a fence stands, and whether it asks the leases in %s is not known: %s",
		    store, gpualloc_error_message(error));
	if (!state.stands || fence_asks(&state, ledger))
		return 0;
	result = put_up(call, &machine, &plan);
	if (result)
		say("the store %s is ready, but the fence asks another one, so no lease in it opens "
		    "a GPU; when that is put right: `gpualloc setup --fence`",
		    store);
	return result;
}
