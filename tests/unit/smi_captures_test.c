/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What real machines printed, read: for most files what stands in them was written down by hand,
 * for all of them the invariants hold, and cut short they are refused or honestly less.
 */
#include "cleanup.h"
#include "machine_file.h"
#include "smi/smi.h"
#include "source.h"
#include "test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { NONE = GA_UNKNOWN };

/* As ga_machine_finish() leaves it; a table needs the settling that a file gets by itself. */
static gpualloc_machine *read_capture(const char *folder, const char *file)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	char path[256];
	size_t size;
	ga_auto_free char *text = NULL;

	(void)snprintf(path, sizeof path, "machines/%s/%s", folder, file);
	text = test_read(path, &size);
	test_about("%s", path);
	if (strcmp(folder, "query") == 0) {
		(void)ga_smi_csv_read(text, size, NULL, 0, &machine, &error);
		CHECK_TEXT(error.message, "");
		CHECK_INT(ga_smi_settle(machine, &error), 0);
	} else {
		CHECK(ga_source_nvidia_smi.recognises(text, size));
		(void)ga_source_read(text, size, file, &machine, &error);
	}
	CHECK_TEXT(error.message, "");
	CHECK_TEXT(machine->source, "nvidia-smi");
	return machine;
}

/* ---- what stands in them ---- */

/* Memory in MiB; NONE where the file does not tell. */
struct gpu {
	const char *folder;
	const char *file;
	const char *driver;
	size_t count; /* of GPUs in the file */
	size_t i;     /* the one looked at */
	const char *name;
	const char *uuid;
	const char *serial;
	const char *pci;
	int64_t minor;
	int display;
	int64_t total, reserved, used;
	int64_t utilization;
	int64_t processes;
	size_t instances;
	bool mig;
};

#define H100 "NVIDIA H100 80GB HBM3"
#define RTX2080 "NVIDIA GeForce RTX 2080 SUPER"
#define RTX4080 "NVIDIA GeForce RTX 4080 SUPER"
#define ZERO_UUID "GPU-00000000-0000-0000-0000-000000000000"
#define ZERO_SERIAL "0000000000000"
#define A100_MIG3 "GPU-4200ccc0-2667-d4cb-9137-f932c716232a"

