/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpualloc decides which GPUs or MIG instances a program gets.
 *
 * This is the only header that is installed. Every type is opaque. It compiles as C99 and as C++.
 *
 * Results. Calls that can fail return 0 or a negative GPUALLOC_E… and leave a sentence in the error
 * object, if the caller passed one. Results come back through the ret_… pointers, which are written
 * only on success. The library never prints and never ends the program.
 *
 * NULL. No call crashes on NULL. The error object may always be NULL. Given NULL for its object, a
 * call that reads answers as if the value were unknown (NULL, -1, 0 or ""), a call that sets
 * something does nothing, and a call that returns a status fails with GPUALLOC_EUSAGE.
 *
 * Unknown. An unknown string is NULL, an unknown number is -1.
 *
 * Lists. …_count() says how many there are, and the call next to it gives the i-th, counting from
 * 0; past the end it returns NULL or -1.
 *
 * Ownership. The caller frees the object that a …_new(), …_open() or …_read() makes with the
 * matching …_free(), which accepts NULL. Free text and arrays that come back through a char ** or
 * the like with gpualloc_free(). A const pointer belongs to the object it was read from and is
 * valid as long as that object. Strings that the caller sets are copied.
 *
 * Threads. There is no global state. Different threads may use different objects, and any number of
 * threads may read the same object. While one thread changes an object, no other may use it. Leases
 * belong to processes, not to threads.
 *
 * Processes. Opening a machine forks: a child process with a deadline talks to the driver. It
 * inherits none of the caller's descriptors, and the call waits for it to end. SIGCHLD must not be
 * ignored during the call.
 *
 * Growth. Enumerations may grow. A program must expect values that it does not know, and the names
 * that …_name() gives for them.
 */
#ifndef GPUALLOC_H
#define GPUALLOC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define GPUALLOC_EXPORT __attribute__((visibility("default")))
#else
#define GPUALLOC_EXPORT
#endif

/* ---- which release this is ---- */

/* The version of this header. gpualloc_version() gives that of the loaded library. */
#define GPUALLOC_VERSION_MAJOR 0
#define GPUALLOC_VERSION_MINOR 1
#define GPUALLOC_VERSION_PATCH 0
#define GPUALLOC_VERSION "0.1.0"
/* For comparisons: 1.2.3 is 1002003. */
#define GPUALLOC_VERSION_NUMBER \
	(GPUALLOC_VERSION_MAJOR * 1000000 + GPUALLOC_VERSION_MINOR * 1000 + GPUALLOC_VERSION_PATCH)

/* The version of the loaded library, such as "1.2.3". */
GPUALLOC_EXPORT const char *gpualloc_version(void);

/* Frees text, arrays and environments that a call returned. NULL is ignored. */
GPUALLOC_EXPORT void gpualloc_free(void *memory);

/* ---- what can go wrong ---- */

enum gpualloc_status {
	GPUALLOC_OK = 0,
	GPUALLOC_EUSAGE = -1,       /* the request itself makes no sense */
	GPUALLOC_EDATA = -2,        /* a file or a tool's output is not what it should be */
	GPUALLOC_ENOSOURCE = -3,    /* no GPU driver, or no source answered */
	GPUALLOC_EBUSY = -4,        /* not now, but once others have finished */
	GPUALLOC_EPERM = -5,        /* not permitted */
	GPUALLOC_EIMPOSSIBLE = -6,  /* never on this machine, no matter what is freed */
	GPUALLOC_ETIMEOUT = -7,     /* the time allowed for waiting is over */
	GPUALLOC_ENOMEM = -8,       /* out of memory */
	GPUALLOC_EIO = -9,          /* reading or writing failed */
	GPUALLOC_ENOTFOUND = -10,   /* no such program */
	GPUALLOC_ENOTRUNNABLE = -11 /* the program exists but cannot be run */
};

typedef struct gpualloc_error gpualloc_error;

/* A new error object. NULL when out of memory, which every call accepts as its error object. */
GPUALLOC_EXPORT gpualloc_error *gpualloc_error_new(void);
/* Frees an error object. */
GPUALLOC_EXPORT void gpualloc_error_free(gpualloc_error *error);
/* The status of the last failure recorded in it; GPUALLOC_OK when nothing failed. */
GPUALLOC_EXPORT int gpualloc_error_status(const gpualloc_error *error);
/*
 * One or more lines, without a final newline; "" when nothing failed. It is valid until the error
 * object is used again or freed.
 */
GPUALLOC_EXPORT const char *gpualloc_error_message(const gpualloc_error *error);

/*
 * What may help, for a program to put into its own words. These are bits; several may be set. The
 * messages themselves never name a command or an option.
 */
enum gpualloc_remedy {
	GPUALLOC_REMEDY_NONE = 0,
	GPUALLOC_REMEDY_SET_UP_STORE = 1 << 0,     /* run gpualloc_store_setup() as root */
	GPUALLOC_REMEDY_OWN_STORE = 1 << 1,        /* use a private store */
	GPUALLOC_REMEDY_SHOW_DEVICES = 1 << 2,     /* list the devices */
	GPUALLOC_REMEDY_SHOW_LEASES = 1 << 3,      /* list the leases */
	GPUALLOC_REMEDY_IGNORE_VISIBLE = 1 << 4,   /* ignore CUDA_VISIBLE_DEVICES */
	GPUALLOC_REMEDY_IGNORE_PROCESSES = 1 << 5, /* tolerate other processes */
	GPUALLOC_REMEDY_MIX_MODELS = 1 << 6,       /* allow several models */
	GPUALLOC_REMEDY_ASK_FOR_MIG = 1 << 7,      /* ask for MIG instances */
	GPUALLOC_REMEDY_SAY_MEMORY = 1 << 8,       /* say how much memory */
	GPUALLOC_REMEDY_USE_NUMBERS = 1 << 9,      /* name devices by number */
	GPUALLOC_REMEDY_USE_UUIDS = 1 << 10,       /* name devices by UUID */
	GPUALLOC_REMEDY_MORE_TIME = 1 << 11,       /* allow a longer deadline */
	GPUALLOC_REMEDY_OTHER_MACHINE = 1 << 12,   /* try things on a built-in machine */
	GPUALLOC_REMEDY_LEASE_WITHIN = 1 << 13     /* take a lease within that lease */
};

/* What may help against the last failure recorded in the error: GPUALLOC_REMEDY_… bits. */
GPUALLOC_EXPORT unsigned gpualloc_error_remedies(const gpualloc_error *error);

/* The exit status a program should end with: 0, 64, 65, 69, 71, 74, 75, 77, 78, 124, 126 or 127. */
GPUALLOC_EXPORT int gpualloc_exit_status(int status);

/* ---- the machine ---- */

typedef struct gpualloc_machine gpualloc_machine; /* its devices and the links between them */
typedef struct gpualloc_device gpualloc_device;   /* a GPU, or a MIG instance of one */
typedef struct gpualloc_process gpualloc_process; /* a process that uses a device */

enum { GPUALLOC_DEADLINE_DEFAULT_MS = 10000 };

/*
 * Takes a snapshot of a machine. spec is "nvml", "nvidia-smi", the name of a built-in machine or
 * the path of a file; NULL takes GPUALLOC_MACHINE from the environment, else NVML, else nvidia-smi.
 * A driver that stays silent for deadline_ms (0: the default) is an error; a driver that keeps
 * answering, however slowly, is waited for. A GPU about which the driver says nothing becomes an
 * unhealthy device.
 */
GPUALLOC_EXPORT int gpualloc_machine_open(const char *spec, unsigned deadline_ms,
					  gpualloc_machine **ret_machine, gpualloc_error *error);

/* text says what a slow driver is being asked; NULL when it has finished. */
typedef void gpualloc_waiting_function(void *context, const char *text);
/*
 * The same. If it takes longer than a second, it also calls waiting every second, in the calling
 * thread.
 */
GPUALLOC_EXPORT int gpualloc_machine_open_waiting(const char *spec, unsigned deadline_ms,
						  gpualloc_waiting_function *waiting, void *context,
						  gpualloc_machine **ret_machine,
						  gpualloc_error *error);

/* The same, from bytes in memory in any format that a file may have. name appears in messages. */
GPUALLOC_EXPORT int gpualloc_machine_read(const void *data, size_t size, const char *name,
					  gpualloc_machine **ret_machine, gpualloc_error *error);

/* Frees a machine. Its devices and processes are then no longer valid. */
GPUALLOC_EXPORT void gpualloc_machine_free(gpualloc_machine *machine);

