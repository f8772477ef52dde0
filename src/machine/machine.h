/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: devices, their MIG instances, the processes on them, and the links between them.
 * Pure data. What is not known is NULL, -1 or an enum's UNKNOWN, never 0. Strings are clean
 * (ga_text_clean) from the moment they come in, so that anything may print them.
 */
#ifndef GA_MACHINE_MACHINE_H
#define GA_MACHINE_MACHINE_H

#include "error.h"
#include "held.h"
#include "links.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GA_UNKNOWN = -1 };

/* The largest counts that are accepted; see the machine file. */
enum { GA_DEVICES_MAX = 4096, GA_MIG_MAX = 64, GA_PROCESSES_MAX = 65536 };

/* Limits for instance numbers. Hardware uses the lowest 16 and 8; higher ones mean nothing. */
enum { GA_GI_MOST = 62, GA_CI_MOST = 7 };

enum ga_process_type {
	GA_PROCESS_COMPUTE,
	GA_PROCESS_GRAPHICS,
	GA_PROCESS_COMPUTE_GRAPHICS,
	GA_PROCESS_MPS_COMPUTE,
};

struct gpualloc_process {
	int64_t pid;
	enum ga_process_type type;
	int64_t memory;
	char *user;
	char *name;
	bool ignored; /* the administrator says that it does not count as use */
	bool in_pod;  /* in a container that Kubernetes started */
};

enum ga_compute_mode {
	GA_COMPUTE_UNKNOWN = -1,
	GA_COMPUTE_DEFAULT,
	GA_COMPUTE_EXCLUSIVE_THREAD,
	GA_COMPUTE_PROHIBITED,
	GA_COMPUTE_EXCLUSIVE_PROCESS,
};

struct ga_memory {
	int64_t total;
	int64_t reserved;
	int64_t used; /* without what is reserved */
};

/* What the leases of a store say about a device. */
struct ga_device_lease {
	bool held;        /* some of it, by somebody */
	bool whole;       /* all of it, so nobody else can have any */
	int64_t left;     /* bytes left for budgets, by the ledger; GA_UNKNOWN: all */
	int64_t most;     /* total bytes available from inside a lease; GA_UNKNOWN: all */
	char *user;       /* who has it: names with commas; NULL if there is no record */
	bool by_pods;     /* by the agent of Kubernetes, for pods whose processes are anybody's */
	const struct gpualloc_held **holders; /* each lease with a record; the machine's own */
	size_t holder_count;
	/* Kept for those who have waited longer: all of it, or that many bytes in all. */
	const struct gpualloc_waiter *kept;
	const struct gpualloc_waiter *promised_to; /* the first of them */
	int64_t promised;
	char *barred; /* why it cannot be leased from here; NULL: it can */
};

struct gpualloc_device {
	int64_t index;
	char *uuid;
	char *serial;
	char *name;
	char *pci; /* 00000000:07:00.0 */
	char *cpus;
	int64_t minor;
	int64_t numa;
	int64_t nvlink_version;
	int display; /* 1, 0 or -1 */
	struct ga_memory memory;
	bool memory_unified; /* it is main memory: its use does not show who computes */
	int64_t utilization;
	enum ga_compute_mode compute_mode;
	enum gpualloc_health health;
	char *reason; /* details about its health from the source */

	bool processes_known;
	bool processes_hidden; /* the list may be incomplete: other pid namespaces */
	struct gpualloc_process *processes;
	size_t process_count;

	bool mig_enabled;
	struct gpualloc_device *mig; /* each with parent, profile, gi and ci */
	size_t mig_count;
	const struct gpualloc_device *parent;
	char *profile; /* 1g.5gb */
	int64_t gi;
	int64_t ci;

	char *excluded;      /* why the administrator keeps it from us; NULL: he does not */
	bool is_drained;     /* excluded for everybody, but its users may finish */
	bool is_for_others;  /* excluded for us, but not for a group that we are not in */
	int64_t idle_memory; /* how much it may show as used when idle; 0: the default */

