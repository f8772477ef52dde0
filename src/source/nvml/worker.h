/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that asks the driver, seen from its parent: what it has said so far (answer.h), since
 * when it is silent, and how it ended. Whatever it writes is hostile until it was parsed here.
 */
#ifndef GA_SOURCE_NVML_WORKER_H
#define GA_SOURCE_NVML_WORKER_H

#include "answer.h"
#include "child.h"

enum ga_nvml_worker_state {
	GA_NVML_IDLE, /* not started */
	GA_NVML_ASKING,
	GA_NVML_ANSWERED, /* its last word is here: a machine */
	GA_NVML_REFUSED,  /* its last word is an error */
	GA_NVML_DEAD,     /* ended, or was ended, without a last word */
};

/* A place in what it wrote. */
struct ga_nvml_span {
	size_t at, size;
};

struct ga_nvml_worker {
	enum ga_nvml_worker_state state;
	struct ga_nvml_question question;
	struct ga_child child;
	struct ga_buffer text;
	size_t parsed;
	int64_t heard_ms; /* when it spoke last */
	int64_t longest_ms;
	int64_t count; /* of GPUs; -1 before it told */
	int64_t index; /* of the GPU it was about to ask; -1 where it is none */
	char doing[GA_NVML_DOING_SIZE];
	struct ga_nvml_span part, answer; /* machine files; part is what came before the answer */
	int status; /* as ga_child_stop() has it, once it is dead; 0 where it was ended */
};

/* question must stay where it is until the worker was stopped. */
int ga_nvml_worker_start(struct ga_nvml_worker *worker, const struct ga_nvml_question *question,
			 gpualloc_error *error);
/* Takes what is to be read; its pipe may be empty. GPUALLOC_ENOMEM or 0. */
int ga_nvml_worker_hear(struct ga_nvml_worker *worker);
/* Ends it; one without a last word is dead then. */
void ga_nvml_worker_stop(struct ga_nvml_worker *worker, int64_t until_ms);
/* Stops it and forgets it all. */
void ga_nvml_worker_free(struct ga_nvml_worker *worker);

static inline int64_t ga_nvml_worker_silence(const struct ga_nvml_worker *worker, int64_t now_ms)
{
	return now_ms - worker->heard_ms;
}

/* The machine of a span; GPUALLOC_ENOSOURCE where it is none. */
int ga_nvml_worker_machine(const struct ga_nvml_worker *worker, struct ga_nvml_span span,
			   gpualloc_machine **ret_machine, gpualloc_error *error);
/* The error that a refusing one told. */
int ga_nvml_worker_error(const struct ga_nvml_worker *worker, gpualloc_error *error);

#endif