/*
 * Whether there are any GPUs: 1 if the machine has at least one; 0 if the driver reports none or
 * there is no driver (the error then says what was tried). spec and deadline_ms are as above.
 */
GPUALLOC_EXPORT int gpualloc_available(const char *spec, unsigned deadline_ms,
				       gpualloc_error *error);

/*
 * 1 if spec, as in gpualloc_machine_open(), means the hardware of this machine and not a file or a
 * built-in machine. NULL means what the environment says.
 */
GPUALLOC_EXPORT int gpualloc_spec_is_live(const char *spec);
/* How many names gpualloc_machine_open() accepts besides paths. */
GPUALLOC_EXPORT size_t gpualloc_spec_count(void);
/* The i-th name: "nvml", "nvidia-smi", then the built-in machines. */
GPUALLOC_EXPORT const char *gpualloc_spec_name(size_t i);
/* One line that says what the i-th name stands for. */
GPUALLOC_EXPORT const char *gpualloc_spec_description(size_t i);

/* Replaces UUIDs, serial numbers, user names, process names and the machine's name. */
GPUALLOC_EXPORT int gpualloc_machine_anonymise(gpualloc_machine *machine, gpualloc_error *error);

/* Writes the machine as the text of a machine file, which the caller frees with gpualloc_free(). */
GPUALLOC_EXPORT int gpualloc_machine_write(const gpualloc_machine *machine, char **ret_text,
					   size_t *ret_size, gpualloc_error *error);

/* The name of the machine. */
GPUALLOC_EXPORT const char *gpualloc_machine_name(const gpualloc_machine *machine);
/* What it was read from: "nvml", "nvidia-smi", "built-in" and so on. */
GPUALLOC_EXPORT const char *gpualloc_machine_source(const gpualloc_machine *machine);
/* The version of its driver. */
GPUALLOC_EXPORT const char *gpualloc_machine_driver(const gpualloc_machine *machine);
/*
 * All GPUs in order of PCI address, then those whose address is unknown, in order of index: the
 * order in which other programs number them. ret_gpus must have room for every GPU of the machine.
 */
GPUALLOC_EXPORT void gpualloc_machine_pci_order(const gpualloc_machine *machine,
						const gpualloc_device **ret_gpus);
/*
 * The same, but only if the order is certain. A GPU's place is then its number in
 * CUDA_VISIBLE_DEVICES with CUDA_DEVICE_ORDER=PCI_BUS_ID. Otherwise it fails with
 * GPUALLOC_EIMPOSSIBLE, and the error says why: an address is unknown, CUDA may leave out a lost
 * GPU, or an administrator's fence keeps GPUs from programs.
 */
GPUALLOC_EXPORT int gpualloc_machine_cuda_order(const gpualloc_machine *machine,
						const gpualloc_device **ret_gpus,
						gpualloc_error *error);
/* 1 if it was never real hardware: a built-in machine, or a file made from one. */
GPUALLOC_EXPORT int gpualloc_machine_is_simulated(const gpualloc_machine *machine);
/*
 * 1 if it was read from the driver of the machine that this process runs on, and not from a file.
 */
GPUALLOC_EXPORT int gpualloc_machine_is_here(const gpualloc_machine *machine);
/* How many CPU sockets it has. */
GPUALLOC_EXPORT int64_t gpualloc_machine_sockets(const gpualloc_machine *machine);
/* How many cores each socket has. */
GPUALLOC_EXPORT int64_t gpualloc_machine_cores_per_socket(const gpualloc_machine *machine);
/* How many threads each core runs. */
GPUALLOC_EXPORT int64_t gpualloc_machine_threads_per_core(const gpualloc_machine *machine);
/* How many odd but harmless things were found. */
GPUALLOC_EXPORT size_t gpualloc_machine_note_count(const gpualloc_machine *machine);
/* A sentence about the i-th of these. */
GPUALLOC_EXPORT const char *gpualloc_machine_note(const gpualloc_machine *machine, size_t i);

/* How many GPUs it has. */
GPUALLOC_EXPORT size_t gpualloc_machine_device_count(const gpualloc_machine *machine);
/* GPU number i. GPUs are numbered from 0 in order of their index. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_machine_device(const gpualloc_machine *machine,
							       size_t i);
/*
 * The number of a GPU, or of the GPU that a MIG instance belongs to; -1 if the device is not part
 * of the machine.
 */
GPUALLOC_EXPORT int64_t gpualloc_device_number(const gpualloc_machine *machine,
					       const gpualloc_device *device);

/* ---- links: between the i-th and the j-th device of a machine ---- */

enum gpualloc_level {
	GPUALLOC_LEVEL_UNKNOWN = 0,
	GPUALLOC_LEVEL_SYS = 1,   /* across the interconnect between NUMA nodes */
	GPUALLOC_LEVEL_NODE = 2,  /* across host bridges within one NUMA node */
	GPUALLOC_LEVEL_PHB = 3,   /* across one host bridge */
	GPUALLOC_LEVEL_PXB = 4,   /* across several PCIe bridges */
	GPUALLOC_LEVEL_PIX = 5,   /* across one PCIe bridge */
	GPUALLOC_LEVEL_BOARD = 6, /* two GPUs on one board */
	GPUALLOC_LEVEL_SELF = 7
};

/* The PCIe level between two GPUs; UNKNOWN also if there is no such pair. */
GPUALLOC_EXPORT enum gpualloc_level gpualloc_machine_level(const gpualloc_machine *machine,
							   size_t i, size_t j);
/* "PIX" and so on, "X" for SELF, "?" if it is unknown. */
GPUALLOC_EXPORT const char *gpualloc_level_name(enum gpualloc_level level);
/* Links other than PCIe that join GPUs directly or through switches. */
enum gpualloc_link_kind {
	GPUALLOC_LINK_NONE = 0,
	GPUALLOC_LINK_NVLINK = 1, /* NVIDIA's */
	GPUALLOC_LINK_XGMI = 2    /* AMD's */
};

/* Which kind of link joins two GPUs; NONE if there is no link or it is unknown. */
GPUALLOC_EXPORT enum gpualloc_link_kind gpualloc_machine_link_kind(const gpualloc_machine *machine,
								   size_t i, size_t j);
/* "NVLink", "xGMI" or "none". */
GPUALLOC_EXPORT const char *gpualloc_link_kind_name(enum gpualloc_link_kind kind);
/* How many such links join them; -1 if that is unknown. */
GPUALLOC_EXPORT int gpualloc_machine_link_count(const gpualloc_machine *machine, size_t i,
						size_t j);
/* 1 if the PCIe level was worked out from other levels and not read. */
GPUALLOC_EXPORT int gpualloc_machine_level_is_inferred(const gpualloc_machine *machine, size_t i,
						       size_t j);

enum gpualloc_p2p {
	GPUALLOC_P2P_UNKNOWN = 0, /* treated as OK */
	GPUALLOC_P2P_OK = 1,
	GPUALLOC_P2P_NO = 2
};

/*
 * Whether two GPUs can read and write each other's memory directly, without going through the
 * host's.
 */
GPUALLOC_EXPORT enum gpualloc_p2p gpualloc_machine_p2p(const gpualloc_machine *machine, size_t i,
						       size_t j);
/* "ok" or "no"; NULL if it is unknown. */
GPUALLOC_EXPORT const char *gpualloc_p2p_name(enum gpualloc_p2p p2p);
/* 1 if that was worked out from the models and not read. */
GPUALLOC_EXPORT int gpualloc_machine_p2p_is_inferred(const gpualloc_machine *machine, size_t i,
						     size_t j);

/* ---- a device ---- */

enum gpualloc_health {
	GPUALLOC_HEALTH_OK = 0,
	GPUALLOC_HEALTH_LOST,
	GPUALLOC_HEALTH_NEEDS_RESET,
	GPUALLOC_HEALTH_ROW_REMAP_FAILED,
	GPUALLOC_HEALTH_RETIRED_PENDING,
	GPUALLOC_HEALTH_UNRESPONSIVE,  /* a query to it never returned, or crashed the driver's
					  library */
	GPUALLOC_HEALTH_NO_PERMISSION, /* this user may not use it */
	GPUALLOC_HEALTH_BLOCKED,   /* the operating system keeps it from us, by a cgroup for example
				    */
	GPUALLOC_HEALTH_NO_POWER,  /* its power cables are not plugged in properly */
	GPUALLOC_HEALTH_INTERRUPT, /* its interrupts do not arrive */
	GPUALLOC_HEALTH_FABRIC_NOT_READY, /* CUDA fails until NVSwitch's fabric manager is done */
	GPUALLOC_HEALTH_FAILED            /* the driver cannot use it for some other reason */
};

