/* SPDX-License-Identifier: Apache-2.0 */
/* The machines behind the bars: real shapes, whole and partly taken. */
#include "decide.h"

#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAKEN_SEEDS = 3, RANDOM_SEEDS = 4 };

/* Every number of devices from 2 to all but one, some required in every third question. */
static void ask_all_sizes(const struct ga_policy *policy, struct question_of_shape *asked,
			  const char *name, struct cost *cost)
{
	const size_t count = asked->question.candidate_count;

	for (size_t want = 1; want <= count; want++) {
		char title[64];

		asked->question.want = want;
		(void)snprintf(title, sizeof title, "%s, %zu of %zu%s", name, want, count,
			       asked->question.required_count ? ", required" : "");
		if (asked->question.required_count <= want)
			decide_measure(policy, &asked->question, title, cost);
	}
}

/* Some of a machine's GPUs, in order; those that are left out are drawn. */
static void ask_part(const struct ga_policy *policy, gpualloc_machine *machine, size_t count,
		     size_t required, struct shapes *shapes, const char *name, struct cost *cost)
{
	size_t order[256], some[2] = {0};
	struct question_of_shape asked;

	for (size_t i = 0; i < machine->device_count; i++)
		order[i] = i;
	for (size_t left = machine->device_count; left > count; left--) {
		size_t out = shapes_draw(shapes, left);

		memmove(order + out, order + out + 1, (left - out - 1) * sizeof *order);
	}
	question_of_shape_new(&asked, machine->device_count, order, count);
	asked.question.machine = machine;
	for (size_t i = 0; i < required; i++)
		some[i] = (1 + i * (count / 2)) % count;
	asked.question.required = some;
	asked.question.required_count = required;
	ask_all_sizes(policy, &asked, name, cost);
	question_of_shape_free(&asked);
}

/* The machine whole, with something required, and with a few to a half of it taken. */
static void ask_machine(const struct ga_policy *policy, gpualloc_machine *machine, const char *name,
			struct cost *cost)
{
	const size_t count = machine->device_count;
	struct shapes shapes = {.state = 1};

	ask_part(policy, machine, count, 0, &shapes, name, cost);
	ask_part(policy, machine, count, 2, &shapes, name, cost);
	for (size_t i = 1; i <= TAKEN_SEEDS && count > 8; i++)
		ask_part(policy, machine, count - i * count / 8, 0, &shapes, name, cost);
}

static void ask_named(const struct ga_policy *policy, const char *name, struct cost *cost)
{
	gpualloc_machine *machine = NULL;

	if (ga_source_open(name, NULL, &machine, NULL) < 0)
		abort();
	ask_machine(policy, machine, name, cost);
	ga_machine_free(machine);
}

static void ask_tree(const struct ga_policy *policy, size_t count, const size_t *sizes,
		     const int *nvlinks, const char *name, struct cost *cost)
{
	gpualloc_machine *machine = NULL;

	if (ga_machine_new(count, &machine, NULL) < 0)
		abort();
	shape_tree(machine, sizes, nvlinks);
	ask_machine(policy, machine, name, cost);
	ga_machine_free(machine);
}

/* Two hybrid cube meshes, or a ring of dies: links that no tree describes. */
static void ask_mesh(const struct ga_policy *policy, bool torus, struct cost *cost)
{
	static const char *const cube[] = {"02112000", "20120100", "11020020", "12200001",
					   "20000112", "01002021", "00201202", "00011220"};
	gpualloc_machine *machine = NULL;

	if (ga_machine_new(16, &machine, NULL) < 0)
		abort();
	for (size_t i = 0; i < 16; i++)
		for (size_t j = 0; j < i; j++) {
			size_t rows = (i / 4 + 4 - j / 4) % 4, columns = (i % 4 + 4 - j % 4) % 4;
			bool near =
				(rows == 0 && columns % 2 == 1) || (columns == 0 && rows % 2 == 1);
			int links = torus            ? 2 * near
				    : i / 8 == j / 8 ? cube[i % 8][j % 8] - '0'
						     : 0;

			ga_links_set_level(&machine->links, i, j,
					   i / 4 == j / 4 ? GPUALLOC_LEVEL_PXB
							  : GPUALLOC_LEVEL_SYS);
			ga_links_set_nvlinks(&machine->links, i, j, links);
		}
	ask_machine(policy, machine, torus ? "torus 4 x 4" : "two DGX-1V", cost);
	ga_machine_free(machine);
}

static void ask_random(const struct ga_policy *policy, size_t count, struct cost *cost)
{
	for (size_t seed = 1; seed <= RANDOM_SEEDS; seed++) {
		struct shapes shapes = {.state = seed, .machines = 1};
		struct question_of_shape asked;

		shapes_random_question(&shapes, count, &asked);
		ask_all_sizes(policy, &asked, "random", cost);
		question_of_shape_free(&asked);
	}
}

static void ask_eight(const struct ga_policy *policy, struct cost *cost)
{
	ask_named(policy, "dgx1-pascal", cost);
	ask_named(policy, "dgx1-volta", cost);
	ask_named(policy, "dgx-a100", cost);
	ask_named(policy, "hgx-h100", cost);
	ask_random(policy, 8, cost);
}

static void ask_sixteen(const struct ga_policy *policy, struct cost *cost)
{
	ask_named(policy, "dgx2", cost);
	ask_named(policy, "pcie16", cost);
	ask_tree(policy, 16, (const size_t[]){2, 4, 2, 0}, (const int[]){12, 0, 0, 0}, "16 bridged",
		 cost);
	ask_mesh(policy, false, cost);
	ask_mesh(policy, true, cost);
}

static void ask_random_16(const struct ga_policy *policy, struct cost *cost)
{
	for (size_t count = 9; count <= 16; count++)
		ask_random(policy, count, cost);
}

static void ask_large(const struct ga_policy *policy, struct cost *cost)
{
	ask_named(policy, "nvl72", cost);
	ask_tree(policy, 20, (const size_t[]){5, 2, 0}, NULL, "20 on PCIe", cost);
	ask_tree(policy, 32, (const size_t[]){4, 4, 2, 0}, NULL, "32 on PCIe", cost);
	ask_tree(policy, 56, (const size_t[]){7, 0}, NULL, "56 = 8 x 7", cost);
	ask_tree(policy, 56, (const size_t[]){7, 4, 2, 0}, NULL, "56 on 2 sockets", cost);
	ask_tree(policy, 64, (const size_t[]){8, 0}, NULL, "64 = 8 x 8", cost);
	ask_tree(policy, 72, (const size_t[]){72, 0}, NULL, "72 alike", cost);
	ask_tree(policy, 72, (const size_t[]){4, 0}, (const int[]){18, 18}, "72 = 18 x 4", cost);
}

static void ask_huge(const struct ga_policy *policy, struct cost *cost)
{
	ask_tree(policy, 128, (const size_t[]){8, 8, 0}, NULL, "128 = 16 x 8", cost);
}

const struct bar decide_bars[] = {
	{"8 devices", 2000, 100000, ask_eight},
	{"real shapes up to 16", 1000000, 1000000, ask_sixteen},
	{"random weights, 9 to 16", 5000000, 5000000, ask_random_16},
	{"real shapes up to 72", 10000000, 5000000, ask_large},
	{"128 devices (no bar)", 0, 0, ask_huge},
};
const size_t decide_bar_count = sizeof decide_bars / sizeof *decide_bars;
