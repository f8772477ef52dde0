/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nvidia-smi source where some output or all of them are missing: whatever the program does
 * instead of answering ends in time, with a sentence, and leaves nothing behind.
 */
#include "cleanup.h"
#include "machine_compare.h"
#include "smi_fake.h"
#include "source.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- outputs missing ---- */

static void without_the_table_the_log_tells(void)
{
	ga_auto_machine gpualloc_machine *expected = smi_machine_of(smi_mig_gpus), *actual = NULL;
	gpualloc_error error = {0};

	smi_set_up();
	smi_show_text(smi_mig_gpus);
	CHECK_INT(smi_ask_program(smi_fake_without("--query*", "echo oh no; exit 3"), 9000, &actual,
				  &error),
		  0);
	check_same_machine("without the table", actual, expected, SMI_GAPS);
	CHECK_TEXT(actual->notes[0], "nvidia-smi --query-gpu: oh no");
}

static void without_the_log_table_and_list_tell(void)
{
	ga_auto_machine gpualloc_machine *actual = NULL;
	gpualloc_error error = {0};

	smi_set_up();
	smi_show_text(smi_mig_gpus);
	CHECK_INT(smi_ask_program(smi_fake_without("-q*", "echo '<nvidia_smi_log>'; exit 0"), 9000,
				  &actual, &error),
		  0);
	CHECK_HAS(actual->notes[0], "nvidia-smi -q -x: ");
	CHECK_TEXT(actual->devices[0].pci, "00000000:07:00.0");
	CHECK_INT(actual->devices[0].mig_count, 2);
	CHECK_TEXT(actual->devices[0].mig[1].uuid, "MIG-1");
	/* The processes are unknown, so memory in use stands for them. */
	CHECK(!actual->devices[0].processes_known && actual->devices[0].processes_hidden);
}

static void the_list_alone_names_the_gpus(void)
{
	ga_auto_machine gpualloc_machine *actual = NULL;
	gpualloc_error error = {0};

	smi_set_up();
	smi_show_text(smi_two_gpus);
	CHECK_INT(smi_ask_program(smi_fake_without("-q*|--q*|topo*", "exit 3"), 9000, &actual,
				  &error),
		  0);
	CHECK_INT(actual->device_count, 2);
	CHECK_TEXT(actual->devices[0].name, "NVIDIA A100, of sorts");
	CHECK_TEXT(actual->devices[1].uuid, "GPU-b");
	CHECK_HAS(actual->notes[0], "nvidia-smi --query-gpu: ended with status 3");
}

static void without_the_matrix_links_are_not_known(void)
{
	ga_auto_machine gpualloc_machine *actual = NULL;
	gpualloc_error error = {0};

	smi_set_up();
	smi_show_text(smi_two_gpus);
	CHECK_INT(smi_ask_program(
			  smi_fake_without("topo*",
					   "echo 'The -i command line argument is odd.'; exit 1"),
			  9000, &actual, &error),
		  0);
	CHECK_INT(ga_links_level(&actual->links, 0, 1), GPUALLOC_LEVEL_UNKNOWN);
	CHECK_TEXT(actual->notes[0], "nvidia-smi topo -m: The -i command line argument is odd.");
}

static void no_output_of_any_kind_is_no_source(void)
{
	smi_set_up();
	smi_fails(smi_script("#!/bin/sh\nexit 7\n"), 5000, "ended with status 7");
}

/* A tool that refuses every field, and one that refuses a field that was never asked for. */
static void refusals_come_to_an_end(void)
{
	smi_set_up();
	smi_fails(smi_script(
			  "#!/bin/sh\n"
			  "field=${1#*=}; field=${field%%,*}\n"
			  "echo \"Field \\\"$field\\\" is not a valid field to query.\"; exit 2\n"),
		  5000, "it knows none of the fields we ask for");
	smi_fails(smi_script(
			  "#!/bin/sh\necho 'Field \"a\" is not a valid field to query.'; exit 2\n"),
		  5000, "Field \"a\" is not a valid field to query.");
}

/* ---- no answer ---- */