enum gpualloc_state {
	GPUALLOC_STATE_FREE = 0,
	GPUALLOC_STATE_LEASED,
	GPUALLOC_STATE_IN_USE,   /* used by a program without a lease */
	GPUALLOC_STATE_INTRUDER, /* leased, and used by a process that does not hold the lease */
	GPUALLOC_STATE_UNHEALTHY,
	GPUALLOC_STATE_EXCLUDED,
	GPUALLOC_STATE_DRAINING, /* taken out of use, but still leased or in use */
	GPUALLOC_STATE_DRAINED,  /* taken out of use, and nobody uses it any more */
	GPUALLOC_STATE_KEPT      /* free, but kept for somebody who has waited longer */
};

/* "ok", "lost", "needs-reset" and so on. */
GPUALLOC_EXPORT const char *gpualloc_health_name(enum gpualloc_health health);
/* "free", "leased", "in-use" and so on. */
GPUALLOC_EXPORT const char *gpualloc_state_name(enum gpualloc_state state);

/* A GPU's index as the driver numbers it; a MIG instance's place among those of its GPU. */
GPUALLOC_EXPORT int64_t gpualloc_device_index(const gpualloc_device *device);
/* "GPU-…", "MIG-…", or in the driver's own form. */
GPUALLOC_EXPORT const char *gpualloc_device_uuid(const gpualloc_device *device);
/* The serial number of its board. */
GPUALLOC_EXPORT const char *gpualloc_device_serial(const gpualloc_device *device);
/* The model: "NVIDIA A100-SXM4-40GB". */
GPUALLOC_EXPORT const char *gpualloc_device_name(const gpualloc_device *device);
/* Its PCI address: "00000000:07:00.0". */
GPUALLOC_EXPORT const char *gpualloc_device_pci(const gpualloc_device *device);
/* The CPUs near it: "48-63,176-191". */
GPUALLOC_EXPORT const char *gpualloc_device_cpus(const gpualloc_device *device);
/* "default", "exclusive-process" or "prohibited". */
GPUALLOC_EXPORT const char *gpualloc_device_compute_mode(const gpualloc_device *device);
/* The number of its device file, /dev/nvidiaN. */
GPUALLOC_EXPORT int64_t gpualloc_device_minor(const gpualloc_device *device);
/* The NUMA node near it. */
GPUALLOC_EXPORT int64_t gpualloc_device_numa(const gpualloc_device *device);
/* The generation of its links other than PCIe: 3 for an A100's NVLink. */
GPUALLOC_EXPORT int64_t gpualloc_device_link_version(const gpualloc_device *device);
/* 1 if a display is attached, 0 if not, -1 if that is unknown. */
GPUALLOC_EXPORT int gpualloc_device_display(const gpualloc_device *device);
/* How busy it was recently, in percent. */
GPUALLOC_EXPORT int64_t gpualloc_device_utilization(const gpualloc_device *device);
/* Whether it is healthy, and if not, what is wrong with it. */
GPUALLOC_EXPORT enum gpualloc_health gpualloc_device_health(const gpualloc_device *device);

/* All its memory, in bytes. */
GPUALLOC_EXPORT int64_t gpualloc_device_memory_total(const gpualloc_device *device);
/* What the driver keeps for itself, in bytes. */
GPUALLOC_EXPORT int64_t gpualloc_device_memory_reserved(const gpualloc_device *device);
/* What programs use, in bytes. */
GPUALLOC_EXPORT int64_t gpualloc_device_memory_used(const gpualloc_device *device);
/* Total minus reserved minus used, in bytes; known if total and used are known. */
GPUALLOC_EXPORT int64_t gpualloc_device_memory_free(const gpualloc_device *device);
/*
 * How much of it a new lease could have, in bytes: what is free, but at most what the leases on it,
 * and those who have waited longer, leave. Without gpualloc_machine_add_leases() the same as
 * gpualloc_device_memory_free().
 */
GPUALLOC_EXPORT int64_t gpualloc_device_memory_left(const gpualloc_device *device);
/* 1 if its memory is the machine's main memory, which the CPUs use too. */
GPUALLOC_EXPORT int gpualloc_device_memory_unified(const gpualloc_device *device);

/* Whether it can be given out now, and if not, why. */
GPUALLOC_EXPORT enum gpualloc_state gpualloc_device_state(const gpualloc_device *device);
/*
 * Writes why the state is what it is; "" when the device is free. Like snprintf, it returns the
 * length of the whole text, and what it writes always ends in NUL unless size is 0.
 */
GPUALLOC_EXPORT size_t gpualloc_device_reason(const gpualloc_device *device, char *text,
					      size_t size);

/* Whether a GPU is in MIG mode, even if it has no instances. */
GPUALLOC_EXPORT int gpualloc_device_mig_enabled(const gpualloc_device *device);
/* How many MIG instances it has. */
GPUALLOC_EXPORT size_t gpualloc_device_mig_count(const gpualloc_device *device);
/* The i-th MIG instance. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_device_mig(const gpualloc_device *device, size_t i);
/* The GPU of a MIG instance; NULL for a GPU. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_device_parent(const gpualloc_device *device);
/* The profile of a MIG instance: "1g.5gb". */
GPUALLOC_EXPORT const char *gpualloc_device_profile(const gpualloc_device *device);
/* The number of a MIG instance's GPU instance. */
GPUALLOC_EXPORT int64_t gpualloc_device_gi(const gpualloc_device *device);
/* The number of a MIG instance's compute instance. */
GPUALLOC_EXPORT int64_t gpualloc_device_ci(const gpualloc_device *device);

/*
 * Writes the ids of several devices in the form in which lists of devices are read: "0-3,6" or
 * "1:7:0,1:8:0". Like snprintf, it returns the length of the whole text.
 */
GPUALLOC_EXPORT size_t gpualloc_device_ids(const gpualloc_device *const *devices, size_t count,
					   char *text, size_t size);

/* Whether it is known which processes use it. 0 does not mean that there are none. */
GPUALLOC_EXPORT int gpualloc_device_processes_known(const gpualloc_device *device);
/* 1 if there may be more than are listed: those in other pid namespaces. */
GPUALLOC_EXPORT int gpualloc_device_processes_hidden(const gpualloc_device *device);
/* How many processes are seen using it. */
GPUALLOC_EXPORT size_t gpualloc_device_process_count(const gpualloc_device *device);
/* The i-th process. */
GPUALLOC_EXPORT const gpualloc_process *gpualloc_device_process(const gpualloc_device *device,
								size_t i);
/* Its process id. */
GPUALLOC_EXPORT int64_t gpualloc_process_pid(const gpualloc_process *process);
/* "C": computes; "G": draws; "C+G": both; "M+C": computes through MPS. */
GPUALLOC_EXPORT const char *gpualloc_process_type(const gpualloc_process *process);
/* How much of the device it uses, in bytes. */
GPUALLOC_EXPORT int64_t gpualloc_process_memory(const gpualloc_process *process);
/* The user who runs it. */
GPUALLOC_EXPORT const char *gpualloc_process_user(const gpualloc_process *process);
/* The name of its program. */
GPUALLOC_EXPORT const char *gpualloc_process_name(const gpualloc_process *process);
/* 1 if it is in a container that Kubernetes started. */
GPUALLOC_EXPORT int gpualloc_process_in_pod(const gpualloc_process *process);

/* ---- choosing ---- */

typedef struct gpualloc_policy gpualloc_policy;   /* how to choose */
typedef struct gpualloc_request gpualloc_request; /* what is wanted */
typedef struct gpualloc_choice gpualloc_choice;   /* what was chosen, and why */

/* ---- policies ---- */

/* How many policies are built in. */
GPUALLOC_EXPORT size_t gpualloc_policy_count(void);
/* The name of the i-th, in alphabetical order. */
GPUALLOC_EXPORT const char *gpualloc_policy_name(size_t i);
/* One line that says what the i-th policy chooses. */
GPUALLOC_EXPORT const char *gpualloc_policy_description(size_t i);
/*
 * Opens a built-in policy by name. If there is none of that name, it fails with GPUALLOC_EUSAGE,
 * and the error lists the policies there are.
 */
GPUALLOC_EXPORT int gpualloc_policy_open(const char *name, gpualloc_policy **ret_policy,
					 gpualloc_error *error);

/*
 * What a policy is asked: choose this many of these candidates, including these. A scheduler makes
 * a question for gpualloc_choose_among(); a policy of your own is given one.
 */
typedef struct gpualloc_question gpualloc_question;

/*
 * Makes a question about a machine, which must outlive it. It has no candidates yet and asks for
 * one device.
 */
