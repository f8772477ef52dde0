/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `gpualloc doctor` looks at. It changes nothing. What it reads of /proc, /sys, /etc and /run
 * is below a root that --root can replace, so a recorded machine can be looked at as well.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "buffer.h"
#include "command.h"

/* How bad it is. With a fault `gpualloc run` fails, or devices are not safe. */
enum verdict { VERDICT_OK, VERDICT_NOTE, VERDICT_FAULT };

struct finding {
	const char *subject; /* "store", "driver": one word or two */
	enum verdict verdict;
	int status;   /* of a fault: what `gpualloc run` would end with */
	char *says;   /* a sentence without its full stop */
	char *advice; /* what to do; NULL if nothing needs to be done */
};

/* A process whose name means something to us. */
enum process_kind {
	PROCESS_PERSISTENCED,
	PROCESS_MPS,
	PROCESS_MULTIPLEXER, /* the server of tmux, screen or zellij */
	PROCESS_KINDS
};

struct doctor {
	const struct call *call;
	const char *root; /* "" for this machine itself */
	gpualloc_machine *machine;
	long long pid[PROCESS_KINDS];   /* of one of them; 0 if there is none */
	long long multiplexer_in_lease; /* a server that keeps a lease; 0 if none is seen */
	char lease_of_multiplexer[64];
	struct finding *findings;
	size_t count;
	bool no_memory;
};

/* Adds a finding. status counts for faults only; advice may be NULL. */
void doctor_ok(struct doctor *doctor, const char *subject, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_note(struct doctor *doctor, const char *subject, const char *advice, const char *format,
		 ...) __attribute__((format(printf, 4, 5)));
void doctor_fault(struct doctor *doctor, const char *subject, int status, const char *advice,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Whether this process itself is looked at, and not a copy of another machine's files. */
bool doctor_is_here(const struct doctor *doctor);
/* Reads a file below the root; false if there is none. */
bool doctor_read(struct doctor *doctor, const char *path, struct ga_buffer *content);
/* Fills in what is known of processes, with one look through /proc. */
void doctor_see_processes(struct doctor *doctor);

/* The driver and what belongs to it. The first opens the machine. */
void doctor_driver(struct doctor *doctor);
void doctor_persistence(struct doctor *doctor);
void doctor_mps(struct doctor *doctor);

/* Leases and their surroundings. */
void doctor_store(struct doctor *doctor);
void doctor_file_system(struct doctor *doctor);
void doctor_fence(struct doctor *doctor);
void doctor_configuration(struct doctor *doctor);
void doctor_time_limits(struct doctor *doctor);

/* What this shell was started with. */
void doctor_environment(struct doctor *doctor);
void doctor_tmux(struct doctor *doctor);

/* The system. */
void doctor_kernel(struct doctor *doctor);
void doctor_containers(struct doctor *doctor);
void doctor_cgroups(struct doctor *doctor);
void doctor_user_limits(struct doctor *doctor);

#endif