static void its_own_message_is_handed_on(void)
{
	smi_set_up();
	(void)unsetenv("FAKE_MACHINE");
	smi_fails(
		smi_fake(), 5000,
		"nvidia-smi: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA "
		"driver. Make sure that the latest NVIDIA driver is installed and running.");
	/* Without a driver there is nothing more to ask. */
	smi_check_calls(SMI_QUERY);
	(void)setenv("FAKE_MISMATCH", "1", 1);
	smi_fails(smi_fake(), 5000,
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

	smi_set_up();
	for (size_t i = 0; i < COUNT(complaints); i++) {
		char path[128], text[512];

		(void)snprintf(path, sizeof path, "machines/query/%s", complaints[i].file);
		(void)snprintf(text, sizeof text, "#!/bin/sh\ncat '%s'; exit %s\n", test_path(path),
			       complaints[i].status);
		test_about("%s", complaints[i].file);
		smi_fails(smi_script(text), 5000, complaints[i].message);
	}
}

static void a_missing_program_is_named(void)
{
	smi_set_up();
	smi_fails("/nowhere/nvidia-smi", 5000,
		  "nvidia-smi: /nowhere/nvidia-smi cannot be run: No such file or directory");
	(void)setenv("PATH", smi_in_folder(""), 1);
	smi_fails(NULL, 5000, "nvidia-smi: nvidia-smi cannot be run: No such file or directory");
	smi_write_file("plain", "no program", 10);
	smi_fails(smi_in_folder("plain"), 5000, "cannot be run: Permission denied");
}

static void garbage_is_refused(void)
{
	smi_set_up();
	smi_fails(smi_script("#!/bin/sh\nhead -c 100000 /dev/urandom\n"), 9000, "nvidia-smi: ");
	smi_fails(smi_script("#!/bin/sh\nprintf 'a\\001b\\377, c\\n'; exit 4\n"), 9000, "a?b?, c");
	smi_fails(smi_script("#!/bin/sh\nexec yes\n"), 30000, "printed more than");
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

static void hangs_for(const char *program, unsigned deadline_ms, const char *message)
{
	size_t descriptors = count_descriptors();

	(void)unlink(smi_in_folder("calls"));
	smi_fails(program, deadline_ms, message);
	/* Once: nothing else is asked any more. It may even be too late to note the first call. */
	if (access(smi_in_folder("calls"), F_OK) == 0)
		smi_check_calls(SMI_QUERY);
	CHECK_INT(count_descriptors(), descriptors);
	/* No child is left, neither alive nor as a zombie. */
	CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
	CHECK_INT(errno, ECHILD);
}

static void a_hanging_driver_costs_the_deadline_once(void)
{
	smi_set_up();
	smi_show_text(smi_four_gpus);
	(void)setenv("FAKE_HANG", "init", 1);
	hangs_for(smi_fake(), 300, "nvidia-smi: did not answer within 0.3 s");
	(void)setenv("FAKE_HANG", "2", 1);
	hangs_for(smi_fake(), 300, "nvidia-smi: did not answer within 0.3 s");
	(void)unsetenv("FAKE_HANG");
	hangs_for(smi_script("#!/bin/sh\ntrap '' TERM HUP INT\necho index, uuid\n"
			     "exec 3</dev/zero; exec cat <&3 >/dev/null\n"),
		  300, "did not answer within 0.3 s");
}

/* The log gets half of what is left of the deadline after the table; the matrix is still asked. */
static void a_call_that_hangs_later_is_a_note(void)
{
	ga_auto_machine gpualloc_machine *actual = NULL;
	gpualloc_error error = {0};

	smi_set_up();
	smi_show_text(smi_two_gpus);
	/* A busy machine may need longer; from the default on, each call has a patience of its own.
	 */
	for (unsigned deadline_ms = 1200; deadline_ms < GPUALLOC_DEADLINE_DEFAULT_MS;
	     deadline_ms *= 2) {
		ga_machine_free(ga_steal(&actual));
		if (smi_ask_program(smi_fake_without("-q*", "exec sleep 1000"), deadline_ms,
				    &actual, &error) == 0 &&
		    ga_links_level(&actual->links, 0, 1) != GPUALLOC_LEVEL_UNKNOWN)
			break;
	}
	CHECK(actual != NULL);
	CHECK_INT(actual->device_count, 2);
	CHECK_HAS(actual->notes[0], "nvidia-smi -q -x: did not answer within ");
	CHECK(actual->devices[0].processes_hidden);
	CHECK(!ga_links_inferred(&actual->links, 0, 1));
	CHECK(ga_links_level(&actual->links, 0, 1) != GPUALLOC_LEVEL_UNKNOWN);
}

static const struct test_case cases[] = {
	{"refusals come to an end", refusals_come_to_an_end},
	{"without the table the log tells", without_the_table_the_log_tells},
	{"without the log, table and list tell", without_the_log_table_and_list_tell},
	{"the list alone names the GPUs", the_list_alone_names_the_gpus},
	{"without the matrix links are not known", without_the_matrix_links_are_not_known},
	{"without any output there is no source", no_output_of_any_kind_is_no_source},
	{"its own message is handed on", its_own_message_is_handed_on},
	{"recorded complaints are handed on", recorded_complaints_are_handed_on},
	{"a missing program is named", a_missing_program_is_named},
	{"garbage is refused", garbage_is_refused},
	{"a hanging driver costs the deadline once", a_hanging_driver_costs_the_deadline_once},
	{"a call that hangs later is a note", a_call_that_hangs_later_is_a_note},
};

TEST_MAIN(cases)