GPUALLOC_EXPORT int gpualloc_question_new(const gpualloc_machine *machine,
					  gpualloc_question **ret_question, gpualloc_error *error);
/* Frees a question made by gpualloc_question_new(). A policy must not free the one it is given. */
GPUALLOC_EXPORT void gpualloc_question_free(gpualloc_question *question);
/*
 * Sets the candidates: numbers of GPUs of the machine, in the order in which they are offered.
 * Clears the required ones.
 */
GPUALLOC_EXPORT int gpualloc_question_set_candidates(gpualloc_question *question,
						     const size_t *numbers, size_t count,
						     gpualloc_error *error);
/* Sets the GPUs that must be chosen: numbers of GPUs that are among the candidates. */
GPUALLOC_EXPORT int gpualloc_question_set_required(gpualloc_question *question,
						   const size_t *numbers, size_t count,
						   gpualloc_error *error);
/* Sets how many are wanted. */
GPUALLOC_EXPORT void gpualloc_question_set_count(gpualloc_question *question, size_t count);
/* Sets the seed for the policy random. */
GPUALLOC_EXPORT void gpualloc_question_set_seed(gpualloc_question *question, uint64_t seed);

/* The machine it is about. */
GPUALLOC_EXPORT const gpualloc_machine *gpualloc_question_machine(
	const gpualloc_question *question);
/* How many candidates there are. */
GPUALLOC_EXPORT size_t gpualloc_question_candidate_count(const gpualloc_question *question);
/* The i-th candidate; two may be MIG instances of one GPU. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_question_candidate(
	const gpualloc_question *question, size_t i);
/* The number of the i-th candidate's GPU in the machine, for calls about links; -1 past the end. */
GPUALLOC_EXPORT int64_t gpualloc_question_candidate_number(const gpualloc_question *question,
							   size_t i);
/* How many bytes of the i-th candidate's memory are available. */
GPUALLOC_EXPORT int64_t gpualloc_question_candidate_memory(const gpualloc_question *question,
							   size_t i);
/* How many candidates must be chosen. */
GPUALLOC_EXPORT size_t gpualloc_question_required_count(const gpualloc_question *question);
/* The i-th of these, as an index into the candidates; -1 past the end. */
GPUALLOC_EXPORT int64_t gpualloc_question_required(const gpualloc_question *question, size_t i);
/* How many are wanted. */
GPUALLOC_EXPORT size_t gpualloc_question_count(const gpualloc_question *question);
/* The seed for random choices. */
GPUALLOC_EXPORT uint64_t gpualloc_question_seed(const gpualloc_question *question);

/*
 * A policy of your own. It writes indices of candidates to ret_chosen, which has room for all of
 * them, and returns how many it wrote, or a negative GPUALLOC_E…. Its answer is checked. It is
 * called in the thread that wants a choice, with the context given to gpualloc_policy_new().
 */
typedef int gpualloc_policy_function(void *context, const gpualloc_question *question,
				     size_t *ret_chosen);
/* Makes a policy from a function. The name is used in messages and by gpualloc_choice_policy(). */
GPUALLOC_EXPORT int gpualloc_policy_new(const char *name, gpualloc_policy_function *function,
					void *context, gpualloc_policy **ret_policy,
					gpualloc_error *error);
/* Frees a policy. No request may refer to it any more. */
GPUALLOC_EXPORT void gpualloc_policy_free(gpualloc_policy *policy);

/* ---- requests and choices ---- */

/*
 * Reads a size: "8GiB", "800MB", "512M" (MiB), "8 gb", or plain bytes. A bare number from 1 up to 1
 * MiB is refused, because "800" is hardly meant as bytes.
 */
GPUALLOC_EXPORT int gpualloc_size_parse(const char *text, int64_t *ret_bytes,
					gpualloc_error *error);

/* A new request, for one device by the default policy. NULL when out of memory. */
GPUALLOC_EXPORT gpualloc_request *gpualloc_request_new(void);
/* Frees a request. */
GPUALLOC_EXPORT void gpualloc_request_free(gpualloc_request *request);
/*
 * How many devices. 0 means as many as are required, but at least 1. A negative count is refused
 * when the request is used.
 */
GPUALLOC_EXPORT void gpualloc_request_set_count(gpualloc_request *request, int64_t count);
/* The policy, which must outlive the request; NULL: the default. */
GPUALLOC_EXPORT void gpualloc_request_set_policy(gpualloc_request *request,
						 const gpualloc_policy *policy);
/*
 * Each device must have this many bytes free. share: only that much of each is wanted, not the
 * whole device.
 */
GPUALLOC_EXPORT void gpualloc_request_set_memory(gpualloc_request *request, int64_t bytes,
						 int share);
/* A seed, which makes the policy random repeatable. */
GPUALLOC_EXPORT void gpualloc_request_set_seed(gpualloc_request *request, uint64_t seed);
/*
 * Tolerates other processes on a device as long as they use at most this many bytes of it; -1: any
 * amount.
 */
GPUALLOC_EXPORT void gpualloc_request_set_ignore_processes(gpualloc_request *request,
							   int64_t bytes);
/* Whether GPUs of several models may be chosen together. */
GPUALLOC_EXPORT void gpualloc_request_set_mixed(gpualloc_request *request, int mixed);
/*
 * The program needs the devices to itself, so processes on them count with every policy, even
 * best-fit, worst-fit and random. A lease of whole devices does not need this.
 */
GPUALLOC_EXPORT void gpualloc_request_set_alone(gpualloc_request *request, int alone);
/* Whether the choice should also find the next best sets. */
GPUALLOC_EXPORT void gpualloc_request_set_alternatives(gpualloc_request *request, int wanted);
/* MIG instances instead of whole GPUs: of this profile, or of any profile (NULL). */
GPUALLOC_EXPORT int gpualloc_request_set_mig(gpualloc_request *request, const char *profile);
/* Only GPUs whose name contains this text; NULL: any. */
GPUALLOC_EXPORT int gpualloc_request_set_model(gpualloc_request *request, const char *text);
/*
 * Only these devices, offered to the policy in this order; NULL: any. The list is separated by
 * commas and names devices by index, range of indices ("0-3"), UUID or a unique prefix of one, PCI
 * address, or parent:gi[:ci] for a MIG instance.
 */
GPUALLOC_EXPORT int gpualloc_request_set_only(gpualloc_request *request, const char *list);
/* None of these devices; NULL: none is excluded. */
GPUALLOC_EXPORT int gpualloc_request_set_exclude(gpualloc_request *request, const char *list);
/* These devices must be among the chosen ones; NULL: none. */
GPUALLOC_EXPORT int gpualloc_request_set_require(gpualloc_request *request, const char *list);
/*
 * Restricts the choice as CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER with these values restrict
 * CUDA. visible_devices NULL: no restriction.
 */
GPUALLOC_EXPORT int gpualloc_request_set_environment(gpualloc_request *request,
						     const char *visible_devices,
						     const char *device_order);

/*
 * Chooses among the devices of a machine that are free and match the request. If there are too few
 * now, it fails with GPUALLOC_EBUSY; if there can never be enough, with GPUALLOC_EIMPOSSIBLE. The
 * machine must outlive the choice.
 */
GPUALLOC_EXPORT int gpualloc_choose(const gpualloc_machine *machine,
				    const gpualloc_request *request, gpualloc_choice **ret_choice,
				    gpualloc_error *error);

/*
 * The pure call, for schedulers: answers a question no matter what state the devices are in. policy
 * NULL is the default. The same question may be asked again, with another policy or count if need
 * be.
 */
GPUALLOC_EXPORT int gpualloc_choose_among(const gpualloc_question *question,
					  const gpualloc_policy *policy,
					  gpualloc_choice **ret_choice, gpualloc_error *error);

/* Frees a choice. */
GPUALLOC_EXPORT void gpualloc_choice_free(gpualloc_choice *choice);
/* The name of the policy that answered. */
GPUALLOC_EXPORT const char *gpualloc_choice_policy(const gpualloc_choice *choice);
/* How many devices were chosen. */
GPUALLOC_EXPORT size_t gpualloc_choice_device_count(const gpualloc_choice *choice);
/* The i-th, in the order in which the policy gave them. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_choice_device(const gpualloc_choice *choice,
							      size_t i);
/* The value that the policy maximised; -1 if it maximises nothing. */
GPUALLOC_EXPORT int64_t gpualloc_choice_value(const gpualloc_choice *choice);
/* No answer can have a higher value than this; -1 as above. */
GPUALLOC_EXPORT int64_t gpualloc_choice_bound(const gpualloc_choice *choice);
/* 1 if it is proven that no answer is better than this one. */
GPUALLOC_EXPORT int gpualloc_choice_proven(const gpualloc_choice *choice);
/* The sum of the pair scores of the chosen devices; -1 for MIG instances, which have no links. */
GPUALLOC_EXPORT int64_t gpualloc_choice_score(const gpualloc_choice *choice);
/* Their predicted collective bandwidth in MB/s; -1 for one device and for MIG instances. */
GPUALLOC_EXPORT int64_t gpualloc_choice_bandwidth(const gpualloc_choice *choice);
/* A device that was not chosen. */
typedef struct gpualloc_rejection gpualloc_rejection;