/* clang-format off */
static const struct gpu gpus[] = {
	{"xml", "pai-out_of_order.xml", "430.26", 4, 0, "Tesla K80",
	 "GPU-c3b26f7a-8dcb-619c-fa1b-8029265a4db0", "0322416026235", "00001580:00:00.0",
	 1, 0, 11441, NONE, 587, 99, 1, 0, false},
	{"xml", "pai-out_of_order.xml", "430.26", 4, 3, "Tesla K80",
	 "GPU-3341aba2-f01d-2c1f-7dd4-e389779faec2", "0322416026235", "0000F8D6:00:00.0",
	 0, 0, 11441, NONE, 0, 0, 0, 0, false},
	{"xml", "pai-sample.xml", "384.66", 2, 0, "GeForce GTX 1070",
	 "GPU-e511a7b2-f9d5-ba47-9b98-853732ca6c1b", NULL, "00000000:01:00.0",
	 0, 1, 8112, NONE, 2028, 100, 3, 0, false},
	{"xml", "pai-sample_ecc_unsupported.xml", "410.73", 2, 1, "GeForce RTX 2080 Ti",
	 "GPU-ef1d0068-5bfd-f1e4-7e79-ff35d71d44b8", NULL, "00000000:03:00.0",
	 1, 0, 10989, NONE, 0, 0, 0, 0, false},
	{"xml", "qx-a100.xml", "570.148.08", 1, 0, "NVIDIA A100-SXM4-40GB",
	 ZERO_UUID, "1650000000001", "00000000:06:00.0", 0, 0, 40960, 518, 0, 0, 0, 0, false},
	{"xml", "qx-b200-first6.xml", "580.105.08", 6, 5, "NVIDIA B200",
	 "GPU-00000005-0000-0000-0000-000000000005", "1650000000006", "00000000:C5:00.0",
	 5, 0, 183359, 728, 0, 0, 0, 0, false},
	{"xml", "qx-gb200.xml", "580.173.02", 4, 3, "NVIDIA GB200",
	 "GPU-00000003-0000-0000-0000-000000000003", "1650000000002", "00000000:B2:00.0",
	 3, 0, 189471, 742, 0, 0, 0, 0, false},
	{"xml", "qx-gb300.xml", "580.173.02", 4, 2, "NVIDIA GB300",
	 "GPU-00000002-0000-0000-0000-000000000002", "1650000000002", "00000018:06:00.0",
	 2, 0, 284208, 947, 0, 0, 0, 0, false},
	{"xml", "qx-h100.xml", "580.105.08", 8, 7, H100,
	 "GPU-00000007-0000-0000-0000-000000000007", "1650000000008", "00000000:CA:00.0",
	 7, 0, 81559, 480, 0, 0, 0, 0, false},
	{"xml", "qx-l40s.xml", "595.91.07", 1, 0, "NVIDIA L40S",
	 ZERO_UUID, "1650000000001", "00000000:30:00.0", 0, 0, 46068, 609, 0, 0, 0, 0, false},
	{"xml", "qx-t4.xml", "595.91.07", 1, 0, "Tesla T4",
	 ZERO_UUID, "1650000000001", "00000000:00:1E.0", 0, 0, 15360, 448, 0, 0, 0, 0, false},
	{"xml", "telegraf-a100-sxm4-v12.xml", "535.54.03", 1, 0, "NVIDIA A100-SXM4-80GB",
	 "GPU-513536b6-7d19-9063-b049-1e69664bb298", "1650522003820", "00000000:01:00.0",
	 1, 0, 81920, 869, 50, NONE, 0, 4, true},
	{"xml", "telegraf-a10g.xml", "515.105.01", 1, 0, "NVIDIA A10G",
	 "GPU-9a9a6c50-2a47-2f51-a902-b82c3b127e94", ZERO_SERIAL, "00000000:00:1E.0",
	 0, 0, 23028, 435, 22, 0, 1, 0, false},
	{"xml", "telegraf-gtx-1070-ti.xml", NULL, 1, 0, "GeForce GTX 1070 Ti",
	 "GPU-f9ba66fc-a7f5-94c5-da19-019ef2f9c665", NULL, "00000000:01:00.0",
	 NONE, NONE, 4096, NONE, 42, 0, NONE, 0, false},
	{"xml", "telegraf-gtx-1660-ti.xml", "418.43", 1, 0, "Graphics Device",
	 "GPU-304a277d-3545-63b8-3a36-dfde3c992989", NULL, "00000000:43:00.0",
	 0, 0, 5912, NONE, 0, 0, 0, 0, false},
	{"xml", "telegraf-quadro-p2000-v12.xml", "525.125.06", 1, 0, "Quadro P2000",
	 "GPU-396caaed-39ca-3199-2e68-717cdb786ec6", "0322218049033", "00000000:17:00.0",
	 0, 0, 5120, 66, 1, 0, 0, 0, false},
	{"xml", "telegraf-quadro-p400.xml", "418.43", 1, 0, "Quadro P400",
	 "GPU-8f750be4-dfbc-23b9-b33f-da729a536494", "0424418054852", "00000000:43:00.0",
	 0, 0, 1998, NONE, 0, 0, 0, 0, false},
	{"xml", "telegraf-rtx-3060-v12.xml", "570.124.04", 1, 0, "NVIDIA GeForce RTX 3060",
	 "GPU-d6889ff6-2523-9142-ca3c-1ca3f396a625", NULL, "00000000:2D:00.0",
	 0, 0, 12288, 368, 116, 0, 0, 0, false},
	{"xml", "telegraf-rtx-3080-v12.xml", "536.40", 1, 0, "NVIDIA GeForce RTX 3080",
	 "GPU-19d6d965-2acc-f646-00f8-4c76979aabb4", NULL, "00000000:04:00.0",
	 NONE, 1, 10240, 173, 1128, 0, 5, 0, false},
	{"xml", "telegraf-rtx-3080-v13.xml", "595.58.03", 1, 0, "NVIDIA GeForce RTX 3080",
	 "GPU-19d6d965-2acc-f646-00f8-4c76979aabb4", NULL, "00000000:0C:00.0",
	 0, 0, 10240, 397, 9184, 65, 0, 0, false},
	{"xml", "telegraf-rtx-3090-v12.xml", "525.147.05", 1, 0, "NVIDIA GeForce RTX 3090",
	 "GPU-12345678-aaaa-bbbb-cccc-0123456789ab", NULL, "00000000:00:10.0",
	 0, 0, 24576, 316, 1, 0, 0, 0, false},
	{"xml", "telegraf-rtx-4000-sff-ada-v13.xml", "595.84", 1, 0,
	 "NVIDIA RTX 4000 SFF Ada Generation", "GPU-37037c3f-65c8-ec4d-24a9-420204ad8026",
	 NULL, "00000000:06:00.0", 0, 1, 20475, 460, 3534, 0, 4, 0, false},
	{"xml", "telegraf-tesla-t4.xml", "515.105.01", 1, 0, "Tesla T4",
	 "GPU-d37e67a5-91dd-3774-a5cb-99096249601a", ZERO_SERIAL, "00000000:00:1E.0",
	 0, 0, 15360, 388, 1032, 0, 2, 0, false},

	{"query", "h100-590-idle-query-gpu.csv", "590.48.01", 1, 0, H100, ZERO_UUID, ZERO_SERIAL,
	 "00000000:00:09.0", NONE, 0, 81559, 479, 0, 0, NONE, 0, false},
	{"query", "h100-590-load-query-gpu.csv", "590.48.01", 1, 0, H100, ZERO_UUID, ZERO_SERIAL,
	 "00000000:00:09.0", NONE, 0, 81559, 479, 19818, 100, NONE, 0, false},
	{"query", "h100-mig-590-idle-query-gpu.csv", "590.48.01", 1, 0, H100, ZERO_UUID,
	 ZERO_SERIAL, "00000000:00:09.0", NONE, 0, 81559, 479, 59, NONE, NONE, 0, true},
	{"query", "h200-590-load-query-gpu.csv", "590.48.01", 1, 0, "NVIDIA H200", ZERO_UUID,
	 ZERO_SERIAL, "00000000:83:00.0", NONE, 0, 143771, 614, 32362, 100, NONE, 0, false},
	{"query", "h200-mig-590-load-query-gpu.csv", "590.48.01", 1, 0, "NVIDIA H200", ZERO_UUID,
	 ZERO_SERIAL, "00000000:83:00.0", NONE, 0, 143771, 614, 16959, NONE, NONE, 0, true},
	{"query", "l40s-595-load-query-gpu.csv", "595.80", 1, 0, "NVIDIA L40S", ZERO_UUID,
	 ZERO_SERIAL, "00000000:01:00.0", NONE, 0, 46068, 609, 1235, 9, NONE, 0, false},
	{"query", "rtx2080super-595-idle-query-gpu.csv", "595.71.05", 1, 0, RTX2080, ZERO_UUID,
	 NULL, "00000000:0C:00.0", NONE, 1, 8192, 408, 214, 0, NONE, 0, false},
	{"query", "rtx2080super-610-load-query-gpu.csv", "610.57.04", 1, 0, RTX2080, ZERO_UUID,
	 NULL, "00000000:0C:00.0", NONE, 0, 8192, 400, 815, 8, NONE, 0, false},
	{"query", "rtx4080super-595-load-query-gpu.csv", "595.71.05", 1, 0, RTX4080, ZERO_UUID,
	 NULL, "00000000:01:00.0", NONE, 1, 16376, 434, 1474, 7, NONE, 0, false},
	{"query", "win-rtx2080super-591-idle-query-gpu.csv", "591.86", 1, 0, RTX2080, ZERO_UUID,
	 NULL, "00000000:0C:00.0", NONE, 0, 8192, 205, 702, 0, NONE, 0, false},
	{"query", "win-rtx2080super-610-load-query-gpu.csv", "610.62", 1, 0, RTX2080, ZERO_UUID,
	 NULL, "00000000:0C:00.0", NONE, 1, 8192, 205, 1366, 7, NONE, 0, false},
	{"query", "gb10-memory-na.csv", NULL, 1, 0, "NVIDIA GB10", NULL, NULL, NULL,
	 NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0, false},
	{"query", "rtx-loop-csv.csv", NULL, 1, 0, NULL, NULL, NULL, NULL,
	 NONE, NONE, NONE, NONE, NONE, 25, NONE, 0, false},
	{"query", "h100-requires-reset.csv", NULL, 1, 0, NULL, NULL, NULL, NULL,
	 NONE, NONE, NONE, NONE, 0, NONE, NONE, 0, false},

	{"L", "2xa100-mig-1g-x2.txt", NULL, 2, 1, "NVIDIA A100-SXM4-80GB",
	 "GPU-c92e2d5d-4a69-f1cd-4df0-305f8606705a", NULL, NULL,
	 NONE, NONE, NONE, NONE, NONE, NONE, NONE, 2, true},
	{"L", "2xa100-mig-ctype-trailblank.txt", NULL, 2, 0, "NVIDIA A100-SXM4-80GB",
	 "GPU-59227d3b-92c1-9394-2694-e5d2d09d7ca6", NULL, NULL,
	 NONE, NONE, NONE, NONE, NONE, NONE, NONE, 4, true},
	{"L", "8xa100-mig-mixed.txt", NULL, 8, 4, "A100-SXM4-40GB",
	 "GPU-74fa9fb7-ccf6-8234-e597-7af8ace9a8f5", NULL, NULL,
	 NONE, NONE, NONE, NONE, NONE, NONE, NONE, 6, true},
	{"L", "a100-mig3-olduuid.txt", NULL, 1, 0, "A100-SXM4-40GB", A100_MIG3, NULL, NULL,
	 NONE, NONE, NONE, NONE, NONE, NONE, NONE, 3, true},
	{"L", "a30-yarn-containers.txt", NULL, 1, 0, "NVIDIA A30",
	 "GPU-05aa99be-b706-0dc1-ab62-dd12f2227b7d", NULL, NULL,
	 NONE, NONE, NONE, NONE, NONE, NONE, NONE, 4, true},
	{"L", "dgx-station-a100-mig7.txt", NULL, 4, 2, "NVIDIA DGX Display",
	 "GPU-a072e8f4-1f50-8158-39cd-12d80ffcbeed", NULL, NULL,
	 NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0, false},
	{"L", "graphics-device-mig-noprofile.txt", NULL, 1, 0, "Graphics Device",
	 "GPU-b8ea3855-276c-c9cb-b366-c6fa655957c5", NULL, NULL,
	 NONE, NONE, NONE, NONE, NONE, NONE, NONE, 3, true},
	{"L", "h100-mig-1c3g.txt", NULL, 1, 0, H100,
	 "GPU-c08d91cb-e324-655c-71ba-7570956445bc", NULL, NULL,
	 NONE, NONE, NONE, NONE, NONE, NONE, NONE, 5, true},
	{"L", "h100-mig-single-crlf.txt", NULL, 1, 0, H100,
	 "GPU-b4895dbf-9350-2524-a89b-98161ddd9fe4", NULL, NULL,
	 NONE, NONE, NONE, NONE, NONE, NONE, NONE, 7, true},
	{"L", "l40s-595.txt", NULL, 1, 0, "NVIDIA L40S", ZERO_UUID, NULL, NULL,
	 NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0, false},
};
/* clang-format on */

