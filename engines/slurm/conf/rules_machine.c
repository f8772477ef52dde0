/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that compare a gres.conf with its machine; see rules.h. */
#include "rules.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A GPU of the machine by its minor number; NULL if there is none. */
static const gpualloc_device *find_gpu(const gpualloc_machine *machine, int64_t minor)
{
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++)
		if (gpualloc_device_minor(gpualloc_machine_device(machine, i)) == minor)
			return gpualloc_machine_device(machine, i);
	return NULL;
}

/* Files can be judged only if every GPU's file is known. */
static bool are_files_known(const gpualloc_machine *machine)
{
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++)
		if (gpualloc_device_minor(gpualloc_machine_device(machine, i)) < 0)
			return false;
	return true;
}

/* ---- a line ---- */

static void check_presence(const struct slurm_view *view, const struct slurm_gres *line,
			   const char *root)
{
	struct names_walk walk = {.rest = line->files};
	char name[NAME_SIZE], path[512];

	while (names_next(&walk, name)) {
		if (name[0] != '/' ||
		    (size_t)snprintf(path, sizeof path, "%s%s", root, name) >= sizeof path ||
		    access(path, F_OK) == 0)
			continue;
		findings_add(view->findings, line->file, line->line,
			     "there is no %s: slurmd waits for it and does not start", SHOWN(name));
		return;
	}
}

static void check_cores_of_gpu(const struct slurm_view *view, const struct slurm_gres *line,
			       const struct slurm_machine *node, const gpualloc_device *gpu)
{
	ga_auto_buffer struct ga_buffer right = GA_BUFFER_OUTPUT;
	uint64_t sockets = slurm_cpus_sockets(&node->cpus, gpualloc_device_cpus(gpu));
	struct numbers cores;

	/* slurm.conf may have cut the machine into other sockets; then nothing can be said. */
	if (!line->cores || !sockets || !numbers_read(line->cores, &cores) ||
	    view->cpus.sockets != node->cpus.sockets ||
	    view->cpus.cores_per_socket != node->cpus.cores_per_socket ||
	    cores.highest >= view->cpus.sockets * view->cpus.cores_per_socket)
		return;
	for (int64_t socket = 0; socket < node->cpus.sockets; socket++) {
		int64_t first = socket * node->cpus.cores_per_socket;

		if ((sockets >> socket & 1) &&
		    numbers_between(&cores, first, first + node->cpus.cores_per_socket - 1) > 0)
			return;
	}
	slurm_cpus_text(&right, &node->cpus, sockets);
	findings_add(view->findings, line->file, line->line,
		     "Cores=%s are far from /dev/nvidia%lld, which is near Cores=%s",
		     SHOWN(line->cores), (long long)gpualloc_device_minor(gpu),
		     right.data ? right.data : "");
	view->findings->failed = view->findings->failed || right.failed;
}

static void check_device(const struct slurm_view *view, const struct slurm_gres *line,
			 int64_t minor, const struct slurm_machine *node)
{
	const gpualloc_device *gpu = find_gpu(node->machine, minor);
	bool cut = gpu && gpualloc_device_mig_enabled(gpu) == 1;

	if (!gpu) {
		findings_add(view->findings, line->file, line->line,
			     "no GPU of this machine is /dev/nvidia%lld", (long long)minor);
		return;
	}
	if (cut && !line->together)
		findings_add(view->findings, line->file, line->line,
			     "/dev/nvidia%lld is in MIG mode: each of its %zu instances needs a "
			     "line with MultipleFiles, its GPU's file and two of /dev/nvidia-caps",
			     (long long)minor, gpualloc_device_mig_count(gpu));
	if (!cut && line->together)
		findings_add(view->findings, line->file, line->line,
			     "/dev/nvidia%lld is not in MIG mode, but MultipleFiles is for MIG "
			     "instances; write File",
			     (long long)minor);
	check_cores_of_gpu(view, line, node, gpu);
}

/* ---- all lines ---- */