/* How many devices were not chosen. */
GPUALLOC_EXPORT size_t gpualloc_choice_rejection_count(const gpualloc_choice *choice);
/* The i-th of these; it belongs to the choice. */
GPUALLOC_EXPORT const gpualloc_rejection *gpualloc_choice_rejection(const gpualloc_choice *choice,
								    size_t i);
/* Which device it is. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_rejection_device(
	const gpualloc_rejection *rejection);
/* Why it was not chosen, in words. */
GPUALLOC_EXPORT const char *gpualloc_rejection_reason(const gpualloc_rejection *rejection);

/* What may help, as gpualloc_error_remedies(). */
GPUALLOC_EXPORT unsigned gpualloc_rejection_remedies(const gpualloc_rejection *rejection);

/* A set other than the chosen one. */
typedef struct gpualloc_alternative gpualloc_alternative;

/*
 * How many other sets there are, if the request asked for them. They are ordered best first: by the
 * policy's own value, then by predicted bandwidth and pair score. If there are few sets, all were
 * looked at, otherwise only those that differ in one device.
 */
GPUALLOC_EXPORT size_t gpualloc_choice_alternative_count(const gpualloc_choice *choice);
/* The i-th of these; it belongs to the choice. */
GPUALLOC_EXPORT const gpualloc_alternative *gpualloc_choice_alternative(
	const gpualloc_choice *choice, size_t i);
/* How many devices it has: as many as were chosen. */
GPUALLOC_EXPORT size_t gpualloc_alternative_device_count(const gpualloc_alternative *alternative);
/* The i-th of its devices. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_alternative_device(
	const gpualloc_alternative *alternative, size_t i);
/*
 * The value the policy gives it, as gpualloc_choice_value(); -1 also if that would take a search.
 */
GPUALLOC_EXPORT int64_t gpualloc_alternative_value(const gpualloc_alternative *alternative);
/* The sum of its pair scores. */
GPUALLOC_EXPORT int64_t gpualloc_alternative_score(const gpualloc_alternative *alternative);
/* Its predicted collective bandwidth in MB/s. */
GPUALLOC_EXPORT int64_t gpualloc_alternative_bandwidth(const gpualloc_alternative *alternative);

/*
 * Scores a given set of GPUs, named by number: the sum of pair scores and the predicted collective
 * bandwidth in MB/s.
 */
GPUALLOC_EXPORT int gpualloc_machine_score(const gpualloc_machine *machine, const size_t *devices,
					   size_t count, int64_t *ret_score, int64_t *ret_bandwidth,
					   gpualloc_error *error);

/*
 * What a framework calls the device ("cuda:1") if CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER have
 * these values. It fails with GPUALLOC_EIMPOSSIBLE if the framework would not see the device. The
 * caller frees *ret_name with gpualloc_free().
 */
GPUALLOC_EXPORT int gpualloc_device_framework_name(const gpualloc_machine *machine,
						   const gpualloc_device *device,
						   const char *visible_devices,
						   const char *device_order, char **ret_name,
						   gpualloc_error *error);

/*
 * Sorts GPUs of the machine so that neighbours are best connected, the order in which a lease has
 * its devices. MIG instances have no links and stay where they are.
 */
GPUALLOC_EXPORT int gpualloc_devices_order(const gpualloc_machine *machine,
					   const gpualloc_device **devices, size_t count,
					   gpualloc_error *error);

/* ---- an allocator: which devices are taken, within one program ---- */

typedef struct gpualloc_allocator gpualloc_allocator;

/* Makes an allocator. machine and policy (NULL: the default) must outlive it. */
GPUALLOC_EXPORT int gpualloc_allocator_new(const gpualloc_machine *machine,
					   const gpualloc_policy *policy,
					   gpualloc_allocator **ret_allocator,
					   gpualloc_error *error);
/*
 * Opens the machine and the policy by name and owns them. spec NULL means what
 * gpualloc_machine_open() does with NULL; policy NULL is the default.
 */
GPUALLOC_EXPORT int gpualloc_allocator_open(const char *spec, const char *policy,
					    gpualloc_allocator **ret_allocator,
					    gpualloc_error *error);
/* Frees an allocator, and the machine and the policy if it opened them itself. */
GPUALLOC_EXPORT void gpualloc_allocator_free(gpualloc_allocator *allocator);
/* The machine whose devices it gives out. */
GPUALLOC_EXPORT const gpualloc_machine *gpualloc_allocator_machine(
	const gpualloc_allocator *allocator);

/*
 * Takes count devices; ret_devices must have room for that many. GPUALLOC_EBUSY if too few are
 * free.
 */
GPUALLOC_EXPORT int gpualloc_allocator_take(gpualloc_allocator *allocator, size_t count,
					    const gpualloc_device **ret_devices,
					    gpualloc_error *error);
/* Takes exactly these, or nothing: the error names those that are not free. */
GPUALLOC_EXPORT int gpualloc_allocator_take_these(gpualloc_allocator *allocator,
						  const gpualloc_device *const *devices,
						  size_t count, gpualloc_error *error);
/* Gives these back. If one of them was not taken, nothing changes. */
GPUALLOC_EXPORT int gpualloc_allocator_give_back(gpualloc_allocator *allocator,
						 const gpualloc_device *const *devices,
						 size_t count, gpualloc_error *error);
/* How many devices are left to take. */
GPUALLOC_EXPORT size_t gpualloc_allocator_available_count(const gpualloc_allocator *allocator);
/* The i-th of these in order of index. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_allocator_available(
	const gpualloc_allocator *allocator, size_t i);
/* How many devices were taken. */
GPUALLOC_EXPORT size_t gpualloc_allocator_taken_count(const gpualloc_allocator *allocator);
/* The i-th of these in order of index. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_allocator_taken(const gpualloc_allocator *allocator,
								size_t i);

/*
 * Writes everything that is known about a device as lines of text. The caller frees *ret_text with
 * gpualloc_free().
 */
GPUALLOC_EXPORT int gpualloc_device_describe(const gpualloc_machine *machine,
					     const gpualloc_device *device, char **ret_text,
					     gpualloc_error *error);

/* ---- leases: the right to use devices, held by processes and nothing else ---- */

typedef struct gpualloc_store gpualloc_store;
typedef struct gpualloc_lease gpualloc_lease;
typedef struct gpualloc_leases gpualloc_leases;

/* The path of the default store: GPUALLOC_STATE_DIR from the environment, else /run/gpualloc. */
GPUALLOC_EXPORT const char *gpualloc_store_default(void);
/*
 * Opens the store at path (NULL: the default). If own is not 0, opens the private store instead,
 * and makes it if it does not exist. GPUALLOC_EPERM if there is no store, or it cannot be trusted.
 */
GPUALLOC_EXPORT int gpualloc_store_open(const char *path, int own, gpualloc_store **ret_store,
					gpualloc_error *error);
/* Opens the private store if it already exists; otherwise *ret_store is NULL. */
GPUALLOC_EXPORT int gpualloc_store_open_own(gpualloc_store **ret_store, gpualloc_error *error);
/* Closes a store. Leases stay in force. */
GPUALLOC_EXPORT void gpualloc_store_free(gpualloc_store *store);
/* The path of the store. */
GPUALLOC_EXPORT const char *gpualloc_store_path(const gpualloc_store *store);
/* Makes the store for all users, or repairs it. Only root may do this. path NULL is the default. */
GPUALLOC_EXPORT int gpualloc_store_setup(const char *path, gpualloc_error *error);
/* Checks a store; the error says what is wrong with it. */
GPUALLOC_EXPORT int gpualloc_store_check(const char *path, gpualloc_error *error);
/* Removes a store; GPUALLOC_EBUSY while anybody has a lease in it. */
GPUALLOC_EXPORT int gpualloc_store_remove(const char *path, gpualloc_error *error);

/*
 * Called when waiting begins and then whenever something changes, with the place in the queue (1 is
 * next) and a sentence about who holds what. If it returns anything but 0, waiting ends with
 * GPUALLOC_ETIMEOUT.
 */
