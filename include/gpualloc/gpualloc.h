/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpualloc: which GPUs or MIG instances a program gets.
 *
 * The one installed header. Every type is opaque; C99 and C++ compile it as it stands.
 *
 * Results. Calls that can fail return 0 or a negative GPUALLOC_E… and leave a sentence in the error
 * object, if the caller passed one. What they make comes back through the last pointer before the
 * error and is written only on success. The library never prints and never ends the program.
 *
 * NULL. Every call takes NULL for an error object. A call that reads takes NULL for its object and
 * answers as for something that is not known: NULL, -1, 0 or "". A call that sets something then
 * does nothing; a call that returns a status refuses with GPUALLOC_EUSAGE. No call crashes on NULL.
 *
 * Unknown. A string that is not known is NULL, a number is -1.
 *
 * Lists. …_count() says how many there are, and the call beside it gives the i-th, counted from 0;
 * beyond the last it answers NULL or -1.
 *
 * Ownership. …_new(), …_open() and …_read() give an object that the caller frees with its …_free(),
 * which takes NULL. Text and arrays that a call hands out through a char ** or the like are freed
 * with gpualloc_free(). A const pointer belongs to the object that it was read from and lives as
 * long as that; who sets a string keeps his own copy.
 *
 * Threads. There is no global state: two threads may work on two objects, and any number may read
 * one. Only one may change an object, and nobody reads it then. Leases belong to processes, not to
 * threads.
 *
 * Processes. Opening a machine forks: what talks to the driver is a child with a deadline, which
 * has none of the caller's descriptors. It is waited for; SIGCHLD is not ignored meanwhile.
 *
 * Growth. Enumerations grow: a program must expect values that it does not know, and the names that
 * …_name() gives for them.
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

/* Of this header. gpualloc_version() is that of the library that was loaded. */
#define GPUALLOC_VERSION_MAJOR 0
#define GPUALLOC_VERSION_MINOR 1
#define GPUALLOC_VERSION_PATCH 0
#define GPUALLOC_VERSION "0.1.0"
/* To compare with: 1.2.3 is 1002003. */
#define GPUALLOC_VERSION_NUMBER \
	(GPUALLOC_VERSION_MAJOR * 1000000 + GPUALLOC_VERSION_MINOR * 1000 + GPUALLOC_VERSION_PATCH)

/* "1.2.3" of the library that was loaded. */
GPUALLOC_EXPORT const char *gpualloc_version(void);

/* Frees text, arrays and environments that a call handed out. NULL is nothing to free. */
GPUALLOC_EXPORT void gpualloc_free(void *memory);

/* ---- what can go wrong ---- */

enum gpualloc_status {
	GPUALLOC_OK = 0,
	GPUALLOC_EUSAGE = -1,       /* the request itself makes no sense */
	GPUALLOC_EDATA = -2,        /* a file or a tool's output is not what it should be */
	GPUALLOC_ENOSOURCE = -3,    /* no GPU driver, or no source answered */
	GPUALLOC_EBUSY = -4,        /* not now, but when others have finished */
	GPUALLOC_EPERM = -5,        /* not permitted */
	GPUALLOC_EIMPOSSIBLE = -6,  /* never on this machine, whatever anyone frees */
	GPUALLOC_ETIMEOUT = -7,     /* waited as long as was allowed */
	GPUALLOC_ENOMEM = -8,       /* out of memory */
	GPUALLOC_EIO = -9,          /* reading or writing failed */
	GPUALLOC_ENOTFOUND = -10,   /* there is no such program */
	GPUALLOC_ENOTRUNNABLE = -11 /* the program is there and cannot be run */
};

typedef struct gpualloc_error gpualloc_error;

/* NULL when there is no memory, which every call takes for an error object. */
GPUALLOC_EXPORT gpualloc_error *gpualloc_error_new(void);
/* Frees an error object. */
GPUALLOC_EXPORT void gpualloc_error_free(gpualloc_error *error);
/* The status of the last failure that was left in it; GPUALLOC_OK when nothing failed. */
GPUALLOC_EXPORT int gpualloc_error_status(const gpualloc_error *error);
/* One or more lines without a newline at the end; "" when nothing failed. */
GPUALLOC_EXPORT const char *gpualloc_error_message(const gpualloc_error *error);

/*
 * What may help, for a program to say in words of its own: bits, of which several may be set. The
 * messages themselves name no command and no option.
 */
enum gpualloc_remedy {
	GPUALLOC_REMEDY_NONE = 0,
	GPUALLOC_REMEDY_SET_UP_STORE = 1 << 0,     /* gpualloc_store_setup(), by root */
	GPUALLOC_REMEDY_OWN_STORE = 1 << 1,        /* a store of one's own */
	GPUALLOC_REMEDY_SHOW_DEVICES = 1 << 2,     /* a list of the devices there are */
	GPUALLOC_REMEDY_SHOW_LEASES = 1 << 3,      /* a list of the leases there are */
	GPUALLOC_REMEDY_IGNORE_VISIBLE = 1 << 4,   /* not to heed CUDA_VISIBLE_DEVICES */
	GPUALLOC_REMEDY_IGNORE_PROCESSES = 1 << 5, /* to tolerate processes of others */
	GPUALLOC_REMEDY_MIX_MODELS = 1 << 6,       /* to allow several models */
	GPUALLOC_REMEDY_ASK_FOR_MIG = 1 << 7,      /* to ask for MIG instances */
	GPUALLOC_REMEDY_SAY_MEMORY = 1 << 8,       /* to say how much memory */
	GPUALLOC_REMEDY_USE_NUMBERS = 1 << 9,      /* to name devices by number */
	GPUALLOC_REMEDY_USE_UUIDS = 1 << 10,       /* to name devices by UUID */
	GPUALLOC_REMEDY_MORE_TIME = 1 << 11,       /* a longer deadline */
	GPUALLOC_REMEDY_OTHER_MACHINE = 1 << 12,   /* a built-in machine, to try things */
	GPUALLOC_REMEDY_LEASE_WITHIN = 1 << 13     /* a lease within that lease */
};

/* What may help against the last failure that was left in the error. */
GPUALLOC_EXPORT unsigned gpualloc_error_remedies(const gpualloc_error *error);

/* The exit status a program should end with: 0, 64, 65, 69, 71, 74, 75, 77, 78, 124, 126 or 127. */
GPUALLOC_EXPORT int gpualloc_exit_status(int status);

/* ---- the machine ---- */

typedef struct gpualloc_machine gpualloc_machine; /* devices and the links between them */
typedef struct gpualloc_device gpualloc_device;   /* a GPU, or a MIG instance of one */
typedef struct gpualloc_process gpualloc_process; /* somebody on a device */

enum { GPUALLOC_DEADLINE_DEFAULT_MS = 10000 };

/*
 * Takes a snapshot of a machine. spec is "nvml", "nvidia-smi", the name of a built-in machine or
 * the path of a file; NULL takes GPUALLOC_MACHINE from the environment, else NVML, else nvidia-smi.
 * A driver that is silent for deadline_ms (0 is the default) is an error; one that answers slowly
 * is waited for. A GPU of which it says nothing is a device that is unhealthy.
 */
