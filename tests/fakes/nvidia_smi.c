/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An nvidia-smi of our own: shows any machine file as the real one would, for the calls that
 * gpualloc makes. What it plays comes from the environment: FAKE_MACHINE=PATH, FAKE_DRIVER=550,
 * FAKE_LOST=INDEX[,INDEX], FAKE_RESET=INDEX, FAKE_HANG=INDEX|init, FAKE_NO_MIG_PERMISSION=1,
 * FAKE_MISMATCH=1, FAKE_MIG_VANISH=1|once, FAKE_CALLS=PATH (each call is appended).
 */
#include "nvidia_smi.h"

#include "buffer.h"
#include "cleanup.h"
#include "file.h"
#include "machine_file.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIELD_UNKNOWN = 2, NO_DEVICES = 6, NO_DRIVER = 9, GPU_LOST = 15, MISMATCH = 18 };

static _Noreturn void hang(void)
{
	(void)fflush(stdout);
	for (;;)
		(void)pause();
}

static int64_t number_from(const char *name, int64_t otherwise)
{
	const char *text = getenv(name);
	int64_t number = otherwise;

	if (text)
		(void)ga_text_number(text, strlen(text), INT32_MAX, &number);
	return number;
}

bool play_is_lost(const struct gpualloc_device *device)
{
	const char *list = getenv("FAKE_LOST");
	int64_t index;

	if (device->health == GPUALLOC_HEALTH_LOST)
		return true;
	while (list && *list) {
		size_t length = strcspn(list, ",");

		if (ga_text_number(list, length, INT32_MAX, &index) && index == device->index)
			return true;
		list += length + (list[length] == ',');
	}
	return false;
}

void play_reach(const struct play *play, const struct gpualloc_device *device)
{
	if (device->index == play->hangs)
		hang();
}

int64_t play_used(const struct play *play, const struct gpualloc_device *device)
{
	const struct ga_memory *memory = &device->memory;

	if (play->driver >= 510 || memory->used < 0 || memory->reserved < 0)
		return memory->used;
	return memory->used + memory->reserved;
}

/* ---- --query-gpu ---- */

/* Each puts a value, or nothing where it is not known. */
static void put_number(struct ga_buffer *out, int64_t number)
{
	if (number >= 0)
		ga_buffer_format(out, "%lld", (long long)number);
}

static void put_text(struct ga_buffer *out, const char *text)
{
	ga_buffer_text(out, text ? text : "");
}

static const char *compute_mode(const struct gpualloc_device *device)
{
	static const char *const names[] = {"Default", "Exclusive_Thread", "Prohibited",
					    "Exclusive_Process"};

	return device->compute_mode == GA_COMPUTE_UNKNOWN ? NULL : names[device->compute_mode];
}

static void put_index(struct ga_buffer *out, const struct play *play,
		      const struct gpualloc_device *device)
{
	(void)play;
	put_number(out, device->index);
}

static void put_uuid(struct ga_buffer *out, const struct play *play,
		     const struct gpualloc_device *device)
{
	(void)play;
	put_text(out, device->uuid);
}

static void put_name(struct ga_buffer *out, const struct play *play,
		     const struct gpualloc_device *device)
{
	(void)play;
	put_text(out, device->name);
}

static void put_serial(struct ga_buffer *out, const struct play *play,
		       const struct gpualloc_device *device)
{
	(void)play;
	put_text(out, device->serial);
}

static void put_pci(struct ga_buffer *out, const struct play *play,
		    const struct gpualloc_device *device)
{
	(void)play;
	put_text(out, device->pci);
}

static void put_total(struct ga_buffer *out, const struct play *play,
		      const struct gpualloc_device *device)
{
	(void)play;
	put_number(out, device->memory.total < 0 ? -1 : device->memory.total >> 20);
}

static void put_reserved(struct ga_buffer *out, const struct play *play,
			 const struct gpualloc_device *device)
{
	(void)play;
	put_number(out, device->memory.reserved < 0 ? -1 : device->memory.reserved >> 20);
}

static void put_used(struct ga_buffer *out, const struct play *play,
		     const struct gpualloc_device *device)
{
	int64_t used = play_used(play, device);

	put_number(out, used < 0 ? -1 : used >> 20);
}

static void put_utilization(struct ga_buffer *out, const struct play *play,
			    const struct gpualloc_device *device)
{
	(void)play;
	put_number(out, device->mig_enabled ? -1 : device->utilization);
}

static void put_compute_mode(struct ga_buffer *out, const struct play *play,
			     const struct gpualloc_device *device)
{
	(void)play;
	put_text(out, compute_mode(device));
}

static void put_mig_mode(struct ga_buffer *out, const struct play *play,
			 const struct gpualloc_device *device)
{
	(void)play;
	put_text(out, device->mig_enabled ? "Enabled" : "Disabled");
}

static void put_display(struct ga_buffer *out, const struct play *play,
			const struct gpualloc_device *device)
{
	(void)play;
	put_text(out, device->display < 0 ? NULL : device->display ? "Enabled" : "Disabled");
}