typedef int gpualloc_wait_function(void *context, size_t place, const char *sentence);

struct gpualloc_lease_wish; /* see gpualloc_lease_wish_new() */
typedef struct gpualloc_lease_wish gpualloc_lease_wish;

/* What is wanted of a lease besides the request. NULL when out of memory. */
GPUALLOC_EXPORT gpualloc_lease_wish *gpualloc_lease_wish_new(void);
/* Frees a wish. */
GPUALLOC_EXPORT void gpualloc_lease_wish_free(gpualloc_lease_wish *wish);
/* The machine, as for gpualloc_machine_open(). It is read again while waiting. */
GPUALLOC_EXPORT int gpualloc_lease_wish_set_machine(gpualloc_lease_wish *wish, const char *spec,
						    unsigned deadline_ms);
/*
 * How long to wait. 0 (the default): fail at once when busy; -1: as long as it takes. Idle devices
 * that somebody else could take at any moment are not busy: in this case even 0 waits until they
 * have, or until they have missed their turn. function may be NULL.
 */
GPUALLOC_EXPORT void gpualloc_lease_wish_set_wait(gpualloc_lease_wish *wish, int64_t wait_ms,
						  gpualloc_wait_function *function, void *context);
/*
 * A descriptor that ends the waiting, with GPUALLOC_ETIMEOUT, as soon as it can be read: for
 * programs in which another thread or an event loop decides that. -1 (the default): none.
 */
GPUALLOC_EXPORT void gpualloc_lease_wish_set_stop(gpualloc_lease_wish *wish, int fd);
/* A function to call while the driver answers slowly, as in gpualloc_machine_open_waiting(). */
GPUALLOC_EXPORT void gpualloc_lease_wish_set_asking(gpualloc_lease_wish *wish,
						    gpualloc_waiting_function *function,
						    void *context);
/*
 * For how many seconds others leave alone the devices this lease waits for; 0: half an hour. If it
 * is negative, they never do: for somebody who waits elsewhere too, and takes what comes first.
 */
GPUALLOC_EXPORT void gpualloc_lease_wish_set_keep(gpualloc_lease_wish *wish, int64_t seconds);
/*
 * How long what runs in the lease may run, so that others see when it will end; 0: nobody knows. The
 * lease itself ends with its holders, not at that time.
 */
GPUALLOC_EXPORT void gpualloc_lease_wish_set_time_limit(gpualloc_lease_wish *wish,
							int64_t time_limit_ms);
/* How long the lease will be held. It is refused if the configuration allows less. */
GPUALLOC_EXPORT void gpualloc_lease_wish_set_hold(gpualloc_lease_wish *wish, int64_t hold_ms);
/* A line for people who look up who holds what; see gpualloc_held_note(). */
GPUALLOC_EXPORT int gpualloc_lease_wish_set_note(gpualloc_lease_wish *wish, const char *note);
/* The command shown with the lease; NULL: that of this process. */
GPUALLOC_EXPORT int gpualloc_lease_wish_set_command(gpualloc_lease_wish *wish, const char *command);
/*
 * For several processes that are to share a lease whose devices are not known yet: makes a
 * descriptor that all of them inherit, and with which one of them acquires the lease. The lease
 * then lives until the last of them has closed the descriptor or ended. The descriptor serves for
 * one lease and is close-on-exec.
 */
GPUALLOC_EXPORT int gpualloc_store_place(const gpualloc_store *store, int *ret_fd,
					 gpualloc_error *error);
/* A descriptor from gpualloc_store_place() to acquire with; -1: a new one. */
GPUALLOC_EXPORT void gpualloc_lease_wish_set_place(gpualloc_lease_wish *wish, int fd);

/*
 * Chooses devices and claims them in one step, all or nothing. It fails with GPUALLOC_EBUSY,
 * GPUALLOC_EIMPOSSIBLE or GPUALLOC_ETIMEOUT. Inside a lease (proved by its descriptor, or by a live
 * lease of the same user that the environment names) it chooses among that lease's devices.
 * /etc/gpualloc.conf applies; a mistake in it is GPUALLOC_EIMPOSSIBLE.
 */
GPUALLOC_EXPORT int gpualloc_lease_acquire(const gpualloc_store *store,
					   const gpualloc_request *request,
					   const gpualloc_lease_wish *wish,
					   gpualloc_lease **ret_lease, gpualloc_error *error);
/*
 * Waits until the devices of a new lease are really free. A lease ends when its last holder lets go
 * of it, but the processes that used the devices may take a moment longer. If some are still there
 * after 10 seconds, it fails with GPUALLOC_EBUSY, and the error names them. It does not wait on a
 * simulated machine, for a share of memory, or within another lease.
 */
GPUALLOC_EXPORT int gpualloc_lease_settle(const gpualloc_lease *lease, const char *spec,
					  unsigned deadline_ms, gpualloc_error *error);
/*
 * Gives the devices back, for every process that has the lease. Only the process that acquired it
 * may do this.
 */
GPUALLOC_EXPORT int gpualloc_lease_release(gpualloc_lease *lease, gpualloc_error *error);
/*
 * Lets go of the lease in this process. The lease ends when the last process that has it lets go.
 */
GPUALLOC_EXPORT void gpualloc_lease_free(gpualloc_lease *lease);
/*
 * Moves the lease's descriptor to a number above 511 (if one is free) and lets programs started
 * from now on inherit it. *ret_fd is that number.
 */
GPUALLOC_EXPORT int gpualloc_lease_hand_on(gpualloc_lease *lease, int *ret_fd,
					   gpualloc_error *error);

/* Its id, as in the variable GPUALLOC_LEASE. */
GPUALLOC_EXPORT const char *gpualloc_lease_id(const gpualloc_lease *lease);
/* The machine as it was when the devices were chosen. It belongs to the lease. */
GPUALLOC_EXPORT const gpualloc_machine *gpualloc_lease_machine(const gpualloc_lease *lease);
/* How many devices it has. */
GPUALLOC_EXPORT size_t gpualloc_lease_device_count(const gpualloc_lease *lease);
/* The i-th device. They are in an order in which neighbours are best connected. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_lease_device(const gpualloc_lease *lease, size_t i);
/* How many bytes of each device; -1 if they are held whole. */
GPUALLOC_EXPORT int64_t gpualloc_lease_memory(const gpualloc_lease *lease);
/* How many things could not be done for it. */
GPUALLOC_EXPORT size_t gpualloc_lease_note_count(const gpualloc_lease *lease);
/* A sentence about the i-th of these: no record was written, for example. */
GPUALLOC_EXPORT const char *gpualloc_lease_note(const gpualloc_lease *lease, size_t i);

/*
 * For programs that enforce leases by other means: where the locks lie that are the leases on a GPU
 * or on a part of it. A lease is an open file description of the file `ledger` in the store's
 * folder, and holds write locks (F_OFD_SETLK) on bytes of that file. Whoever has a byte from
 * *ret_start on, *ret_length bytes long, has some of: the GPU (gi and ci -1), its GPU instance gi
 * (ci -1), or the compute instance ci of that. Which instances exist does not matter, so this can
 * be asked once for all that there may be. Ranges are found by hashing the UUID: in one of a
 * thousand million pairs, two GPUs have the same, and then cannot be leased at once.
 *
 * Leases within leases lie on deeper levels, counted from 0; each level is as far behind the one
 * before it, for every GPU and part. GPUALLOC_EUSAGE for a MIG instance instead of its GPU, for
 * numbers that no instance has, and for a level behind the last, which is how to find out how many
 * there are; GPUALLOC_EIMPOSSIBLE if the GPU has no UUID, and so cannot be leased.
 */
GPUALLOC_EXPORT int gpualloc_device_ledger_range(const gpualloc_device *gpu, int64_t gi, int64_t ci,
						 unsigned level, uint64_t *ret_start,
						 uint64_t *ret_length, gpualloc_error *error);

/* ---- who has what, and who waits ---- */

/* Reads who holds what and who waits for what at this moment. */
GPUALLOC_EXPORT int gpualloc_leases_read(const gpualloc_store *store, gpualloc_leases **ret_leases,
					 gpualloc_error *error);
/* Frees it, and everything that was read from it. */
GPUALLOC_EXPORT void gpualloc_leases_free(gpualloc_leases *leases);

/* A lease that is held. */
typedef struct gpualloc_held gpualloc_held;