GPUALLOC_EXPORT int gpualloc_machine_open(const char *spec, unsigned deadline_ms,
					  gpualloc_machine **ret_machine, gpualloc_error *error);

/* What is being asked of a driver that takes long; NULL at the end. */
typedef void gpualloc_waiting_function(void *context, const char *text);
/*
 * The same, calling waiting each second once it takes longer than one, from the thread that asks.
 */
GPUALLOC_EXPORT int gpualloc_machine_open_waiting(const char *spec, unsigned deadline_ms,
						  gpualloc_waiting_function *waiting, void *context,
						  gpualloc_machine **ret_machine,
						  gpualloc_error *error);

/* The same from bytes in memory, in any form that a file may have; name appears in messages. */
GPUALLOC_EXPORT int gpualloc_machine_read(const void *data, size_t size, const char *name,
					  gpualloc_machine **ret_machine, gpualloc_error *error);

/* Frees a machine; its devices and processes are no longer valid. */
GPUALLOC_EXPORT void gpualloc_machine_free(gpualloc_machine *machine);

/*
 * Whether GPUs are available at all: 1 where the machine has one, 0 where a driver answers and has
 * none, or where no driver is there (then the error says what was tried). spec and deadline_ms as
 * above.
 */
GPUALLOC_EXPORT int gpualloc_available(const char *spec, unsigned deadline_ms,
				       gpualloc_error *error);

/*
 * 1 where spec, as gpualloc_machine_open() takes it, means what is in this machine, and not a file
 * or a built-in machine. NULL is what the environment says.
 */
GPUALLOC_EXPORT int gpualloc_spec_is_live(const char *spec);
/* How many names gpualloc_machine_open() knows besides paths. */
GPUALLOC_EXPORT size_t gpualloc_spec_count(void);
/* The i-th name: "nvml", "nvidia-smi", then the built-in machines. */
GPUALLOC_EXPORT const char *gpualloc_spec_name(size_t i);
/* What the i-th name stands for, in a line. */
GPUALLOC_EXPORT const char *gpualloc_spec_description(size_t i);

/* Replaces UUIDs, serial numbers, users, process names and the machine's name. */
GPUALLOC_EXPORT int gpualloc_machine_anonymise(gpualloc_machine *machine, gpualloc_error *error);

/* The machine file, as text that the caller frees with gpualloc_free(). */
GPUALLOC_EXPORT int gpualloc_machine_write(const gpualloc_machine *machine, char **ret_text,
					   size_t *ret_size, gpualloc_error *error);

/* What the machine is called. */
GPUALLOC_EXPORT const char *gpualloc_machine_name(const gpualloc_machine *machine);
/* Where it was read from: "nvml", "nvidia-smi", "built-in", … */
GPUALLOC_EXPORT const char *gpualloc_machine_source(const gpualloc_machine *machine);
/* The version of its driver. */
GPUALLOC_EXPORT const char *gpualloc_machine_driver(const gpualloc_machine *machine);
/*
 * All GPUs by PCI address, and behind them, by index, those whose address is not known: the order
 * in which other programs count them. ret_gpus has room for as many as the machine has.
 */
GPUALLOC_EXPORT void gpualloc_machine_pci_order(const gpualloc_machine *machine,
						const gpualloc_device **ret_gpus);
/*
 * The same where it is certain, so that a GPU's place is its number in CUDA_VISIBLE_DEVICES with
 * CUDA_DEVICE_ORDER=PCI_BUS_ID. Else GPUALLOC_EIMPOSSIBLE says why: an address is not known, or
 * CUDA may leave out a GPU that is lost.
 */
GPUALLOC_EXPORT int gpualloc_machine_cuda_order(const gpualloc_machine *machine,
						const gpualloc_device **ret_gpus,
						gpualloc_error *error);
/* 1 when no such hardware was seen: a built-in machine, or a file made from one. */
GPUALLOC_EXPORT int gpualloc_machine_is_simulated(const gpualloc_machine *machine);
/* 1 when it is the machine that we run on, just asked, and not what somebody wrote of one. */
GPUALLOC_EXPORT int gpualloc_machine_is_here(const gpualloc_machine *machine);
/* How many sockets of CPUs it has. */
GPUALLOC_EXPORT int64_t gpualloc_machine_sockets(const gpualloc_machine *machine);
/* How many cores each socket has. */
GPUALLOC_EXPORT int64_t gpualloc_machine_cores_per_socket(const gpualloc_machine *machine);
/* How many threads each core runs. */
GPUALLOC_EXPORT int64_t gpualloc_machine_threads_per_core(const gpualloc_machine *machine);
/* How many things were odd but did not hinder. */
GPUALLOC_EXPORT size_t gpualloc_machine_note_count(const gpualloc_machine *machine);
/* A sentence about the i-th. */
GPUALLOC_EXPORT const char *gpualloc_machine_note(const gpualloc_machine *machine, size_t i);

/* How many GPUs it has. */
GPUALLOC_EXPORT size_t gpualloc_machine_device_count(const gpualloc_machine *machine);
/* The GPU of number i. GPUs are numbered from 0 in order of their index. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_machine_device(const gpualloc_machine *machine,
							       size_t i);
/* The number of a device: of a GPU its own, of a MIG instance that of its GPU; -1 where the machine
   has no such device. */
GPUALLOC_EXPORT int64_t gpualloc_device_number(const gpualloc_machine *machine,
					       const gpualloc_device *device);

/* ---- links: between the i-th and the j-th device of a machine ---- */

enum gpualloc_level {
	GPUALLOC_LEVEL_UNKNOWN = 0,
	GPUALLOC_LEVEL_SYS = 1,   /* across the interconnect of NUMA nodes */
	GPUALLOC_LEVEL_NODE = 2,  /* across host bridges of one NUMA node */
	GPUALLOC_LEVEL_PHB = 3,   /* across one host bridge */
	GPUALLOC_LEVEL_PXB = 4,   /* across several PCIe bridges */
	GPUALLOC_LEVEL_PIX = 5,   /* across one PCIe bridge */
	GPUALLOC_LEVEL_BOARD = 6, /* two GPUs on one board */
	GPUALLOC_LEVEL_SELF = 7
};

/* The PCIe level between two GPUs; UNKNOWN also where there is no such pair. */
GPUALLOC_EXPORT enum gpualloc_level gpualloc_machine_level(const gpualloc_machine *machine,
							   size_t i, size_t j);
/* "PIX" and so on, "X" for SELF, "?" where it is not known. */
GPUALLOC_EXPORT const char *gpualloc_level_name(enum gpualloc_level level);
/* Links beside PCIe that join GPUs directly or through switches. */
enum gpualloc_link_kind {
	GPUALLOC_LINK_NONE = 0,
	GPUALLOC_LINK_NVLINK = 1, /* NVIDIA's */
	GPUALLOC_LINK_XGMI = 2    /* AMD's */
};

