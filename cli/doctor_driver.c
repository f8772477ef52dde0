/* SPDX-License-Identifier: Apache-2.0 */
/* The driver, its daemons, and the processes that matter to it or to leases; see doctor.h. */
#include "doctor.h"

#include "asking.h"
#include "device.h"
#include "file.h"
#include "open.h"
#include "owned.h"
#include "stores.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ENVIRON_MAX = 1 << 20, SMI_MS = 10000, SMI_MAX = 1 << 16 };

/* ---- processes ---- */

/* The kernel cuts these names at 15 characters. */
static const struct {
	const char *name;
	enum process_kind kind;
} process_names[] = {
	{"nvidia-persiste", PROCESS_PERSISTENCED}, {"nvidia-cuda-mps", PROCESS_MPS},
	{"tmux: server", PROCESS_MULTIPLEXER},     {"screen", PROCESS_MULTIPLEXER},
	{"zellij", PROCESS_MULTIPLEXER},
};

/* A server that was started in a lease keeps it; only the servers of our own user show it. */
static void see_multiplexer(struct doctor *doctor, long long pid)
{
	static const char variable[] = "GPUALLOC_LEASE=";
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT(ENVIRON_MAX);
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%lld/environ", pid);
	if (!doctor_read(doctor, path, &content) || content.size == 0)
		return;
	for (size_t at = 0; at < content.size; at += strlen(content.data + at) + 1) {
		ga_auto_free char *value = NULL;

		if (!ga_text_starts(content.data + at, variable))
			continue;
		value = ga_text_clean(content.data + at + strlen(variable),
				      strlen(content.data + at + strlen(variable)));
		doctor->no_memory = doctor->no_memory || !value;
		doctor->multiplexer_in_lease = pid;
		(void)snprintf(doctor->lease_of_multiplexer, sizeof doctor->lease_of_multiplexer,
			       "%s", value ? value : "?");
	}
}

static void see_process(struct doctor *doctor, const char *word)
{
	char path[64], name[32];
	int64_t pid;

	if (!ga_text_number(word, strlen(word), INT32_MAX, &pid))
		return;
	(void)snprintf(path, sizeof path, "/proc/%lld/comm", (long long)pid);
	if (ga_file_peek(doctor->root, path, name, sizeof name) < 0)
		return;
	for (size_t i = 0; i < sizeof process_names / sizeof *process_names; i++) {
		if (strcmp(name, process_names[i].name) != 0)
			continue;
		doctor->pid[process_names[i].kind] = pid;
		if (process_names[i].kind == PROCESS_MULTIPLEXER)
			see_multiplexer(doctor, pid);
	}
}

void doctor_see_processes(struct doctor *doctor)
{
	ga_auto_free char *path = NULL;
	DIR *folder;
	struct dirent *entry;

	if (asprintf(&path, "%s/proc", doctor->root) < 0) {
		path = NULL;
		doctor->no_memory = true;
		return;
	}
	errno = 0;
	folder = opendir(path);
	doctor->no_memory = doctor->no_memory || (!folder && errno == ENOMEM);
	while (folder && (entry = readdir(folder)))
		see_process(doctor, entry->d_name);
	if (folder)
		(void)closedir(folder);
}

/* ---- the driver ---- */

static void no_driver(struct doctor *doctor, int result, const char *message)
{
	bool has_module = ga_file_exists(doctor->root, "/proc/driver/nvidia/version");
	const char *advice =
		doctor->call->value[OPTION_MACHINE] ? NULL
		: has_module ? "the driver's module is loaded but does not answer: see dmesg, and "
			       "whether `nvidia-smi` works; after an update of the driver, reboot"
			     : "install NVIDIA's driver, or in a container start it with the GPUs "
			       "(--gpus, --device nvidia.com/gpu=all)";

	doctor_fault(doctor, "driver", gpualloc_exit_status(result), advice, "%s", message);
}

static void sick_gpus(struct doctor *doctor)
{
	for (size_t i = 0; i < gpualloc_machine_device_count(doctor->machine); i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(doctor->machine, i);
		ga_auto_free char *reason = NULL;
		char id[ID_SIZE];

		if (gpualloc_device_health(gpu) == GPUALLOC_HEALTH_OK)
			continue;
		reason = device_reason(gpu);
		doctor->no_memory = doctor->no_memory || !reason;
		doctor_note(doctor, "GPU health",
			    "it is given to nobody; `nvidia-smi -q` and dmesg say more",
			    "GPU %s is unhealthy: %s", device_id(gpu, id), reason ? reason : "?");
	}
}