static int64_t mib(int64_t bytes)
{
	return bytes < 0 ? bytes : bytes >> 20;
}

static void check_gpu(const struct gpu *gpu)
{
	ga_auto_machine gpualloc_machine *machine = read_capture(gpu->folder, gpu->file);
	const struct gpualloc_device *device;

	CHECK_TEXT(machine->driver, gpu->driver);
	CHECK_INT(machine->device_count, gpu->count);
	device = &machine->devices[gpu->i];
	CHECK_INT(device->index, gpu->i);
	CHECK_TEXT(device->name, gpu->name);
	CHECK_TEXT(device->uuid, gpu->uuid);
	CHECK_TEXT(device->serial, gpu->serial);
	CHECK_TEXT(device->pci, gpu->pci);
	CHECK_INT(device->minor, gpu->minor);
	CHECK_INT(device->display, gpu->display);
	CHECK_INT(mib(device->memory.total), gpu->total);
	CHECK_INT(mib(device->memory.reserved), gpu->reserved);
	CHECK_INT(mib(device->memory.used), gpu->used);
	CHECK_INT(device->utilization, gpu->utilization);
	CHECK_INT(device->processes_known, gpu->processes != NONE);
	CHECK_INT(device->process_count, gpu->processes == NONE ? 0 : gpu->processes);
	CHECK_INT(device->mig_count, gpu->instances);
	CHECK_INT(device->mig_enabled, gpu->mig);
}