/* Which kind of link joins two GPUs; NONE where there is none or it is not known. */
GPUALLOC_EXPORT enum gpualloc_link_kind gpualloc_machine_link_kind(const gpualloc_machine *machine,
								   size_t i, size_t j);
/* "NVLink", "xGMI", "none". */
GPUALLOC_EXPORT const char *gpualloc_link_kind_name(enum gpualloc_link_kind kind);
/* How many such links join them; -1 where it is not known. */
GPUALLOC_EXPORT int gpualloc_machine_link_count(const gpualloc_machine *machine, size_t i,
						size_t j);
/* 1 when the PCIe level was concluded from others and not read. */
GPUALLOC_EXPORT int gpualloc_machine_level_is_inferred(const gpualloc_machine *machine, size_t i,
						       size_t j);

enum gpualloc_p2p {
	GPUALLOC_P2P_UNKNOWN = 0, /* to be taken for ok */
	GPUALLOC_P2P_OK = 1,
	GPUALLOC_P2P_NO = 2
};

/* Whether the two read and write each other's memory without a detour through the host's. */
GPUALLOC_EXPORT enum gpualloc_p2p gpualloc_machine_p2p(const gpualloc_machine *machine, size_t i,
						       size_t j);
/* "ok" or "no"; NULL where it is not known. */
GPUALLOC_EXPORT const char *gpualloc_p2p_name(enum gpualloc_p2p p2p);
/* 1 when that was concluded from the models and not read. */
GPUALLOC_EXPORT int gpualloc_machine_p2p_is_inferred(const gpualloc_machine *machine, size_t i,
						     size_t j);

/* ---- a device ---- */

enum gpualloc_health {
	GPUALLOC_HEALTH_OK = 0,
	GPUALLOC_HEALTH_LOST,
	GPUALLOC_HEALTH_NEEDS_RESET,
	GPUALLOC_HEALTH_ROW_REMAP_FAILED,
	GPUALLOC_HEALTH_RETIRED_PENDING,
	GPUALLOC_HEALTH_UNRESPONSIVE,  /* a question to it never came back, or ended the library */
	GPUALLOC_HEALTH_NO_PERMISSION, /* this user may not use it */
	GPUALLOC_HEALTH_BLOCKED,       /* the operating system, a cgroup say, keeps it from us */
	GPUALLOC_HEALTH_NO_POWER,      /* its power cables are not plugged in properly */
	GPUALLOC_HEALTH_INTERRUPT,     /* its interrupts do not arrive */
	GPUALLOC_HEALTH_FABRIC_NOT_READY, /* CUDA fails until NVSwitch's fabric manager is done */
	GPUALLOC_HEALTH_FAILED            /* the driver cannot use it, for another reason */
};

enum gpualloc_state {
	GPUALLOC_STATE_FREE = 0,
	GPUALLOC_STATE_LEASED,
	GPUALLOC_STATE_IN_USE,   /* by a program without a lease */
	GPUALLOC_STATE_INTRUDER, /* leased, and used by somebody who does not hold the lease */
	GPUALLOC_STATE_UNHEALTHY,
	GPUALLOC_STATE_EXCLUDED,
	GPUALLOC_STATE_DRAINING, /* taken out of use, and still leased or in use */
	GPUALLOC_STATE_DRAINED   /* taken out of use, and nobody has it any more */
};

/* "ok", "lost", "needs-reset" and so on. */
GPUALLOC_EXPORT const char *gpualloc_health_name(enum gpualloc_health health);
/* "free", "leased", "in-use" and so on. */
GPUALLOC_EXPORT const char *gpualloc_state_name(enum gpualloc_state state);

/* A GPU's index as the driver counts; a MIG instance's place among those of its parent. */
GPUALLOC_EXPORT int64_t gpualloc_device_index(const gpualloc_device *device);
/* "GPU-…", "MIG-…", or as the driver has it. */
GPUALLOC_EXPORT const char *gpualloc_device_uuid(const gpualloc_device *device);
/* The serial number of its board. */
GPUALLOC_EXPORT const char *gpualloc_device_serial(const gpualloc_device *device);
/* The model: "NVIDIA A100-SXM4-40GB". */
GPUALLOC_EXPORT const char *gpualloc_device_name(const gpualloc_device *device);
/* Its PCI address: "00000000:07:00.0". */
GPUALLOC_EXPORT const char *gpualloc_device_pci(const gpualloc_device *device);
/* The CPUs that are near: "48-63,176-191". */
GPUALLOC_EXPORT const char *gpualloc_device_cpus(const gpualloc_device *device);
/* "default", "exclusive-process", "prohibited". */
GPUALLOC_EXPORT const char *gpualloc_device_compute_mode(const gpualloc_device *device);
/* The number of its device file, /dev/nvidiaN. */
GPUALLOC_EXPORT int64_t gpualloc_device_minor(const gpualloc_device *device);
/* The NUMA node that is near. */
GPUALLOC_EXPORT int64_t gpualloc_device_numa(const gpualloc_device *device);
/* The generation of its links beside PCIe: 3 is an A100's NVLink. */
GPUALLOC_EXPORT int64_t gpualloc_device_link_version(const gpualloc_device *device);
/* Whether a display is attached: 1, 0, or -1 where that is not known. */
GPUALLOC_EXPORT int gpualloc_device_display(const gpualloc_device *device);
/* How busy it was lately, in percent. */
GPUALLOC_EXPORT int64_t gpualloc_device_utilization(const gpualloc_device *device);
/* Whether it is well, and else what it suffers from. */
GPUALLOC_EXPORT enum gpualloc_health gpualloc_device_health(const gpualloc_device *device);

/* All its memory, in bytes. */
GPUALLOC_EXPORT int64_t gpualloc_device_memory_total(const gpualloc_device *device);
/* What the driver keeps for itself, in bytes. */
GPUALLOC_EXPORT int64_t gpualloc_device_memory_reserved(const gpualloc_device *device);
/* What programs use, in bytes. */
GPUALLOC_EXPORT int64_t gpualloc_device_memory_used(const gpualloc_device *device);
/* Total less reserved less used, in bytes; known when total and used are. */
GPUALLOC_EXPORT int64_t gpualloc_device_memory_free(const gpualloc_device *device);
/* 1 where it is the machine's own memory, which the CPUs use too. */
GPUALLOC_EXPORT int gpualloc_device_memory_unified(const gpualloc_device *device);

/* Whether it can be given to somebody now, and why not. */
GPUALLOC_EXPORT enum gpualloc_state gpualloc_device_state(const gpualloc_device *device);
/*
 * Why the state is what it is, "" when it is free: as snprintf, the length it would need is
 * returned and the text always ends in NUL where size is not 0.
 */
GPUALLOC_EXPORT size_t gpualloc_device_reason(const gpualloc_device *device, char *text,
					      size_t size);

