/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nvidia-smi source against an nvidia-smi of our own: what that shows of a machine file is the
 * machine in the file, apart from what nvidia-smi cannot know; and whatever the program does
 * instead of answering ends in time, with a sentence, and leaves nothing behind.
 */
#include "cleanup.h"
#include "device_state.h"
#include "file.h"
#include "machine_compare.h"
#include "machine_file.h"
#include "source.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What no output of nvidia-smi has, or has in whole MiB only. */
enum { GAPS = GAP_NVLINK_VERSION | GAP_MIB | GAP_LEVELS };

/* ---- a folder for the fake's machine, for programs, and as a root without /proc and /sys ---- */

static char folder[] = "/tmp/gpualloc-smi-XXXXXX";

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status, (void)type, (void)walk;
	return remove(path);
}

static void remove_folder(void)
{
	(void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in_folder(const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	(void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

static void write_file(const char *name, const char *text, size_t size)
{
	FILE *file = fopen(in_folder(name), "w");

	CHECK(file != NULL);
	CHECK_INT(fwrite(text, 1, size, file), size);
	CHECK_INT(fclose(file), 0);
}

static void set_up(void)
{
	CHECK(mkdtemp(folder) != NULL);
	(void)atexit(remove_folder);
	(void)setenv("FAKE_CALLS", in_folder("calls"), 1);
}

static void show_text(const char *json)
{
	write_file("machine.json", json, strlen(json));
	(void)setenv("FAKE_MACHINE", in_folder("machine.json"), 1);
}

static void show_machine(const gpualloc_machine *machine)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX);

	CHECK_INT(ga_machine_file_write(machine, GA_FORM_FILE, &text, NULL), 0);
	show_text(text.data);
}

/* A program of its own in place of the fake. */
static const char *script(const char *text)
{
	static char path[256];

	write_file("program", text, strlen(text));
	(void)snprintf(path, sizeof path, "%s", in_folder("program"));
	CHECK_INT(chmod(path, 0755), 0);
	return path;
}

static int ask_program(const char *program, unsigned deadline_ms, gpualloc_machine **ret_machine,
		       gpualloc_error *error)
{
	struct ga_source_request request = {
		.root = folder, .nvidia_smi = program, .deadline_ms = deadline_ms};

	return ga_source_nvidia_smi.query(&request, ret_machine, error);
}

static gpualloc_machine *ask(void)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	(void)ask_program(getenv("TEST_NVIDIA_SMI"), 20000, &machine, &error);
	CHECK_TEXT(error.message, "");
	CHECK_TEXT(machine->source, "nvidia-smi");
	/* The level under NV# is not shown; what was concluded is the matrix reader's affair. */
	for (size_t i = 0; i < machine->device_count; i++)
		for (size_t j = 0; j < i; j++)
			if (ga_links_inferred(&machine->links, i, j))
				ga_links_set_level(&machine->links, i, j, GPUALLOC_LEVEL_UNKNOWN);
	return machine;
}

static void fails(const char *program, unsigned deadline_ms, const char *message)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	CHECK_INT(ask_program(program, deadline_ms, &machine, &error), GPUALLOC_ENOSOURCE);
	CHECK_HAS(error.message, message);
	CHECK_INT(strncmp(error.message, "nvidia-smi: ", 12), 0);
	CHECK(machine == NULL);
}

static const char *fake(void)
{
	return getenv("TEST_NVIDIA_SMI");
}

static void check_calls(const char *expected)
{
	ga_auto_buffer struct ga_buffer calls = GA_BUFFER_INIT(0);

	CHECK_INT(ga_file_read(in_folder("calls"), 1 << 20, &calls, NULL), 0);
	CHECK_TEXT(calls.data, expected);
}

static gpualloc_machine *machine_of(const char *json)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	(void)ga_machine_file_read(json, strlen(json), GA_FORM_FILE, &machine, &error);
	CHECK_TEXT(error.message, "");
	return machine;
}

/* ---- machines ---- */

