/* SPDX-License-Identifier: Apache-2.0 */
/* epoll and a short list of timers; see loop.h. */
#include "loop.h"

#include "clock.h"
#include "error.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <unistd.h>

int loop_open(struct loop *loop, gpualloc_error *error)
{
	*loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
	return loop->epoll < 0
		       ? ga_error_errno(error, GPUALLOC_EIO, errno, "cannot make an event loop")
		       : 0;
}

void loop_close(struct loop *loop)
{
	if (loop->epoll >= 0)
		close(loop->epoll);
	loop->epoll = -1;
}

int loop_watch(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	watch->events = events;
	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, watch->fd, &event) < 0 ? -errno : 0;
}

int loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (watch->events == events)
		return 0;
	watch->events = events;
	return epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event) < 0 ? -errno : 0;
}

void loop_forget(struct loop *loop, struct loop_watch *watch)
{
	(void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
}

void loop_set(struct loop *loop, struct loop_timer *timer, int64_t after_ms)
{
	timer->at = ga_clock_ms() + after_ms;
	if (timer->is_set)
		return;
	timer->is_set = true;
	timer->next = loop->timers;
	loop->timers = timer;
}

void loop_unset(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **place = &loop->timers;

	while (*place && *place != timer)
		place = &(*place)->next;
	if (*place)
		*place = timer->next;
	timer->is_set = false;
}

static struct loop_timer *first_timer(const struct loop *loop)
{
	struct loop_timer *first = loop->timers;

	for (struct loop_timer *timer = first; timer; timer = timer->next)
		if (timer->at < first->at)
			first = timer;
	return first;
}

static void ring(struct loop *loop)
{
	struct loop_timer *timer;

	while ((timer = first_timer(loop)) && timer->at <= ga_clock_ms()) {
		loop_unset(loop, timer);
		timer->ring(timer->context);
	}
}

static int time_left(const struct loop *loop)
{
	const struct loop_timer *timer = first_timer(loop);
	int64_t left = timer ? timer->at - ga_clock_ms() : -1;

	return !timer ? -1 : left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int loop_step(struct loop *loop, int wait_ms, gpualloc_error *error)
{
	struct epoll_event event;
	int count = epoll_wait(loop->epoll, &event, 1, wait_ms);

	if (count < 0 && errno != EINTR)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "the event loop failed");
	if (count > 0) {
		struct loop_watch *watch = event.data.ptr;

		watch->ready(watch->context, event.events);
	}
	ring(loop);
	return count > 0;
}

int loop_run(struct loop *loop, gpualloc_error *error)
{
	int result = 0;

	while (!loop->stop && result >= 0)
		result = loop_step(loop, time_left(loop), error);
	return result < 0 ? result : 0;
}