static void gpus_are_what_the_files_say(void)
{
	for (size_t i = 0; i < COUNT(gpus); i++)
		check_gpu(&gpus[i]);
}

static const struct {
	const char *folder, *file;
	size_t gpu, instance;
	const char *uuid, *profile;
	int64_t gi, ci, total;
} instances[] = {
	{"xml", "telegraf-a100-sxm4-v12.xml", 0, 0, NULL, NULL, 3, 0, 19968},
	{"xml", "telegraf-a100-sxm4-v12.xml", 0, 3, NULL, NULL, 6, 0, 19968},
	{"L", "2xa100-mig-ctype-trailblank.txt", 0, 3, "MIG-b8753643-33b5-589f-bc5f-da5995b5674c",
	 "2c.4g.40gb", NONE, NONE, NONE},
	{"L", "8xa100-mig-mixed.txt", 6, 2, "MIG-8abf68e0-2808-525e-9133-ba81701ed6d3",
	 "3c.7g.40gb", NONE, NONE, NONE},
	{"L", "a100-mig3-olduuid.txt", 0, 2, "MIG-" A100_MIG3 "/9/0", "1g.5gb", 9, 0, NONE},
	{"L", "a100-mig7-olduuid.txt", 0, 6, "MIG-" A100_MIG3 "/13/0", "1g.5gb", 13, 0, NONE},
	{"L", "a100-mig7-olduuid-b.txt", 0, 3, "MIG-GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f/11/0",
	 "1g.5gb", 11, 0, NONE},
	{"L", "graphics-device-mig-noprofile.txt", 0, 1,
	 "MIG-GPU-b8ea3855-276c-c9cb-b366-c6fa655957c5/1/1", NULL, 1, 1, NONE},
	{"L", "a30-yarn-containers.txt", 0, 1, "MIG-54cc2421-6f2d-59e9-b074-20707aadd71e",
	 "1c.2g.12gb", NONE, NONE, NONE},
	{"L", "h100-mig-single-crlf.txt", 0, 6, "MIG-981c86e9-3607-57d7-9426-295347e4b925",
	 "1g.10gb", NONE, NONE, NONE},
	{"L", "h200-mig-590.txt", 0, 1, "MIG-00000001-0000-0000-0000-000000000001", "2c.3g.71gb",
	 NONE, NONE, NONE},
};

