/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of gres.conf for a machine; see gres_conf.h. */
#include "gres_conf.h"

#include "caps.h"
#include "names.h"

#include <string.h>

/* ---- whether lines can be written at all ---- */

static int check_gpu(const struct slurm_device *device, gpualloc_error *error)
{
	long long index = gpualloc_device_index(device->gpu);

	if (gpualloc_device_minor(device->gpu) < 0)
		return ga_error_set(
			error, GPUALLOC_EIMPOSSIBLE,
			"the minor number of GPU %lld is not known, and so neither is its file "
			"/dev/nvidiaN; take a snapshot on the node with `gpualloc snapshot`",
			index);
	if (!gpualloc_device_pci(device->gpu))
		return ga_error_set(
			error, GPUALLOC_EIMPOSSIBLE,
			"the PCI address of GPU %lld is not known, and so neither is its place "
			"among the lines; take a snapshot on the node with `gpualloc snapshot`",
			index);
	return 0;
}

static int check_instance(const struct slurm_machine *node, const struct slurm_device *device,
			  gpualloc_error *error)
{
	if (!slurm_device_is_instance(device) || device->caps[1] >= 0)
		return 0;
	return ga_error_set(
		error, GPUALLOC_EIMPOSSIBLE,
		"the capability files of MIG instance %lld:%lld:%lld are not known: they are "
		"listed in %s" MIG_MINORS " "
		"on "
		"the "
		"node; "
		"run "
		"gpualloc "
		"there, "
		"or "
		"with "
		"--root "
		"on "
		"a "
		"copy",
		(long long)gpualloc_device_index(device->gpu),
		(long long)gpualloc_device_gi(device->device),
		(long long)gpualloc_device_ci(device->device), node->root ? node->root : "");
}

static int check_twice(const struct slurm_machine *node, size_t at, gpualloc_error *error)
{
	const struct slurm_device *device = &node->devices[at];

	for (size_t i = 0; i < at; i++)
		if (node->devices[i].place != device->place &&
		    gpualloc_device_minor(node->devices[i].gpu) ==
			    gpualloc_device_minor(device->gpu))
			return ga_error_set(
				error, GPUALLOC_EIMPOSSIBLE,
				"GPU %lld and GPU %lld are both /dev/nvidia%lld: these are several "
				"nodes, and each has its own gres.conf",
				(long long)gpualloc_device_index(node->devices[i].gpu),
				(long long)gpualloc_device_index(device->gpu),
				(long long)gpualloc_device_minor(device->gpu));
	return 0;
}

int gres_conf_check(const struct slurm_machine *node, gpualloc_error *error)
{
	if (node->count == 0)
		return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				    "there is nothing for Slurm to hand out: the machine has no "
				    "GPU, or only GPUs in MIG mode without an instance");
	for (size_t i = 0; i < node->count; i++) {
		int result = check_gpu(&node->devices[i], error);

		if (result == 0)
			result = check_instance(node, &node->devices[i], error);
		if (result == 0)
			result = check_twice(node, i, error);
		if (result)
			return result;
	}
	return 0;
}

bool gres_conf_takes_names(const char *names)
{
	uint64_t count;

	return names_count(names, &count) && !strpbrk(names, " \t\r\n\f\v\"#=\\");
}

/* ---- the lines ---- */

/* Slurm silently ignores Links without Cores and Type, so they are not printed either. */
static bool has_links(const struct slurm_machine *node)
{
	bool types = true;

	for (size_t i = 0; i < node->count; i++)
		types = types && *node->devices[i].type;
	return node->links != SLURM_LINKS_NONE && (node->cores_known || types);
}

static bool are_alike(const struct slurm_machine *node, size_t a, size_t b)
{
	const struct slurm_device *one = &node->devices[a], *other = &node->devices[b];

	return !has_links(node) && !slurm_device_is_instance(one) &&
	       !slurm_device_is_instance(other) && strcmp(one->type, other->type) == 0 &&
	       (!node->cores_known || one->sockets == other->sockets);
}

/* How many from this one on fit on one line: they are alike and their files count upwards. */
static size_t count_alike(const struct slurm_machine *node, size_t first)
{
	int64_t minor = gpualloc_device_minor(node->devices[first].gpu);
	size_t count = 1;

	while (first + count < node->count && are_alike(node, first, first + count) &&
	       gpualloc_device_minor(node->devices[first + count].gpu) == minor + (int64_t)count)
		count++;
	return count;
}

