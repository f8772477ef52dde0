/* SPDX-License-Identifier: Apache-2.0 */
/* The machine that the fake serves, what it was told to play, and the counting of calls. */
#include "fake_nvml.h"

#include "buffer.h"
#include "cleanup.h"
#include "file.h"
#include "machine_file.h"
#include "prototypes.h"
#include "text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct fake_state fake;

static struct {
	const char *function;
	unsigned count;
} calls[128];

static void count_call(const char *function)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		if (calls[i].function && strcmp(calls[i].function, function) != 0)
			continue;
		calls[i].function = function;
		calls[i].count++;
		return;
	}
}

static void report_calls(void)
{
	const char *path = getenv("FAKE_CALLS");
	FILE *file = path ? fopen(path, "a") : NULL;

	for (size_t i = 0; file && i < sizeof calls / sizeof *calls && calls[i].function; i++)
		(void)fprintf(file, "%s %u\n", calls[i].function, calls[i].count);
	if (file)
		(void)fclose(file);
	memset(calls, 0, sizeof calls);
}

/* ---- beginning and end ---- */

static bool is_on(const char *variable)
{
	const char *value = getenv(variable);

	return value && strcmp(value, "1") == 0;
}

/* Whether the list "0,3" has the number; NULL has none. */
static bool has_number(const char *list, size_t number)
{
	while (list && *list) {
		size_t length = strcspn(list, ",");
		int64_t entry;

		if (ga_text_number(list, length, INT32_MAX, &entry) && (size_t)entry == number)
			return true;
		list += length + (list[length] == ',');
	}
	return false;
}

static bool is_listed(const char *variable, size_t number)
{
	return has_number(getenv(variable), number);
}

/* "4:1,2" is result 4 for GPUs 1 and 2. */
static int result_for(const char *variable, size_t number)
{
	const char *play = getenv(variable), *list = play ? strchr(play, ':') : NULL;
	int64_t result = 0;

	if (!list || !has_number(list + 1, number) ||
	    !ga_text_number(play, (size_t)(list - play), INT32_MAX, &result))
		return 0;
	return (int)result;
}

static void sleep_ms(const char *variable)
{
	const char *word = getenv(variable);
	int64_t ms = 0;
	struct timespec time;

	if (!word || !ga_text_number(word, strlen(word), INT32_MAX, &ms))
		return;
	time = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	while (nanosleep(&time, &time) < 0 && errno == EINTR)
		;
}

void fake_start_slowly(struct fake_gpu *gpu)
{
	if (!gpu->started)
		sleep_ms("FAKE_SLOW_GPU");
	gpu->started = true;
}

static bool read_machine(void)
{
	const char *path = getenv("FAKE_MACHINE");
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT(0);

	return path && ga_file_read(path, GA_MACHINE_FILE_MAX, &content, NULL) == 0 &&
	       ga_machine_file_read(content.data, content.size, GA_FORM_FILE, &fake.machine,
				    NULL) == 0;
}

static void read_play(void)
{
	const char *form = getenv("FAKE_SWITCH");

	fake.mig_denied = is_on("FAKE_NO_MIG_PERMISSION");
	fake.mig_vanishes = is_on("FAKE_MIG_VANISH");
	fake.mig_plain_names = is_on("FAKE_MIG_PLAIN_NAMES");
	fake.switch_form = !form                          ? SWITCH_TYPED
			   : strcmp(form, "foreign") == 0 ? SWITCH_FOREIGN
			   : strcmp(form, "all-f") == 0   ? SWITCH_ALL_F
							  : SWITCH_TYPED;
	fake.links_sleep = is_on("FAKE_SLEEPING_LINKS");
	fake.enumerates_only = is_on("NVML_MPS_DEVICE_ENUMERATION");
	fake.virtual_gpus = is_on("FAKE_VGPU");
	fake.no_memory = is_on("FAKE_NO_MEMORY");
	fake.fabric = getenv("FAKE_FABRIC");
	fake.processes = getenv("FAKE_PROCESSES");
	for (size_t i = 0; i < fake.machine->device_count; i++) {
		enum gpualloc_health health = fake.machine->devices[i].health;

		fake.gpus[i].lost = health == GPUALLOC_HEALTH_LOST || is_listed("FAKE_LOST", i);
		fake.gpus[i].needs_reset =
			health == GPUALLOC_HEALTH_NEEDS_RESET || is_listed("FAKE_RESET", i);
		fake.gpus[i].hangs = is_listed("FAKE_HANG", i);
		fake.gpus[i].crashes = is_listed("FAKE_CRASH", i);
		fake.gpus[i].exits = is_listed("FAKE_EXIT", i);
		fake.gpus[i].is_twin = is_listed("FAKE_TWIN", i);
		fake.gpus[i].no_handle = result_for("FAKE_HANDLE", i);
		fake.gpus[i].answer = result_for("FAKE_ANSWER", i);
		fake.gpus[i].first_link_down = is_listed("FAKE_DEAD_LINK", i);
		fake.gpus[i].links_unknown = is_listed("FAKE_LINKS_UNREADABLE", i);
	}
}

static void forget_all(void)
{
	fake_close_nodes();
	ga_machine_free(fake.machine);
	free(fake.gpus);
	fake = (struct fake_state){0};
}

