/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that asks the driver, seen from its parent: what it has reported so far (answer.h), how
 * long it has been silent, and how it ended. Everything it writes is hostile until it is parsed
 * here.
 */
#ifndef GA_SOURCE_NVML_WORKER_H
#define GA_SOURCE_NVML_WORKER_H

#include "answer.h"
#include "child.h"

enum { GA_NVML_WAITING_SIZE = 256 };

enum ga_nvml_worker_state {
	GA_NVML_IDLE, /* not started */
	GA_NVML_ASKING,
	GA_NVML_ANSWERED, /* its last word is here: a machine */
	GA_NVML_REFUSED,  /* its last word is an error */
	GA_NVML_DEAD,     /* ended, or was ended, without a last word */
};

/* A stretch of what it wrote. */
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
	int64_t count; /* of GPUs; -1 before it has said */
	int64_t index; /* of the GPU it was about to ask; -1 if it was not at one */
	char doing[GA_NVML_DOING_SIZE];
	char waiting[GA_NVML_WAITING_SIZE]; /* why it takes so long; "" until it says so */
	struct ga_nvml_span part, answer;   /* machine files; part is what came before the answer */
	int status; /* as from ga_child_stop(), once it is dead; 0 if we ended it */
};

/* question must stay where it is until the worker is stopped. */
int ga_nvml_worker_start(struct ga_nvml_worker *worker, const struct ga_nvml_question *question,
			 gpualloc_error *error);
/* The same with other work, for ga_child_start(); name appears in messages. */
int ga_nvml_worker_start_with(struct ga_nvml_worker *worker, const char *name,
			      int (*work)(void *context, int out), void *context,
			      gpualloc_error *error);
/* Reads what is there; its pipe may be empty. GPUALLOC_ENOMEM or 0. */
int ga_nvml_worker_hear(struct ga_nvml_worker *worker);
/* Ends it; a worker without a last word then counts as dead. */
void ga_nvml_worker_stop(struct ga_nvml_worker *worker, int64_t until_ms);
/* Stops it and forgets everything. */
void ga_nvml_worker_free(struct ga_nvml_worker *worker);

static inline int64_t ga_nvml_worker_silence(const struct ga_nvml_worker *worker, int64_t now_ms)
{
	return now_ms - worker->heard_ms;
}

/* The machine of a span; GPUALLOC_ENOSOURCE if it is not one. */
int ga_nvml_worker_machine(const struct ga_nvml_worker *worker, struct ga_nvml_span span,
			   gpualloc_machine **ret_machine, gpualloc_error *error);
/* The error that a refusing worker reported: GPUALLOC_ENOSOURCE, or GPUALLOC_ENOMEM. */
int ga_nvml_worker_error(const struct ga_nvml_worker *worker, gpualloc_error *error);
/* The status that it reported, as it is; 0 if that makes no sense. */
int ga_nvml_worker_status(const struct ga_nvml_worker *worker);

#endif