static const char two_gpus[] =
	"{\"gpualloc_machine\": 1, \"driver\": \"550.54.15\", \"devices\": ["
	"{\"index\": 0, \"uuid\": \"GPU-a\", \"serial\": \"17\", \"name\": \"NVIDIA A100, of sorts\","
	" \"pci\": \"00000000:07:00.0\", \"minor\": 1, \"numa\": 0, \"cpus\": \"0-7,16-23\","
	" \"display\": true, \"memory\": {\"total\": 42949672960, \"reserved\": 634388480,"
	" \"used\": 39845889}, \"utilization\": 33, \"compute_mode\": \"exclusive-process\","
	" \"health\": \"ok\", \"processes\": [{\"pid\": 4711, \"type\": \"C\", \"memory\": 1048577,"
	" \"name\": \"a <&> b\"}, {\"pid\": 4712, \"type\": \"M+C\"}, {\"pid\": 1, \"type\": \"G\"}]},"
	"{\"index\": 1, \"uuid\": \"GPU-b\", \"name\": \"NVIDIA A100\", \"pci\": \"00000001:0F:00.0\","
	" \"minor\": 0, \"compute_mode\": \"prohibited\", \"health\": \"row-remap-failed\","
	" \"processes\": []}],"
	" \"pcie\": [[\"X\", \"PXB\"], [\"PXB\", \"X\"]]}";

static const char mig_gpus[] =
	"{\"gpualloc_machine\": 1, \"driver\": \"550.54.15\", \"devices\": ["
	"{\"index\": 0, \"uuid\": \"GPU-a\", \"name\": \"A100\", \"pci\": \"00000000:07:00.0\","
	" \"memory\": {\"total\": 42949672960, \"reserved\": 634388480, \"used\": 39845888},"
	" \"health\": \"ok\", \"processes\": [], \"mig\": ["
	"{\"uuid\": \"MIG-0\", \"profile\": \"2g.10gb\", \"gi\": 3, \"ci\": 0, \"memory\":"
	" {\"total\": 10200547328, \"reserved\": 0, \"used\": 1073741824}, \"processes\":"
	" [{\"pid\": 12, \"type\": \"C\", \"memory\": 1048576, \"name\": \"python\"}]},"
	"{\"uuid\": \"MIG-1\", \"profile\": \"1g.5gb\", \"gi\": 9, \"ci\": 0, \"memory\":"
	" {\"total\": 5100273664, \"reserved\": 0, \"used\": 0}, \"processes\": []}]},"
	"{\"index\": 1, \"uuid\": \"GPU-b\", \"name\": \"A100\", \"pci\": \"00000000:0F:00.0\","
	" \"health\": \"retired-pending\", \"processes\": [], \"mig\": []}],"
	" \"pcie\": [[\"X\", \"SYS\"], [\"SYS\", \"X\"]]}";

static const char four_gpus[] =
	"{\"gpualloc_machine\": 1, \"driver\": \"550.54.15\", \"devices\": ["
	"{\"index\": 0, \"uuid\": \"GPU-0\", \"name\": \"V\", \"pci\": \"00000000:01:00.0\","
	" \"health\": \"ok\", \"processes\": []},"
	"{\"index\": 1, \"uuid\": \"GPU-1\", \"name\": \"V\", \"pci\": \"00000000:02:00.0\","
	" \"memory\": {\"total\": 42949672960, \"used\": 0}, \"utilization\": 5, \"health\": \"ok\","
	" \"processes\": []},"
	"{\"index\": 2, \"uuid\": \"GPU-2\", \"name\": \"V\", \"pci\": \"00000000:03:00.0\","
	" \"health\": \"needs-reset\", \"processes\": []},"
	"{\"index\": 3, \"uuid\": \"GPU-3\", \"name\": \"V\", \"pci\": \"00000000:04:00.0\","
	" \"health\": \"ok\"}],"
	" \"pcie\": [[\"X\", \"PIX\", \"PHB\", \"PHB\"], [\"PIX\", \"X\", \"PHB\", \"PHB\"],"
	" [\"PHB\", \"PHB\", \"X\", \"NODE\"], [\"PHB\", \"PHB\", \"NODE\", \"X\"]],"
	" \"nvlink\": [[0, 0, 2, 0], [0, 0, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]]}";

static void machine_files_come_back(void)
{
	static const char *const texts[] = {two_gpus, mig_gpus, four_gpus};
	static const char *const drivers[] = {"470", "510", "535", "550", "580", "610"};

	set_up();
	for (size_t i = 0; i < COUNT(texts); i++)
		for (size_t d = 0; d < COUNT(drivers); d++) {
			ga_auto_machine gpualloc_machine *expected = machine_of(texts[i]);
			ga_auto_machine gpualloc_machine *actual = NULL;
			bool old = strcmp(drivers[d], "470") == 0;

			show_text(texts[i]);
			(void)setenv("FAKE_DRIVER", drivers[d], 1);
			actual = ask();
			CHECK_INT(actual->note_count, 0);
			check_same_machine(drivers[d], actual, expected,
					   GAPS | (old ? GAP_RESERVED : 0));
		}
}

