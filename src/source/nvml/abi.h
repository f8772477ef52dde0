/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of NVML's binary interface that we use, in our own declarations: numbers and layouts are
 * those of drivers 390 to 615 on 64-bit Linux. Nothing depends on NVIDIA's header, whose macros
 * change their values from release to release.
 */
#ifndef GA_SOURCE_NVML_ABI_H
#define GA_SOURCE_NVML_ABI_H

#include <stdint.h>

struct ga_nvml_object;
typedef struct ga_nvml_object *ga_nvml_handle; /* a GPU, or a MIG instance */

enum ga_nvml_result {
	GA_NVML_SUCCESS = 0,
	GA_NVML_UNINITIALIZED = 1,
	GA_NVML_INVALID_ARGUMENT = 2,
	GA_NVML_NOT_SUPPORTED = 3,
	GA_NVML_NO_PERMISSION = 4,
	GA_NVML_NOT_FOUND = 6,
	GA_NVML_INSUFFICIENT_SIZE = 7,
	GA_NVML_INSUFFICIENT_POWER = 8,
	GA_NVML_DRIVER_NOT_LOADED = 9,
	GA_NVML_TIMEOUT = 10,
	GA_NVML_IRQ_ISSUE = 11,
	GA_NVML_LIBRARY_NOT_FOUND = 12,
	GA_NVML_FUNCTION_NOT_FOUND = 13,
	GA_NVML_GPU_IS_LOST = 15,
	GA_NVML_RESET_REQUIRED = 16,
	GA_NVML_OPERATING_SYSTEM = 17, /* blocked by it, for example by a cgroup of devices */
	GA_NVML_VERSION_MISMATCH = 18, /* of library and kernel module */
	GA_NVML_ARGUMENT_VERSION_MISMATCH = 25,
	GA_NVML_UNKNOWN = 999,
};

enum {
	GA_NVML_VERSION_SIZE = 80,
	GA_NVML_UUID_SIZE = 96,
	GA_NVML_NAME_SIZE = 96,
	GA_NVML_SERIAL_SIZE = 30,
	GA_NVML_PCI_SIZE = 32,
	GA_NVML_PCI_LEGACY_SIZE = 16,
	GA_NVML_FABRIC_UUID_SIZE = 16,
};

/* The version word at the start of a struct that has one. */
#define GA_NVML_VERSION(type, number) ((unsigned)sizeof(type) | (unsigned)(number) << 24)

struct ga_nvml_pci {
	char bus_id_legacy[GA_NVML_PCI_LEGACY_SIZE]; /* all that the second version fills in */
	unsigned domain;
	unsigned bus;
	unsigned device;
	unsigned device_id;
	unsigned subsystem_id;
	char bus_id[GA_NVML_PCI_SIZE];
};

struct ga_nvml_memory_v1 {
	uint64_t total;
	uint64_t free;
	uint64_t used; /* with the reserve, from driver 510 on */
};

struct ga_nvml_memory_v2 {
	unsigned version;
	uint64_t total;
	uint64_t reserved;
	uint64_t free;
	uint64_t used;
};

struct ga_nvml_utilization {
	unsigned gpu;
	unsigned memory;
};

/*
 * A process takes 16, 24 or 32 bytes, and a call's name alone does not say which it writes. Each
 * larger record starts like the smaller one.
 */
struct ga_nvml_process_v1 {
	unsigned pid;
	uint64_t memory;
};

struct ga_nvml_process_v2 {
	unsigned pid;
	uint64_t memory;
	unsigned gi;
	unsigned ci;
};

struct ga_nvml_process_535 {
	unsigned pid;
	uint64_t memory;
	unsigned gi;
	unsigned ci;
	uint64_t protected_memory;
};

#define GA_NVML_NO_VALUE UINT64_MAX
#define GA_NVML_NO_INSTANCE UINT32_MAX

struct ga_nvml_attributes {
	unsigned multiprocessors;
	unsigned copy_engines;
	unsigned decoders;
	unsigned encoders;
	unsigned jpegs;
	unsigned ofas;
	unsigned gpu_slices;
	unsigned compute_slices;
	uint64_t memory_mb;
};

struct ga_nvml_field {
	unsigned id;
	unsigned scope;
	int64_t timestamp;
	int64_t latency;
	unsigned value_type;
	int result;
	union {
		unsigned number;
		uint64_t large;
	} value;
};

enum { GA_NVML_FIELD_NVLINK_STATE = 165 };

