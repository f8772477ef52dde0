/* SPDX-License-Identifier: Apache-2.0 */
/* Which device nodes are whose, and going behind the fence; see fence.h. */
#include "fence.h"

#include "buffer.h"
#include "caps.h"
#include "file.h"
#include "given.h"
#include "landlock.h"
#include "message.h"
#include "open.h"
#include "owned.h"
#include "stores.h"
#include "text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* NVIDIA's numbers: 254 and 255 of its major are for modeset and ctl, capabilities 1 and 2 for what
 * is no GPU's. */
enum { NVIDIA_MAJOR = 195, MINORS_OF_GPUS = 254, DRI_MAJOR = 226, CAP_FIRST = 3 };
enum { PCI_LEAST = 12 };

/* Where nodes are that belong to one GPU. */
static const char *const folders[] = {"/dev", "/dev/nvidia-caps", "/dev/dri", NULL};

/* What one device of the job has. */
struct nodes {
	int64_t minor;
	int64_t caps[2]; /* of a MIG instance; -1 if it is a GPU */
	const char *pci;
};

struct fence {
	struct nodes *nodes;
	size_t count;
};

/* ---- whose a node is ---- */

static bool has_minor(const struct fence *fence, int64_t minor)
{
	for (size_t i = 0; i < fence->count; i++)
		if (fence->nodes[i].minor == minor)
			return true;
	return false;
}

static bool has_cap(const struct fence *fence, int64_t cap)
{
	for (size_t i = 0; i < fence->count; i++)
		if (fence->nodes[i].caps[0] == cap || fence->nodes[i].caps[1] == cap)
			return true;
	return false;
}

/* Here a domain has four digits, there eight. */
static bool has_pci(const struct fence *fence, const char *pci)
{
	size_t size = strlen(pci);

	for (size_t i = 0; i < fence->count; i++) {
		const char *mine = fence->nodes[i].pci;

		if (mine && size >= PCI_LEAST && size <= strlen(mine) &&
		    strcasecmp(mine + strlen(mine) - size, pci) == 0)
			return true;
	}
	return false;
}

/* The number at the end of a path that begins with start; false if it is not such a path. */
static bool numbered(const char *path, const char *start, int64_t *ret_number)
{
	size_t size = strlen(start);

	return strncmp(path, start, size) == 0 &&
	       ga_text_number(path + size, strlen(path + size), INT32_MAX, ret_number);
}

/* A node of /dev/dri: by the PCI address of its device, if that is one of NVIDIA's. Where /sys does
 * not show the device, nobody can say whose it is. */
static bool hides_dri(const struct fence *fence, dev_t node)
{
	char path[64], vendor[16], device[PATH_MAX];
	ssize_t size;
	const char *slash;

	(void)snprintf(path, sizeof path, "/sys/dev/char/%u:%u", major(node), minor(node));
	if (!ga_file_exists("", path))
		return true;
	(void)snprintf(path, sizeof path, "/sys/dev/char/%u:%u/device/vendor", major(node),
		       minor(node));
	if (ga_file_peek("", path, vendor, sizeof vendor) < 0 || strcmp(vendor, "0x10de") != 0)
		return false;
	*strrchr(path, '/') = '\0';
	size = readlink(path, device, sizeof device - 1);
	if (size < 0)
		return true;
	device[size] = '\0';
	slash = strrchr(device, '/');
	return !has_pci(fence, slash ? slash + 1 : device);
}

static bool hides(const void *context, const char *path)
{
	const struct fence *fence = context;
	struct stat status;
	int64_t number;

	if (numbered(path, "/dev/nvidia-caps/nvidia-cap", &number))
		return number >= CAP_FIRST && !has_cap(fence, number);
	if (stat(path, &status) == 0 && S_ISCHR(status.st_mode)) {
		/* Whatever its name is. */
		if (major(status.st_rdev) == NVIDIA_MAJOR && minor(status.st_rdev) < MINORS_OF_GPUS)
			return !has_minor(fence, minor(status.st_rdev));
		if (major(status.st_rdev) == DRI_MAJOR)
			return hides_dri(fence, status.st_rdev);
	}
	return numbered(path, "/dev/nvidia", &number) && !has_minor(fence, number);
}

