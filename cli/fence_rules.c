/* SPDX-License-Identifier: Apache-2.0 */
/* What the fence is to be, and how that differs from what stands; see fence_rules.h. */
#include "fence_rules.h"

#include "cleanup.h"
#include "fence_probe.h"
#include "file.h"
#include "message.h"
#include "owned.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define CGROUPS "/sys/fs/cgroup"

enum { DIFFERENCES_MOST = 8, ROOT_NUMBER = 1 };

void fence_plan_free(struct fence_plan *plan)
{
	for (size_t i = 0; i < plan->name_count; i++)
		free(plan->names[i].name);
	free(plan->names);
	free(plan->exempt);
	fence_nodes_free(&plan->nodes);
	free(plan->ledger);
	*plan = (struct fence_plan){0};
}

const char *fence_who_name(enum fence_who who)
{
	static const char *const names[] = {
		[FENCE_USER] = "user", [FENCE_GROUP] = "group", [FENCE_CGROUP] = "cgroup"};

	return names[who];
}

char *fence_ledger(const char *store)
{
	char *path;

	return asprintf(&path, "%s/ledger", store) < 0 ? NULL : path;
}

/* ---- who is exempt ---- */

static int add(struct fence_plan *plan, struct fence_name name, const char *text)
{
	struct fence_name *names = reallocarray(plan->names, plan->name_count + 1, sizeof *names);
	struct fence_exempt *exempt;

	if (!names)
		return GPUALLOC_ENOMEM;
	plan->names = names;
	name.name = strdup(text);
	if (!name.name)
		return GPUALLOC_ENOMEM;
	names[plan->name_count++] = name;
	if (name.is_absent)
		return 0;
	for (size_t i = 0; i < plan->exempt_count; i++)
		if (plan->exempt[i].who == name.who && plan->exempt[i].id == name.id)
			return 0;
	exempt = reallocarray(plan->exempt, plan->exempt_count + 1, sizeof *exempt);
	if (!exempt)
		return GPUALLOC_ENOMEM;
	plan->exempt = exempt;
	exempt[plan->exempt_count++] = (struct fence_exempt){.who = name.who, .id = name.id};
	return 0;
}

int fence_plan_add_probe(struct fence_plan *plan, gid_t group, gpualloc_error *error)
{
	int result =
		add(plan, (struct fence_name){.who = FENCE_GROUP, .id = group}, FENCE_PROBE_GROUP);

	return result < 0 ? ga_error_memory(error) : 0;
}

int fence_plan_expect_probe(struct fence_plan *plan, gpualloc_error *error)
{
	gid_t group;

	return fence_probe_is_there() && fence_probe_group(&group)
		       ? fence_plan_add_probe(plan, group, error)
		       : 0;
}

/*
 * The kernel knows a control group by the number of its folder. Folders of the first version have
 * numbers of their own, which are other groups' of the second; and the root has everybody in it.
 */
static int add_cgroup(struct fence_plan *plan, const char *name)
{
	struct fence_name entry = {.who = FENCE_CGROUP, .is_absent = true};
	ga_auto_free char *path = NULL;
	ga_auto_close int fd = -1;
	struct statfs system;
	struct stat status;

	if (asprintf(&path, CGROUPS "%s", name) < 0) {
		path = NULL;
		return GPUALLOC_ENOMEM;
	}
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &status) == 0 && fstatfs(fd, &system) == 0 &&
	    system.f_type == CGROUP2_SUPER_MAGIC && status.st_ino != ROOT_NUMBER) {
		entry.id = status.st_ino;
		entry.is_absent = false;
	}
	return add(plan, entry, name);
}

static int add_exempt(void *context, enum gpualloc_exempt kind, const char *name, int64_t id)
{
	struct fence_name entry = {.who = kind == GPUALLOC_EXEMPT_USER ? FENCE_USER : FENCE_GROUP,
				   .id = (uint64_t)id};

	return kind == GPUALLOC_EXEMPT_CGROUP ? add_cgroup(context, name)
					      : add(context, entry, name);
}

/* ---- the plan ---- */