/* Whether a GPU is in MIG mode, also where it has no instance. */
GPUALLOC_EXPORT int gpualloc_device_mig_enabled(const gpualloc_device *device);
/* How many MIG instances it has. */
GPUALLOC_EXPORT size_t gpualloc_device_mig_count(const gpualloc_device *device);
/* The i-th MIG instance. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_device_mig(const gpualloc_device *device, size_t i);
/* Of a MIG instance its GPU; NULL for a GPU. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_device_parent(const gpualloc_device *device);
/* Of a MIG instance its profile: "1g.5gb". */
GPUALLOC_EXPORT const char *gpualloc_device_profile(const gpualloc_device *device);
/* Of a MIG instance the number of its GPU instance. */
GPUALLOC_EXPORT int64_t gpualloc_device_gi(const gpualloc_device *device);
/* Of a MIG instance the number of its compute instance. */
GPUALLOC_EXPORT int64_t gpualloc_device_ci(const gpualloc_device *device);

/*
 * The ids of several devices, "0-3,6" or "1:7:0,1:8:0", as lists of devices are read; as
 * snprintf, the length it would need is returned.
 */
GPUALLOC_EXPORT size_t gpualloc_device_ids(const gpualloc_device *const *devices, size_t count,
					   char *text, size_t size);

/* Whether the source could tell which processes are on it; 0 is not the same as none. */
GPUALLOC_EXPORT int gpualloc_device_processes_known(const gpualloc_device *device);
/* 1 where there may be more than are listed: those of other pid namespaces. */
GPUALLOC_EXPORT int gpualloc_device_processes_hidden(const gpualloc_device *device);
/* How many processes are seen on it. */
GPUALLOC_EXPORT size_t gpualloc_device_process_count(const gpualloc_device *device);
/* The i-th process. */
GPUALLOC_EXPORT const gpualloc_process *gpualloc_device_process(const gpualloc_device *device,
								size_t i);
/* Its process id. */
GPUALLOC_EXPORT int64_t gpualloc_process_pid(const gpualloc_process *process);
/* "C" computes, "G" draws, "C+G" both, "M+C" computes through MPS. */
GPUALLOC_EXPORT const char *gpualloc_process_type(const gpualloc_process *process);
/* How much of the device it uses, in bytes. */
GPUALLOC_EXPORT int64_t gpualloc_process_memory(const gpualloc_process *process);
/* Whose it is. */
GPUALLOC_EXPORT const char *gpualloc_process_user(const gpualloc_process *process);
/* What it is called. */
GPUALLOC_EXPORT const char *gpualloc_process_name(const gpualloc_process *process);

/* ---- choosing ---- */

typedef struct gpualloc_policy gpualloc_policy;   /* how to choose */
typedef struct gpualloc_request gpualloc_request; /* what is wanted */
typedef struct gpualloc_choice gpualloc_choice;   /* what was chosen, and why */

/* How many policies are built in. */
GPUALLOC_EXPORT size_t gpualloc_policy_count(void);
/* The name of the i-th in alphabetical order. */
GPUALLOC_EXPORT const char *gpualloc_policy_name(size_t i);
/* What the i-th takes, in a line. */
GPUALLOC_EXPORT const char *gpualloc_policy_description(size_t i);
/* A built-in policy by its name; GPUALLOC_EUSAGE names those there are. */
GPUALLOC_EXPORT int gpualloc_policy_open(const char *name, gpualloc_policy **ret_policy,
					 gpualloc_error *error);

/*
 * What a policy is asked: so many of these candidates, these among them. A scheduler makes one
 * for gpualloc_choose_among(); a policy of one's own is given one.
 */
typedef struct gpualloc_question gpualloc_question;

/* A question about a machine, which must outlive it; it has no candidates yet and wants one device.
 */
GPUALLOC_EXPORT int gpualloc_question_new(const gpualloc_machine *machine,
					  gpualloc_question **ret_question, gpualloc_error *error);
/* Frees a question that one made; never one that a policy was given. */
GPUALLOC_EXPORT void gpualloc_question_free(gpualloc_question *question);
/* The candidates: numbers of GPUs of the machine, in the order in which they are offered. Forgets
   what was required before. */
GPUALLOC_EXPORT int gpualloc_question_set_candidates(gpualloc_question *question,
						     const size_t *numbers, size_t count,
						     gpualloc_error *error);
/* Those that must be chosen: numbers of GPUs that are among the candidates. */
GPUALLOC_EXPORT int gpualloc_question_set_required(gpualloc_question *question,
						   const size_t *numbers, size_t count,
						   gpualloc_error *error);
/* How many are wanted. */
GPUALLOC_EXPORT void gpualloc_question_set_count(gpualloc_question *question, size_t count);
/* The seed of random. */
GPUALLOC_EXPORT void gpualloc_question_set_seed(gpualloc_question *question, uint64_t seed);

/* The machine that it is about. */
GPUALLOC_EXPORT const gpualloc_machine *gpualloc_question_machine(
	const gpualloc_question *question);
/* How many candidates there are. */
GPUALLOC_EXPORT size_t gpualloc_question_candidate_count(const gpualloc_question *question);
/* The i-th candidate; two may be MIG instances of one GPU. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_question_candidate(
	const gpualloc_question *question, size_t i);
/* The number of its GPU in the machine, for links; -1 beyond the last. */
GPUALLOC_EXPORT int64_t gpualloc_question_candidate_number(const gpualloc_question *question,
							   size_t i);
/* Bytes that may be had of it. */
GPUALLOC_EXPORT int64_t gpualloc_question_candidate_memory(const gpualloc_question *question,
							   size_t i);
/* How many candidates must be chosen. */
GPUALLOC_EXPORT size_t gpualloc_question_required_count(const gpualloc_question *question);
/* The i-th of these, as a number of a candidate; -1 beyond the last. */
GPUALLOC_EXPORT int64_t gpualloc_question_required(const gpualloc_question *question, size_t i);
/* How many are wanted. */
GPUALLOC_EXPORT size_t gpualloc_question_count(const gpualloc_question *question);
/* The seed for what is left to chance. */
GPUALLOC_EXPORT uint64_t gpualloc_question_seed(const gpualloc_question *question);

/*
 * A policy of one's own: puts numbers of candidates into ret_chosen, which has room for all of
 * them, and returns how many, or a negative GPUALLOC_E…. What it answers is checked. It is called
 * from the thread that asks, with the context that gpualloc_policy_new() was given.
 */
typedef int gpualloc_policy_function(void *context, const gpualloc_question *question,
				     size_t *ret_chosen);
/* Makes a policy of a function. Its name is for messages and for gpualloc_choice_policy(). */
GPUALLOC_EXPORT int gpualloc_policy_new(const char *name, gpualloc_policy_function *function,
					void *context, gpualloc_policy **ret_policy,
					gpualloc_error *error);
/* Frees a policy, which no request may name any more. */
GPUALLOC_EXPORT void gpualloc_policy_free(gpualloc_policy *policy);

/*
 * "8GiB", "800MB", "512M" (MiB), "8 gb", or plain bytes. A bare number from 1 up to 1 MiB is
 * refused: "800" was meant to be something else.
 */
GPUALLOC_EXPORT int gpualloc_size_parse(const char *text, int64_t *ret_bytes,
					gpualloc_error *error);