/* ---- what the devices have ---- */

static int no_caps(const gpualloc_device *instance)
{
	return fail(gpualloc_exit_status(GPUALLOC_EPERM),
		    "%s does not say which files in /dev/nvidia-caps belong to MIG instance %s, so "
		    "there can be no fence around it",
		    MIG_MINORS, gpualloc_device_uuid(instance));
}

static int find_nodes(const struct call *call, const gpualloc_device *device, const char *minors,
		      struct nodes *ret_nodes)
{
	const gpualloc_device *gpu = gpualloc_device_parent(device);
	int64_t gi = gpualloc_device_gi(device), ci = gpualloc_device_ci(device);

	if (!gpu)
		gpu = device;
	*ret_nodes = (struct nodes){.minor = gpualloc_device_minor(gpu),
				    .caps = {-1, -1},
				    .pci = gpualloc_device_pci(gpu)};
	if (ret_nodes->minor < 0)
		return fail(gpualloc_exit_status(GPUALLOC_EPERM),
			    "it is not known which device node GPU %lld has, so there can be no "
			    "fence around it",
			    (long long)gpualloc_device_index(gpu));
	if (gpu == device)
		return 0;
	if (gi < 0 || ci < 0)
		return no_caps(device);
	if (!is_real_machine(call))
		mig_caps_documented(ret_nodes->minor, gi, ci, ret_nodes->caps);
	else if (!minors || !mig_caps_find(minors, ret_nodes->minor, gi, ci, ret_nodes->caps))
		return no_caps(device);
	return 0;
}

/* A node that is made later cannot be opened, and the set-uid program that would make it does not
 * work behind the fence. */
static int check_node(const char *path)
{
	if (ga_file_exists("", path))
		return 0;
	return fail(
		gpualloc_exit_status(GPUALLOC_EPERM),
		"%s is not there, and behind a fence it could not be made later; make it first, "
		"for example with `nvidia-modprobe -u -c 0`",
		path);
}

static int check_nodes(const struct nodes *nodes)
{
	char path[64];
	int result;

	(void)snprintf(path, sizeof path, "/dev/nvidia%lld", (long long)nodes->minor);
	result = check_node(path);
	for (size_t i = 0; result == 0 && i < 2 && nodes->caps[i] >= 0; i++) {
		(void)snprintf(path, sizeof path, "/dev/nvidia-caps/nvidia-cap%lld",
			       (long long)nodes->caps[i]);
		result = check_node(path);
	}
	return result;
}

static int check_all_nodes(const struct fence *fence)
{
	int result = check_node("/dev/nvidiactl");

	if (result == 0)
		result = check_node("/dev/nvidia-uvm");
	for (size_t i = 0; result == 0 && i < fence->count; i++)
		result = check_nodes(&fence->nodes[i]);
	return result;
}

/* ---- going behind it ---- */

static int enter(const struct call *call, const struct fence *fence)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	struct ga_landlock landlock = {.folders = folders, .hides = hides, .context = fence};
	bool had_set_uid = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0;
	int result = ga_landlock_enter(&landlock, error);

	if (result < 0)
		return fail_error(result, error);
	if (had_set_uid && !call->value[OPTION_QUIET])
		say("note: behind the fence, set-uid programs such as sudo and su do not work");
	return 0;
}

