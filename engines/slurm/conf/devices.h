/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine as Slurm counts it: the devices that a job can get, in PCI order, each with its type,
 * its files and its sockets, and the links between them. gres-conf prints it, check compares a
 * site's files with it.
 */
#ifndef SLURM_DEVICES_H
#define SLURM_DEVICES_H

#include "cpus.h"
#include "type.h"

struct slurm_device {
	const gpualloc_device *device; /* a whole GPU, or a MIG instance */
	const gpualloc_device *gpu;    /* that GPU, or the GPU of that instance */
	size_t place;                  /* the GPU's place in the machine */
	char type[TYPE_SIZE];          /* "" if the model is not known */
	int64_t caps[2];               /* of an instance: its capability files; -1 if not known */
	uint64_t sockets;              /* 0 if not known */
};

enum slurm_links { SLURM_LINKS_NONE, SLURM_LINKS_NVLINK, SLURM_LINKS_PCIE };

struct slurm_machine {
	const gpualloc_machine *machine;
	const char *root; /* where its /proc, /sys and /dev are; NULL if they are nowhere */
	struct slurm_cpus cpus;
	struct slurm_device *devices;
	size_t count;
	bool cores_known;  /* known for every device, so that all lines can have them */
	bool caps_by_book; /* the machine is made up, and so are its capability files */
	enum slurm_links links;
	bool links_unknown; /* for some pair; such links count as 0 */
};

/*
 * The devices that a job can get: GPUs in PCI order, with the instances in place of a GPU in MIG
 * mode. The caller frees *ret_devices with free(); types, files and sockets are not filled in.
 * False if there is no memory.
 */
bool slurm_devices_list(const gpualloc_machine *machine, struct slurm_device **ret_devices,
			size_t *ret_count);
/* Fills in what is known; false if there is no memory. The machine must live as long. */
bool slurm_machine_read(const gpualloc_machine *machine, const char *root,
			struct slurm_machine *ret_node);
void slurm_machine_free(struct slurm_machine *node);

bool slurm_device_is_instance(const struct slurm_device *device);
/* The device files, with commas between them: one, or the three of an instance. */
void slurm_device_files(struct ga_buffer *text, const struct slurm_device *device);
/* What Links says about two of its devices, by their places: more is closer, -1 is the device
 * itself. */
int slurm_machine_link(const struct slurm_machine *node, size_t a, size_t b);
/* "gpu:a100:1,gpu:1g.5gb:3": the devices as slurm.conf counts them. */
void slurm_machine_gres(struct ga_buffer *text, const struct slurm_machine *node);

#endif