/* A request for one device by the default policy; NULL when there is no memory. */
GPUALLOC_EXPORT gpualloc_request *gpualloc_request_new(void);
/* Frees a request. */
GPUALLOC_EXPORT void gpualloc_request_free(gpualloc_request *request);
/* How many; 0 is as many as are required, at least 1. Less is refused when it is asked for. */
GPUALLOC_EXPORT void gpualloc_request_set_count(gpualloc_request *request, int64_t count);
/* The policy must live as long as the request; NULL is the default. */
GPUALLOC_EXPORT void gpualloc_request_set_policy(gpualloc_request *request,
						 const gpualloc_policy *policy);
/* Each must have this many bytes free; share: only that much of each is wanted. */
GPUALLOC_EXPORT void gpualloc_request_set_memory(gpualloc_request *request, int64_t bytes,
						 int share);
/* Makes random repeatable. */
GPUALLOC_EXPORT void gpualloc_request_set_seed(gpualloc_request *request, uint64_t seed);
/* Tolerates processes of others up to so many bytes of their memory on a device; -1: any. */
GPUALLOC_EXPORT void gpualloc_request_set_ignore_processes(gpualloc_request *request,
							   int64_t bytes);
/* Whether GPUs of several models may be chosen together. */
GPUALLOC_EXPORT void gpualloc_request_set_mixed(gpualloc_request *request, int mixed);
/* The devices are for a program that is to have them alone: processes on them count whatever the
   policy, also with best-fit, worst-fit and random. A lease of whole devices needs no such word. */
GPUALLOC_EXPORT void gpualloc_request_set_alone(gpualloc_request *request, int alone);
/* Whether the choice should find out about the next best sets. */
GPUALLOC_EXPORT void gpualloc_request_set_alternatives(gpualloc_request *request, int wanted);
/* MIG instances instead of whole GPUs, of this profile or of any (NULL). */
GPUALLOC_EXPORT int gpualloc_request_set_mig(gpualloc_request *request, const char *profile);
/* Only GPUs whose name contains this text; NULL: any. */
GPUALLOC_EXPORT int gpualloc_request_set_model(gpualloc_request *request, const char *text);
/*
 * Only these devices, offered to the policy in this order; NULL: any. A list names them, with
 * commas between, by index, UUID or a unique beginning of one, PCI address, parent:gi[:ci] for a
 * MIG instance, or as a range of indices: "0-3".
 */
GPUALLOC_EXPORT int gpualloc_request_set_only(gpualloc_request *request, const char *list);
/* None of these devices; NULL: no device is left out. */
GPUALLOC_EXPORT int gpualloc_request_set_exclude(gpualloc_request *request, const char *list);
/* These devices must be among the chosen; NULL: none must. */
GPUALLOC_EXPORT int gpualloc_request_set_require(gpualloc_request *request, const char *list);
/* Restricts the choice as these variables restrict CUDA; visible_devices NULL: not at all. */
GPUALLOC_EXPORT int gpualloc_request_set_environment(gpualloc_request *request,
						     const char *visible_devices,
						     const char *device_order);

/*
 * Chooses among the devices of a machine that are free and as the request wants them. Too few now
 * is GPUALLOC_EBUSY, too few for ever GPUALLOC_EIMPOSSIBLE. The machine must outlive the choice.
 */
GPUALLOC_EXPORT int gpualloc_choose(const gpualloc_machine *machine,
				    const gpualloc_request *request, gpualloc_choice **ret_choice,
				    gpualloc_error *error);

/*
 * The pure call of a scheduler: answers a question whatever the state of the devices is. policy
 * NULL is the default. The question may be asked again, also with another policy or count.
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
/* The i-th in the order in which the policy gave them. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_choice_device(const gpualloc_choice *choice,
							      size_t i);
/* What the policy maximised; -1: it maximises nothing. */
GPUALLOC_EXPORT int64_t gpualloc_choice_value(const gpualloc_choice *choice);
/* No answer is better than this; -1 as above. */
GPUALLOC_EXPORT int64_t gpualloc_choice_bound(const gpualloc_choice *choice);
/* 1 when no answer is better than this one, and that is proven. */
GPUALLOC_EXPORT int gpualloc_choice_proven(const gpualloc_choice *choice);
/* The sum of the pair scores of the chosen; -1 for MIG instances, which have no links. */
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

/* Another set than the chosen one. */
typedef struct gpualloc_alternative gpualloc_alternative;

/*
 * How many other sets there are, if the request wanted them: by the policy's own value, then
 * predicted bandwidth and pair score, best first. Where there are few sets all were looked at, else
 * those that differ in one device.
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
/* What the policy makes of it, as gpualloc_choice_value(); -1 also where that costs a search. */
GPUALLOC_EXPORT int64_t gpualloc_alternative_value(const gpualloc_alternative *alternative);
/* The sum of its pair scores. */
GPUALLOC_EXPORT int64_t gpualloc_alternative_score(const gpualloc_alternative *alternative);
/* Its predicted collective bandwidth in MB/s. */
GPUALLOC_EXPORT int64_t gpualloc_alternative_bandwidth(const gpualloc_alternative *alternative);

/* Scores a given set: sum of pair scores, predicted collective bandwidth in MB/s. */
GPUALLOC_EXPORT int gpualloc_machine_score(const gpualloc_machine *machine, const size_t *devices,
					   size_t count, int64_t *ret_score, int64_t *ret_bandwidth,
					   gpualloc_error *error);

/*
 * What a framework calls the device ("cuda:1") under these variables; GPUALLOC_EIMPOSSIBLE where
 * it would not see it. The caller frees *ret_name with gpualloc_free().
 */
GPUALLOC_EXPORT int gpualloc_device_framework_name(const gpualloc_machine *machine,
						   const gpualloc_device *device,
						   const char *visible_devices,
						   const char *device_order, char **ret_name,
						   gpualloc_error *error);

/*
 * Sorts GPUs of the machine so that neighbours are best connected, as those of a lease are; MIG
 * instances, which have no links, stay where they are.
 */
GPUALLOC_EXPORT int gpualloc_devices_order(const gpualloc_machine *machine,
					   const gpualloc_device **devices, size_t count,
					   gpualloc_error *error);

/* ---- an allocator: who has what, in one program ---- */

typedef struct gpualloc_allocator gpualloc_allocator;

/* machine and policy (NULL: the default) must outlive it. */
GPUALLOC_EXPORT int gpualloc_allocator_new(const gpualloc_machine *machine,
					   const gpualloc_policy *policy,
					   gpualloc_allocator **ret_allocator,
					   gpualloc_error *error);
/* Opens machine and policy by their names and keeps them; NULL is the automatic machine. */
GPUALLOC_EXPORT int gpualloc_allocator_open(const char *spec, const char *policy,
					    gpualloc_allocator **ret_allocator,
					    gpualloc_error *error);
/* Frees an allocator, and the machine and policy that it opened itself. */
GPUALLOC_EXPORT void gpualloc_allocator_free(gpualloc_allocator *allocator);
/* The machine whose devices it gives out. */
GPUALLOC_EXPORT const gpualloc_machine *gpualloc_allocator_machine(
	const gpualloc_allocator *allocator);