static void instances_are_what_the_files_say(void)
{
	for (size_t i = 0; i < COUNT(instances); i++) {
		ga_auto_machine gpualloc_machine *machine =
			read_capture(instances[i].folder, instances[i].file);
		const struct gpualloc_device *gpu = &machine->devices[instances[i].gpu];
		const struct gpualloc_device *instance = &gpu->mig[instances[i].instance];

		CHECK(instance->parent == gpu);
		CHECK_INT(instance->index, instances[i].instance);
		CHECK_TEXT(instance->uuid, instances[i].uuid);
		CHECK_TEXT(instance->profile, instances[i].profile);
		CHECK_INT(instance->gi, instances[i].gi);
		CHECK_INT(instance->ci, instances[i].ci);
		CHECK_INT(mib(instance->memory.total), instances[i].total);
	}
}

static const struct {
	const char *file;
	size_t gpu, place;
	int64_t pid;
	const char *type;
	int64_t memory;
	const char *name;
} processes[] = {
	{"pai-out_of_order.xml", 0, 0, 58813, "C", 576, "python"},
	{"pai-sample.xml", 0, 0, 1357, "G", 99, "Xorg"},
	{"pai-sample.xml", 0, 2, 3093, "C", 2283, "ethminer"},
	{"pai-sample.xml", 1, 0, 3093, "C", 2283, "ethminer"},
	{"telegraf-rtx-3080-v12.xml", 0, 2, 2214, "G", 79, "msedge"},
	{"telegraf-rtx-4000-sff-ada-v13.xml", 0, 0, 1842, "G", 410, "cosmic-comp"},
	{"telegraf-rtx-4000-sff-ada-v13.xml", 0, 3, 34626, "C+G", 183, "chromium"},
	{"telegraf-tesla-t4.xml", 0, 1, 5762, "C", 1005, "python"},
};

