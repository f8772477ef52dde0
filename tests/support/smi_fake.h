/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the nvidia-smi source, with the program of tests/fakes or a script instead of the real one.
 * Each case has its own folder, which is also its root: /proc in it says that all processes can be
 * seen, and nothing else.
 */
#ifndef SMI_FAKE_H
#define SMI_FAKE_H

#include "machine.h"

/* What nvidia-smi never prints, or only in whole MiB. */
#define SMI_GAPS (GAP_NVLINK_VERSION | GAP_MIB | GAP_LEVELS)

/* Machine files: two GPUs and their processes, two in MIG mode, four with a sick one. */
extern const char smi_two_gpus[], smi_mig_gpus[], smi_four_gpus[];

/* The query that is asked first, as FAKE_CALLS has it. */
#define SMI_QUERY                                                                            \
	"--query-gpu=driver_version,index,uuid,name,serial,pci.bus_id,memory.total,memory."  \
	"reserved,memory.used,utilization.gpu,compute_mode,mig.mode.current,display_active " \
	"--format=csv\n"

void smi_set_up(void);
const char *smi_in_folder(const char *name);
void smi_write_file(const char *name, const char *text, size_t size);

/* What the fake shows from now on. */
void smi_show_text(const char *json);
void smi_show_machine(const gpualloc_machine *machine);
gpualloc_machine *smi_machine_of(const char *json);

/* Programs: the fake; a script; the fake except for calls that match words, which run instead. */
const char *smi_fake(void);
const char *smi_script(const char *text);
const char *smi_fake_without(const char *words, const char *instead);

int smi_ask_program(const char *program, unsigned deadline_ms, gpualloc_machine **ret_machine,
		    gpualloc_error *error);
/* Asks the fake, which must answer. Inferred levels are left out. */
gpualloc_machine *smi_ask(void);
/* Asks a program that gives no machine; the reason must contain this. */
void smi_fails(const char *program, unsigned deadline_ms, const char *message);
void smi_check_calls(const char *expected);

#endif
