#include "keeper.h"

#include <poll.h>
#include <sys/signalfd.h>

#include "notify.h"

#define LAST_RITES_GRACE_USEC (30 * USEC_PER_SEC) /* when no core ever said */
#define LAST_RITES_KILL_USEC  (5 * USEC_PER_SEC)
#define LAST_RITES_ROUND_USEC (20 * USEC_PER_MSEC)

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
        usec_t now = clock_now_usec();
        unsigned n_hurry = 0;
        ssize_t n;

        (void) poll(&fd, 1, usec_to_poll(usec_left(usec_min(until, watch_upstream(k, now)), now)));
        n = read(k->signal_fd, infos, sizeof(infos));
        for (size_t i = 0; n > 0 && i < (size_t) n / sizeof(infos[0]); i++)
                n_hurry += infos[i].ssi_signo == SIGTERM || infos[i].ssi_signo == SIGINT || infos[i].ssi_signo == SIGQUIT;
        return n_hurry;
}

void last_rites_sweep(Keeper *k) {
        usec_t now = clock_now_usec(), end = usec_add(now, LAST_RITES_KILL_USEC);

        last_rites_make_room(k);
        /* Whoever dies hands its children to us, so the rounds reach everybody, those included who were
         * born meanwhile. */
        for (; reap_silently(); now = clock_now_usec()) {
                descendants_signal(SIGKILL);
                if (now >= end) {
                        descendants_tell();
                        return;
                }
                (void) last_rites_wait(k, usec_min(end, usec_add(now, LAST_RITES_ROUND_USEC)));
        }
}

void last_rites_perform(Keeper *k) {
        static const char stopping[] = "STOPPING=1\nSTATUS=The core could not be kept running, ending all services.";
        const Ring *ring = k->ring;
        usec_t now = clock_now_usec(), end = ring->deadline_usec;
        unsigned n_asked = ring->is_draining ? 1 : 0; /* the second one asks for KILL */
        char time[DURATION_TEXT_MAX];

        if (!ring->is_draining || end == USEC_INFINITY)
                end = usec_add(now, ring->grace_usec > 0 ? ring->grace_usec : LAST_RITES_GRACE_USEC);
        last_rites_make_room(k);
        if (k->core > 0)
                (void) kill(k->core, SIGKILL); /* hung, or too late to be of use; our child, not reaped */
        say(LOG_ERR, "Ending all services without the core, within %s.",
            duration_format(time, sizeof(time), usec_left(end, now)));
        notify_upstream(k, stopping, sizeof(stopping) - 1);
        if (now < end)
                descendants_signal(SIGTERM);
        for (; reap_silently() && now < end && n_asked < 2; now = clock_now_usec())
                n_asked += last_rites_wait(k, end);
        k->core = 0;
        k->exit_status = KEEPER_EXIT_GIVEN_UP;
        k->is_over = true;
}