static void old_drivers_name_instances_by_their_place(void)
{
	ga_auto_machine gpualloc_machine *expected = machine_of(mig_gpus), *actual = NULL;

	set_up();
	show_text(mig_gpus);
	(void)setenv("FAKE_DRIVER", "450", 1);
	actual = ask();
	check_same_machine("450", actual, expected, GAPS | GAP_RESERVED | GAP_MIG_UUID_OLD);
}

static void builtin_machines_come_back(void)
{
	set_up();
	for (size_t i = 0; ga_source_builtin.machine_name(i); i++) {
		ga_auto_machine gpualloc_machine *expected = NULL, *actual = NULL;

		CHECK_INT(ga_source_builtin.make(i, &expected, NULL), 0);
		show_machine(expected);
		actual = ask();
		check_same_machine(ga_source_builtin.machine_name(i), actual, expected, GAPS);
	}
}

/* ---- how it is asked ---- */

#define QUERY                                                                                \
	"--query-gpu=driver_version,index,uuid,name,serial,pci.bus_id,memory.total,memory."  \
	"reserved,memory.used,utilization.gpu,compute_mode,mig.mode.current,display_active " \
	"--format=csv\n"

static void it_is_asked_no_more_than_needed(void)
{
	ga_auto_machine gpualloc_machine *two = NULL;

	set_up();
	show_text(two_gpus);
	two = ask();
	check_calls(QUERY "-q -x\ntopo -m\n");
}

static void one_gpu_has_no_links_to_ask_for(void)
{
	ga_auto_machine gpualloc_machine *one = NULL;

	set_up();
	show_text("{\"gpualloc_machine\": 1, \"devices\": [{\"index\": 0, \"uuid\": \"GPU-a\","
		  " \"mig\": []}], \"pcie\": [[\"X\"]]}");
	one = ask();
	CHECK(one->devices[0].mig_enabled);
	check_calls(QUERY "-q -x\n-L\n");
}

static void unknown_fields_are_left_out(void)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	ga_auto_buffer struct ga_buffer calls = GA_BUFFER_INIT(0);

	set_up();
	show_text(two_gpus);
	(void)setenv("FAKE_DRIVER", "430", 1);
	machine = ask();
	CHECK_INT(machine->device_count, 2);
	CHECK_INT(machine->devices[0].memory.reserved, GA_UNKNOWN);
	CHECK_INT(machine->devices[0].memory.used >> 20, (634388480 + 39845889) >> 20);
	CHECK_INT(ga_file_read(in_folder("calls"), 1 << 20, &calls, NULL), 0);
	CHECK_HAS(calls.data,
		  "memory.total,memory.used,utilization.gpu,compute_mode,display_active ");
}

/* A tool that refuses every field, and one that refuses a field that was never asked for. */
static void refusals_come_to_an_end(void)
{
	set_up();
	fails(script("#!/bin/sh\n"
		     "field=${1#*=}; field=${field%%,*}\n"
		     "echo \"Field \\\"$field\\\" is not a valid field to query.\"; exit 2\n"),
	      5000, "it knows none of the fields asked for");
	fails(script("#!/bin/sh\necho 'Field \"a\" is not a valid field to query.'; exit 2\n"),
	      5000, "Field \"a\" is not a valid field to query.");
}

/* ---- outputs missing ---- */

/* The fake, but for one kind of call. */
static const char *fake_without(const char *words, const char *instead)
{
	char text[1024];

	(void)snprintf(text, sizeof text,
		       "#!/bin/sh\ncase \"$*\" in %s) %s ;; esac\nexec '%s' \"$@\"\n", words,
		       instead, fake());
	return script(text);
}

static void without_the_table_the_log_tells(void)
{
	ga_auto_machine gpualloc_machine *expected = machine_of(mig_gpus), *actual = NULL;
	gpualloc_error error = {0};

	set_up();
	show_text(mig_gpus);
	CHECK_INT(
		ask_program(fake_without("--query*", "echo oh no; exit 3"), 9000, &actual, &error),
		0);
	check_same_machine("without the table", actual, expected, GAPS);
	CHECK_TEXT(actual->notes[0], "nvidia-smi --query-gpu: oh no");
}

