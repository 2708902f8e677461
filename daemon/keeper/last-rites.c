#include "keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#define LAST_RITES_GRACE_USEC  (30 * USEC_PER_SEC) /* when no core ever said */
#define LAST_RITES_KILL_USEC   (5 * USEC_PER_SEC)
#define LAST_RITES_ROUND_USEC  (20 * USEC_PER_MSEC)
#define LAST_RITES_NAMED       20u

/* What is left is done without the core, so what served it makes room: reading /proc takes a few fds, and
 * none may be left. What the store holds stays: services write into it. */
static void last_rites_make_room(Keeper *k) {
        k->ring_fd = fd_close(k->ring_fd);
        k->event_fd = fd_close(k->event_fd);
        k->room_fd = fd_close(k->room_fd);
        k->notify_fd = fd_close(k->notify_fd);
}

/* Waits for a signal, the end of a child among them; returns how many of them ask us to hurry. */
static unsigned last_rites_wait(Keeper *k, usec_t until) {
        struct signalfd_siginfo infos[16];
        struct pollfd fd = { .fd = k->signal_fd, .events = POLLIN };
        usec_t left = usec_left(usec_min(until, k->watch.upstream), clock_now_usec());
        struct timespec timeout = { .tv_sec = (time_t) (left / USEC_PER_SEC),
                                    .tv_nsec = (long) (left % USEC_PER_SEC) * 1000 };
        unsigned n_hurry = 0;
        ssize_t n;

        (void) ppoll(&fd, 1, left == USEC_INFINITY ? NULL : &timeout, NULL);
        n = read(k->signal_fd, infos, sizeof(infos));
        for (size_t i = 0; n > 0 && i < (size_t) n / sizeof(infos[0]); i++)
                if (infos[i].ssi_signo == SIGTERM || infos[i].ssi_signo == SIGINT || infos[i].ssi_signo == SIGQUIT)
                        n_hurry++;
        watch_upstream(k, clock_now_usec());
        return n_hurry;
}

static void last_rites_name(pid_t pid) {
        char path[32], name[32];
        cleanup(fd_closep) int fd = -EBADF;
        ssize_t n;

        (void) snprintf(path, sizeof(path), "/proc/%d/comm", (int) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
        name[n > 0 ? n : 0] = '\0';
        name[strcspn(name, "\n")] = '\0';
        say(LOG_ERR, "Process %d (%s) cannot be killed, leaving it behind.", (int) pid, name);
}

void last_rites_sweep(Keeper *k) {
        usec_t now = clock_now_usec(), end = usec_add(now, LAST_RITES_KILL_USEC);

        last_rites_make_room(k);
        /* Whoever dies hands its children to us, so the rounds reach everybody, those included who were
         * born meanwhile. */
        while (reap_silently()) {
                unsigned n = descendants_signal(SIGKILL);

                now = clock_now_usec();
                if (now >= end) {
                        for (unsigned i = 0; i < n && i < LAST_RITES_NAMED; i++)
                                last_rites_name(descendants_get(i));
                        return;
                }
                (void) last_rites_wait(k, usec_min(end, usec_add(now, LAST_RITES_ROUND_USEC)));
        }
}

/* The recorded deadline of the drain, or the grace period from now. */
static usec_t last_rites_end(const Keeper *k, usec_t now) {
        if (k->ring->is_draining && k->ring->deadline_usec != USEC_INFINITY)
                return k->ring->deadline_usec;
        return usec_add(now, k->ring->grace_usec > 0 ? k->ring->grace_usec : LAST_RITES_GRACE_USEC);
}

void last_rites_perform(Keeper *k) {
        static const char stopping[] = "STOPPING=1\nSTATUS=The core could not be kept running, ending all services.";
        usec_t now = clock_now_usec(), end = last_rites_end(k, now);
        unsigned n_asked = k->ring->is_draining ? 1 : 0; /* the second one asks for KILL */
        char time[DURATION_TEXT_MAX];

        last_rites_make_room(k);
        if (k->core > 0)
                (void) kill(k->core, SIGKILL); /* hung, or too late to be of use; our child, not reaped */
        say(LOG_ERR, "Ending all services without the core, within %s.",
            duration_format(time, sizeof(time), usec_left(end, now)));
        say_upstream(k, stopping, sizeof(stopping) - 1);
        if (now < end)
                (void) descendants_signal(SIGTERM);
        while (reap_silently() && now < end && n_asked < 2) {
                n_asked += last_rites_wait(k, end);
                now = clock_now_usec();
        }
        k->core = 0;
        k->exit_status = KEEPER_EXIT_GIVEN_UP;
        k->is_over = true;
}