int fence_plan_make(const char *spec, const gpualloc_machine *machine, struct fence_plan *ret_plan,
		    gpualloc_error *error)
{
	auto_fence_plan struct fence_plan plan = {0};
	int displays = 0, result;

	result = gpualloc_fence_exempt(spec, add_exempt, &plan, &displays, error);
	if (result == GPUALLOC_ENOMEM)
		return ga_error_memory(error);
	if (result < 0)
		return result;
	plan.ledger = fence_ledger(gpualloc_store_default());
	if (!plan.ledger)
		return ga_error_memory(error);
	result = fence_nodes_find(machine, "", displays, &plan.nodes, error);
	if (result < 0)
		return result;
	*ret_plan = plan;
	plan = (struct fence_plan){0};
	return 0;
}

bool fence_unit_is_enabled(const char *root)
{
	return ga_file_exists(root, "/etc/systemd/system/multi-user.target.wants/" FENCE_UNIT);
}

struct fence_rules fence_plan_rules(const struct fence_plan *plan)
{
	return (struct fence_rules){.ledger = plan->ledger,
				    .nodes = plan->nodes.list,
				    .node_count = plan->nodes.count,
				    .exempt = plan->exempt,
				    .exempt_count = plan->exempt_count};
}

/* ---- nodes in a few words ---- */

/* What /dev/nvidiaN ends with; -1 for every other path. */
static int64_t gpu_number(const char *path)
{
	static const char start[] = "/dev/nvidia";
	int64_t number;

	if (!ga_text_starts(path, start) ||
	    !ga_text_number(path + sizeof start - 1, strlen(path) - (sizeof start - 1), INT32_MAX,
			    &number))
		return -1;
	return number;
}