static void hang(void)
{
	for (;;)
		(void)pause();
}

int nvmlInit_v2(void)
{
	const char *where;
	int result;

	fake_read_settings();
	where = getenv("FAKE_HANG");
	count_call(__func__);
	sleep_ms("FAKE_SLOW");
	if (where && strcmp(where, "init") == 0)
		hang();
	if (is_on("FAKE_MISMATCH"))
		return GA_NVML_VERSION_MISMATCH;
	if (fake.machine)
		return GA_NVML_SUCCESS;
	if (!read_machine())
		return GA_NVML_DRIVER_NOT_LOADED;
	fake.gpus = calloc(fake.machine->device_count + 1, sizeof *fake.gpus);
	if (!fake.gpus)
		abort();
	read_play();
	fake_lay_links();
	result = fake_open_control();
	if (result) {
		forget_all();
		return result;
	}
	return GA_NVML_SUCCESS;
}

int nvmlInit(void)
{
	return nvmlInit_v2();
}

int nvmlInitWithFlags(unsigned flags)
{
	return flags > 3 ? GA_NVML_INVALID_ARGUMENT : nvmlInit_v2();
}

void fake_play_at(const char *place)
{
	const char *hangs = getenv("FAKE_HANG"), *crashes = getenv("FAKE_CRASH");

	if (hangs && strcmp(hangs, place) == 0)
		hang();
	if (crashes && strcmp(crashes, place) == 0)
		(void)raise(SIGKILL);
}

int nvmlShutdown(void)
{
	count_call(__func__);
	fake_play_at("shutdown");
	report_calls();
	if (fake.machine)
		forget_all();
	return GA_NVML_SUCCESS;
}

/* ---- for every other call ---- */

int fake_called(const char *function)
{
	if (function)
		count_call(function);
	return fake.machine ? GA_NVML_SUCCESS : GA_NVML_UNINITIALIZED;
}

ga_nvml_handle fake_handle(const struct gpualloc_device *device)
{
	/* A handle is opaque; here it is the device's own address, which nobody writes through. */
	union {
		const struct gpualloc_device *device;
		ga_nvml_handle handle;
	} either = {.device = device};

	return either.handle;
}

static const struct gpualloc_device *find_device(ga_nvml_handle handle)
{
	for (size_t i = 0; i < fake.machine->device_count; i++) {
		const struct gpualloc_device *device = &fake.machine->devices[i];

		if (fake_handle(device) == handle)
			return device;
		for (size_t m = 0; m < device->mig_count; m++)
			if (fake_handle(&device->mig[m]) == handle)
				return &device->mig[m];
	}
	return NULL;
}

struct fake_gpu *fake_gpu_of(const struct gpualloc_device *device)
{
	const struct gpualloc_device *gpu = device->parent ? device->parent : device;

	return &fake.gpus[gpu - fake.machine->devices];
}

/* Whether a play is for this function, too; NULL is a second GPU of some function. */
static bool is_played_in(const char *variable, const char *function)
{
	const char *only = getenv(variable);

	return !only || (function && strstr(function, only));
}

static int play(const char *function, const struct gpualloc_device *device)
{
	const struct fake_gpu *gpu = fake_gpu_of(device);

	if (gpu->hangs && is_played_in("FAKE_HANG_IN", function))
		hang();
	sleep_ms("FAKE_SLOW_CALL");
	if (fake.enumerates_only && function)
		return GA_NVML_NOT_SUPPORTED;
	if (gpu->crashes)
		(void)raise(SIGKILL);
	if (gpu->exits)
		_exit(0);
	if (gpu->lost)
		return GA_NVML_GPU_IS_LOST;
	if (gpu->needs_reset)
		return GA_NVML_RESET_REQUIRED;
	if (gpu->answer && is_played_in("FAKE_ANSWER_IN", function))
		return gpu->answer;
	/* The two results with which drivers say that an instance is gone. */
	if (device->parent && fake.mig_vanishes)
		return device->index % 2 ? GA_NVML_NOT_FOUND : GA_NVML_INVALID_ARGUMENT;
	return GA_NVML_SUCCESS;
}

int fake_asked(const char *function, ga_nvml_handle handle, enum fake_kind kind,
	       const struct gpualloc_device **ret_device)
{
	int result = fake_called(function);
	const struct gpualloc_device *device;

	if (result)
		return result;
	device = find_device(handle);
	if (!device || (kind == FAKE_GPU && device->parent) ||
	    (kind == FAKE_MIG && !device->parent))
		return GA_NVML_INVALID_ARGUMENT;
	*ret_device = device;
	return play(function, device);
}

int fake_give_text(const char *from, char *text, unsigned size)
{
	if (!text)
		return GA_NVML_INVALID_ARGUMENT;
	if (!from)
		return GA_NVML_NOT_SUPPORTED;
	if (strlen(from) >= size)
		return GA_NVML_INSUFFICIENT_SIZE;
	(void)snprintf(text, size, "%s", from);
	return GA_NVML_SUCCESS;
}

int fake_give_number(int64_t from, unsigned *number)
{
	if (!number)
		return GA_NVML_INVALID_ARGUMENT;
	if (from < 0)
		return GA_NVML_NOT_SUPPORTED;
	*number = (unsigned)from;
	return GA_NVML_SUCCESS;
}
