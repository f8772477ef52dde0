/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver's library that answers anything: every call takes its result, its numbers and its
 * strings, which have no end, from the input; which calls there are too. What it said is a machine
 * like any other, or a refusal, and goes the way to the parent.
 */
#include "fuzz.h"

#include "cleanup.h"
#include "machine_file.h"
#include "nvml/answer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { GPUS_MOST = 12, FEW = 8 };

/* The calls of a library have no context. */
static struct {
	const uint8_t *data;
	size_t size;
	unsigned counted;
} tape;

/* ---- what comes from the input; behind its end everything is 0 ---- */

static void take(void *bytes, size_t size)
{
	size_t there = size < tape.size ? size : tape.size;

	memset(bytes, 0, size);
	if (there > 0)
		memcpy(bytes, tape.data, there);
	tape.data += there;
	tape.size -= there;
}

static uint8_t take_byte(void)
{
	uint8_t byte;

	take(&byte, 1);
	return byte;
}

/* Mostly small, now and then as large as it can be. */
static unsigned take_number(void)
{
	uint8_t byte = take_byte();
	unsigned number;

	if (byte < 0xf8)
		return byte;
	take(&number, sizeof number);
	return number;
}

/* Success is likely; past the end everything is unsupported. */
static int take_result(void)
{
	static const int results[] = {
		GA_NVML_UNINITIALIZED,
		GA_NVML_INVALID_ARGUMENT,
		GA_NVML_NOT_SUPPORTED,
		GA_NVML_NO_PERMISSION,
		GA_NVML_NOT_FOUND,
		GA_NVML_INSUFFICIENT_SIZE,
		GA_NVML_FUNCTION_NOT_FOUND,
		GA_NVML_GPU_IS_LOST,
		GA_NVML_RESET_REQUIRED,
		GA_NVML_TIMEOUT,
		GA_NVML_UNKNOWN,
		-1,
	};
	uint8_t byte;

	if (tape.size == 0)
		return GA_NVML_NOT_SUPPORTED;
	byte = take_byte();
	return byte < 0xe0 ? GA_NVML_SUCCESS : results[byte % (sizeof results / sizeof *results)];
}

/* Fills in whatever the result is: a driver may. */
static int give(void *answer, size_t size)
{
	int result = take_result();

	take(answer, size);
	return result;
}

/* A few bytes and its end, or all of the room and no end. */
static int give_text(char *text, unsigned size)
{
	int result = take_result();
	uint8_t length = take_byte();

	if (length == UINT8_MAX) {
		memset(text, 'x', size);
	} else {
		length = length < size - 1 ? length : (uint8_t)(size - 1);
		take(text, length);
		text[length] = '\0';
	}
	return result;
}

/* ---- the library ---- */

static const char *error_string(int result)
{
	static const char *const texts[] = {"Lost", "", "\033[2J\n\xff", NULL};

	return texts[(unsigned)result % 4];
}

static int driver_version(char *text, unsigned size)
{
	return give_text(text, size);
}

static int process_name(unsigned pid, char *text, unsigned size)
{
	(void)pid;
	return give_text(text, size);
}

/* A plausible number, or more than there can be. */
static int count(unsigned *ret_count)
{
	int result = take_result();
	unsigned number = take_number();

	*ret_count = number > GA_DEVICES_MAX ? number : number % (GPUS_MOST + 1);
	tape.counted = *ret_count;
	return result;
}

static int handle_by_index(unsigned index, ga_nvml_handle *ret_handle)
{
	int result = take_result();

	fuzz_require(index == 0 || index < tape.counted,
		     "only those that were counted are asked for");
	*ret_handle = (ga_nvml_handle)(uintptr_t)take_byte();
	return result;
}

static int mig_handle(ga_nvml_handle handle, unsigned index, ga_nvml_handle *ret_handle)
{
	(void)index;
	fuzz_require(handle != NULL, "no GPU is asked without its handle");
	return give(ret_handle, 1);
}

static int number_of(ga_nvml_handle handle, unsigned *ret_number)
{
	int result = take_result();

	fuzz_require(handle != NULL, "nothing is asked without its handle");
	*ret_number = take_number();
	return result;
}

static int text_of(ga_nvml_handle handle, char *text, unsigned size)
{
	fuzz_require(handle != NULL, "nothing is asked without its handle");
	return give_text(text, size);
}

static int pci(ga_nvml_handle handle, struct ga_nvml_pci *ret_pci)
{
	int result = take_result();
	uint8_t kind = take_byte();

	(void)handle;
	if (kind < 0xc0) {
		/* One of a few addresses, so that some meet. */
		(void)snprintf(ret_pci->bus_id, sizeof ret_pci->bus_id, "00000000:%02X:00.0",
			       kind % GPUS_MOST);
		(void)snprintf(ret_pci->bus_id_legacy, sizeof ret_pci->bus_id_legacy,
			       "0000:%02X:00.0", kind % GPUS_MOST);
	} else if (kind < 0xd0) {
		memcpy(ret_pci->bus_id, "FFFFFFFF:FF:FF.F", sizeof "FFFFFFFF:FF:FF.F");
	} else if (kind < 0xe0) {
		memset(ret_pci, '0', sizeof *ret_pci);
	} else {
		take(ret_pci, sizeof *ret_pci);
	}
	return result;
}