static void without_the_log_table_and_list_tell(void)
{
	ga_auto_machine gpualloc_machine *actual = NULL;
	gpualloc_error error = {0};

	set_up();
	show_text(mig_gpus);
	CHECK_INT(ask_program(fake_without("-q*", "echo '<nvidia_smi_log>'; exit 0"), 9000, &actual,
			      &error),
		  0);
	CHECK_HAS(actual->notes[0], "nvidia-smi -q -x: ");
	CHECK_TEXT(actual->devices[0].pci, "00000000:07:00.0");
	CHECK_INT(actual->devices[0].mig_count, 2);
	CHECK_TEXT(actual->devices[0].mig[1].uuid, "MIG-1");
	/* Nobody knows the processes: memory in use has to speak for them. */
	CHECK(!actual->devices[0].processes_known && actual->devices[0].processes_hidden);
}

static void the_list_alone_names_the_gpus(void)
{
	ga_auto_machine gpualloc_machine *actual = NULL;
	gpualloc_error error = {0};

	set_up();
	show_text(two_gpus);
	CHECK_INT(ask_program(fake_without("-q*|--q*|topo*", "exit 3"), 9000, &actual, &error), 0);
	CHECK_INT(actual->device_count, 2);
	CHECK_TEXT(actual->devices[0].name, "NVIDIA A100, of sorts");
	CHECK_TEXT(actual->devices[1].uuid, "GPU-b");
	CHECK_HAS(actual->notes[0], "nvidia-smi --query-gpu: ended with status 3");
}

static void without_the_matrix_links_are_not_known(void)
{
	ga_auto_machine gpualloc_machine *actual = NULL;
	gpualloc_error error = {0};

	set_up();
	show_text(two_gpus);
	CHECK_INT(ask_program(fake_without("topo*",
					   "echo 'The -i command line argument is odd.'; exit 1"),
			      9000, &actual, &error),
		  0);
	CHECK_INT(ga_links_level(&actual->links, 0, 1), GPUALLOC_LEVEL_UNKNOWN);
	CHECK_TEXT(actual->notes[0], "nvidia-smi topo -m: The -i command line argument is odd.");
}

static void no_output_of_any_kind_is_no_source(void)
{
	set_up();
	fails(script("#!/bin/sh\nexit 7\n"), 5000, "ended with status 7");
}

/* ---- sick GPUs ---- */

static void a_lost_gpu_is_one_device(void)
{
	static const char *const drivers[] = {"535", "550"};
	static const char *const reasons[] = {"GPU is lost.  Reboot the system to recover this GPU",
					      "Unknown Error"};

	set_up();
	show_text(four_gpus);
	(void)setenv("FAKE_LOST", "1", 1);
	for (size_t d = 0; d < COUNT(drivers); d++) {
		ga_auto_machine gpualloc_machine *expected = machine_of(four_gpus), *actual = NULL;

		(void)setenv("FAKE_DRIVER", drivers[d], 1);
		expected->devices[1].health = GPUALLOC_HEALTH_LOST;
		actual = ask();
		check_same_machine(drivers[d], actual, expected, GAPS);
		CHECK_TEXT(actual->devices[1].pci, "00000000:02:00.0");
		CHECK_TEXT(actual->devices[1].reason, reasons[d]);
	}
}

static void a_machine_that_lost_all_gpus_is_none(void)
{
	set_up();
	show_text(two_gpus);
	(void)setenv("FAKE_LOST", "0,1", 1);
	fails(fake(), 5000, "GPU0: 0000:07:00.0: Unknown Error");
	fails(fake(), 5000, "No devices were found");
}

static void a_gpu_that_requires_reset_is_unhealthy(void)
{
	ga_auto_machine gpualloc_machine *expected = machine_of(four_gpus), *actual = NULL;

	set_up();
	show_text(four_gpus);
	(void)setenv("FAKE_RESET", "1", 1);
	expected->devices[1].health = GPUALLOC_HEALTH_NEEDS_RESET;
	actual = ask();
	check_same_machine("reset", actual, expected, GAPS);
	CHECK_INT(actual->devices[1].utilization, GA_UNKNOWN);
	CHECK_INT(actual->devices[1].memory.total, GA_UNKNOWN);
	CHECK_INT(ga_device_state(&actual->devices[1]), GPUALLOC_STATE_UNHEALTHY);
}