/* An instance needs three files that belong together. */
static void check_instance(const struct slurm_view *view, const struct slurm_gres *line,
			   const struct slurm_machine *node)
{
	bool known = true;

	for (size_t i = 0; i < node->count; i++) {
		ga_auto_buffer struct ga_buffer files = GA_BUFFER_OUTPUT;
		const struct slurm_device *device = &node->devices[i];

		if (!slurm_device_is_instance(device))
			continue;
		known = known && device->caps[1] >= 0;
		slurm_device_files(&files, device);
		view->findings->failed = view->findings->failed || files.failed;
		if (files.data && strcmp(files.data, line->files) == 0)
			return;
	}
	if (known && line->minors[0] >= 0)
		findings_add(view->findings, line->file, line->line,
			     "MultipleFiles=%s is not a MIG instance of this machine",
			     SHOWN(line->files));
}

static void check_order(const struct slurm_view *view, const struct slurm_machine *node)
{
	const gpualloc_device *before = NULL;

	for (size_t i = 0; i < view->line_count; i++)
		for (size_t k = 0; k < view->lines[i]->device_count; k++) {
			const gpualloc_device *gpu =
				find_gpu(node->machine, view->lines[i]->minors[k]);

			if (!gpu || !gpualloc_device_pci(gpu))
				continue;
			if (before &&
			    strcmp(gpualloc_device_pci(before), gpualloc_device_pci(gpu)) > 0) {
				findings_add(
					view->findings, view->lines[i]->file, view->lines[i]->line,
					"/dev/nvidia%lld (%s) comes after /dev/nvidia%lld (%s): "
					"Slurm counts lines but CUDA counts PCI addresses, so a "
					"job would use a different GPU than it was given; "
					"`gpualloc slurm gres-conf` has the right order",
					(long long)gpualloc_device_minor(gpu),
					gpualloc_device_pci(gpu),
					(long long)gpualloc_device_minor(before),
					gpualloc_device_pci(before));
				return;
			}
			before = gpu;
		}
}

static bool has_minor(const struct slurm_view *view, int64_t minor)
{
	for (size_t i = 0; i < view->line_count; i++)
		for (size_t k = 0; k < view->lines[i]->device_count; k++)
			if (view->lines[i]->minors[k] == minor)
				return true;
	return false;
}

static void check_machine_count(const struct slurm_view *view, const struct slurm_machine *node)
{
	const struct slurm_gres *last = view->lines[view->line_count - 1];
	ga_auto_buffer struct ga_buffer missing = GA_BUFFER_OUTPUT;
	int64_t named = -1;

	if (view->device_count == node->count)
		return;
	for (size_t i = 0; i < node->count; i++) {
		int64_t minor = gpualloc_device_minor(node->devices[i].gpu);

		if (minor < 0 || minor == named || has_minor(view, minor))
			continue;
		named = minor;
		ga_buffer_format(&missing, "%s/dev/nvidia%lld", missing.size ? ", " : ": without ",
				 (long long)minor);
	}
	findings_add(view->findings, last->file, last->line,
		     "the lines have %zu device%s, but this machine has %zu%s", view->device_count,
		     view->device_count == 1 ? "" : "s", node->count,
		     missing.data ? missing.data : "");
	view->findings->failed = view->findings->failed || missing.failed;
}

/* If gres.conf says nothing about the node, slurm.conf's count is all there is. */
static void check_gres_count(const struct slurm_view *view, const struct slurm_machine *node)
{
	int64_t count = view->node ? gres_gpus(view->node->gres) : -1;

	if (count >= 0 && (size_t)count != node->count)
		findings_add(view->findings, view->node->file, view->node->line,
			     "Gres has %lld GPUs, but this machine has %zu", (long long)count,
			     node->count);
}

void check_machine(const struct slurm_view *view, const struct slurm_machine *node)
{
	bool known = are_files_known(node->machine);

	if (view->line_count == 0 || view->detects) {
		check_gres_count(view, node);
		return;
	}
	for (size_t i = 0; i < view->line_count; i++) {
		const struct slurm_gres *line = view->lines[i];

		if (line->device_count == 0)
			continue;
		if (node->root)
			check_presence(view, line, node->root);
		for (size_t k = 0; known && k < line->device_count; k++)
			if (line->minors[k] >= 0)
				check_device(view, line, line->minors[k], node);
		if (line->together)
			check_instance(view, line, node);
	}
	if (known)
		check_order(view, node);
	check_machine_count(view, node);
}