static void processes_are_what_the_files_say(void)
{
	for (size_t i = 0; i < COUNT(processes); i++) {
		ga_auto_machine gpualloc_machine *machine = read_capture("xml", processes[i].file);
		const struct gpualloc_process *process =
			&machine->devices[processes[i].gpu].processes[processes[i].place];

		CHECK_INT(process->pid, processes[i].pid);
		CHECK_TEXT(ga_process_type_name(process->type), processes[i].type);
		CHECK_INT(mib(process->memory), processes[i].memory);
		CHECK_TEXT(process->name, processes[i].name);
	}
}

/* The cut-down logs say how many GPUs there were; of that the reader tells. */
static void notes_tell_of_gpus_left_out(void)
{
	static const char *const files[][2] = {
		{"pai-sample.xml", "6 GPUs are attached, but the log describes 2"},
		{"qx-b200-first6.xml", "8 GPUs are attached, but the log describes 6"},
		{"telegraf-a100-sxm4-v12.xml", "4 GPUs are attached, but the log describes 1"},
	};

	for (size_t i = 0; i < COUNT(files); i++) {
		ga_auto_machine gpualloc_machine *machine = read_capture("xml", files[i][0]);

		CHECK_INT(machine->note_count, 1);
		CHECK_TEXT(machine->notes[0], files[i][1]);
	}
}

static void a_gpu_that_requires_reset_is_not_healthy(void)
{
	ga_auto_machine gpualloc_machine *machine =
		read_capture("query", "h100-requires-reset.csv");

	CHECK_INT(machine->devices[0].health, GPUALLOC_HEALTH_NEEDS_RESET);
}

/* Rows of a loop that name no GPU: four GPUs, the first twice, and nothing tells which is which. */
static void a_table_that_names_no_gpu_has_a_gpu_a_row(void)
{
	ga_auto_machine gpualloc_machine *machine = read_capture("query", "4xa10-lms-csv.csv");

	CHECK_INT(machine->device_count, 5);
	CHECK_INT(mib(machine->devices[0].memory.used), 21);
	CHECK_INT(mib(machine->devices[3].memory.total), 23028);
	CHECK_INT(mib(machine->devices[4].memory.used), 21);
}