	struct ga_device_lease lease;
};

struct gpualloc_machine {
	char *name;
	char *source; /* who saw it first: "nvml", "nvidia-smi", "topo", "builtin", … */
	char *driver;
	bool is_here; /* the machine that we run on, just read */
	bool fenced;  /* by the administrator: programs cannot open every GPU that is listed */
	int64_t sockets;
	int64_t cores_per_socket;
	int64_t threads_per_core;
	struct gpualloc_device *devices; /* in order of index */
	size_t device_count;
	struct ga_links links; /* as many as devices */
	char **notes;
	size_t note_count;
	/* What its devices' leases and keeps point to. */
	struct gpualloc_held **held;
	size_t held_count;
	struct gpualloc_waiter **waiters;
	size_t waiter_count;
};

/* A machine with count devices of which only the indices are known: 0, 1, … */
int ga_machine_new(size_t count, gpualloc_machine **ret_machine, gpualloc_error *error);
/*
 * For a source that learns of the devices one by one: appends a device of which not even the index
 * is known (NULL when out of memory). ga_machine_link() then makes the links, all unknown.
 */
struct gpualloc_device *ga_machine_add_device(gpualloc_machine *machine);
int ga_machine_link(gpualloc_machine *machine, gpualloc_error *error);
#define ga_auto_machine ga_cleanup(ga_machine_free_pointer)
void ga_machine_free_pointer(gpualloc_machine **machine);
void ga_machine_free(gpualloc_machine *machine);

/*
 * The last step in making a machine: gives MIG instances their parent, and infers peer-to-peer from
 * the models where it was not read. Refuses duplicate indices or UUIDs and indices out of order,
 * naming both places.
 */
int ga_machine_finish(gpualloc_machine *machine, gpualloc_error *error);

/* Whether it was never real hardware: made here, or read from a file of such a machine. */
bool ga_machine_is_simulated(const gpualloc_machine *machine);

/* Both append one about which nothing is known, and return it; NULL when out of memory. */
struct gpualloc_process *ga_device_add_process(struct gpualloc_device *device);
struct gpualloc_device *ga_device_add_mig(struct gpualloc_device *device);
void ga_device_remove_mig(struct gpualloc_device *device, size_t i);

/* Replaces a string by a clean copy; an empty one counts as unknown. GPUALLOC_ENOMEM or 0. */
int ga_set_text(char **field, const char *text);
int ga_set_text_sized(char **field, const char *text, size_t size);
/*
 * "7:0.0", "0000:07:00.0", "0x00000000:07:00.0" become 00000000:07:00.0; false if it is not a PCI
 * address.
 */
bool ga_pci_normalise(const char *text, size_t size, char ret_pci[static 20]);

/* Whether an instance's place on its GPU is known; true for a GPU. */
bool ga_device_is_placed(const struct gpualloc_device *device);

/* Back to "nobody leases any of it, or waits for it". */
void ga_machine_forget_leases(gpualloc_machine *machine);
/* Both append one about which nothing is known; NULL when out of memory. */
struct gpualloc_held *ga_machine_add_held(gpualloc_machine *machine);
struct gpualloc_waiter *ga_machine_add_waiter(gpualloc_machine *machine);

int ga_machine_note(gpualloc_machine *machine, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

const char *ga_health_name(enum gpualloc_health health);
const char *ga_compute_mode_name(enum ga_compute_mode mode); /* NULL for unknown */
const char *ga_process_type_name(enum ga_process_type type);
bool ga_compute_mode_find(const char *name, enum ga_compute_mode *ret_mode);
bool ga_process_type_find(const char *name, enum ga_process_type *ret_type);
bool ga_health_find(const char *name, enum gpualloc_health *ret_health);
/* Whether it computes, so that its device is not free. */
bool ga_process_computes(const struct gpualloc_process *process);

#endif
