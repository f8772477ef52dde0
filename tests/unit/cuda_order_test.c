/* SPDX-License-Identifier: Apache-2.0 */
/* Which number CUDA gives to which GPU, and when that cannot be known. */
#include "cleanup.h"
#include "cuda_order.h"
#include "test.h"

#include <string.h>

enum { GPUS = 3 };

static gpualloc_machine *machine_at(const char *const pci[GPUS])
{
	gpualloc_machine *machine = NULL;

	CHECK_INT(ga_machine_new(GPUS, &machine, NULL), 0);
	for (size_t i = 0; i < GPUS; i++)
		CHECK_INT(ga_set_text(&machine->devices[i].pci, pci[i]), 0);
	return machine;
}

static const struct {
	const char *pci[GPUS];
	int order[GPUS];
	const char *doubt; /* NULL: this is CUDA's order */
} places[] = {
	{{"00000000:07:00.0", "00000000:0B:00.0", "00000001:01:00.0"}, {0, 1, 2}, NULL},
	{{"00000000:0B:00.0", "00000001:01:00.0", "00000000:07:00.0"}, {2, 0, 1}, NULL},
	/* Once this gave three times the same number. */
	{{"00000000:08:00.0", NULL, "00000000:07:00.0"}, {2, 0, 1}, "address of GPU 1"},
	{{NULL, NULL, NULL}, {0, 1, 2}, "address of GPU 0"},
	{{"00000000:08:00.0", "00000000:07:00.0", "00000000:08:00.0"}, {1, 0, 2}, "two GPUs"},
};

static void gpus_count_by_address(void)
{
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		ga_auto_machine gpualloc_machine *machine = machine_at(places[i].pci);
		const gpualloc_device *gpus[GPUS];
		gpualloc_error error = {0};

		test_about("place %zu", i);
		ga_pci_order(machine, gpus);
		for (size_t k = 0; k < GPUS; k++)
			CHECK_INT(gpus[k]->index, places[i].order[k]);
		if (!places[i].doubt) {
			CHECK_INT(ga_cuda_order(machine, gpus, &error), 0);
			continue;
		}
		CHECK_INT(ga_cuda_order(machine, gpus, &error), GPUALLOC_EIMPOSSIBLE);
		CHECK_HAS(error.message, places[i].doubt);
	}
}

static void a_lost_gpu_makes_every_number_doubtful(void)
{
	ga_auto_machine gpualloc_machine *machine = machine_at(places[0].pci);
	const gpualloc_device *gpus[GPUS];
	gpualloc_error error = {0};

	machine->devices[2].health = GPUALLOC_HEALTH_ROW_REMAP_FAILED;
	CHECK_INT(ga_cuda_order(machine, gpus, &error), 0);
	machine->devices[2].health = GPUALLOC_HEALTH_LOST;
	CHECK_INT(ga_cuda_order(machine, gpus, &error), GPUALLOC_EIMPOSSIBLE);
	CHECK_HAS(error.message, "GPU 2, whose health is \"lost\"");
	machine->devices[2].health = GPUALLOC_HEALTH_NEEDS_RESET;
	CHECK_INT(ga_cuda_order(machine, gpus, NULL), GPUALLOC_EIMPOSSIBLE);
}

static void a_fence_makes_every_number_doubtful(void)
{
	ga_auto_machine gpualloc_machine *machine = machine_at(places[0].pci);
	const gpualloc_device *gpus[GPUS];
	gpualloc_error error = {0};

	machine->fenced = true;
	CHECK_INT(ga_cuda_order(machine, gpus, &error), GPUALLOC_EIMPOSSIBLE);
	CHECK_HAS(error.message, "administrator's fence");
}

static void one_gpu_alone_is_the_first(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	const gpualloc_device *gpu;

	CHECK_INT(ga_machine_new(1, &machine, NULL), 0);
	CHECK_INT(ga_cuda_order(machine, &gpu, NULL), 0);
	CHECK(gpu == &machine->devices[0]);
}

static const struct test_case cases[] = {
	{"GPUs count by address", gpus_count_by_address},
	{"a lost GPU makes every number doubtful", a_lost_gpu_makes_every_number_doubtful},
	{"a fence makes every number doubtful", a_fence_makes_every_number_doubtful},
	{"one GPU alone is the first", one_gpu_alone_is_the_first},
};

TEST_MAIN(cases)