static void mig_parents_may_be_secret(void)
{
	ga_auto_machine gpualloc_machine *expected = machine_of(mig_gpus), *actual = NULL;

	set_up();
	show_text(mig_gpus);
	(void)setenv("FAKE_NO_MIG_PERMISSION", "1", 1);
	actual = ask();
	check_same_machine("secret", actual, expected, GAPS | GAP_MIG_PARENT | GAP_MIG_PROCESSES);
	CHECK_INT(actual->devices[0].memory.total, GA_UNKNOWN);
	CHECK(!actual->devices[0].mig[0].processes_known);
	/* 1 GiB in use, and no list to say by whom: not free. */
	CHECK_INT(ga_device_state(&actual->devices[0].mig[0]), GPUALLOC_STATE_IN_USE);
}

/* ---- instances that come and go between two calls ---- */

static void instances_that_vanished_are_not_shown(void)
{
	ga_auto_machine gpualloc_machine *actual = NULL;

	set_up();
	show_text(mig_gpus);
	(void)setenv("FAKE_MIG_VANISH", "1", 1);
	actual = ask();
	CHECK_INT(actual->devices[0].mig_count, 1);
	CHECK_TEXT(actual->devices[0].mig[0].uuid, NULL);
	CHECK_INT(actual->devices[0].mig[0].gi, 3);
	CHECK_HAS(actual->notes[0], "GPU 0: nvidia-smi -L lists 2 MIG devices where -q -x has 1");
}

static void a_second_look_settles_what_changed(void)
{
	ga_auto_machine gpualloc_machine *actual = NULL;

	set_up();
	show_text(mig_gpus);
	(void)setenv("FAKE_MIG_VANISH", "once", 1);
	actual = ask();
	CHECK_INT(actual->devices[0].mig_count, 1);
	CHECK_TEXT(actual->devices[0].mig[0].uuid, "MIG-0");
	CHECK_INT(actual->note_count, 0);
	check_calls(QUERY "-q -x\n-L\n-q -x\n-L\ntopo -m\n");
}

/* ---- no answer ---- */

static void its_own_message_is_handed_on(void)
{
	set_up();
	(void)unsetenv("FAKE_MACHINE");
	fails(fake(), 5000,
	      "nvidia-smi: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA "
	      "driver. Make sure that the latest NVIDIA driver is installed and running.");
	/* Without a driver there is nothing more to ask. */
	check_calls(QUERY);
	(void)setenv("FAKE_MISMATCH", "1", 1);
	fails(fake(), 5000,
	      "nvidia-smi: Failed to initialize NVML: Driver/library version mismatch; NVML "
	      "library version: 570.124");
}

static void recorded_complaints_are_handed_on(void)
{
	static const struct {
		const char *file;
		const char *status;
		const char *message;
	} complaints[] = {
		{"err-gpu-is-lost.txt", "15", "for GPU 0000:03:00.0: GPU is lost.  Reboot"},
		{"err-handle-indexed-no-devices.txt", "6",
		 "GPU0: 0000:01:00.0: Unknown Error; No devices were found"},
		{"err-handle-unknown.txt", "255", "for GPU 0000:0B:00.0: Unknown Error"},
		{"err-no-devices.txt", "0", "nvidia-smi: No devices were found"},
		{"err-no-driver.txt", "9", "nvidia-smi: NVIDIA-SMI has failed because"},
		{"err-no-supported-gpus.txt", "255",
		 "No supported GPUs were found; Unable to determine the number of GPUs"},
		{"err-nvml-mismatch-535.txt", "18", "mismatch; NVML library version: 535.161"},
		{"err-nvml-mismatch-570.txt", "18", "mismatch; NVML library version: 570.124"},
		{"err-topo-bad-args.txt", "1", "The -i command line argument must be used"},
	};

	set_up();
	for (size_t i = 0; i < COUNT(complaints); i++) {
		char path[128], text[512];

		(void)snprintf(path, sizeof path, "machines/query/%s", complaints[i].file);
		(void)snprintf(text, sizeof text, "#!/bin/sh\ncat '%s'; exit %s\n", test_path(path),
			       complaints[i].status);
		test_about("%s", complaints[i].file);
		fails(script(text), 5000, complaints[i].message);
	}
}

static void a_missing_program_is_named(void)
{
	set_up();
	fails("/nowhere/nvidia-smi", 5000,
	      "nvidia-smi: /nowhere/nvidia-smi cannot be run: No such file or directory");
	(void)setenv("PATH", folder, 1);
	fails(NULL, 5000, "nvidia-smi: nvidia-smi cannot be run: No such file or directory");
	write_file("plain", "no program", 10);
	fails(in_folder("plain"), 5000, "cannot be run: Permission denied");
}