void doctor_driver(struct doctor *doctor)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	const struct call *call = doctor->call;
	const char *driver, *name;
	size_t count;
	int result =
		gpualloc_machine_open_waiting(call->value[OPTION_MACHINE], call->deadline_ms,
					      asking_teller(call), NULL, &doctor->machine, error);

	doctor->no_memory = doctor->no_memory || result == GPUALLOC_ENOMEM;
	if (result < 0) {
		no_driver(doctor, result, gpualloc_error_message(error));
		return;
	}
	count = gpualloc_machine_device_count(doctor->machine);
	driver = gpualloc_machine_driver(doctor->machine);
	name = gpualloc_machine_source(doctor->machine);
	if (count == 0)
		doctor_fault(doctor, "driver", gpualloc_exit_status(GPUALLOC_ENOSOURCE),
			     "see whether `lspci` shows one, and what dmesg says of it",
			     "the driver answers, but there is no GPU");
	else
		doctor_ok(doctor, "driver", "%zu GPU%s, source %s%s%s%s", count,
			  count == 1 ? "" : "s", name ? name : "?", driver ? ", version " : "",
			  driver ? driver : "",
			  gpualloc_machine_is_simulated(doctor->machine) ? ", simulated" : "");
	for (size_t i = 0; (name = gpualloc_machine_note(doctor->machine, i)); i++)
		doctor_note(doctor, "driver", NULL, "%s", name);
	sick_gpus(doctor);
}

/* ---- persistence ---- */

/* Legacy persistence mode is known to nvidia-smi only. -1: it does not say. */
static int asked_persistence(const struct doctor *doctor)
{
	const char *named = getenv("GPUALLOC_NVIDIA_SMI");
	const char *const words[] = {named && *named ? named : "nvidia-smi",
				     "--query-gpu=persistence_mode", "--format=csv,noheader", NULL};
	ga_auto_free char *text = NULL;

	if (!doctor_is_here(doctor) || !is_real_machine(doctor->call) ||
	    gpualloc_program_output(words, SMI_MS, SMI_MAX, &text, NULL) < 0 || !text)
		return -1;
	return strstr(text, "Disabled") ? 0 : strstr(text, "Enabled") ? 1 : -1;
}

void doctor_persistence(struct doctor *doctor)
{
	static const char advice[] = "`systemctl enable --now nvidia-persistenced`";
	int on;

	if (doctor->pid[PROCESS_PERSISTENCED]) {
		doctor_ok(doctor, "persistence", "nvidia-persistenced runs, process %lld",
			  doctor->pid[PROCESS_PERSISTENCED]);
		return;
	}
	if (!doctor->machine || !is_real_machine(doctor->call))
		return;
	on = asked_persistence(doctor);
	if (on > 0)
		doctor_ok(doctor, "persistence", "persistence mode is on for all GPUs");
	else
		doctor_note(doctor, "persistence", advice,
			    "%s: whoever is first on an idle GPU waits seconds for it to start",
			    on == 0 ? "persistence mode is off"
				    : "nvidia-persistenced does not run, and whether persistence "
				      "mode is on is not known");
}

/* ---- MPS ---- */

void doctor_mps(struct doctor *doctor)
{
	const char *pipe = getenv("CUDA_MPS_PIPE_DIRECTORY");

	if (doctor->pid[PROCESS_MPS])
		doctor_note(
			doctor, "MPS",
			"`ignore-process = nvidia-cuda-mps-server` in /etc/gpualloc.conf, if its "
			"idle server shall not make GPUs busy",
			"it runs, process %lld: its server counts as a process on the GPUs",
			doctor->pid[PROCESS_MPS]);
	else if (pipe && doctor_is_here(doctor))
		doctor_note(doctor, "MPS", "unset it, or start nvidia-cuda-mps-control",
			    "CUDA_MPS_PIPE_DIRECTORY is %s, but no MPS is seen here", pipe);
	else
		doctor_ok(doctor, "MPS", "it does not run");
}
