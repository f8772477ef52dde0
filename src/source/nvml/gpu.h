/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the NVML source share: one GPU while it is asked, and the calls that ask it.
 * Everything the driver says is bounded here, before it becomes part of a machine. A call that
 * fails leaves its field unknown; a call that says the GPU is gone ends the questions to this GPU
 * only. All return 0 or GPUALLOC_ENOMEM.
 */
#ifndef GA_SOURCE_NVML_GPU_H
#define GA_SOURCE_NVML_GPU_H

#include "library.h"
#include "machine.h"

/* More links per GPU than any driver has. */
enum { GA_NVML_LINKS_MAX = 64 };

struct ga_nvml_gpu {
	const struct ga_nvml *nvml;
	const char *root;
	int64_t index;
	int out;               /* where to report what is asked next */
	bool is_hopper;        /* or newer: compute capability 9.0 */
	bool names_hidden;     /* pids are from another namespace, so they give no names */
	ga_nvml_handle handle; /* NULL if the driver gave none */
	struct gpualloc_device *device;
	int sick; /* the result that said it cannot be used; after that it is not asked again */
};

/* Whether a call worked; remembers a result that means a sick GPU. doing completes a sentence. */
bool ga_nvml_worked(struct ga_nvml_gpu *gpu, int result, const char *doing);

/* Without this answer the GPU cannot be used, so the device becomes unhealthy, with this reason. */
int ga_nvml_unusable(struct ga_nvml_gpu *gpu, int result, const char *doing);

/* Reports what is asked next, in answer.c; nothing for a GPU that is not asked any more. */
void ga_nvml_announce(const struct ga_nvml_gpu *gpu, const char *doing);

/* Its identity and place; then everything else but MIG, processes and links. */
int ga_nvml_read_identity(struct ga_nvml_gpu *gpu);
int ga_nvml_read_state(struct ga_nvml_gpu *gpu);

/* Reads the memory of a GPU or instance, whose handle is given. Returns the driver's result:
 * GA_NVML_NOT_SUPPORTED if it has no memory of its own, because CPU and GPU share it. */
int ga_nvml_read_memory(struct ga_nvml_gpu *gpu, ga_nvml_handle handle,
			struct ga_memory *ret_memory);
/* ret_text has GA_NVML_NAME_SIZE bytes and always ends in NUL. */
bool ga_nvml_ask_text(struct ga_nvml_gpu *gpu, ga_nvml_text_call *call, ga_nvml_handle handle,
		      const char *doing, char *ret_text);
/* Unknown if the call is missing or fails, or the number is above most. */
int64_t ga_nvml_ask_number(struct ga_nvml_gpu *gpu, ga_nvml_number_call *call,
			   ga_nvml_handle handle, const char *doing, int64_t most);

/* A process, and the instance it runs on if the driver says. */
struct ga_nvml_process {
	unsigned pid;
	uint64_t memory;
	unsigned gi;
	unsigned ci;
	enum ga_process_type type;
};

struct ga_nvml_processes {
	struct ga_nvml_process *list;
	size_t count;
	bool known;
};

void ga_nvml_processes_free(struct ga_nvml_processes *processes);
#define ga_auto_processes ga_cleanup(ga_nvml_processes_free)

/* All processes that compute or draw on a GPU or an instance, each pid of an instance once. */
int ga_nvml_read_processes(struct ga_nvml_gpu *gpu, ga_nvml_handle handle,
			   struct ga_nvml_processes *ret_processes);
/* Adds a process to a device, or merges it with what is known about its pid. */
int ga_nvml_add_process(struct ga_nvml_gpu *gpu, const struct ga_nvml_process *process,
			struct gpualloc_device *device);

/* MIG mode, instances, and the processes of the GPU and of its instances. */
int ga_nvml_read_mig_and_processes(struct ga_nvml_gpu *gpu);

/* The links between count GPUs, in the order of the machine's devices. */
int ga_nvml_read_links(struct ga_nvml_gpu *gpus, gpualloc_machine *machine);

#endif