static void garbage_is_refused(void)
{
	set_up();
	fails(script("#!/bin/sh\nhead -c 100000 /dev/urandom\n"), 9000, "nvidia-smi: ");
	fails(script("#!/bin/sh\nprintf 'a\\001b\\377, c\\n'; exit 4\n"), 9000, "a?b?, c");
	fails(script("#!/bin/sh\nexec yes\n"), 30000, "printed more than");
}

static size_t count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	CHECK(directory != NULL);
	while (readdir(directory))
		count++;
	(void)closedir(directory);
	return count;
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void hangs_for(const char *program, unsigned deadline_ms, const char *message)
{
	size_t descriptors = count_descriptors();
	int64_t start = now_ms();

	fails(program, deadline_ms, message);
	CHECK(now_ms() - start >= deadline_ms);
	CHECK(now_ms() - start < deadline_ms + 2000);
	CHECK_INT(count_descriptors(), descriptors);
	/* No child is left, neither alive nor as a zombie. */
	CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
	CHECK_INT(errno, ECHILD);
}

static void a_hanging_driver_costs_the_deadline_once(void)
{
	set_up();
	show_text(four_gpus);
	(void)setenv("FAKE_HANG", "init", 1);
	hangs_for(fake(), 300, "nvidia-smi: did not answer within 0.3 s");
	(void)setenv("FAKE_HANG", "2", 1);
	hangs_for(fake(), 300, "nvidia-smi: did not answer within 0.3 s");
	(void)unsetenv("FAKE_HANG");
	hangs_for(script("#!/bin/sh\ntrap '' TERM HUP INT\necho index, uuid\n"
			 "exec 3</dev/zero; exec cat <&3 >/dev/null\n"),
		  300, "did not answer within 0.3 s");
}

/* One deadline for all calls: what is left after the table is all that the log has. */
static void a_call_that_hangs_later_is_a_note(void)
{
	ga_auto_machine gpualloc_machine *actual = NULL;
	gpualloc_error error = {0};
	int64_t start;

	set_up();
	show_text(two_gpus);
	start = now_ms();
	CHECK_INT(ask_program(fake_without("-q*", "exec sleep 60"), 1500, &actual, &error), 0);
	CHECK(now_ms() - start < 3500);
	CHECK_INT(actual->device_count, 2);
	CHECK_HAS(actual->notes[0], "nvidia-smi -q -x: did not answer within 1.5 s");
	CHECK(actual->devices[0].processes_hidden);
}

static const struct test_case cases[] = {
	{"machine files come back", machine_files_come_back},
	{"old drivers name instances by their place", old_drivers_name_instances_by_their_place},
	{"built-in machines come back", builtin_machines_come_back},
	{"it is asked no more than needed", it_is_asked_no_more_than_needed},
	{"one GPU has no links to ask for", one_gpu_has_no_links_to_ask_for},
	{"unknown fields are left out", unknown_fields_are_left_out},
	{"refusals come to an end", refusals_come_to_an_end},
	{"without the table the log tells", without_the_table_the_log_tells},
	{"without the log, table and list tell", without_the_log_table_and_list_tell},
	{"the list alone names the GPUs", the_list_alone_names_the_gpus},
	{"without the matrix links are not known", without_the_matrix_links_are_not_known},
	{"no output of any kind is no source", no_output_of_any_kind_is_no_source},
	{"a lost GPU is one device", a_lost_gpu_is_one_device},
	{"a machine that lost all GPUs is none", a_machine_that_lost_all_gpus_is_none},
	{"a GPU that requires reset is unhealthy", a_gpu_that_requires_reset_is_unhealthy},
	{"MIG parents may be secret", mig_parents_may_be_secret},
	{"instances that vanished are not shown", instances_that_vanished_are_not_shown},
	{"a second look settles what changed", a_second_look_settles_what_changed},
	{"its own message is handed on", its_own_message_is_handed_on},
	{"recorded complaints are handed on", recorded_complaints_are_handed_on},
	{"a missing program is named", a_missing_program_is_named},
	{"garbage is refused", garbage_is_refused},
	{"a hanging driver costs the deadline once", a_hanging_driver_costs_the_deadline_once},
	{"a call that hangs later is a note", a_call_that_hangs_later_is_a_note},
};

TEST_MAIN(cases)