static int compare_numbers(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void add_ranges(struct ga_buffer *text, int64_t *numbers, size_t count)
{
	qsort(numbers, count, sizeof *numbers, compare_numbers);
	for (size_t i = 0, last; i < count; i = last + 1) {
		for (last = i; last + 1 < count && numbers[last + 1] == numbers[last] + 1;)
			last++;
		ga_buffer_format(text, "%s%lld", i == 0 ? "/dev/nvidia" : ",",
				 (long long)numbers[i]);
		if (last > i)
			ga_buffer_format(text, "-%lld", (long long)numbers[last]);
	}
}

static void add_number(struct ga_buffer *text, size_t count, const char *noun, const char *nouns)
{
	if (count > 0)
		ga_buffer_format(text, "%s%zu %s", text->size ? ", " : "", count,
				 count == 1 ? noun : nouns);
}

void fence_add_nodes(struct ga_buffer *text, const struct fence_node *nodes, size_t count)
{
	ga_auto_buffer struct ga_buffer words = GA_BUFFER_OUTPUT;
	ga_auto_free int64_t *numbers = calloc(count + 1, sizeof *numbers);
	size_t gpus = 0, caps = 0, dri = 0, others = 0;

	if (!numbers) {
		text->failed = true;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		int64_t number = gpu_number(nodes[i].path);

		if (number >= 0)
			numbers[gpus++] = number;
		else if (ga_text_starts(nodes[i].path, "/dev/nvidia-caps/"))
			caps++;
		else if (ga_text_starts(nodes[i].path, "/dev/dri/"))
			dri++;
		else
			others++;
	}
	add_ranges(&words, numbers, gpus);
	add_number(&words, caps, "MIG capability", "MIG capabilities");
	add_number(&words, dri, "in /dev/dri", "in /dev/dri");
	add_number(&words, others, "other", "others");
	ga_buffer_text(text, words.size ? words.data : "no device node");
	text->failed = text->failed || words.failed;
}

/* ---- what differs ---- */

bool fence_asks(const struct fence_state *state, const char *ledger)
{
	struct stat status;

	return stat(ledger, &status) == 0 && state->ledger[0] == status.st_dev &&
	       state->ledger[1] == status.st_ino;
}

static const struct fence_node *find_node(const struct fence_node *nodes, size_t count,
					  dev_t number)
{
	for (size_t i = 0; i < count; i++)
		if (nodes[i].number == number)
			return &nodes[i];
	return NULL;
}

/* Lists what was found, as long as that is short. */
struct listing {
	struct ga_buffer *text;
	const char *start;
	size_t count;
};

static void list(struct listing *listing, const char *word)
{
	if (listing->count == 0)
		ga_buffer_format(listing->text, "%s: ", listing->start);
	if (listing->count < DIFFERENCES_MOST)
		ga_buffer_format(listing->text, "%s%s", listing->count ? ", " : "", word);
	listing->count++;
}

static void end_list(struct listing *listing)
{
	if (listing->count > DIFFERENCES_MOST)
		ga_buffer_format(listing->text, " and %zu more", listing->count - DIFFERENCES_MOST);
	if (listing->count > 0)
		ga_buffer_char(listing->text, '\n');
}

/* Whether a node is open to all, or to others than those who have its GPU. */
static bool compare_nodes(const struct fence_plan *plan, const struct fence_state *state,
			  struct ga_buffer *text)
{
	struct listing open = {.text = text, .start = "these nodes are not behind it"};
	struct listing moved = {.text = text, .start = "these nodes are another GPU's by now"};
	struct listing gone = {.text = text, .start = "it keeps nodes that are no GPU's by now"};
	char number[32];

	for (size_t i = 0; i < plan->nodes.count; i++)
		if (!find_node(state->nodes, state->node_count, plan->nodes.list[i].number))
			list(&open, plan->nodes.list[i].path);
	end_list(&open);
	for (size_t i = 0; i < plan->nodes.count; i++) {
		const struct fence_node *wanted = &plan->nodes.list[i], *node;

		node = find_node(state->nodes, state->node_count, wanted->number);
		if (node && (node->start != wanted->start || node->length != wanted->length))
			list(&moved, wanted->path);
	}
	end_list(&moved);
	for (size_t i = 0; i < state->node_count; i++) {
		dev_t stale = state->nodes[i].number;

		if (find_node(plan->nodes.list, plan->nodes.count, stale))
			continue;
		(void)snprintf(number, sizeof number, "%u:%u", major(stale), minor(stale));
		list(&gone, number);
	}
	end_list(&gone);
	return open.count > 0 || moved.count > 0;
}

static bool has_exempt(const struct fence_exempt *exempt, size_t count,
		       const struct fence_exempt *wanted)
{
	for (size_t i = 0; i < count; i++)
		if (exempt[i].who == wanted->who && exempt[i].id == wanted->id)
			return true;
	return false;
}

/* "user dcgm", or "user 994" if the configuration does not name it any more. */
static void name_exempt(const struct fence_plan *plan, const struct fence_exempt *exempt,
			char *word, size_t size)
{
	for (size_t i = 0; i < plan->name_count; i++)
		if (!plan->names[i].is_absent && plan->names[i].who == exempt->who &&
		    plan->names[i].id == exempt->id) {
			(void)snprintf(word, size, "%s %s", fence_who_name(exempt->who),
				       plan->names[i].name);
			return;
		}
	(void)snprintf(word, size, "%s %llu", fence_who_name(exempt->who),
		       (unsigned long long)exempt->id);
}

static void compare_exempt(const struct fence_plan *plan, const struct fence_state *state,
			   struct ga_buffer *text)
{
	struct listing missing = {.text = text, .start = "these are not exempt yet"};
	struct listing extra = {.text = text, .start = "these are exempt still"};
	char word[128];

	for (size_t i = 0; i < plan->exempt_count; i++)
		if (!has_exempt(state->exempt, state->exempt_count, &plan->exempt[i])) {
			name_exempt(plan, &plan->exempt[i], word, sizeof word);
			list(&missing, word);
		}
	end_list(&missing);
	for (size_t i = 0; i < state->exempt_count; i++)
		if (!has_exempt(plan->exempt, plan->exempt_count, &state->exempt[i])) {
			name_exempt(plan, &state->exempt[i], word, sizeof word);
			list(&extra, word);
		}
	end_list(&extra);
}

bool fence_plan_compare(const struct fence_plan *plan, const struct fence_state *state,
			struct ga_buffer *text)
{
	bool is_asked = fence_asks(state, plan->ledger), is_grave;

	if (!is_asked)
		ga_buffer_format(text,
				 "it asks another ledger than %s, so no lease in that store opens "
				 "anything\n",
				 plan->ledger);
	is_grave = compare_nodes(plan, state, text) || !is_asked;
	compare_exempt(plan, state, text);
	if (fence_probe_is_there() && !fence_probe_is_set())
		ga_buffer_format(text,
				 "%s has no set-gid bit, so users see only GPUs that they may "
				 "open\n",
				 fence_probe_path());
	return is_grave;
}