static void add_files(struct ga_buffer *text, const struct slurm_machine *node, size_t first,
		      size_t count)
{
	const struct slurm_device *device = &node->devices[first];
	long long minor = gpualloc_device_minor(device->gpu);

	if (count > 1) {
		ga_buffer_format(text, " File=/dev/nvidia[%lld-%lld]", minor,
				 minor + (long long)count - 1);
		return;
	}
	ga_buffer_text(text, slurm_device_is_instance(device) ? " MultipleFiles=" : " File=");
	slurm_device_files(text, device);
}

static void add_line(struct ga_buffer *text, const struct slurm_machine *node, const char *names,
		     size_t first, size_t count)
{
	const struct slurm_device *device = &node->devices[first];

	/* On a line of its own AutoDetect would apply to every node. */
	if (names)
		ga_buffer_format(text, "NodeName=%s AutoDetect=off ", names);
	ga_buffer_text(text, "Name=gpu");
	if (*device->type)
		ga_buffer_format(text, " Type=%s", device->type);
	add_files(text, node, first, count);
	if (node->cores_known) {
		ga_buffer_text(text, " Cores=");
		slurm_cpus_text(text, &node->cpus, device->sockets);
	}
	if (has_links(node)) {
		ga_buffer_text(text, " Links=");
		for (size_t i = 0; i < node->count; i++)
			ga_buffer_format(text, i ? ",%d" : "%d",
					 slurm_machine_link(node, first, i));
	}
	ga_buffer_char(text, '\n');
}

/* ---- the comments beside the lines ---- */

static void add_node_line(struct ga_buffer *text, const struct slurm_machine *node,
			  const char *names)
{
	ga_buffer_format(text, "# slurm.conf: NodeName=%s Gres=", names ? names : "...");
	slurm_machine_gres(text, node);
	if (slurm_cpus_known(&node->cpus)) {
		ga_buffer_format(text, " Sockets=%lld CoresPerSocket=%lld",
				 (long long)node->cpus.sockets,
				 (long long)node->cpus.cores_per_socket);
		if (node->cpus.threads_per_core > 0)
			ga_buffer_format(text, " ThreadsPerCore=%lld",
					 (long long)node->cpus.threads_per_core);
	}
	ga_buffer_text(text, "\n");
	ga_buffer_format(
		text,
		"# Or, if gpualloc's plugin leases and Slurm only counts: none of the lines below, "
		"and\n# slurm.conf: GresTypes=gpualloc and Gres=gpualloc:%zu\n",
		node->count);
}

static size_t count_instances(const struct slurm_machine *node)
{
	size_t count = 0;

	for (size_t i = 0; i < node->count; i++)
		count += slurm_device_is_instance(&node->devices[i]);
	return count;
}

static void add_about_cores(struct ga_buffer *text, const struct slurm_machine *node)
{
	if (node->cores_known)
		ga_buffer_text(text,
			       "# Cores are Slurm's own indices, whole sockets, no threads.\n");
	else if (!slurm_cpus_known(&node->cpus))
		ga_buffer_text(text,
			       "# No Cores: it is not known how many sockets and cores the machine "
			       "has.\n");
	else
		ga_buffer_text(text, "# No Cores: it is not known which socket each GPU is "
				     "near.\n");
}

/* If all are alike there is no best one, and no wrong way round. */
static bool links_differ(const struct slurm_machine *node)
{
	for (size_t i = 2; i < node->count; i++)
		for (size_t j = 0; j < i; j++)
			if (slurm_machine_link(node, i, j) != slurm_machine_link(node, 1, 0))
				return true;
	return false;
}

static void add_about_links(struct ga_buffer *text, const struct slurm_machine *node)
{
	if (!has_links(node))
		return;
	ga_buffer_text(text, node->links == SLURM_LINKS_NVLINK
				     ? "# Links are numbers of NVLinks.\n"
				     : "# Links say how close two GPUs are on PCIe; 0 is "
				       "furthest.\n");
	if (node->links_unknown)
		ga_buffer_text(text, "# Some links are not known and count as 0.\n");
	if (links_differ(node))
		ga_buffer_text(text, "# Slurm 24.05 to 26.05 read Links the wrong way round for "
				     "--gres=gpu:N and --gpus-per-node:\n"
				     "# use --gpus=N or --gpus-per-task there.\n");
}