/* Takes count devices; ret_devices has room for as many. GPUALLOC_EBUSY where too few are free. */
GPUALLOC_EXPORT int gpualloc_allocator_take(gpualloc_allocator *allocator, size_t count,
					    const gpualloc_device **ret_devices,
					    gpualloc_error *error);
/* Takes exactly these, or none: the error names those that are not free. */
GPUALLOC_EXPORT int gpualloc_allocator_take_these(gpualloc_allocator *allocator,
						  const gpualloc_device *const *devices,
						  size_t count, gpualloc_error *error);
/* Gives these back; where one of them was not taken, nothing changes. */
GPUALLOC_EXPORT int gpualloc_allocator_give_back(gpualloc_allocator *allocator,
						 const gpualloc_device *const *devices,
						 size_t count, gpualloc_error *error);
/* How many devices it has to give. */
GPUALLOC_EXPORT size_t gpualloc_allocator_available_count(const gpualloc_allocator *allocator);
/* The i-th of these in order of index. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_allocator_available(
	const gpualloc_allocator *allocator, size_t i);
/* How many devices were taken. */
GPUALLOC_EXPORT size_t gpualloc_allocator_taken_count(const gpualloc_allocator *allocator);
/* The i-th of these in order of index. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_allocator_taken(const gpualloc_allocator *allocator,
								size_t i);

/* Everything known about a device as lines of text; the caller frees *ret_text with
 * gpualloc_free(). */
GPUALLOC_EXPORT int gpualloc_device_describe(const gpualloc_machine *machine,
					     const gpualloc_device *device, char **ret_text,
					     gpualloc_error *error);

/* ---- leases: the right to use devices, held by processes and by nothing else ---- */

typedef struct gpualloc_store gpualloc_store;
typedef struct gpualloc_lease gpualloc_lease;
typedef struct gpualloc_leases gpualloc_leases;

/* The path the environment or the system names: GPUALLOC_STATE_DIR, else /run/gpualloc. */
GPUALLOC_EXPORT const char *gpualloc_store_default(void);
/*
 * Opens the store at path (NULL: the default), or with own != 0 a private one, made where it is
 * missing. GPUALLOC_EPERM where there is none, or none that can be trusted.
 */
GPUALLOC_EXPORT int gpualloc_store_open(const char *path, int own, gpualloc_store **ret_store,
					gpualloc_error *error);
/* The private one, where there is one already: *ret_store is NULL where there is not. */
GPUALLOC_EXPORT int gpualloc_store_open_own(gpualloc_store **ret_store, gpualloc_error *error);
/* Closes a store. Leases go on. */
GPUALLOC_EXPORT void gpualloc_store_free(gpualloc_store *store);
/* Where it is. */
GPUALLOC_EXPORT const char *gpualloc_store_path(const gpualloc_store *store);
/* Makes the store for everybody, or mends it. Only root may. path NULL is the default here too. */
GPUALLOC_EXPORT int gpualloc_store_setup(const char *path, gpualloc_error *error);
/* Says what is wrong with a store, in the error. */
GPUALLOC_EXPORT int gpualloc_store_check(const char *path, gpualloc_error *error);
/* Removes a store; GPUALLOC_EBUSY while somebody has a lease in it. */
GPUALLOC_EXPORT int gpualloc_store_remove(const char *path, gpualloc_error *error);

/*
 * Called while waiting, at once and then whenever something changes: the place in the queue (1 is
 * next) and a sentence about who holds what. Anything but 0 gives up with GPUALLOC_ETIMEOUT.
 */
typedef int gpualloc_wait_function(void *context, size_t place, const char *sentence);

struct gpualloc_lease_wish; /* see gpualloc_lease_wish_new() */
typedef struct gpualloc_lease_wish gpualloc_lease_wish;

/* What is wanted beyond the request; NULL when there is no memory. */
GPUALLOC_EXPORT gpualloc_lease_wish *gpualloc_lease_wish_new(void);
/* Frees a wish. */
GPUALLOC_EXPORT void gpualloc_lease_wish_free(gpualloc_lease_wish *wish);
/* The machine, as gpualloc_machine_open() takes it; it is looked at again while waiting. */
GPUALLOC_EXPORT int gpualloc_lease_wish_set_machine(gpualloc_lease_wish *wish, const char *spec,
						    unsigned deadline_ms);
/* 0 (the default): fail at once when busy; -1: as long as it takes. */
GPUALLOC_EXPORT void gpualloc_lease_wish_set_wait(gpualloc_lease_wish *wish, int64_t wait_ms,
						  gpualloc_wait_function *function, void *context);
/* Called while a driver answers slowly, as gpualloc_machine_open_waiting() does it. */
GPUALLOC_EXPORT void gpualloc_lease_wish_set_asking(gpualloc_lease_wish *wish,
						    gpualloc_waiting_function *function,
						    void *context);
/* For how many seconds others keep their hands off what we wait for; 0: the usual half hour. */
GPUALLOC_EXPORT void gpualloc_lease_wish_set_keep(gpualloc_lease_wish *wish, int64_t seconds);
/* For how long the lease will be held: refused where the configuration allows less. */
GPUALLOC_EXPORT void gpualloc_lease_wish_set_hold(gpualloc_lease_wish *wish, int64_t hold_ms);
/* A line for those who look who has what; see gpualloc_held_note(). */
GPUALLOC_EXPORT int gpualloc_lease_wish_set_note(gpualloc_lease_wish *wish, const char *note);
/* The command that is shown of the lease; NULL: that of this process. */
GPUALLOC_EXPORT int gpualloc_lease_wish_set_command(gpualloc_lease_wish *wish, const char *command);
/*
 * For processes that are to have one lease together before it is known which devices it is of: a
 * descriptor that all of them inherit and that one acquires on. The lease then lives until the last
 * of them has closed it or ended. It serves one lease and is close-on-exec; -1 is none.
 */
GPUALLOC_EXPORT int gpualloc_store_place(const gpualloc_store *store, int *ret_fd,
					 gpualloc_error *error);
/* The place that gpualloc_store_place() gave; -1: a new one. */
GPUALLOC_EXPORT void gpualloc_lease_wish_set_place(gpualloc_lease_wish *wish, int fd);

/*
 * Chooses and claims in one step. All or nothing: GPUALLOC_EBUSY, GPUALLOC_EIMPOSSIBLE,
 * GPUALLOC_ETIMEOUT. Inside a lease (proved by its descriptor, or by a live lease of the same user
 * that the environment names) the lease's own devices are shared out. What /etc/gpualloc.conf says
 * counts; a mistake there is GPUALLOC_EIMPOSSIBLE.
 */
GPUALLOC_EXPORT int gpualloc_lease_acquire(const gpualloc_store *store,
					   const gpualloc_request *request,
					   const gpualloc_lease_wish *wish,
					   gpualloc_lease **ret_lease, gpualloc_error *error);
