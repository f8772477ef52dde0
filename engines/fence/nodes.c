/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device nodes that the administrator's fence closes; see nodes.h. First every GPU of the
 * machine is put together with its files, then each of their nodes is listed, then what has been
 * listed twice is one.
 */
#include "nodes.h"

#include "buffer.h"
#include "caps.h"
#include "file.h"
#include "numbers.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* NVIDIA's major number, of which the last minor numbers are not GPUs'. */
enum { NVIDIA_MAJOR = 195, MINORS_OF_GPUS = 254 };
enum { DEVICES_MOST = 1 << 20, TEXT_SIZE = 4096 };

#define DRIVER_GPUS "/proc/driver/nvidia/gpus"

struct gpu {
	const gpualloc_device *device; /* NULL: only the driver's files know it */
	char pci[FENCE_PCI_SIZE];      /* as /sys writes it; "" if it is not known */
	bool has_minor;
	unsigned minor;
	bool is_left_out;
	bool is_ambiguous; /* another one has the same minor number */
};

struct search {
	const gpualloc_machine *machine;
	const char *root;
	bool with_displays;
	struct gpu *gpus;
	size_t gpu_count, gpu_room;
	struct fence_nodes nodes;
	size_t node_room, gap_room;
	gpualloc_error *error;
};

void fence_nodes_free(struct fence_nodes *nodes)
{
	free(nodes->list);
	free(nodes->gaps);
	*nodes = (struct fence_nodes){0};
}

static void search_free(struct search *search)
{
	free(search->gpus);
	fence_nodes_free(&search->nodes);
}

/* ---- lists that grow ---- */

/* Makes room for one more, within the limit that all lists have. */
static int grow(struct search *search, void **list, size_t size, size_t count, size_t *room)
{
	size_t more = *room ? *room * 2 : 64;
	void *larger;

	if (count < *room)
		return 0;
	if (count >= FENCE_NODES)
		return ga_error_set(search->error, GPUALLOC_EDATA,
				    "more than %d device nodes would have to be closed",
				    (int)FENCE_NODES);
	larger = reallocarray(*list, more, size);
	if (!larger)
		return ga_error_memory(search->error);
	*list = larger;
	*room = more;
	return 0;
}

static int add_gap(struct search *search, enum fence_gap_kind kind, const gpualloc_device *gpu)
{
	struct fence_nodes *nodes = &search->nodes;
	void *list = nodes->gaps;
	int result = grow(search, &list, sizeof *nodes->gaps, nodes->gap_count, &search->gap_room);

	nodes->gaps = list;
	if (result == 0)
		nodes->gaps[nodes->gap_count++] = (struct fence_gap){kind, gpu};
	return result;
}

static int add_gpu(struct search *search, const struct gpu *gpu)
{
	void *list = search->gpus;
	int result =
		grow(search, &list, sizeof *search->gpus, search->gpu_count, &search->gpu_room);

	search->gpus = list;
	if (result == 0)
		search->gpus[search->gpu_count++] = *gpu;
	return result;
}

/* A node of that GPU (NULL: nobody's), or of an instance of it. */
static int add_node(struct search *search, const char *path, dev_t number, const struct gpu *gpu,
		    int64_t gi, int64_t ci)
{
	struct fence_nodes *nodes = &search->nodes;
	struct fence_node node = {.number = number};
	void *list = nodes->list;
	int result = grow(search, &list, sizeof *nodes->list, nodes->count, &search->node_room);

	nodes->list = list;
	if (result < 0)
		return result;
	(void)snprintf(node.path, sizeof node.path, "%s", path);
	ga_text_disarm(node.path);
	/* What nobody can lease, no lease opens. */
	if (gpu && gpu->device && !gpu->is_ambiguous &&
	    gpualloc_device_ledger_range(gpu->device, gi, ci, 0, &node.start, &node.length, NULL) <
		    0)
		node.start = node.length = 0;
	nodes->list[nodes->count++] = node;
	return 0;
}

/* ---- reading ---- */

/* root + path; false if that is too long. */
static bool whole_path(const struct search *search, const char *path, char text[static PATH_MAX])
{
	return snprintf(text, PATH_MAX, "%s%s", search->root, path) < PATH_MAX;
}