static void add_about_instances(struct ga_buffer *text, const struct slurm_machine *node)
{
	if (count_instances(node) == 0)
		return;
	ga_buffer_text(text,
		       "# In a job CUDA_VISIBLE_DEVICES holds numbers of these lines, which CUDA "
		       "does not take for\n"
		       "# instances: use ConstrainDevices=yes in cgroup.conf and one instance per "
		       "job, or gpualloc's\n# plugin, which sets UUIDs.\n");
	if (node->caps_by_book)
		ga_buffer_text(text,
			       "# The machine is simulated: nvidia-capN are counted as in NVIDIA's "
			       "documents.\n");
}

/* GPUs that have no line: those in MIG mode without an instance. */
static void add_about_empty(struct ga_buffer *text, const struct slurm_machine *node)
{
	for (size_t i = 0; i < gpualloc_machine_device_count(node->machine); i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(node->machine, i);

		if (gpualloc_device_mig_enabled(gpu) == 1 && gpualloc_device_mig_count(gpu) == 0)
			ga_buffer_format(
				text,
				"# GPU %lld is in MIG mode and has no instance, so it has no "
				"line.\n",
				(long long)gpualloc_device_index(gpu));
	}
}

void gres_conf_text(struct ga_buffer *text, const struct slurm_machine *node, const char *about,
		    const char *names)
{
	ga_buffer_format(text,
			 "# gres.conf of %s, in PCI order, as CUDA counts\n"
			 "# slurm.conf: GresTypes=gpu\n",
			 about);
	add_node_line(text, node, names);
	add_about_cores(text, node);
	add_about_links(text, node);
	add_about_instances(text, node);
	add_about_empty(text, node);
	if (!names)
		ga_buffer_text(text, "AutoDetect=off\n");
	for (size_t i = 0, count; i < node->count; i += count) {
		count = count_alike(node, i);
		add_line(text, node, names, i, count);
	}
}

/* ---- as a document ---- */

static void add_json_device(struct ga_json *json, const struct slurm_machine *node, size_t at)
{
	const struct slurm_device *device = &node->devices[at];
	ga_auto_buffer struct ga_buffer files = GA_BUFFER_OUTPUT, cores = GA_BUFFER_OUTPUT;

	slurm_device_files(&files, device);
	slurm_cpus_text(&cores, &node->cpus, device->sockets);
	json->out->failed = json->out->failed || files.failed || cores.failed;
	ga_json_open_line(json, "\n  ", NULL, '{');
	ga_json_text(json, "uuid", gpualloc_device_uuid(device->device));
	ga_json_text(json, "type", *device->type ? device->type : NULL);
	ga_json_open(json, "files", '[');
	for (char *rest = files.data, *file; rest && (file = strsep(&rest, ","));)
		ga_json_text(json, NULL, file);
	ga_json_close(json, ']');
	ga_json_text(json, "cores", node->cores_known ? cores.data : NULL);
	if (has_links(node)) {
		ga_json_open(json, "links", '[');
		for (size_t i = 0; i < node->count; i++) {
			/* The place of the device itself, -1, is null. */
			ga_json_number(json, NULL, slurm_machine_link(node, at, i));
		}
		ga_json_close(json, ']');
	} else {
		ga_json_null(json, "links");
	}
	ga_json_close(json, '}');
}

void gres_conf_json(struct ga_json *json, const struct slurm_machine *node, const char *names)
{
	ga_auto_buffer struct ga_buffer gres = GA_BUFFER_OUTPUT;

	slurm_machine_gres(&gres, node);
	json->out->failed = json->out->failed || gres.failed;
	ga_json_text(json, "node", names);
	ga_json_text(json, "gres", gres.data);
	ga_json_number(json, "sockets", node->cpus.sockets);
	ga_json_number(json, "cores_per_socket", node->cpus.cores_per_socket);
	ga_json_number(json, "threads_per_core", node->cpus.threads_per_core);
	ga_json_text(json, "links",
		     !has_links(node)                    ? NULL
		     : node->links == SLURM_LINKS_NVLINK ? "nvlink"
							 : "pcie");
	ga_json_open_line(json, "\n ", "devices", '[');
	for (size_t i = 0; i < node->count; i++)
		add_json_device(json, node, i);
	ga_json_close(json, ']');
}