/* How many leases there are. */
GPUALLOC_EXPORT size_t gpualloc_leases_held_count(const gpualloc_leases *leases);
/* The i-th lease. */
GPUALLOC_EXPORT const gpualloc_held *gpualloc_leases_held(const gpualloc_leases *leases, size_t i);
/* Its id; unknown if it has no record. */
GPUALLOC_EXPORT const char *gpualloc_held_id(const gpualloc_held *held);
/* The user who has it. */
GPUALLOC_EXPORT const char *gpualloc_held_user(const gpualloc_held *held);
/* The number of this user; unknown if it has no record. */
GPUALLOC_EXPORT int64_t gpualloc_held_uid(const gpualloc_held *held);
/* The process that acquired it. */
GPUALLOC_EXPORT int64_t gpualloc_held_pid(const gpualloc_held *held);
/* Since when, in seconds since 1970. */
GPUALLOC_EXPORT int64_t gpualloc_held_since(const gpualloc_held *held);
/* When it will end, in seconds since 1970; unknown if no time was set for it. */
GPUALLOC_EXPORT int64_t gpualloc_held_until(const gpualloc_held *held);
/* What runs in it, according to its holder. */
GPUALLOC_EXPORT const char *gpualloc_held_command(const gpualloc_held *held);
/*
 * Tells others a new time at which a lease of the caller's own will end, in seconds since 1970. Only
 * a process that holds the lease may do this. The lease itself ends with its holders, not at that
 * time. GPUALLOC_EPERM if the store has no record of such a lease.
 */
GPUALLOC_EXPORT int gpualloc_lease_announce_end(const gpualloc_store *store, const char *id,
						int64_t until, gpualloc_error *error);
/* The note that its holder left. */
GPUALLOC_EXPORT const char *gpualloc_held_note(const gpualloc_held *held);
/*
 * The program that asked for it on behalf of the user, by its own account: GPUALLOC_AGENT in its
 * environment. NULL if the user asked.
 */
GPUALLOC_EXPORT const char *gpualloc_held_agent(const gpualloc_held *held);
/* How many bytes of each device; -1 if they are held whole. */
GPUALLOC_EXPORT int64_t gpualloc_held_memory(const gpualloc_held *held);
/* How many devices it has. */
GPUALLOC_EXPORT size_t gpualloc_held_device_count(const gpualloc_held *held);
/* The UUID of the i-th. */
GPUALLOC_EXPORT const char *gpualloc_held_device(const gpualloc_held *held, size_t i);

/* A process that waits for a lease. */
typedef struct gpualloc_waiter gpualloc_waiter;

/* How many wait. */
GPUALLOC_EXPORT size_t gpualloc_leases_waiter_count(const gpualloc_leases *leases);
/* The i-th, in the order of the queue. */
GPUALLOC_EXPORT const gpualloc_waiter *gpualloc_leases_waiter(const gpualloc_leases *leases,
							      size_t i);
/* The user who waits. */
GPUALLOC_EXPORT const char *gpualloc_waiter_user(const gpualloc_waiter *waiter);
/* The process that waits. */
GPUALLOC_EXPORT int64_t gpualloc_waiter_pid(const gpualloc_waiter *waiter);
/* Since when, in seconds since 1970. */
GPUALLOC_EXPORT int64_t gpualloc_waiter_since(const gpualloc_waiter *waiter);
/* What it waits for, in words. */
GPUALLOC_EXPORT const char *gpualloc_waiter_request(const gpualloc_waiter *waiter);
/* What it will run, by its own account. */
GPUALLOC_EXPORT const char *gpualloc_waiter_command(const gpualloc_waiter *waiter);
/* The note it left. */
GPUALLOC_EXPORT const char *gpualloc_waiter_note(const gpualloc_waiter *waiter);
/*
 * Finds out which devices are kept for each waiter. This needs the machine, and records on its
 * devices what gpualloc_machine_add_config() and gpualloc_machine_add_leases() do.
 */
GPUALLOC_EXPORT int gpualloc_leases_add_machine(gpualloc_leases *leases,
						const gpualloc_store *store,
						gpualloc_machine *machine, gpualloc_error *error);
/* How many devices are kept for it, after gpualloc_leases_add_machine(). */
GPUALLOC_EXPORT size_t gpualloc_waiter_keep_count(const gpualloc_waiter *waiter);
/* The UUID of the i-th of these. */
GPUALLOC_EXPORT const char *gpualloc_waiter_keep(const gpualloc_waiter *waiter, size_t i);

/*
 * The processes that have a lease, pinned so that no other process is ever signalled in their
 * place.
 */
typedef struct gpualloc_holders gpualloc_holders;
/* One of them. */
typedef struct gpualloc_holder gpualloc_holder;

/* What a holder is, by its own account. */
enum gpualloc_holder_kind {
	GPUALLOC_HOLDER_JOB = 0, /* a program that runs in the lease */
	GPUALLOC_HOLDER_KEEPER,  /* keeps the lease and does nothing else: gpualloc hold, getgpu */
	GPUALLOC_HOLDER_SERVER,  /* the server of tmux or the like: if it ends, all its windows end
				  */
	GPUALLOC_HOLDER_OURS,    /* this process or one of its ancestors: never ended */
	GPUALLOC_HOLDER_WITHOUT, /* was told of the lease but lacks its descriptor: never ended */
	GPUALLOC_HOLDER_OTHERS   /* has the descriptor and is not of the lease's user, who may have
				    handed it over: never ended */
};

/*
 * Looks for the holders of a lease. Only the lease's user and root may ask; anybody else gets
 * GPUALLOC_EPERM. Processes that cannot be inspected are left out.
 */
GPUALLOC_EXPORT int gpualloc_holders_read(const gpualloc_store *store, const char *id,
					  gpualloc_holders **ret_holders, gpualloc_error *error);
/* Frees the list. The processes keep running. */
GPUALLOC_EXPORT void gpualloc_holders_free(gpualloc_holders *holders);
/* How many there are. */
GPUALLOC_EXPORT size_t gpualloc_holders_count(const gpualloc_holders *holders);
/* The i-th. It is valid until the list is freed or passed to gpualloc_holders_end(). */
GPUALLOC_EXPORT const gpualloc_holder *gpualloc_holders_holder(const gpualloc_holders *holders,
							       size_t i);
/*
 * How many processes of other users were not looked into, or not to the end, because together they
 * have tens of thousands of files open: any of them may have the lease too. The processes of the
 * lease's user are always looked into.
 */
GPUALLOC_EXPORT size_t gpualloc_holders_unseen(const gpualloc_holders *holders);
/* Its process id. */
GPUALLOC_EXPORT int64_t gpualloc_holder_pid(const gpualloc_holder *holder);
/* Its command line; unknown if it may not be read. */
GPUALLOC_EXPORT const char *gpualloc_holder_command(const gpualloc_holder *holder);
/* What it is; GPUALLOC_HOLDER_WITHOUT for NULL. */
GPUALLOC_EXPORT enum gpualloc_holder_kind gpualloc_holder_kind_of(const gpualloc_holder *holder);
/*
 * Ends the lease by ending its holders: first SIGTERM, then SIGKILL to those that still have it
 * after grace_ms. Processes that they start meanwhile are ended too. If only_keepers is not 0, only
 * the keepers are ended, and programs that run in the lease keep it. If it is still held
 * afterwards, it fails with GPUALLOC_EBUSY, and the error says by whom; if that cannot be seen,
 * with GPUALLOC_EPERM. The list then holds those that are left.
 */
GPUALLOC_EXPORT int gpualloc_holders_end(gpualloc_holders *holders, int only_keepers,
					 unsigned grace_ms, gpualloc_error *error);

/*
 * Joins a lease of the caller's own that a running program has. *ret_fd is the lease's descriptor,
 * close-on-exec, or -1 if the kernel does not let one process take another's. *ret_variables is
 * what the program was told of the lease: "NAME=VALUE" strings, each ended by NUL, then an empty
 * string. The caller frees them with gpualloc_free().
 */
GPUALLOC_EXPORT int gpualloc_lease_join(const gpualloc_store *store, const char *id, int *ret_fd,
					char **ret_variables, gpualloc_error *error);
/*
 * Takes part in a lease of the caller's own that another process holds, whatever that process is:
 * for a program that replaces another. *ret_fd is a descriptor, close-on-exec, that holds the lease
 * too; the lease then lives until the last process that has it lets go. GPUALLOC_EPERM if no holder
 * can be seen, or if the kernel does not let one process take another's descriptor.
 */
GPUALLOC_EXPORT int gpualloc_lease_adopt(const gpualloc_store *store, const char *id, int *ret_fd,
					 gpualloc_error *error);
/*
 * Whether "NAME=VALUE" is one of the variables that describe a lease. Only these are taken over
 * from another process, because none of them names a program or a library.
 */