/*
 * A lease is free when its last holder has let go; the processes that used the devices may take a
 * moment longer. Looks at the machine until they have gone, for 10 seconds; then GPUALLOC_EBUSY
 * says who is there. Nothing is waited for on a simulated machine, for a share of memory, and
 * within a lease.
 */
GPUALLOC_EXPORT int gpualloc_lease_settle(const gpualloc_lease *lease, const char *spec,
					  unsigned deadline_ms, gpualloc_error *error);
/* Gives the devices back, for every process that has the lease; only who acquired it may. */
GPUALLOC_EXPORT int gpualloc_lease_release(gpualloc_lease *lease, gpualloc_error *error);
/* Closes this process's share of it; the lease ends with the last process that has one. */
GPUALLOC_EXPORT void gpualloc_lease_free(gpualloc_lease *lease);
/*
 * Puts the lease's descriptor at a number above 511 (where there is one) and lets programs that are
 * started from now on inherit it; *ret_fd is that number.
 */
GPUALLOC_EXPORT int gpualloc_lease_hand_on(gpualloc_lease *lease, int *ret_fd,
					   gpualloc_error *error);

/* Its id, as GPUALLOC_LEASE has it. */
GPUALLOC_EXPORT const char *gpualloc_lease_id(const gpualloc_lease *lease);
/* The machine as it was when the devices were chosen; it belongs to the lease. */
GPUALLOC_EXPORT const gpualloc_machine *gpualloc_lease_machine(const gpualloc_lease *lease);
/* How many devices it is of. */
GPUALLOC_EXPORT size_t gpualloc_lease_device_count(const gpualloc_lease *lease);
/* The i-th, in an order in which neighbours are best connected. */
GPUALLOC_EXPORT const gpualloc_device *gpualloc_lease_device(const gpualloc_lease *lease, size_t i);
/* Bytes of each device, -1 where they are held whole. */
GPUALLOC_EXPORT int64_t gpualloc_lease_memory(const gpualloc_lease *lease);
/* How many things it had to go without. */
GPUALLOC_EXPORT size_t gpualloc_lease_note_count(const gpualloc_lease *lease);
/* A sentence about the i-th: no record, no order. */
GPUALLOC_EXPORT const char *gpualloc_lease_note(const gpualloc_lease *lease, size_t i);

/* Who holds what and who waits for what, at one moment. */
GPUALLOC_EXPORT int gpualloc_leases_read(const gpualloc_store *store, gpualloc_leases **ret_leases,
					 gpualloc_error *error);
/* Frees it with all that was read from it. */
GPUALLOC_EXPORT void gpualloc_leases_free(gpualloc_leases *leases);

/* A lease that somebody has. */
typedef struct gpualloc_held gpualloc_held;

/* How many leases there are. */
GPUALLOC_EXPORT size_t gpualloc_leases_held_count(const gpualloc_leases *leases);
/* The i-th of these. */
GPUALLOC_EXPORT const gpualloc_held *gpualloc_leases_held(const gpualloc_leases *leases, size_t i);
/* Its id; not known where it has no record. */
GPUALLOC_EXPORT const char *gpualloc_held_id(const gpualloc_held *held);
/* Who has it. */
GPUALLOC_EXPORT const char *gpualloc_held_user(const gpualloc_held *held);
/* The number of this user; not known where it has no record. */
GPUALLOC_EXPORT int64_t gpualloc_held_uid(const gpualloc_held *held);
/* The process that acquired it. */
GPUALLOC_EXPORT int64_t gpualloc_held_pid(const gpualloc_held *held);
/* Since when, in seconds since 1970. */
GPUALLOC_EXPORT int64_t gpualloc_held_since(const gpualloc_held *held);
/* What runs in it, as its holder says. */
GPUALLOC_EXPORT const char *gpualloc_held_command(const gpualloc_held *held);
/* What its holder noted. */
GPUALLOC_EXPORT const char *gpualloc_held_note(const gpualloc_held *held);
/* Bytes of each device, -1 where they are held whole. */
GPUALLOC_EXPORT int64_t gpualloc_held_memory(const gpualloc_held *held);
/* How many devices it is of. */
GPUALLOC_EXPORT size_t gpualloc_held_device_count(const gpualloc_held *held);
/* The UUID of the i-th. */
GPUALLOC_EXPORT const char *gpualloc_held_device(const gpualloc_held *held, size_t i);

/* Somebody who waits for a lease. */
typedef struct gpualloc_waiter gpualloc_waiter;

/* How many wait. */
GPUALLOC_EXPORT size_t gpualloc_leases_waiter_count(const gpualloc_leases *leases);
/* The i-th of them in their order. */
GPUALLOC_EXPORT const gpualloc_waiter *gpualloc_leases_waiter(const gpualloc_leases *leases,
							      size_t i);
/* Who it is. */
GPUALLOC_EXPORT const char *gpualloc_waiter_user(const gpualloc_waiter *waiter);
/* The process that waits. */
GPUALLOC_EXPORT int64_t gpualloc_waiter_pid(const gpualloc_waiter *waiter);
/* Since when, in seconds since 1970. */
GPUALLOC_EXPORT int64_t gpualloc_waiter_since(const gpualloc_waiter *waiter);
/* What it waits for, in words. */
GPUALLOC_EXPORT const char *gpualloc_waiter_request(const gpualloc_waiter *waiter);
/* Finds out what is kept for each of them, which takes a look at the machine. */
GPUALLOC_EXPORT int gpualloc_leases_add_machine(gpualloc_leases *leases,
						const gpualloc_store *store,
						gpualloc_machine *machine, gpualloc_error *error);
/* How many devices are kept for it, after gpualloc_leases_add_machine(). */
GPUALLOC_EXPORT size_t gpualloc_waiter_keep_count(const gpualloc_waiter *waiter);
/* The UUID of the i-th of these. */
GPUALLOC_EXPORT const char *gpualloc_waiter_keep(const gpualloc_waiter *waiter, size_t i);

/* The processes that have a lease, held so that no other is ever signalled in their place. */
typedef struct gpualloc_holders gpualloc_holders;
/* One of them. */
typedef struct gpualloc_holder gpualloc_holder;

/* What a holder is, by what it says of itself. */
enum gpualloc_holder_kind {
	GPUALLOC_HOLDER_JOB = 0, /* a program that runs in the lease */
	GPUALLOC_HOLDER_KEEPER,  /* keeps it and does nothing else: gpualloc hold, getgpu */
	GPUALLOC_HOLDER_SERVER,  /* the server of tmux or the like: all its windows end with it */
	GPUALLOC_HOLDER_OURS,    /* this process, or one that it was started from: never ended */
	GPUALLOC_HOLDER_WITHOUT  /* was told of the lease, has not its descriptor: never ended */
};

/*
 * Looks for them, for who leased it and for root, else GPUALLOC_EPERM. What cannot be looked into
 * is not among them.
 */
GPUALLOC_EXPORT int gpualloc_holders_read(const gpualloc_store *store, const char *id,
					  gpualloc_holders **ret_holders, gpualloc_error *error);