/* Rows without their header are read as asked; what was asked by others is not known here. */
static void rows_without_a_header_are_read_as_asked(void)
{
	static const char *const healthy[] = {"index", "temperature.gpu", "utilization.gpu",
					      "memory.used"};
	static const char *const gb10[] = {"memory.used", "memory.total", "utilization.gpu"};
	ga_auto_machine gpualloc_machine *part = NULL, *other = NULL;
	gpualloc_error error = {0};
	size_t size;
	ga_auto_free char *text = test_read("machines/query/h100-peer-healthy.csv", &size);
	ga_auto_free char *second = NULL;

	CHECK_INT(ga_smi_csv_read(text, size, healthy, 4, &part, &error), 0);
	CHECK_INT(mib(part->devices[0].memory.used), 80620);
	CHECK_INT(part->devices[0].utilization, 100);
	CHECK_INT(part->devices[0].health, GPUALLOC_HEALTH_OK);
	CHECK_INT(ga_smi_csv_read(text, size, gb10, 3, &other, &error), GPUALLOC_EDATA);
	CHECK_TEXT(error.message, "row 1 has 4 cells, but there are 3 columns");
	second = test_read("machines/query/gb10-memory-na-nounits.csv", &size);
	CHECK_INT(ga_smi_csv_read(second, size, gb10, 3, &other, &error), 0);
	CHECK_INT(other->devices[0].memory.used, GA_UNKNOWN);
	CHECK_INT(other->devices[0].memory.total, GA_UNKNOWN);
	CHECK_INT(other->devices[0].utilization, 0);
}

/* ---- what holds for all of them ---- */

static void check_memory(const struct ga_memory *memory)
{
	if (memory->total >= 0 && memory->used >= 0)
		CHECK(memory->used <= memory->total);
	if (memory->total >= 0 && memory->reserved >= 0)
		CHECK(memory->reserved <= memory->total);
}

static void check_invariants(gpualloc_machine *machine)
{
	ga_auto_buffer struct ga_buffer once = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX), again = once;
	ga_auto_machine gpualloc_machine *copy = NULL;

	/* Indices in order and UUIDs unique: this is what finishing refuses otherwise. */
	CHECK(machine->device_count > 0);
	CHECK_INT(ga_machine_finish(machine, NULL), 0);
	CHECK_INT(machine->links.count, machine->device_count);
	for (size_t i = 0; i < machine->device_count; i++) {
		struct gpualloc_device *device = &machine->devices[i];

		check_memory(&device->memory);
		CHECK(device->mig_count == 0 || device->mig_enabled);
		for (size_t m = 0; m < device->mig_count; m++)
			check_memory(&device->mig[m].memory);
		for (size_t p = 0; p < device->process_count; p++)
			CHECK(device->processes[p].pid > 0);
	}
	CHECK_INT(ga_machine_file_write(machine, GA_FORM_FILE, &once, NULL), 0);
	CHECK_INT(ga_machine_file_read(once.data, once.size, GA_FORM_FILE, &copy, NULL), 0);
	CHECK_INT(ga_machine_file_write(copy, GA_FORM_FILE, &again, NULL), 0);
	CHECK_TEXT(again.data, once.data);
}

/* Calls check with every file of the folder that ends so; how many there were. */
static size_t each_file(const char *folder, const char *ending,
			void (*check)(const char *folder, const char *file))
{
	char path[64];
	size_t count = 0;
	DIR *directory;

	(void)snprintf(path, sizeof path, "machines/%s", folder);
	directory = opendir(test_path(path));
	CHECK(directory != NULL);
	for (struct dirent *entry; (entry = readdir(directory));) {
		const char *name = entry->d_name;
		size_t length = strlen(name);

		if (length < strlen(ending) || strcmp(name + length - strlen(ending), ending) != 0)
			continue;
		check(folder, name);
		count++;
	}
	(void)closedir(directory);
	return count;
}

static void check_file(const char *folder, const char *file)
{
	ga_auto_machine gpualloc_machine *machine = NULL;

	/* Of the fragments one is refused (below), and two are rows without their header. */
	if (strstr(file, "FRAGMENT") || strcmp(file, "h100-peer-healthy.csv") == 0 ||
	    strcmp(file, "gb10-memory-na-nounits.csv") == 0)
		return;
	machine = read_capture(folder, file);
	check_invariants(machine);
}

static void every_file_is_read(void)
{
	CHECK_INT(each_file("xml", ".xml", check_file), 22);
	CHECK_INT(each_file("L", ".txt", check_file), 25);
	CHECK_INT(each_file("query", ".csv", check_file), 26);
}

