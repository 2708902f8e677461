#include "loop.h"

/* Timers: an array heap of pointers to timers that belong to others, each of which knows its place. The one sd-event
 * timer is set to the first deadline before the loop sleeps (in its prepare callback), so arming is a heap operation
 * and nothing else, however many timers are armed in between. */

#include <assert.h>

#define LOOP_TIMER_BATCH   256
#define LOOP_STALE_USEC    USEC_PER_MSEC
#define LOOP_ACCURACY_USEC 1 /* 0 would be sd-event's default: 250 ms */

struct Loop {
        sd_event *event;       /* owned */
        sd_event_source *timer; /* owned */
        usec_t timer_deadline; /* what the source is set to */
        Timer **heap;          /* owned; the timers are borrowed */
        uint32_t n_armed, n_max;
        uint64_t sequence;
        usec_t now;
};

struct LoopSource {
        sd_event_source *source; /* owned */
        LoopReady ready;
        void *userdata;
};

struct LoopWork {
        sd_event_source *source; /* owned */
        LoopLater run;
        void *userdata;
};

/* --- the heap --- */

static bool timer_is_before(const Timer *a, const Timer *b) {
        return a->deadline != b->deadline ? a->deadline < b->deadline : a->sequence < b->sequence;
}

/* place counts from 1: the children of n are 2n and 2n + 1. */
static void heap_put(Loop *loop, uint32_t place, Timer *timer) {
        loop->heap[place - 1] = timer;
        timer->place = place;
}

static void heap_rise(Loop *loop, uint32_t place, Timer *timer) {
        for (; place > 1 && timer_is_before(timer, loop->heap[place / 2 - 1]); place /= 2)
                heap_put(loop, place, loop->heap[place / 2 - 1]);
        heap_put(loop, place, timer);
}

static void heap_sink(Loop *loop, uint32_t place, Timer *timer) {
        for (;;) {
                uint32_t child = place * 2;

                if (child > loop->n_armed)
                        break;
                if (child < loop->n_armed && timer_is_before(loop->heap[child], loop->heap[child - 1]))
                        child++;
                if (!timer_is_before(loop->heap[child - 1], timer))
                        break;
                heap_put(loop, place, loop->heap[child - 1]);
                place = child;
        }
        heap_put(loop, place, timer);
}

static void heap_remove(Loop *loop, Timer *timer) {
        uint32_t place = timer->place;
        Timer *last = loop->heap[loop->n_armed - 1];

        loop->n_armed--;
        timer->place = 0;
        if (last == timer)
                return;
        if (place > 1 && timer_is_before(last, loop->heap[place / 2 - 1]))
                heap_rise(loop, place, last);
        else
                heap_sink(loop, place, last);
}

void timer_arm(Loop *loop, Timer *timer, usec_t deadline) {
        if (timer->place != 0)
                heap_remove(loop, timer);
        timer->deadline = deadline;
        timer->sequence = ++loop->sequence;
        if (deadline == USEC_INFINITY)
                return;
        assert(loop->n_armed < loop->n_max); /* loop_reserve_timers() was forgotten */
        loop->n_armed++;
        heap_rise(loop, loop->n_armed, timer);
}

/* --- the one sd-event timer --- */

/* Runs before the loop sleeps. */
static int loop_on_prepare(sd_event_source *source, void *userdata) {
        Loop *loop = userdata;
        usec_t first = loop->n_armed > 0 ? loop->heap[0]->deadline : USEC_INFINITY;
        int r;

        if (first == loop->timer_deadline)
                return 0;
        r = sd_event_source_set_time(source, first);
        if (r < 0)
                return r;
        loop->timer_deadline = first;
        return 0;
}

/* The source stays on: what this batch leaves is due still when the loop has looked at exits and requests. */
static int loop_on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Loop *loop = userdata;

        for (unsigned i = 0; i < LOOP_TIMER_BATCH && loop->n_armed > 0; i++) {
                Timer *timer = loop->heap[0];
                usec_t now = loop_now(loop);

                if (timer->deadline > now)
                        break;
                heap_remove(loop, timer);
                timer->fired(timer, now); /* may arm and disarm any, and free its owner */
        }
        return 0;
}

static int loop_make_timer(Loop *loop) {
        int r;

        r = sd_event_add_time(loop->event, &loop->timer, CLOCK_BOOTTIME, USEC_INFINITY, LOOP_ACCURACY_USEC,
                              loop_on_timer, loop);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(loop->timer, "timers"); /* only to be read while debugging */
        r = sd_event_source_set_priority(loop->timer, LOOP_PRIORITY_TIMERS);
        if (r < 0)
                return r;
        r = sd_event_source_set_prepare(loop->timer, loop_on_prepare);
        if (r < 0)
                return r;
        r = sd_event_source_set_exit_on_failure(loop->timer, true);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(loop->timer, SD_EVENT_ON);
}