/* Frees the list; the processes go on. */
GPUALLOC_EXPORT void gpualloc_holders_free(gpualloc_holders *holders);
/* How many there are. */
GPUALLOC_EXPORT size_t gpualloc_holders_count(const gpualloc_holders *holders);
/* The i-th of them, until the list is freed or the lease is ended through it. */
GPUALLOC_EXPORT const gpualloc_holder *gpualloc_holders_holder(const gpualloc_holders *holders,
							       size_t i);
/* Its number. */
GPUALLOC_EXPORT int64_t gpualloc_holder_pid(const gpualloc_holder *holder);
/* Its words; not known where they may not be read. */
GPUALLOC_EXPORT const char *gpualloc_holder_command(const gpualloc_holder *holder);
/* What it is; GPUALLOC_HOLDER_WITHOUT of NULL. */
GPUALLOC_EXPORT enum gpualloc_holder_kind gpualloc_holder_kind_of(const gpualloc_holder *holder);
/*
 * Ends the lease by ending them: SIGTERM, and SIGKILL to those that still have it after grace_ms;
 * what they start meanwhile is ended too. With only_keepers != 0 the keepers alone, and what runs
 * in the lease keeps it. GPUALLOC_EBUSY where it is still held afterwards, and by whom, and
 * GPUALLOC_EPERM where that cannot be seen. The list is then of those that are left.
 */
GPUALLOC_EXPORT int gpualloc_holders_end(gpualloc_holders *holders, int only_keepers,
					 unsigned grace_ms, gpualloc_error *error);

/*
 * Joins a lease of one's own that a program has: its descriptor, close-on-exec, or -1 where the
 * kernel lets no process have another's; and what its program was told, "NAME=VALUE" strings with
 * a NUL behind each and an empty one at the end, which the caller frees with gpualloc_free().
 */
GPUALLOC_EXPORT int gpualloc_lease_join(const gpualloc_store *store, const char *id, int *ret_fd,
					char **ret_variables, gpualloc_error *error);
/*
 * Whether "NAME=VALUE" is one of the variables that tell of a lease. Only these are taken over from
 * another process: none of them names a program or a library.
 */
GPUALLOC_EXPORT int gpualloc_lease_has_variable(const char *entry);

/*
 * Notes on the devices what /etc/gpualloc.conf says of them: their state knows then. That file is
 * about this machine; on others only one that GPUALLOC_CONFIG names counts. GPUALLOC_EIMPOSSIBLE
 * names every mistake in it, a line each; what was no mistake is noted even then.
 */
GPUALLOC_EXPORT int gpualloc_machine_add_config(gpualloc_machine *machine, gpualloc_error *error);
/*
 * The longest that devices may be held at a time, in milliseconds: max-hold, in the configuration
 * that counts for the machine of spec (as gpualloc_machine_open() takes it, which is not opened).
 * -1 where nothing is said; GPUALLOC_EIMPOSSIBLE where there are mistakes.
 */
GPUALLOC_EXPORT int gpualloc_max_hold(const char *spec, int64_t *ret_ms, gpualloc_error *error);

/* Notes on every device of a machine whether it is leased, and by whom: its state knows then. */
GPUALLOC_EXPORT int gpualloc_machine_add_leases(gpualloc_machine *machine,
						const gpualloc_store *store, gpualloc_error *error);
/* The lease on a device, after gpualloc_machine_add_leases(); NULL where there is none. */
GPUALLOC_EXPORT const char *gpualloc_device_lease(const gpualloc_device *device);
/* Who has that lease. */
GPUALLOC_EXPORT const char *gpualloc_device_lease_user(const gpualloc_device *device);

/* ---- starting programs ---- */

/* How a program is told of its devices. */
enum gpualloc_form {
	GPUALLOC_FORM_DEFAULT = 0, /* numbers where they are certain and no GPU is in MIG mode */
	GPUALLOC_FORM_INDEX,       /* numbers, see gpualloc_machine_cuda_order() */
	GPUALLOC_FORM_UUID
};

/*
 * The environment of a program that runs in a lease: what is inherited, with the variables that
 * name its devices and its lease set exactly once. fd is what gpualloc_lease_hand_on() gave, or -1;
 * spec the machine where one was named, else NULL. The caller frees *ret_environment with
 * gpualloc_free(); inherited must live as long as it.
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
 * Where a program is, by PATH if its name has no slash: 0 and its path, which the caller frees with
 * gpualloc_free(). GPUALLOC_ENOTFOUND where there is none, GPUALLOC_ENOTRUNNABLE where it cannot be
 * run.
 */
GPUALLOC_EXPORT int gpualloc_program_find(const char *name, char **ret_path, gpualloc_error *error);
/*
 * Runs a program to its end, without a shell, and takes what it printed, at most limit bytes; the
 * caller frees *ret_text with gpualloc_free(). GPUALLOC_ENOSOURCE where it cannot be run, fails, or
 * has not ended after deadline_ms.
 */
GPUALLOC_EXPORT int gpualloc_program_output(const char *const *arguments, unsigned deadline_ms,
					    size_t limit, char **ret_text, gpualloc_error *error);
/* Becomes the program; comes back only when that failed, as gpualloc_program_find() does. */
GPUALLOC_EXPORT int gpualloc_program_become(const char *path, char *const *arguments,
					    char *const *environment, gpualloc_error *error);

/*
 * Binds the calling thread, and what it becomes or starts, to the CPUs and the memory near the
 * devices, of those that it may use already. *ret_where says to which, and is freed with
 * gpualloc_free(). GPUALLOC_EIMPOSSIBLE where what is near is not known, or nothing of it is
 * allowed, or there is no hwloc; of the last gpualloc_bind_check() asks beforehand.
 */
GPUALLOC_EXPORT int gpualloc_bind(const gpualloc_device *const *devices, size_t count,
				  char **ret_where, gpualloc_error *error);
/* GPUALLOC_EIMPOSSIBLE where there is no hwloc. */
GPUALLOC_EXPORT int gpualloc_bind_check(gpualloc_error *error);

enum gpualloc_supervise_event {
	GPUALLOC_SUPERVISE_TIME_LIMIT, /* its time is up: it is asked to end, then killed */
	GPUALLOC_SUPERVISE_LEFT_BEHIND /* it has ended, processes that it started have not */
};
typedef void gpualloc_supervise_function(void *context, enum gpualloc_supervise_event event);

/*
 * Runs the program as a child in a process group of its own, hands it the terminal and signals, and
 * waits for the last process that it started, however far that one cut itself loose. Takes over
 * this process's signals and all its children meanwhile. time_limit_ms 0 is none; tell may be NULL.
 * Ctrl-C after the program's end ends what it left: SIGTERM, and SIGKILL 10 s later or at the next.
 * *ret_status is as waitpid() has it. Else as gpualloc_program_become().
 */
GPUALLOC_EXPORT int gpualloc_program_supervise(const char *path, char *const *arguments,
					       char *const *environment, int64_t time_limit_ms,
					       gpualloc_supervise_function *tell, void *context,
					       int *ret_status, gpualloc_error *error);

#ifdef __cplusplus
}
#endif

#endif
