/* SPDX-License-Identifier: Apache-2.0 */
/* What the parent reads from a child that asks the driver: any bytes. */
#include "fuzz.h"

#include "cleanup.h"
#include "machine_file.h"
#include "nvml/worker.h"
#include "text.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { PIPE_MOST = 60000 };

static void check_span(const struct ga_nvml_worker *worker, struct ga_nvml_span span)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result;

	fuzz_require(span.at <= worker->text.size && span.size <= worker->text.size - span.at,
		     "a machine is within what was reported");
	if (span.size == 0)
		return;
	result = ga_nvml_worker_machine(worker, span, &machine, &error);
	if (result < 0)
		fuzz_check_refusal(result, machine, &error);
	else
		fuzz_check_machine(machine);
}

static void check(const struct ga_nvml_worker *worker)
{
	gpualloc_error error = {0};

	fuzz_require(worker->index >= GA_UNKNOWN && worker->index <= GA_DEVICES_MAX,
		     "a GPU's index");
	fuzz_require(worker->count >= GA_UNKNOWN && worker->count <= GA_DEVICES_MAX,
		     "a number of GPUs");
	if (worker->state == GA_NVML_ANSWERED)
		fuzz_require(worker->answer.size > 0, "an answer is something");
	fuzz_require(ga_text_is_clean(worker->waiting, strlen(worker->waiting)),
		     "why it waits can be shown");
	if (worker->state == GA_NVML_REFUSED)
		fuzz_require(ga_nvml_worker_status(worker) <= 0, "a status is no success");
	if (worker->state == GA_NVML_REFUSED)
		fuzz_check_refusal(ga_nvml_worker_error(worker, &error), NULL, &error);
	else
		check_span(worker, worker->answer);
	check_span(worker, worker->part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ga_nvml_worker worker = {.state = GA_NVML_ASKING,
					.text = GA_BUFFER_INIT(2 * (size_t)GA_MACHINE_FILE_MAX),
					.count = GA_UNKNOWN,
					.index = GA_UNKNOWN};
	int ends[2];

	if (size > PIPE_MOST || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return 0;
	worker.child.out = ends[0];
	/* In two pieces, so that something is heard before all of it was said. */
	fuzz_require(write(ends[1], data, size / 2) == (ssize_t)(size / 2), "there is room");
	fuzz_require(ga_nvml_worker_hear(&worker) == 0, "there is memory");
	fuzz_require(write(ends[1], data + size / 2, size - size / 2) == (ssize_t)(size - size / 2),
		     "there is room");
	close(ends[1]);
	fuzz_require(ga_nvml_worker_hear(&worker) == 0, "there is memory");
	fuzz_require(worker.state != GA_NVML_ASKING, "it ends when nothing more can come");
	check(&worker);
	ga_nvml_worker_free(&worker);
	close(ends[0]);
	return 0;
}
