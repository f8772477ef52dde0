/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one event loop: descriptors and points in time, and what to call for them. Events are taken
 * one at a time, so a call may stop watching and free anything.
 */
#ifndef GRPC_LOOP_H
#define GRPC_LOOP_H

#include <gpualloc/gpualloc.h>

#include <stdbool.h>
#include <stdint.h>

struct loop_timer {
	int64_t at; /* of ga_clock_ms() */
	void (*ring)(void *context);
	void *context;
	bool is_set;
	struct loop_timer *next;
};

struct loop {
	int epoll;
	bool stop;
	struct loop_timer *timers;
};

/* The watch belongs to the caller and stays where it is while it is watched. */
struct loop_watch {
	int fd;
	void (*ready)(void *context, uint32_t events); /* EPOLLIN and so on */
	void *context;
	uint32_t events; /* that are waited for now */
};

int loop_open(struct loop *loop, gpualloc_error *error);
void loop_close(struct loop *loop);
/* Both return 0 or a negative errno. */
int loop_watch(struct loop *loop, struct loop_watch *watch, uint32_t events);
int loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events);
/* To be called before the descriptor is closed. */
void loop_forget(struct loop *loop, struct loop_watch *watch);

/* Calls ring() once, after that many milliseconds; setting it again moves it. */
void loop_set(struct loop *loop, struct loop_timer *timer, int64_t after_ms);
void loop_unset(struct loop *loop, struct loop_timer *timer);

/* Takes one event, waiting that long at most (-1: as long as it takes); 1 if there was one. */
int loop_step(struct loop *loop, int wait_ms, gpualloc_error *error);
/* Until stop is set. */
int loop_run(struct loop *loop, gpualloc_error *error);

#endif
