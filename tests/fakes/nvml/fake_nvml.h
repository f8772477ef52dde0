/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own libnvidia-ml.so.1: it serves a machine file through NVML's binary interface, as the
 * driver would whose number it was built with. How it is told what to play:
 *
 *   FAKE_MACHINE=PATH            the machine file; without it nvmlInit finds no driver
 *   FAKE_LOST=INDEX[,INDEX…]     no handle for these: the GPU is lost
 *   FAKE_RESET=INDEX[,INDEX…]    these answer every question with "GPU requires reset"
 *   FAKE_HANG=INDEX[,INDEX…]|init|version|shutdown  a question to these GPUs, the beginning, the
 *                                driver's version or the end never returns
 *   FAKE_HANG_IN=NAME            and only in functions whose names have this in them
 *   FAKE_CRASH=INDEX[,INDEX…]|version|shutdown  a question to these GPUs, for the driver's version
 *                                or the end ends the process
 *   FAKE_EXIT=INDEX[,INDEX…]     a question to these GPUs ends the process as if all were well
 *   FAKE_HANDLE=RESULT:INDEX[,INDEX…]  no handle for these, with this result
 *   FAKE_ANSWER=RESULT:INDEX[,INDEX…]  every question to these is answered with this result,
 *                                once their handles were given
 *   FAKE_ANSWER_IN=NAME          and only in functions whose names have this in them
 *   FAKE_TWIN=INDEX[,INDEX…]     these tell the UUID of GPU 0 for their own
 *   FAKE_SLOW=MS                 the beginning takes so long
 *   FAKE_SLOW_GPU=MS             the first handle of each GPU takes so long
 *   FAKE_SLOW_CALL=MS            every question to a GPU takes so long
 *   FAKE_NO_MIG_PERMISSION=1     a GPU in MIG mode tells nothing of memory and processes
 *   FAKE_MISMATCH=1              nvmlInit finds a kernel module of another version
 *   FAKE_MIG_VANISH=1            each MIG instance is gone when it is asked anything
 *   FAKE_MIG_PLAIN_NAMES=1       the names of MIG instances do not tell their profile
 *   FAKE_SWITCH=typed|foreign|all-f  what NVLinks into a switch look like: of that type (the
 *                                default); of unknown type and with a PCI address that is no GPU's;
 *                                of unknown type and without an address
 *   FAKE_DEAD_LINK=INDEX[,INDEX…]  the first NVLink of these is down at their end
 *   FAKE_LINKS_UNREADABLE=INDEX[,INDEX…]  these do not tell the state of their NVLinks
 *   FAKE_P2P_READ_ONLY=1         no GPU may write into another's memory
 *   FAKE_SLEEPING_LINKS=1        NVLinks that are up sleep
 *   FAKE_FABRIC=STATE|error|refused  the state of every GPU's fabric (1: not started, 2: in
 *                                progress, 3: completed), completed with an error, or not told
 *   FAKE_PROCESSES=denied|unsupported|no-mps|too-many  no process list; none of MPS for lack of
 *                                permission; more than there was room for, as if all were well
 *   FAKE_VGPU=1                  the GPUs are a guest's shares of GPUs
 *   FAKE_NO_MEMORY=1             the GPUs have no memory of their own
 *   NVML_MPS_DEVICE_ENUMERATION=1  which is the real one's: most calls are refused
 *   FAKE_NODES=FOLDER            opens nvidiactl in there, and nvidiaMINOR of a GPU of which it
 *                                gives a handle, as the real one does in /dev; what it may not
 *                                open is not permitted, nor is a GPU whose node is not there
 *   FAKE_MIG_MINORS=PATH         with FAKE_NODES: the file that the driver shows as
 *                                /proc/driver/nvidia-caps/mig-minors; a handle of an instance takes
 *                                opening nvidia-caps/nvidia-capN of its GI and of its CI
 *   FAKE_CALLS=PATH              nvmlShutdown appends a line "NAME COUNT" for each function
 *
 * What is not in the environment may be in a file beside the library, "libnvidia-ml.so.1.conf", in
 * lines NAME=VALUE.
 *
 * NVLinks in a machine file are counts for pairs. A GPU has 18 links at most, so a machine with a
 * GPU whose counts add up to more has NVSwitches: then each GPU has as many links as its largest
 * count, all into switches. In every other machine the links are direct. GPUs that no path of
 * NVLinks joins are in different cliques of the fabric.
 */
#ifndef FAKE_NVML_H
#define FAKE_NVML_H

#include "machine.h"
#include "nvml/abi.h"

enum { FAKE_LINKS_MAX = 64, FAKE_DIRECT_LINKS_MAX = 18 };

/* The driver that this library belongs to: 390 … 615. */
extern const int fake_driver;

struct fake_link {
	int gpu; /* the device at the other end, -1 for a switch */
};

struct fake_gpu {
	bool lost;
	bool needs_reset;
	bool hangs;
	bool crashes;
	bool exits;
	bool is_twin;
	bool links_unknown;
	bool first_link_down;
	bool started;  /* its first handle was taken */
	int no_handle; /* the result instead of one */
	int answer;    /* the result of every question */
	struct fake_link links[FAKE_LINKS_MAX];
	unsigned link_count; /* that are up */
	unsigned clique;
	bool is_open;
	int node; /* -1: opening it was allowed, but there is nothing behind it */
};

struct fake_state {
	gpualloc_machine *machine; /* NULL before nvmlInit */
	struct fake_gpu *gpus;
	unsigned cliques;
	int control; /* as node */
	bool mig_denied;
	bool mig_vanishes;
	bool mig_plain_names;
	bool links_sleep;
	bool enumerates_only; /* as the environment says for MPS */
	bool virtual_gpus;
	bool no_memory;
	const char *fabric;    /* NULL: as the machine's links are */
	const char *processes; /* NULL: told */
	enum { SWITCH_TYPED, SWITCH_FOREIGN, SWITCH_ALL_F } switch_form;
};
extern struct fake_state fake;

/* Counts a call (NULL does not count); the result when nothing was initialised. */
int fake_called(const char *function);

/*
 * Counts a call about a device and finds it: a GPU, or a MIG instance where that is allowed. Plays
 * what that GPU was told to play; not 0 is the result.
 */
enum fake_kind { FAKE_GPU, FAKE_MIG, FAKE_GPU_OR_MIG };
int fake_asked(const char *function, ga_nvml_handle handle, enum fake_kind kind,
	       const struct gpualloc_device **ret_device);
struct fake_gpu *fake_gpu_of(const struct gpualloc_device *device);
ga_nvml_handle fake_handle(const struct gpualloc_device *device);

/* Hangs or crashes where FAKE_HANG or FAKE_CRASH names this place. */
void fake_play_at(const char *place);

/* Results, as far as FAKE_NODES says. GPUs stay open until all are closed. */
void fake_read_settings(void);
int fake_open_control(void);
int fake_open_gpu(size_t index);
int fake_open_instance(const struct gpualloc_device *instance);
void fake_close_nodes(void);

/* The first time it is asked for a handle. */
void fake_start_slowly(struct fake_gpu *gpu);

/* Puts a text where the caller wants it, as NVML does: too small is no excuse. */
int fake_give_text(const char *from, char *text, unsigned size);
int fake_give_number(int64_t from, unsigned *number);

/* 9 for Hopper; concluded from the name. */
int fake_compute_major(const struct gpualloc_device *device);
/* Lays the links of a machine that was just read. */
void fake_lay_links(void);

#endif
