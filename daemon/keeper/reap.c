#include "keeper.h"

#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../protocol/fds.h"

#define REAP_BATCH 256u

/* What the system call writes, which is not what 32-bit C libraries call struct rusage. */
typedef struct KernelUsage {
        long user_sec, user_usec, system_sec, system_usec, max_rss_kib, rest[13];
} KernelUsage;

/* Looks at a dead child and leaves it dead: false when there is none. glibc's waitid() has no rusage. */
static bool reap_peek(idtype_t type, pid_t pid, siginfo_t *ret, KernelUsage *ret_usage) {
        ret->si_pid = 0;
        return syscall(SYS_waitid, type, pid, ret, WEXITED | WNOHANG | WNOWAIT | __WALL, ret_usage) == 0 &&
               ret->si_pid > 0;
}

static RingRecord reap_record(const siginfo_t *si, const KernelUsage *usage, usec_t now) {
        return (RingRecord) {
                .kind = RING_EXIT,
                .pid = si->si_pid,
                .code = si->si_code,
                .status = si->si_status,
                .uid = si->si_uid,
                .time_usec = now,
                .user_usec = (uint64_t) usage->user_sec * USEC_PER_SEC + (uint64_t) usage->user_usec,
                .system_usec = (uint64_t) usage->system_sec * USEC_PER_SEC + (uint64_t) usage->system_usec,
                .max_rss_kib = (uint64_t) usage->max_rss_kib,
        };
}

void reap_one(pid_t pid) {
        siginfo_t si;

        (void) waitid(P_PID, (id_t) pid, &si, WEXITED | __WALL); /* a zombie of ours: cannot fail, does not wait */
}

void reap_kick(Keeper *k) {
        eventfd_signal(k->event_fd);
}

/* The core's end is seen here even when the ring is full: who else should empty it? */
static bool reap_sees_core(Keeper *k, idtype_t type) {
        siginfo_t si;
        KernelUsage usage;

        if (k->core > 0 && reap_peek(type, k->core, &si, &usage) && si.si_pid == k->core) {
                k->core_exit = si;
                k->has_core_exited = true;
        }
        return k->has_core_exited;
}

/* SIGCHLD may stand for many deaths. Record first, reap second: until its record is in the ring the zombie
 * holds its pid, so no pid is reused that the core still believes in. A full ring leaves the dead to the
 * kernel until the core has read. */
void reap_children(Keeper *k) {
        usec_t now = clock_now_usec();
        unsigned n_recorded = 0;

        k->must_reap = false;
        for (unsigned i = 0; i < REAP_BATCH; i++) {
                siginfo_t si;
                KernelUsage usage;
                RingRecord record;

                if (!reap_peek(P_ALL, 0, &si, &usage))
                        break; /* no children, or everyone left is alive */
                if (si.si_pid == k->core) {
                        k->core_exit = si;
                        k->has_core_exited = true;
                        break; /* it is reaped when that was handled, then the others */
                }
                record = reap_record(&si, &usage, now);
                if (!ring_put(k->ring, &record)) {
                        (void) reap_sees_core(k, P_PID);
                        break;
                }
                n_recorded++;
                reap_one(si.si_pid);
        }
        if (n_recorded == REAP_BATCH)
                k->must_reap = true;
        if (n_recorded > 0)
                reap_kick(k);
}

bool reap_silently(void) {
        for (;;) {
                siginfo_t si = { .si_pid = 0 };

                if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | __WALL) < 0)
                        return errno != ECHILD;
                if (si.si_pid == 0)
                        return true;
        }
}

/* Writes the signals that wait; those for which the ring has no room go on waiting. */
static void reap_put_signals(Keeper *k) {
        bool is_any = false;

        k->has_pending_signal = false;
        for (unsigned i = 1; i <= KEEPER_SIGNAL_MAX; i++) {
                KeeperSignal *signal = &k->signals[i];

                while (signal->n_pending > 0 && ring_put(k->ring, &signal->record)) {
                        signal->n_pending--;
                        is_any = true;
                }
                if (signal->n_pending > 0)
                        k->has_pending_signal = true;
        }
        if (is_any)
                reap_kick(k);
}

static void reap_note_signal(Keeper *k, const struct signalfd_siginfo *info, usec_t now) {
        KeeperSignal *signal = &k->signals[info->ssi_signo <= KEEPER_SIGNAL_MAX ? info->ssi_signo : 0];

        if (signal->n_pending < KEEPER_SIGNALS_KEPT)
                signal->n_pending++;
        signal->record = (RingRecord) {
                .kind = RING_SIGNAL,
                .pid = (int32_t) info->ssi_pid,
                .code = info->ssi_code,
                .status = (int32_t) info->ssi_signo,
                .uid = info->ssi_uid,
                .time_usec = now,
        };
        if (info->ssi_signo == SIGUSR2 && k->restart == USEC_INFINITY)
                k->restart = usec_add(now, KEEPER_RESTART_USEC);
        reap_put_signals(k); /* one by one, so that they stay in order while there is room */
}

void reap_signals(Keeper *k, usec_t now) {
        struct signalfd_siginfo infos[16];
        ssize_t n = read(k->signal_fd, infos, sizeof(infos));

        for (size_t i = 0; n > 0 && i < (size_t) n / sizeof(infos[0]); i++) {
                if (infos[i].ssi_signo == SIGCHLD)
                        k->must_reap = true;
                else
                        reap_note_signal(k, &infos[i], now);
        }
}

void reap_retry(Keeper *k) {
        if (k->has_pending_signal)
                reap_put_signals(k);
        k->must_reap = true;
}