/* Takes the devices. */
static int fence_to(const struct call *call, const gpualloc_device **devices, size_t count)
{
	ga_auto_free const gpualloc_device **taken = devices;
	ga_auto_free struct nodes *nodes = calloc(count + 1, sizeof *nodes);
	ga_auto_buffer struct ga_buffer minors = GA_BUFFER_INIT(0);
	struct fence fence = {.nodes = nodes, .count = count};
	int result = 0;

	if (!taken || !nodes)
		return fail_memory();
	if (is_real_machine(call))
		(void)ga_file_read(MIG_MINORS, MIG_MINORS_MOST, &minors, NULL);
	for (size_t i = 0; result == 0 && i < count; i++)
		result = find_nodes(call, taken[i], minors.data, &nodes[i]);
	if (result == 0 && is_real_machine(call))
		result = check_all_nodes(&fence);
	return result ? result : enter(call, &fence);
}

int fence_to_lease(const struct call *call, const gpualloc_lease *lease)
{
	return fence_to(call, given_by_lease(lease), gpualloc_lease_device_count(lease));
}

int fence_to_choice(const struct call *call, const gpualloc_choice *choice)
{
	return fence_to(call, given_by_choice(choice), gpualloc_choice_device_count(choice));
}

/* The devices of those UUIDs, separated by commas; NULL after a message. */
static const gpualloc_device **find_devices(const gpualloc_machine *machine, char *uuids,
					    size_t *ret_count)
{
	size_t count = 0;
	const gpualloc_device **devices = calloc(strlen(uuids) + 1, sizeof(void *));
	char *rest = uuids, *uuid;

	if (!devices)
		(void)fail_memory();
	while (devices && (uuid = strsep(&rest, ","))) {
		devices[count] = find_device(machine, uuid);
		if (!devices[count++]) {
			(void)fail(gpualloc_exit_status(GPUALLOC_EPERM),
				   "this machine has no device %s, so there can be no fence around "
				   "it",
				   uuid);
			free(devices);
			return NULL;
		}
	}
	*ret_count = count;
	return devices;
}

int fence_to_environment(const struct call *call)
{
	auto_machine gpualloc_machine *machine = NULL;
	const char *named = getenv("GPUALLOC_DEVICES");
	ga_auto_free char *uuids = strdup(named ? named : "");
	const gpualloc_device **devices;
	size_t count = 0;
	int result;

	if (!uuids)
		return fail_memory();
	result = open_machine(call, &machine);
	if (result)
		return result;
	devices = find_devices(machine, uuids, &count);
	if (!devices)
		return gpualloc_exit_status(GPUALLOC_EPERM);
	if (setenv("CUDA_VISIBLE_DEVICES", named ? named : "", 1) < 0) {
		free(devices);
		return fail_memory();
	}
	return fence_to(call, devices, count);
}

int fence_check(const struct call *call, enum gpualloc_form *form, bool *ret_wanted)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int wanted = call->value[OPTION_FENCE] != NULL, result = 0;
	/* For who did not ask for it. */
	const char *asked = wanted ? "" : "`fence = job` in the configuration asks for a fence: ";

	/* An engine cannot work behind one, and a container sees no other GPU in any case. */
	if (!wanted && !call->value[OPTION_CONTAINER])
		result = gpualloc_fence_rule(call->value[OPTION_MACHINE], &wanted, error);
	/* A lease or a choice names these mistakes too, beside those that only a machine shows. */
	if (result == GPUALLOC_EIMPOSSIBLE && !call->value[OPTION_IN])
		return 0;
	if (result == 0 && wanted && *form == GPUALLOC_FORM_INDEX)
		return fail_usage(
			call->command,
			"%sbehind a fence CUDA may number GPUs differently, so the command is "
			"told UUIDs; leave out --format index",
			asked);
	if (result == 0 && wanted) {
		result = ga_landlock_check(error);
		if (result < 0)
			(void)ga_error_prefix(error, result, "%s", asked);
	}
	if (result < 0)
		return fail_error(result, error);
	if (wanted)
		*form = GPUALLOC_FORM_UUID;
	*ret_wanted = wanted;
	return 0;
}
