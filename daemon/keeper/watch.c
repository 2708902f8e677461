#include "keeper.h"

#include <poll.h>

#include "../../protocol/fds.h"

#define WATCH_PERIOD_USEC          (10 * USEC_PER_SEC)
#define WATCH_PERIOD_DRAINING_USEC (1 * USEC_PER_SEC)
#define WATCH_PATIENCE_DRAINING    (2 * USEC_PER_SEC)
#define WATCH_START_USEC           (30 * USEC_PER_SEC) /* configuration, blackboard, ring: before its loop runs */
#define WATCH_LATE_USEC            (1 * USEC_PER_SEC)
#define WATCH_NOTIFY_BATCH         64

/* The core's words in the shared page are read once each, whatever it does to them meanwhile. */
static bool watch_is_draining(const Keeper *k) {
        return __atomic_load_n(&k->ring->is_draining, __ATOMIC_ACQUIRE) != 0;
}

static bool watch_is_answered(const Keeper *k) {
        return k->core > 0 && __atomic_load_n(&k->ring->pong, __ATOMIC_ACQUIRE) == k->ring->ping;
}

void watch_init(Keeper *k) {
        const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
        unsigned long long period = usec ? strtoull(usec, NULL, 10) : 0;
        bool is_wanted = period >= 2 && (!pid || strtol(pid, NULL, 10) == (long) getpid());

        k->watch.upstream_period = period / 2;
        k->watch.upstream = is_wanted ? 0 : USEC_INFINITY;
}

static void watch_ping(Keeper *k, usec_t now, usec_t patience) {
        __atomic_store_n(&k->ring->ping, k->ring->ping + 1, __ATOMIC_RELEASE);
        k->watch.pinged = now;
        k->watch.pong_deadline = usec_add(now, patience);
        eventfd_signal(k->event_fd);
}

void watch_on_spawn(Keeper *k, usec_t now) {
        k->watch.is_starting = true;
        k->watch.is_condemned = false;
        k->watch.overdue = k->watch.settled = 0;
        watch_ping(k, now, WATCH_START_USEC);
}

static void watch_condemn(Keeper *k) {
        k->watch.is_condemned = true;
        k->watch.pong_deadline = USEC_INFINITY;
        (void) kill(k->core, SIGKILL); /* our child and not reaped: it is the core */
}

/* Each of these does what is due, and returns when it wants to be called again. */

static usec_t watch_core(Keeper *k, usec_t now) {
        KeeperWatch *w = &k->watch;
        usec_t period = watch_is_draining(k) ? WATCH_PERIOD_DRAINING_USEC : WATCH_PERIOD_USEC, next;

        if (k->core == 0 && now >= k->respawn)
                respawn_core(k, now);
        if (k->core == 0)
                return k->respawn;
        if (now >= k->restart && !w->is_condemned)
                watch_condemn(k); /* asked by SIGUSR2 to end, and it did not */
        if (watch_is_answered(k)) {
                w->is_starting = false;
                if (now >= usec_add(w->pinged, period))
                        watch_ping(k, now, watch_is_draining(k) ? WATCH_PATIENCE_DRAINING : WATCH_PERIOD_USEC);
        } else if (now > usec_add(w->pong_deadline, WATCH_LATE_USEC)) {
                /* We are late ourselves: the machine slept, or all of us were frozen. Ask again. */
                w->pong_deadline = usec_add(now, WATCH_PATIENCE_DRAINING);
        } else if (now >= w->pong_deadline) {
                say(LOG_WARNING, "The core does not answer%s, killing it.", w->is_starting ? " since its start" : "");
                watch_condemn(k);
        }
        next = usec_add(w->pinged, period); /* by then it has answered, unnoticed */
        if (now >= next)
                next = USEC_INFINITY;
        if (!watch_is_answered(k))
                next = usec_min(next, w->pong_deadline);
        return w->is_condemned ? next : usec_min(next, k->restart);
}

/* The drain's deadline is over: a core that still answers is at work on it; any other is given up. */
static usec_t watch_drain(Keeper *k, usec_t now) {
        KeeperWatch *w = &k->watch;
        usec_t deadline = USEC_INFINITY;

        if (watch_is_draining(k))
                deadline = __atomic_load_n(&k->ring->deadline_usec, __ATOMIC_RELAXED);
        if (now < deadline) {
                w->overdue = 0; /* perhaps it was taken back */
                return deadline;
        }
        if (w->settled == deadline)
                return USEC_INFINITY;
        if (w->overdue == 0) {
                if (watch_is_answered(k))
                        watch_ping(k, now, WATCH_PATIENCE_DRAINING);
                w->overdue = usec_add(now, WATCH_LATE_USEC);
        } else if (watch_is_answered(k)) {
                w->settled = deadline;
                w->overdue = 0;
                return USEC_INFINITY;
        } else if (now >= w->overdue) {
                say(LOG_ERR, "The core is not there at the deadline of the drain, giving it up.");
                k->is_given_up = true;
        }
        return w->overdue;
}

usec_t watch_upstream(Keeper *k, usec_t now) {
        if (now >= k->watch.upstream) {
                k->watch.upstream = usec_add(now, k->watch.upstream_period);
                if (!k->watch.is_condemned) /* a core that even KILL does not end: let systemd try */
                        notify_upstream(k, "WATCHDOG=1");
        }
        return k->watch.upstream;
}

void watch_wait(Keeper *k, usec_t until) {
        struct pollfd fds[] = { /* those that are closed by now are not looked at */
                { .fd = k->signal_fd, .events = POLLIN },
                { .fd = k->notify_fd, .events = POLLIN },
                { .fd = k->room_fd, .events = POLLIN },
        };

        log_flush();
        until = usec_min(until, k->scan);
        (void) poll(fds, n_elements(fds), k->must_reap ? 0 : usec_to_poll(usec_left(until, clock_now_usec())));
        k->must_reap |= clock_now_usec() >= k->scan;
        if (fds[0].revents)
                reap_signals(k, clock_now_usec());
        if (fds[1].revents)
                notify_read(k, WATCH_NOTIFY_BATCH);
        if (fds[2].revents)
                (void) eventfd_clear(k->room_fd);
        if (k->ring->starved) /* whoever made room may have died before it could say so */
                reap_retry(k);
}

usec_t watch_tick(Keeper *k, usec_t now) {
        usec_t next = watch_core(k, now);

        next = usec_min(next, watch_drain(k, now));
        return usec_min(next, watch_upstream(k, now));
}