static void put_driver(struct ga_buffer *out, const struct play *play,
		       const struct gpualloc_device *device)
{
	(void)device;
	put_text(out, play->machine->driver);
}

struct field {
	const char *name;
	const char *unit;
	int since; /* the first driver branch that knows it */
	void (*put)(struct ga_buffer *out, const struct play *play,
		    const struct gpualloc_device *device);
};

static const struct field fields[] = {
	{"index", NULL, 0, put_index},
	{"uuid", NULL, 0, put_uuid},
	{"name", NULL, 0, put_name},
	{"serial", NULL, 0, put_serial},
	{"pci.bus_id", NULL, 0, put_pci},
	{"memory.total", "MiB", 0, put_total},
	{"memory.reserved", "MiB", 510, put_reserved},
	{"memory.used", "MiB", 0, put_used},
	{"utilization.gpu", "%", 0, put_utilization},
	{"compute_mode", NULL, 0, put_compute_mode},
	{"mig.mode.current", NULL, 450, put_mig_mode},
	{"display_active", NULL, 0, put_display},
	{"driver_version", NULL, 0, put_driver},
};

static const struct field *find_field(const struct play *play, const char *name, size_t size)
{
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (ga_text_equal(name, size, fields[i].name) && play->driver >= fields[i].since)
			return &fields[i];
	return NULL;
}

/* Takes the next name off *query; false at the end, and where it is no field *ret_field is NULL. */
static bool next_field(const struct play *play, const char **query, const struct field **ret_field)
{
	size_t length = strcspn(*query, ",");

	if (**query == '\0')
		return false;
	*ret_field = find_field(play, *query, length);
	if (!*ret_field)
		printf("Field \"%.*s\" is not a valid field to query.\n\n", (int)length, *query);
	*query += length + ((*query)[length] == ',');
	return true;
}

static void write_cell(const struct play *play, const struct field *field,
		       const struct gpualloc_device *device, bool units)
{
	ga_auto_buffer struct ga_buffer cell = GA_BUFFER_INIT(4096);
	bool secret =
		play->no_mig_permission && device->mig_enabled &&
		(field->put == put_total || field->put == put_reserved || field->put == put_used);

	if (device->index == play->needs_reset && field->unit && field->put != put_used) {
		printf("[GPU requires reset]");
		return;
	}
	if (!secret)
		field->put(&cell, play, device);
	if (secret)
		printf("[Insufficient Permissions]");
	else if (cell.size == 0)
		printf("%s", play->driver < 530 ? "[Not Supported]" : "[N/A]");
	else
		printf("%s%s%s", cell.data, units && field->unit ? " " : "",
		       units && field->unit ? field->unit : "");
}

static void write_row(const struct play *play, const char *query,
		      const struct gpualloc_device *device, bool units)
{
	const struct field *field;

	for (const char *separator = ""; next_field(play, &query, &field); separator = ", ") {
		printf("%s", separator);
		write_cell(play, field, device, units);
	}
	printf("\n");
}

static int write_table(const struct play *play, const char *query, const char *format)
{
	bool units = !strstr(format, "nounits"), header = !strstr(format, "noheader");
	const struct field *field;

	for (const char *rest = query; next_field(play, &rest, &field);)
		if (!field)
			return FIELD_UNKNOWN;
	for (const char *rest = query, *separator = ""; header && next_field(play, &rest, &field);
	     separator = ", ")
		printf(field->unit && units ? "%s%s [%s]" : "%s%s", separator, field->name,
		       field->unit);
	if (header)
		printf("\n");
	for (size_t i = 0; i < play->machine->device_count; i++) {
		play_reach(play, &play->machine->devices[i]);
		if (!play_is_lost(&play->machine->devices[i]))
			write_row(play, query, &play->machine->devices[i], units);
	}
	return 0;
}

/* ---- -L ---- */

static void write_list_of(const struct play *play, const struct gpualloc_device *device)
{
	printf("GPU %lld: %s (UUID: %s)\n", (long long)device->index,
	       device->name ? device->name : "Graphics Device",
	       device->uuid ? device->uuid : "N/A");
	for (size_t i = 0; i < device->mig_count; i++) {
		const struct gpualloc_device *instance = &device->mig[i];

		if (play->driver < 470)
			printf("  MIG %s Device %zu: (UUID: MIG-%s/%lld/%lld)\n", instance->profile,
			       i, device->uuid, (long long)instance->gi, (long long)instance->ci);
		else
			printf("  MIG %-12sDevice %2zu: (UUID: %s)\n", instance->profile, i,
			       instance->uuid);
	}
}

static void write_list(const struct play *play)
{
	for (size_t i = 0; i < play->machine->device_count; i++) {
		play_reach(play, &play->machine->devices[i]);
		if (!play_is_lost(&play->machine->devices[i]))
			write_list_of(play, &play->machine->devices[i]);
	}
}

/* ---- the program ---- */

