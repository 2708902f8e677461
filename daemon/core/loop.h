#pragma once

/* The one event loop: sd-event with helpers that set what must be set, and all timers in one heap under one sd-event
 * timer. Bulk fds live in pollers (protocol/poller.h). Callbacks return 0, or -errno to end the process. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "../../protocol/base.h"
#include "../../protocol/clock.h"

/* Priorities, as DESIGN orders them: exits, requests to stop, timers, control, probes, output. */
#define LOOP_PRIORITY_EXITS   (-20)
#define LOOP_PRIORITY_STOP    (-15)
#define LOOP_PRIORITY_NOTIFY  (-12)
#define LOOP_PRIORITY_TIMERS  (-10)
#define LOOP_PRIORITY_CONTROL 0
#define LOOP_PRIORITY_PROBES  10
#define LOOP_PRIORITY_OUTPUT  20
#define LOOP_PRIORITY_LATER   30 /* what can wait until all else is done */

typedef struct Loop Loop;
typedef struct Timer Timer;
typedef void (*TimerFired)(Timer *timer, usec_t now);

/* A field of its owner; zeroed with fired set is a timer that is not armed. */
struct Timer {
        TimerFired fired;
        usec_t deadline;   /* absolute, CLOCK_BOOTTIME */
        uint64_t sequence;
        uint32_t place;    /* in the heap, counted from 1; 0: not armed */
};

/* n_timers_max: room for so many timers is made now, so that arming never allocates; loop_reserve_timers() makes
 * more. */
must_check int loop_new(Loop **ret, unsigned n_timers_max);
must_check int loop_reserve_timers(Loop *loop, unsigned n_timers_max);
Loop *loop_free(Loop *loop);
static inline void loop_freep(Loop **loop) { *loop = loop_free(*loop); }
sd_event *loop_event(Loop *loop); /* borrowed */

/* USEC_INFINITY disarms. Of those due together, the earlier deadline is served first, then the first armed. Timers that
 * are due fire in one wake-up, at most 256 before exits and requests are looked at again. 1 ms accuracy. */
void timer_arm(Loop *loop, Timer *timer, usec_t deadline);
static inline bool timer_is_armed(const Timer *timer) { return timer->place != 0; }

/* The time of this wake-up; read anew when more than 1 ms may have passed since. */
usec_t loop_now(Loop *loop);

typedef int (*LoopReady)(int fd, uint32_t events, void *userdata);
typedef struct LoopSource LoopSource;
/* The fd is borrowed. A source ends with loop_remove(). */
must_check int loop_add_fd(Loop *loop, int fd, uint32_t events, int priority, const char *description, LoopReady ready,
                           void *userdata, LoopSource **ret);
LoopSource *loop_remove(LoopSource *source);
/* Runs once when nothing of higher priority is pending; posting it again before it ran changes nothing. */
typedef void (*LoopLater)(void *userdata);
typedef struct LoopWork LoopWork;
must_check int loop_add_work(Loop *loop, int priority, const char *description, LoopLater run, void *userdata,
                             LoopWork **ret);
void loop_post(LoopWork *work);
LoopWork *loop_remove_work(LoopWork *work);

must_check int loop_run(Loop *loop); /* until loop_exit(); its status, or -errno */
void loop_exit(Loop *loop, int status);