/* *ret_text stays empty if there is no such file. What is there and cannot be read is a failure. */
static int read_text(struct search *search, const char *path, size_t most,
		     struct ga_buffer *ret_text)
{
	char whole[PATH_MAX];

	if (!whole_path(search, path, whole))
		return ga_error_set(search->error, GPUALLOC_EUSAGE, "%s: the path is too long",
				    search->root);
	if (!ga_file_exists(search->root, path))
		return 0;
	return ga_file_read(whole, most, ret_text, search->error);
}

static const char *text_of(const struct ga_buffer *buffer)
{
	return buffer->data ? buffer->data : "";
}

/* *ret_folder is NULL if there is none. */
static int open_folder(struct search *search, const char *path, DIR **ret_folder)
{
	char whole[PATH_MAX];

	*ret_folder = NULL;
	if (!whole_path(search, path, whole))
		return ga_error_set(search->error, GPUALLOC_EUSAGE, "%s: the path is too long",
				    search->root);
	*ret_folder = opendir(whole);
	if (*ret_folder || errno == ENOENT || errno == ENOTDIR)
		return 0;
	if (errno == ENOMEM)
		return ga_error_memory(search->error);
	return ga_error_errno(search->error, errno == EACCES ? GPUALLOC_EPERM : GPUALLOC_EIO, errno,
			      "%s", whole);
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

/* ---- which GPUs there are ---- */

/* By the driver's own file of the GPU, if the machine does not say: one that is lost or hung. */
static bool find_minor(const struct search *search, const char *pci, unsigned *ret_minor)
{
	char path[PATH_MAX], text[TEXT_SIZE];

	return snprintf(path, sizeof path, DRIVER_GPUS "/%s/information", pci) < PATH_MAX &&
	       ga_file_peek(search->root, path, text, sizeof text) >= 0 &&
	       fence_minor(text, ret_minor) && *ret_minor < MINORS_OF_GPUS;
}

static int add_device(struct search *search, const gpualloc_device *device)
{
	struct gpu gpu = {.device = device};
	const char *pci = gpualloc_device_pci(device);
	int64_t minor = gpualloc_device_minor(device);

	if (pci && !fence_pci(pci, gpu.pci))
		gpu.pci[0] = '\0';
	if (minor >= 0 && minor < MINORS_OF_GPUS) {
		gpu.minor = (unsigned)minor;
		gpu.has_minor = true;
	} else if (gpu.pci[0]) {
		gpu.has_minor = find_minor(search, gpu.pci, &gpu.minor);
	}
	gpu.is_left_out = !search->with_displays && gpualloc_device_display(device) == 1;
	return add_gpu(search, &gpu);
}

static const struct gpu *gpu_with(const struct search *search, unsigned minor)
{
	for (size_t i = 0; i < search->gpu_count; i++)
		if (search->gpus[i].has_minor && search->gpus[i].minor == minor)
			return &search->gpus[i];
	return NULL;
}

/* GPUs that the driver has, and that the machine does not know by their number. */
static int add_unseen(struct search *search)
{
	ga_cleanup(close_folder) DIR *folder = NULL;
	const struct dirent *entry;
	int result = open_folder(search, DRIVER_GPUS, &folder);

	while (result == 0 && folder && (entry = readdir(folder))) {
		struct gpu gpu = {.has_minor = true};

		if (entry->d_name[0] == '.' || !find_minor(search, entry->d_name, &gpu.minor) ||
		    gpu_with(search, gpu.minor))
			continue;
		if (!fence_pci(entry->d_name, gpu.pci))
			gpu.pci[0] = '\0';
		result = add_gpu(search, &gpu);
	}
	return result;
}

static void mark_ambiguous(struct search *search)
{
	struct gpu *first[MINORS_OF_GPUS] = {NULL};

	for (size_t i = 0; i < search->gpu_count; i++) {
		struct gpu *gpu = &search->gpus[i];

		if (!gpu->has_minor)
			continue;
		if (first[gpu->minor])
			first[gpu->minor]->is_ambiguous = gpu->is_ambiguous = true;
		else
			first[gpu->minor] = gpu;
	}
}

static int find_gpus(struct search *search)
{
	size_t count = gpualloc_machine_device_count(search->machine);
	int result = 0;

	for (size_t i = 0; result == 0 && i < count; i++)
		result = add_device(search, gpualloc_machine_device(search->machine, i));
	if (result == 0)
		result = add_unseen(search);
	mark_ambiguous(search);
	return result;
}

/* ---- the nodes of each ---- */

/* Those that the kernel lists for its PCI address in a folder there: card0 and renderD128 in drm.
 */
static int add_class(struct search *search, const struct gpu *gpu, const char *class,
		     const char *where)
{
	ga_cleanup(close_folder) DIR *folder = NULL;
	const struct dirent *entry;
	char path[PATH_MAX], text[32];
	int result;

	(void)snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/%s", gpu->pci, class);
	result = open_folder(search, path, &folder);
	while (result == 0 && folder && (entry = readdir(folder))) {
		char node[PATH_MAX];
		dev_t number;

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/%s/%s/dev", gpu->pci,
			       class, entry->d_name);
		(void)snprintf(node, sizeof node, "%s/%s", where, entry->d_name);
		if (ga_file_peek(search->root, path, text, sizeof text) >= 0 &&
		    fence_number(text, &number))
			result = add_node(search, node, number, gpu, -1, -1);
	}
	return result;
}