/* Driver 525; later ones have a version in front and a health word at the end. */
struct ga_nvml_fabric_v1 {
	unsigned char cluster[GA_NVML_FABRIC_UUID_SIZE];
	int status;
	unsigned clique;
	unsigned char state;
};

struct ga_nvml_fabric_v2 {
	unsigned version;
	unsigned char cluster[GA_NVML_FABRIC_UUID_SIZE];
	int status;
	unsigned clique;
	unsigned char state;
	unsigned health;
};

struct ga_nvml_fabric_v3 {
	unsigned version;
	unsigned char cluster[GA_NVML_FABRIC_UUID_SIZE];
	int status;
	unsigned clique;
	unsigned char state;
	unsigned health;
	unsigned char summary;
};

enum { GA_NVML_FABRIC_CLIQUES = 64 };

struct ga_nvml_clique {
	unsigned char type;
	unsigned id;
};

/* Driver 615, with its own call: no version in front, and a clique for each kind of access. */
struct ga_nvml_fabric_v4 {
	unsigned char cluster[GA_NVML_FABRIC_UUID_SIZE];
	int status;
	struct ga_nvml_clique cliques[GA_NVML_FABRIC_CLIQUES];
	unsigned clique_count;
	unsigned char state;
	unsigned health;
	unsigned char summary;
};

/* The only kind of access in older drivers: reading and writing by address. */
enum { GA_NVML_CLIQUE_POINTER = 0 };

enum ga_nvml_fabric_state {
	GA_NVML_FABRIC_NOT_SUPPORTED = 0,
	GA_NVML_FABRIC_NOT_STARTED = 1,
	GA_NVML_FABRIC_IN_PROGRESS = 2,
	GA_NVML_FABRIC_COMPLETED = 3,
};

/* Since driver 570 a link that is up may sleep. */
enum ga_nvml_link_state {
	GA_NVML_LINK_DOWN = 0,
	GA_NVML_LINK_UP = 1,
	GA_NVML_LINK_SLEEPS = 2,
};

enum ga_nvml_p2p_index {
	GA_NVML_P2P_READ = 0,
	GA_NVML_P2P_WRITE = 1,
};

enum ga_nvml_p2p_status {
	GA_NVML_P2P_OK = 0,
	GA_NVML_P2P_NO_CHIPSET = 1,
	GA_NVML_P2P_NO_GPU = 2,
	GA_NVML_P2P_NO_TOPOLOGY = 3,
	GA_NVML_P2P_DISABLED = 4,
	GA_NVML_P2P_NOT_SUPPORTED = 5,
	GA_NVML_P2P_UNKNOWN = 6,
};

enum { GA_NVML_VIRTUAL_GPU = 2 }; /* one of the virtualization modes: a guest's share of a GPU */

enum ga_nvml_ancestor {
	GA_NVML_ANCESTOR_BOARD = 0,
	GA_NVML_ANCESTOR_PIX = 10,
	GA_NVML_ANCESTOR_PXB = 20,
	GA_NVML_ANCESTOR_PHB = 30,
	GA_NVML_ANCESTOR_NODE = 40,
	GA_NVML_ANCESTOR_SYS = 50,
};

enum ga_nvml_remote {
	GA_NVML_REMOTE_GPU = 0,
	GA_NVML_REMOTE_NPU = 1, /* of an IBM POWER machine */
	GA_NVML_REMOTE_SWITCH = 2,
	GA_NVML_REMOTE_UNKNOWN = 255,
};

enum { GA_NVML_SCOPE_NODE = 0 };

_Static_assert(sizeof(struct ga_nvml_pci) == 68, "as the library has it");
_Static_assert(sizeof(struct ga_nvml_memory_v1) == 24, "as the library has it");
_Static_assert(sizeof(struct ga_nvml_memory_v2) == 40, "as the library has it");
_Static_assert(sizeof(struct ga_nvml_process_v1) == 16, "as the library has it");
_Static_assert(sizeof(struct ga_nvml_process_v2) == 24, "as the library has it");
_Static_assert(sizeof(struct ga_nvml_process_535) == 32, "as the library has it");
_Static_assert(sizeof(struct ga_nvml_attributes) == 40, "as the library has it");
_Static_assert(sizeof(struct ga_nvml_field) == 40, "as the library has it");
_Static_assert(sizeof(struct ga_nvml_fabric_v1) == 28, "as the library has it");
_Static_assert(sizeof(struct ga_nvml_fabric_v2) == 36, "as the library has it");
_Static_assert(sizeof(struct ga_nvml_fabric_v3) == 40, "as the library has it");
_Static_assert(sizeof(struct ga_nvml_fabric_v4) == 548, "as the library has it");

#endif