GPUALLOC_EXPORT int gpualloc_lease_has_variable(const char *entry);

/* ---- rules and leases on the devices of a machine ---- */

/*
 * Records on the devices what /etc/gpualloc.conf says about them; their state then takes it into
 * account. That file is about this machine. For other machines only a file that GPUALLOC_CONFIG
 * names counts. If there are mistakes in it, it fails with GPUALLOC_EIMPOSSIBLE, and the error
 * lists every mistake, one to a line; everything else in the file is recorded even so.
 */
GPUALLOC_EXPORT int gpualloc_machine_add_config(gpualloc_machine *machine, gpualloc_error *error);
/*
 * The longest time that devices may be held, in milliseconds: max-hold in the configuration that
 * applies to the machine spec (as for gpualloc_machine_open(), but it is not opened), or for an
 * agent agent-max-hold, if that is shorter. -1 if there is no limit; GPUALLOC_EIMPOSSIBLE if there
 * are mistakes in the configuration.
 */
GPUALLOC_EXPORT int gpualloc_max_hold(const char *spec, int64_t *ret_ms, gpualloc_error *error);
/*
 * When a lease counts as idle: idle-warn in that configuration, in milliseconds, -1 if it is not
 * set; and idle-notify, the program that is told of it, NULL if there is none. The caller frees
 * *ret_program with gpualloc_free(). Fails as gpualloc_max_hold() does.
 */
GPUALLOC_EXPORT int gpualloc_idle_rule(const char *spec, int64_t *ret_ms, char **ret_program,
				       gpualloc_error *error);
/*
 * *ret_wanted is 1 if that configuration wants a fence around every job (fence = job), else 0.
 * Fails as gpualloc_max_hold() does.
 */
GPUALLOC_EXPORT int gpualloc_fence_rule(const char *spec, int *ret_wanted, gpualloc_error *error);
/* Who opens devices without a lease behind the administrator's fence. */
enum gpualloc_exempt { GPUALLOC_EXEMPT_USER, GPUALLOC_EXEMPT_GROUP, GPUALLOC_EXEMPT_CGROUP };
/*
 * Is told of one fence-exempt in the configuration. name is as it stands there; id is that of the
 * user or group, and -1 for a cgroup, whose name is its path below /sys/fs/cgroup. A result other
 * than 0 ends the list.
 */
typedef int gpualloc_exempt_function(void *context, enum gpualloc_exempt kind, const char *name,
				     int64_t id);
/*
 * Calls function for each fence-exempt in that configuration; NULL: none is called. *ret_displays
 * is 1 if GPUs with a display are to be fenced too (fence-displays = yes), else 0. Fails as
 * gpualloc_max_hold() does, or with what function returned.
 */
GPUALLOC_EXPORT int gpualloc_fence_exempt(const char *spec, gpualloc_exempt_function *function,
					  void *context, int *ret_displays, gpualloc_error *error);

/*
 * Records on every device of a machine whether it is leased, and by whom, and what is kept for those
 * who wait; its state then takes it into account. If the configuration applies to the machine, call
 * gpualloc_machine_add_config() first: nobody waits for a device that is out of use.
 */
GPUALLOC_EXPORT int gpualloc_machine_add_leases(gpualloc_machine *machine,
						const gpualloc_store *store, gpualloc_error *error);
/*
 * The id of the lease on a device, after gpualloc_machine_add_leases(); NULL if there is none. If
 * several share its memory, that of the first.
 */
GPUALLOC_EXPORT const char *gpualloc_device_lease(const gpualloc_device *device);
/* The user who has that lease. */
GPUALLOC_EXPORT const char *gpualloc_device_lease_user(const gpualloc_device *device);
/*
 * How many leases are known to have some of it. A lease without a record is not among them, but
 * the device's state counts it.
 */
GPUALLOC_EXPORT size_t gpualloc_device_held_count(const gpualloc_device *device);
/* The i-th of these. It is valid until the machine is freed or its leases are recorded again. */
GPUALLOC_EXPORT const gpualloc_held *gpualloc_device_held(const gpualloc_device *device, size_t i);
/*
 * The first waiter for whom some or all of it is kept; NULL if there is none. It does not know what
 * else is kept for it.
 */
GPUALLOC_EXPORT const gpualloc_waiter *gpualloc_device_kept_for(const gpualloc_device *device);

/* ---- starting programs ---- */

/* How a program is told which devices are its own. */
enum gpualloc_form {
	GPUALLOC_FORM_DEFAULT =
		0,           /* numbers if they are certain and no GPU is in MIG mode, else UUIDs */
	GPUALLOC_FORM_INDEX, /* numbers, see gpualloc_machine_cuda_order() */
	GPUALLOC_FORM_UUID
};

/*
 * Makes the environment of a program that runs in a lease: the inherited one, with the variables
 * that name its devices and its lease set exactly once. fd is from gpualloc_lease_hand_on(), or -1.
 * spec is the machine if one was named, else NULL. The caller frees *ret_environment with
 * gpualloc_free(); inherited must outlive it.
 */
GPUALLOC_EXPORT int gpualloc_lease_environment(const gpualloc_lease *lease, int fd,
					       enum gpualloc_form form, const char *spec,
					       char *const *inherited, char ***ret_environment,
					       gpualloc_error *error);
/* The same for a program that runs without a lease. */
GPUALLOC_EXPORT int gpualloc_choice_environment(const gpualloc_machine *machine,
						const gpualloc_choice *choice,
						enum gpualloc_form form, const char *spec,
						char *const *inherited, char ***ret_environment,
						gpualloc_error *error);

/*
 * Finds a program, by PATH if its name has no slash. The caller frees *ret_path with
 * gpualloc_free(). GPUALLOC_ENOTFOUND if there is no such program, GPUALLOC_ENOTRUNNABLE if it
 * cannot be run.
 */
GPUALLOC_EXPORT int gpualloc_program_find(const char *name, char **ret_path, gpualloc_error *error);
/*
 * Runs a program to its end, without a shell, and returns what it printed, at most limit bytes. The
 * caller frees *ret_text with gpualloc_free(). GPUALLOC_ENOSOURCE if the program cannot be run,
 * fails, or has not ended after deadline_ms.
 */
GPUALLOC_EXPORT int gpualloc_program_output(const char *const *arguments, unsigned deadline_ms,
					    size_t limit, char **ret_text, gpualloc_error *error);
/*
 * Replaces this process by the program. Returns only on failure, with the statuses of
 * gpualloc_program_find().
 */
GPUALLOC_EXPORT int gpualloc_program_become(const char *path, char *const *arguments,
					    char *const *environment, gpualloc_error *error);

/*
 * Binds the calling thread, and the programs it becomes or starts, to the CPUs and the memory near
 * the devices, as far as it may use them already. *ret_where says which; the caller frees it with
 * gpualloc_free(). GPUALLOC_EIMPOSSIBLE if it is unknown what is near, if none of it may be used,
 * or if there is no hwloc (gpualloc_bind_check() tells beforehand).
 */
GPUALLOC_EXPORT int gpualloc_bind(const gpualloc_device *const *devices, size_t count,
				  char **ret_where, gpualloc_error *error);
/* Whether gpualloc_bind() can work at all: GPUALLOC_EIMPOSSIBLE if there is no hwloc. */
GPUALLOC_EXPORT int gpualloc_bind_check(gpualloc_error *error);

enum gpualloc_supervise_event {
	GPUALLOC_SUPERVISE_TIME_LIMIT, /* its time is up: it is asked to end, later killed */
	GPUALLOC_SUPERVISE_LEFT_BEHIND /* it has ended, but processes that it started have not */
};
typedef void gpualloc_supervise_function(void *context, enum gpualloc_supervise_event event);

/*
 * Runs the program as a child in a process group of its own, passes it the terminal and signals,
 * and waits for the last process that it started, even a daemon. Until then it takes over this
 * process's signals and all its children. time_limit_ms 0 means no limit; tell may be NULL. If the
 * program has ended and left processes behind, Ctrl-C ends them: SIGINT and SIGTERM, and SIGKILL 10
 * seconds later or at the next Ctrl-C. *ret_status is a status as from waitpid(). If the program
 * cannot be run, it fails as gpualloc_program_become() does.
 */
GPUALLOC_EXPORT int gpualloc_program_supervise(const char *path, char *const *arguments,
					       char *const *environment, int64_t time_limit_ms,
					       gpualloc_supervise_function *tell, void *context,
					       int *ret_status, gpualloc_error *error);

#ifdef __cplusplus
}
#endif

#endif