static int add_nodes_of(struct search *search, const struct gpu *gpu, unsigned major)
{
	char path[FENCE_PATH_SIZE];
	int result = 0;

	if (gpu->is_left_out)
		return add_gap(search, FENCE_GAP_DISPLAY, gpu->device);
	if (gpu->has_minor) {
		(void)snprintf(path, sizeof path, "/dev/nvidia%u", gpu->minor);
		result = add_node(search, path, makedev(major, gpu->minor), gpu, -1, -1);
	} else {
		result = add_gap(search, FENCE_GAP_NO_MINOR, gpu->device);
	}
	if (result == 0 && !gpu->pci[0])
		return gpu->device ? add_gap(search, FENCE_GAP_NO_PCI, gpu->device) : 0;
	if (result == 0)
		result = add_class(search, gpu, "drm", "/dev/dri");
	return result < 0 ? result : add_class(search, gpu, "accel", "/dev/accel");
}

/* ---- capabilities of MIG instances ---- */

static void cap_path(int64_t number, char path[static FENCE_PATH_SIZE])
{
	(void)snprintf(path, FENCE_PATH_SIZE, "/dev/nvidia-caps/nvidia-cap%lld", (long long)number);
}

/* By a node that is there, if the kernel's list does not say. */
static bool find_caps_major(const struct search *search, const char *minors, unsigned *ret_major)
{
	char path[FENCE_PATH_SIZE], whole[PATH_MAX];
	struct stat status;
	struct mig_cap cap;

	while (mig_caps_next(&minors, &cap)) {
		cap_path(cap.number, path);
		if (whole_path(search, path, whole) && stat(whole, &status) == 0 &&
		    S_ISCHR(status.st_mode) && minor(status.st_rdev) == cap.number) {
			*ret_major = major(status.st_rdev);
			return true;
		}
	}
	return false;
}

/* Whether a number in the list may be that of a GPU whose own number is not known. */
static bool has_nameless(const struct search *search)
{
	for (size_t i = 0; i < search->gpu_count; i++)
		if (!search->gpus[i].has_minor)
			return true;
	return false;
}

static int add_caps(struct search *search, const char *minors, unsigned major)
{
	bool is_certain = !has_nameless(search);
	struct mig_cap cap;
	int result = 0;

	while (result == 0 && mig_caps_next(&minors, &cap)) {
		const struct gpu *gpu =
			cap.minor < MINORS_OF_GPUS ? gpu_with(search, (unsigned)cap.minor) : NULL;
		char path[FENCE_PATH_SIZE];

		/* The list is of all GPUs that a machine may have. */
		if (cap.number > FENCE_MINOR_MOST || (gpu ? gpu->is_left_out : is_certain))
			continue;
		cap_path(cap.number, path);
		result = add_node(search, path, makedev(major, (unsigned)cap.number), gpu, cap.gi,
				  cap.ci);
	}
	return result;
}