/*
 * A MIG line alone: refused. The instance could be leased by its UUID, but nobody would know on
 * which GPU it is, whether that GPU is healthy, or who else is on it.
 */
static void an_instance_without_its_gpu_is_refused(void)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	size_t size;
	ga_auto_free char *text = test_read("machines/L/b200-mig-oneline-FRAGMENT.txt", &size);

	CHECK_INT(ga_source_read(text, size, "b200", &machine, &error), GPUALLOC_EDATA);
	CHECK_TEXT(error.message, "b200: line 1: a MIG instance with no GPU above it");
}

/* ---- cut short ---- */

static void check_cut_log(const char *folder, const char *file)
{
	char path[256];
	size_t size, end, step;
	ga_auto_free char *text = NULL;

	(void)snprintf(path, sizeof path, "machines/%s/%s", folder, file);
	text = test_read(path, &size);
	end = (size_t)(strstr(text, "</nvidia_smi_log>") - text) + strlen("</nvidia_smi_log>");
	step = end / 97 + 1;
	for (size_t cut = 0; cut < end; cut += cut < 64 || cut + 64 > end ? 1 : step) {
		gpualloc_machine *machine = NULL;
		gpualloc_error error = {0};

		test_about("%s cut at %zu", path, cut);
		CHECK_INT(ga_source_nvidia_smi.read(text, cut, &machine, &error), GPUALLOC_EDATA);
		CHECK_HAS(error.message, "line ");
	}
}

static void logs_cut_short_are_refused(void)
{
	CHECK_INT(each_file("xml", ".xml", check_cut_log), 22);
}

/* Every line that is whole ends in a parenthesis; a list that ends between lines is just shorter.
 */
static size_t count_entries(const char *text, size_t size)
{
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		count += text[i] == ')';
	return count;
}

static size_t count_devices(const gpualloc_machine *machine)
{
	size_t count = machine->device_count;

	for (size_t i = 0; i < machine->device_count; i++)
		count += machine->devices[i].mig_count;
	return count;
}

static void check_cut_list(const char *folder, const char *file)
{
	char path[256];
	size_t size, refused = 0;
	ga_auto_free char *text = NULL;

	if (strstr(file, "FRAGMENT") || strstr(file, "yarn"))
		return;
	(void)snprintf(path, sizeof path, "machines/%s/%s", folder, file);
	text = test_read(path, &size);
	for (size_t cut = 0; cut < size; cut++) {
		ga_auto_machine gpualloc_machine *machine = NULL;
		gpualloc_error error = {0};
		int result = ga_source_nvidia_smi.read(text, cut, &machine, &error);

		test_about("%s cut at %zu", path, cut);
		if (result == 0) {
			CHECK_INT(count_devices(machine), count_entries(text, cut));
			continue;
		}
		refused++;
		CHECK_INT(result, GPUALLOC_EDATA);
		CHECK_HAS(error.message, "line ");
	}
	CHECK(refused > count_entries(text, size) * 60);
}

static void lists_cut_short_are_refused_or_shorter(void)
{
	CHECK_INT(each_file("L", ".txt", check_cut_list), 25);
}

static const struct test_case cases[] = {
	{"GPUs are what the files say", gpus_are_what_the_files_say},
	{"instances are what the files say", instances_are_what_the_files_say},
	{"processes are what the files say", processes_are_what_the_files_say},
	{"notes tell of GPUs left out", notes_tell_of_gpus_left_out},
	{"a GPU that requires reset is not healthy", a_gpu_that_requires_reset_is_not_healthy},
	{"a table that names no GPU has a GPU a row", a_table_that_names_no_gpu_has_a_gpu_a_row},
	{"rows without a header are read as asked", rows_without_a_header_are_read_as_asked},
	{"every file is read", every_file_is_read},
	{"an instance without its GPU is refused", an_instance_without_its_gpu_is_refused},
	{"logs cut short are refused", logs_cut_short_are_refused},
	{"lists cut short are refused or shorter", lists_cut_short_are_refused_or_shorter},
};

TEST_MAIN(cases)