static int memory_v2(ga_nvml_handle handle, struct ga_nvml_memory_v2 *ret_memory)
{
	(void)handle;
	return give(ret_memory, sizeof *ret_memory);
}

static int memory_v1(ga_nvml_handle handle, struct ga_nvml_memory_v1 *ret_memory)
{
	(void)handle;
	return give(ret_memory, sizeof *ret_memory);
}

static int utilization(ga_nvml_handle handle, struct ga_nvml_utilization *ret_utilization)
{
	(void)handle;
	return give(ret_utilization, sizeof *ret_utilization);
}

static int compute_capability(ga_nvml_handle handle, int *ret_major, int *ret_minor)
{
	(void)handle;
	*ret_major = (int)take_number();
	*ret_minor = (int)take_number();
	return take_result();
}

static int cpu_affinity(ga_nvml_handle handle, unsigned words, unsigned long *ret_mask)
{
	size_t some = take_byte() % FEW;

	(void)handle;
	return give(ret_mask, (some < words ? some : words) * sizeof *ret_mask);
}

static int memory_affinity(ga_nvml_handle handle, unsigned words, unsigned long *ret_mask,
			   unsigned scope)
{
	(void)scope;
	return cpu_affinity(handle, words, ret_mask);
}

static int remapped_rows(ga_nvml_handle handle, unsigned *ret_correctable,
			 unsigned *ret_uncorrectable, unsigned *ret_pending, unsigned *ret_failed)
{
	(void)handle;
	*ret_correctable = *ret_uncorrectable = *ret_pending = UINT32_MAX;
	*ret_failed = take_byte();
	return take_result();
}

/* Says any number, and writes no more than there is room for. */
static int processes(ga_nvml_handle handle, unsigned *number, void *records)
{
	size_t room = *number * sizeof(struct ga_nvml_process_v2), some = take_byte() % 160;
	int result = take_result();

	(void)handle;
	take(records, some < room ? some : room);
	*number = take_number();
	return result;
}

static int common_ancestor(ga_nvml_handle one, ga_nvml_handle other, int *ret_ancestor)
{
	int result = take_result();

	fuzz_require(one && other, "no pair is asked without its handles");
	*ret_ancestor = take_byte() % 7 * 10;
	return result;
}

static int link_number(ga_nvml_handle handle, unsigned link, unsigned *ret_number)
{
	(void)link;
	return number_of(handle, ret_number);
}

static int link_pci(ga_nvml_handle handle, unsigned link, struct ga_nvml_pci *ret_pci)
{
	(void)link;
	return pci(handle, ret_pci);
}

static int link_type(ga_nvml_handle handle, unsigned link, int *ret_type)
{
	(void)link;
	return number_of(handle, (unsigned *)ret_type);
}

static int fields(ga_nvml_handle handle, int number, struct ga_nvml_field *list)
{
	(void)handle;
	for (int i = 0; i < number; i++) {
		list[i].result = take_result();
		list[i].value.number = take_byte() % 4;
	}
	return take_result();
}

static int p2p_status(ga_nvml_handle one, ga_nvml_handle other, int index, int *ret_status)
{
	(void)index;
	fuzz_require(one && other, "no pair is asked without its handles");
	*ret_status = (int)take_number();
	return take_result();
}

static int fabric_v4(ga_nvml_handle handle, struct ga_nvml_fabric_v4 *ret_fabric)
{
	int result = take_result();

	(void)handle;
	take(ret_fabric->cluster, take_byte() % sizeof ret_fabric->cluster);
	ret_fabric->status = (int)take_number();
	ret_fabric->clique_count = take_number();
	ret_fabric->cliques[FEW].id = take_number();
	ret_fabric->state = take_byte() % 5;
	return result;
}

/* Of the version that is asked for, or one that it has not. */
static int fabric_v(ga_nvml_handle handle, void *ret_fabric)
{
	struct ga_nvml_fabric_v3 third = {.version = GA_NVML_VERSION(third, 3)};
	unsigned version;

	(void)handle;
	memcpy(&version, ret_fabric, sizeof version);
	return give(ret_fabric,
		    version == third.version ? sizeof third : sizeof(struct ga_nvml_fabric_v2));
}

static int fabric_v1(ga_nvml_handle handle, struct ga_nvml_fabric_v1 *ret_fabric)
{
	(void)handle;
	return give(ret_fabric, sizeof *ret_fabric);
}