/* --- the loop --- */

int loop_new(Loop **ret, unsigned n_timers_max) {
        cleanup(loop_freep) Loop *loop = malloc(sizeof(*loop));
        int r;

        if (!loop)
                return -ENOMEM;
        *loop = (Loop) { .timer_deadline = USEC_INFINITY };
        r = loop_reserve_timers(loop, n_timers_max);
        if (r < 0)
                return r;
        r = sd_event_new(&loop->event);
        if (r < 0)
                return r;
        r = loop_make_timer(loop);
        if (r < 0)
                return r;
        *ret = take(loop);
        return 0;
}

Loop *loop_free(Loop *loop) {
        if (!loop)
                return NULL;
        sd_event_source_disable_unref(loop->timer);
        sd_event_unref(loop->event);
        free(loop->heap);
        free(loop);
        return NULL;
}

int loop_reserve_timers(Loop *loop, unsigned n_timers_max) {
        Timer **heap;

        if (n_timers_max <= loop->n_max)
                return 0;
        heap = reallocarray(loop->heap, n_timers_max, sizeof(Timer *));
        if (!heap)
                return -ENOMEM;
        loop->heap = heap;
        loop->n_max = n_timers_max;
        return 0;
}

sd_event *loop_event(Loop *loop) {
        return loop->event;
}

/* The loop's own time of wake-up is older than what is known when a callback has run long. Neither ever goes back. */
usec_t loop_now(Loop *loop) {
        usec_t woken = 0, fresh = clock_now_usec();

        if (sd_event_now(loop->event, CLOCK_BOOTTIME, &woken) >= 0 && woken > loop->now)
                loop->now = woken;
        if (fresh > usec_add(loop->now, LOOP_STALE_USEC))
                loop->now = fresh;
        return loop->now;
}

int loop_run(Loop *loop) {
        return sd_event_loop(loop->event);
}

void loop_exit(Loop *loop, int status) {
        (void) sd_event_exit(loop->event, status); /* fails only when the loop has ended already */
}

/* --- sources --- */

static int loop_set_up(sd_event_source *source, int priority, const char *description) {
        int r;

        (void) sd_event_source_set_description(source, description); /* only to be read while debugging */
        r = sd_event_source_set_priority(source, priority);
        if (r < 0)
                return r;
        return sd_event_source_set_exit_on_failure(source, true);
}

static int loop_on_fd(sd_event_source *event_source, int fd, uint32_t events, void *userdata) {
        LoopSource *source = userdata;

        return source->ready(fd, events, source->userdata);
}

LoopSource *loop_remove(LoopSource *source) {
        if (!source)
                return NULL;
        sd_event_source_disable_unref(source->source);
        free(source);
        return NULL;
}

static void loop_removep(LoopSource **source) {
        *source = loop_remove(*source);
}

int loop_add_fd(Loop *loop, int fd, uint32_t events, int priority, const char *description, LoopReady ready,
                void *userdata, LoopSource **ret) {
        cleanup(loop_removep) LoopSource *source = malloc(sizeof(*source));
        int r;

        if (!source)
                return -ENOMEM;
        *source = (LoopSource) { .ready = ready, .userdata = userdata };
        r = sd_event_add_io(loop->event, &source->source, fd, events, loop_on_fd, source);
        if (r < 0)
                return r;
        r = loop_set_up(source->source, priority, description);
        if (r < 0)
                return r;
        *ret = take(source);
        return 0;
}

static int loop_on_work(sd_event_source *event_source, void *userdata) {
        LoopWork *work = userdata;

        work->run(work->userdata);
        return 0;
}

LoopWork *loop_remove_work(LoopWork *work) {
        if (!work)
                return NULL;
        sd_event_source_disable_unref(work->source);
        free(work);
        return NULL;
}

static void loop_remove_workp(LoopWork **work) {
        *work = loop_remove_work(*work);
}

int loop_add_work(Loop *loop, int priority, const char *description, LoopLater run, void *userdata, LoopWork **ret) {
        cleanup(loop_remove_workp) LoopWork *work = malloc(sizeof(*work));
        int r;

        if (!work)
                return -ENOMEM;
        *work = (LoopWork) { .run = run, .userdata = userdata };
        r = sd_event_add_defer(loop->event, &work->source, loop_on_work, work);
        if (r < 0)
                return r;
        r = loop_set_up(work->source, priority, description);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(work->source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = take(work);
        return 0;
}

void loop_post(LoopWork *work) {
        /* Of a source that is not fork()ed away and not freed it cannot fail. Dispatching switches it off before run(),
         * so run() may post itself again. */
        (void) sd_event_source_set_enabled(work->source, SD_EVENT_ONESHOT);
}