/* The driver has no list: that matters to GPUs in MIG mode. */
static int miss_caps(struct search *search)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < search->gpu_count; i++)
		if (!search->gpus[i].is_left_out &&
		    gpualloc_device_mig_enabled(search->gpus[i].device))
			result = add_gap(search, FENCE_GAP_NO_CAPS, search->gpus[i].device);
	return result;
}

static int find_caps(struct search *search, const char *devices)
{
	ga_auto_buffer struct ga_buffer minors = GA_BUFFER_INIT(0);
	struct mig_cap first;
	const char *text;
	unsigned major;
	int result = read_text(search, MIG_MINORS, MIG_MINORS_MOST, &minors);

	if (result < 0)
		return result;
	text = text_of(&minors);
	if (!mig_caps_next(&text, &first))
		return miss_caps(search);
	text = text_of(&minors);
	if (!fence_major(devices, "nvidia-caps", &major) && !find_caps_major(search, text, &major))
		return add_gap(search, FENCE_GAP_NO_MAJOR, NULL);
	return add_caps(search, text, major);
}

/* ---- each once ---- */

static int compare(const void *a, const void *b)
{
	const struct fence_node *one = a, *other = b;

	return (one->number > other->number) - (one->number < other->number);
}

/* If two GPUs claim a node, it is not known whose it is. */
static void unite(struct fence_nodes *nodes)
{
	size_t count = 0;

	if (nodes->count > 1)
		qsort(nodes->list, nodes->count, sizeof *nodes->list, compare);
	for (size_t i = 0; i < nodes->count; i++) {
		struct fence_node *last = count ? &nodes->list[count - 1] : NULL;
		const struct fence_node *node = &nodes->list[i];

		if (!last || last->number != node->number)
			nodes->list[count++] = *node;
		else if (last->start != node->start || last->length != node->length)
			last->start = last->length = 0;
	}
	nodes->count = count;
}

static int find_all(struct search *search)
{
	ga_auto_buffer struct ga_buffer devices = GA_BUFFER_INIT(0);
	unsigned major = NVIDIA_MAJOR;
	int result = read_text(search, "/proc/devices", DEVICES_MOST, &devices);

	if (result == 0)
		result = find_gpus(search);
	if (result < 0)
		return result;
	if (!fence_major(text_of(&devices), "nvidia", &major))
		(void)fence_major(text_of(&devices), "nvidia-frontend", &major);
	for (size_t i = 0; result == 0 && i < search->gpu_count; i++)
		result = add_nodes_of(search, &search->gpus[i], major);
	if (result == 0)
		result = find_caps(search, text_of(&devices));
	unite(&search->nodes);
	return result;
}

int fence_nodes_find(const gpualloc_machine *machine, const char *root, bool with_displays,
		     struct fence_nodes *ret_nodes, gpualloc_error *error)
{
	ga_cleanup(search_free) struct search search = {
		.machine = machine, .root = root, .with_displays = with_displays, .error = error};
	int result = find_all(&search);

	if (result < 0)
		return result;
	*ret_nodes = search.nodes;
	search.nodes = (struct fence_nodes){0};
	return 0;
}

/* ---- what is not closed ---- */

int fence_gap_text(const struct fence_gap *gap, char *text, size_t size)
{
	long long index = (long long)gpualloc_device_index(gap->gpu);

	switch (gap->kind) {
	case FENCE_GAP_DISPLAY:
		return snprintf(text, size, "GPU %lld has a display and stays open", index);
	case FENCE_GAP_NO_MINOR:
		return snprintf(text, size,
				"it is not known which /dev/nvidiaN is GPU %lld, so it stays open",
				index);
	case FENCE_GAP_NO_PCI:
		return snprintf(text, size,
				"the PCI address of GPU %lld is not known, so what it has in "
				"/dev/dri stays open",
				index);
	case FENCE_GAP_NO_CAPS:
		return snprintf(text, size,
				"%s does not list the MIG instances of GPU %lld, so whoever has "
				"one of them can open all",
				MIG_MINORS, index);
	case FENCE_GAP_NO_MAJOR: break;
	}
	return snprintf(text, size,
			"/proc/devices does not list nvidia-caps, so whoever has one MIG instance "
			"of a GPU can open all of them");
}