static void remember_call(int argc, char **argv)
{
	const char *path = getenv("FAKE_CALLS");
	FILE *file = path ? fopen(path, "a") : NULL;

	if (!file)
		return;
	for (int i = 1; i < argc; i++)
		(void)fprintf(file, "%s%s", i > 1 ? " " : "", argv[i]);
	(void)fprintf(file, "\n");
	(void)fclose(file);
}

/* How often a call has been made, the present one included. */
static unsigned count_calls(const char *call)
{
	const char *path = getenv("FAKE_CALLS");
	ga_auto_buffer struct ga_buffer calls = GA_BUFFER_INIT(0);
	struct ga_view rest, line;
	unsigned count = 0;

	if (!path || ga_file_read(path, 1 << 20, &calls, NULL) < 0)
		return 0;
	rest = (struct ga_view){calls.data, calls.size};
	while (ga_view_line(&rest, &line))
		count += ga_text_equal(line.text, line.size, call);
	return count;
}

static int read_machine(gpualloc_machine **ret_machine)
{
	const char *path = getenv("FAKE_MACHINE");
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT(0);
	gpualloc_error error = {0};
	int result;

	if (!path || access(path, F_OK) < 0) {
		printf("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA "
		       "driver. Make sure that the latest NVIDIA driver is installed and "
		       "running.\n\n");
		return NO_DRIVER;
	}
	result = ga_file_read(path, GA_MACHINE_FILE_MAX, &content, &error);
	if (result == 0)
		result = ga_machine_file_read(content.data, content.size, GA_FORM_FILE, ret_machine,
					      &error);
	if (result < 0)
		(void)fprintf(stderr, "%s: %s\n", path, error.message);
	return result < 0 ? EXIT_FAILURE : 0;
}

static void settle_play(struct play *play)
{
	const char *hangs = getenv("FAKE_HANG"), *vanish = getenv("FAKE_MIG_VANISH");

	if (hangs && strcmp(hangs, "init") == 0)
		hang();
	play->driver = (int)number_from("FAKE_DRIVER", 550);
	play->needs_reset = number_from("FAKE_RESET", -1);
	play->hangs = number_from("FAKE_HANG", -1);
	play->no_mig_permission = getenv("FAKE_NO_MIG_PERMISSION") != NULL;
	play->instances_vanish = vanish != NULL;
	/* once: the second list does not have it any more either. */
	if (vanish && strcmp(vanish, "once") == 0 && count_calls("-L") > 1)
		for (size_t i = 0; i < play->machine->device_count; i++)
			if (play->machine->devices[i].mig_count > 0)
				ga_device_remove_mig(&play->machine->devices[i],
						     play->machine->devices[i].mig_count - 1);
}

/* What stands in front of every output where a GPU is lost; the status to end with. */
static int tell_of_lost(const struct play *play)
{
	size_t lost = 0;

	for (size_t i = 0; i < play->machine->device_count; i++) {
		const struct gpualloc_device *device = &play->machine->devices[i];
		const char *pci = device->pci ? device->pci + 4 : "0000:00:00.0";

		if (!play_is_lost(device))
			continue;
		lost++;
		if (play->driver < 550)
			printf("Unable to determine the device handle for GPU %s: GPU is lost.  "
			       "Reboot the system to recover this GPU\n",
			       pci);
		else
			printf("Unable to determine the device handle for GPU%lld: %s: Unknown "
			       "Error\n",
			       (long long)device->index, pci);
	}
	if (lost < play->machine->device_count)
		return lost > 0 ? GPU_LOST : 0;
	printf("No devices were found\n");
	return NO_DEVICES;
}

static int show(const struct play *play, int argc, char **argv)
{
	static const char query[] = "--query-gpu=";
	const char *first = argc > 1 ? argv[1] : "", *second = argc > 2 ? argv[2] : "";
	int status = tell_of_lost(play);

	if (status == NO_DEVICES)
		return status;
	if (ga_text_starts(first, query)) {
		int refused = write_table(play, first + sizeof query - 1, second);

		return refused ? refused : status;
	}
	if (strcmp(first, "-q") == 0 && strcmp(second, "-x") == 0) {
		write_log(play);
	} else if (strcmp(first, "-L") == 0) {
		write_list(play);
	} else if (strcmp(first, "topo") == 0 && strcmp(second, "-m") == 0) {
		write_matrix(play);
	} else if (strcmp(first, "topo") == 0 && strcmp(second, "-p2p") == 0 &&
		   play->driver >= 450) {
		write_p2p(play);
	} else {
		printf("Option \"%s\" is not recognized. Please run 'nvidia-smi -h'.\n", first);
		return FIELD_UNKNOWN;
	}
	return status;
}

int main(int argc, char **argv)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	struct play play = {0};
	int status;

	remember_call(argc, argv);
	if (getenv("FAKE_MISMATCH")) {
		printf("Failed to initialize NVML: Driver/library version mismatch\n"
		       "NVML library version: 570.124\n");
		return MISMATCH;
	}
	status = read_machine(&machine);
	if (status != 0)
		return status;
	play.machine = machine;
	settle_play(&play);
	return show(&play, argc, argv);
}