static int mig_mode(ga_nvml_handle handle, unsigned *ret_current, unsigned *ret_pending)
{
	(void)handle;
	*ret_current = take_byte() & 1;
	*ret_pending = take_byte();
	return take_result();
}

static int attributes(ga_nvml_handle handle, struct ga_nvml_attributes *ret_attributes)
{
	(void)handle;
	ret_attributes->gpu_slices = take_number();
	ret_attributes->compute_slices = take_number();
	ret_attributes->memory_mb = take_number();
	return take_result();
}

/* A missing call for each bit that is set. */
static struct ga_nvml make_library(void)
{
	uint64_t missing;
	bool is_new;

	take(&missing, sizeof missing);
	is_new = missing & 1;
#define THERE(bit, call) (missing >> (bit)&1 ? NULL : (call))
	return (struct ga_nvml){
		.error_string = error_string,
		.count = count,
		.handle_by_index = handle_by_index,
		.uuid = text_of,
		.driver_version = THERE(1, driver_version),
		.process_name = THERE(2, process_name),
		.name = THERE(3, text_of),
		.serial = THERE(4, text_of),
		.minor = THERE(5, number_of),
		.pci_v3 = THERE(6, pci),
		.pci_v2 = THERE(7, pci),
		.memory_v2 = THERE(8, memory_v2),
		.memory_v1 = THERE(9, memory_v1),
		.utilization = THERE(10, utilization),
		.compute_mode = THERE(11, number_of),
		.display_active = THERE(12, number_of),
		.compute_capability = THERE(13, compute_capability),
		.cpu_affinity = THERE(14, cpu_affinity),
		.memory_affinity = THERE(15, memory_affinity),
		.retired_pending = THERE(16, number_of),
		.remapped_rows = THERE(17, remapped_rows),
		.compute_processes = THERE(18, processes),
		.graphics_processes = THERE(19, processes),
		.mps_processes = THERE(20, processes),
		.compute_processes_v1 = THERE(21, processes),
		.graphics_processes_v1 = THERE(22, processes),
		.mps_processes_v1 = THERE(23, processes),
		.compute_processes_v3 = is_new ? &tape : NULL,
		.confidential_memory = THERE(24, &tape),
		.process_detail_list = THERE(25, &tape),
		.common_ancestor = THERE(26, common_ancestor),
		.link_state = THERE(27, link_number),
		.link_version = THERE(28, link_number),
		.link_remote_pci = THERE(29, link_pci),
		.link_remote_type = THERE(30, link_type),
		.fields = THERE(31, fields),
		.p2p_status = THERE(32, p2p_status),
		.virtualization = THERE(33, number_of),
		.fabric_v4 = THERE(34, fabric_v4),
		.fabric_v = THERE(35, fabric_v),
		.fabric_v1 = THERE(36, fabric_v1),
		.mig_mode = THERE(37, mig_mode),
		.mig_count = THERE(38, number_of),
		.mig_handle = THERE(39, mig_handle),
		.gi = THERE(40, number_of),
		.ci = THERE(41, number_of),
		.attributes = THERE(42, attributes),
	};
#undef THERE
}

/* ---- what became of it ---- */

/* As its parent reads it. */
static void check_machine(const gpualloc_machine *machine, size_t device_count)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX);
	ga_auto_machine gpualloc_machine *copy = NULL;
	gpualloc_error error = {0};
	int result;

	fuzz_require(machine->device_count == device_count, "as many GPUs as were counted");
	fuzz_require(ga_machine_file_write(machine, GA_FORM_COMPLETE, &text, &error) == 0,
		     "it can be told");
	result = ga_machine_file_read(text.data, text.size, GA_FORM_COMPLETE, &copy, &error);
	if (result == 0) {
		fuzz_check_machine(copy);
		return;
	}
	fuzz_check_refusal(result, copy, &error);
	fuzz_require(strstr(error.message, "UUID") && strstr(error.message, "already"),
		     "only two devices with one UUID cannot be told apart");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int out = -1;
	const struct ga_source_request request = {.root = "/nowhere"};
	struct ga_nvml_skipped skipped[2] = {{.pci = "00000000:01:00.0"}, {.skip = false}};
	struct ga_nvml_question question = {&request, GA_UNKNOWN, skipped, 2, false};
	ga_auto_machine gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	struct ga_nvml nvml;
	uint8_t how;
	int result;

	if (out < 0)
		out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	tape.data = data;
	tape.size = size;
	nvml = make_library();
	how = take_byte();
	skipped[how & 1].skip = how & 2;
	/* Of what was counted before: the first child told how many there are. */
	if (how & 4)
		question = (struct ga_nvml_question){&request, 0, NULL, 0, false};
	result = ga_nvml_build(&nvml, &question, out, &machine, &error);
	if (result < 0)
		fuzz_check_refusal(result, machine, &error);
	else
		check_machine(machine, how & 4 ? 1 : tape.counted);
	return 0;
}
