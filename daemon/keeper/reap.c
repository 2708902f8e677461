#include "keeper.h"

#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../protocol/fds.h"

#define REAP_BATCH 256u
#define REAP_PAUSE_MSEC 5u /* at most, when the look took long because others had the CPU */
#define REAP_SHARE 64u /* a look for anybody is followed by as many times its own duration without one */

/* What the system call writes, which is not what 32-bit C libraries call struct rusage. */
typedef struct KernelUsage {
        long user_sec, user_usec, system_sec, system_usec, max_rss_kib, rest[13];
} KernelUsage;

/* A dead child: false when there is none. flags: WNOWAIT leaves it dead. glibc's waitid() has no rusage. */
static bool reap_wait(idtype_t type, pid_t pid, int flags, siginfo_t *ret, KernelUsage *ret_usage) {
        ret->si_pid = 0;
        flags |= WEXITED | WNOHANG | __WALL;
        return syscall(SYS_waitid, type, pid, ret, flags, ret_usage) == 0 && ret->si_pid > 0;
}

/* SIGCHLD may stand for many deaths. While a core takes over: record first, reap second. A pid that it finds without
 * a record has then not been reaped, so what it opens is the right process. From its first answer on it holds
 * its children by pidfds, which no other process ever gets into, and a new core is started by nobody but us, when every
 * record is written: so the dead are reaped at once, which halves the system calls of a large crowd.
 * A full ring leaves the dead to the kernel until the core has read.
 * To ask for anybody costs as much as there are children, and most ends are told by their signal: one pid is asked for at
 * once, and whose signal was lost in another's is looked for at times, so that a thousand ends cost no million steps. */
void reap_children(Keeper *k) {
        usec_t now = clock_now_usec(), pause;
        unsigned n = 0;
        KernelUsage usage;
        siginfo_t si;

        k->must_reap = false;
        /* Seen even when the ring is full: who else should empty it? */
        k->has_core_exited = k->core > 0 && reap_wait(P_PID, k->core, WNOWAIT, &k->core_exit, &usage);
        k->is_core_reaped = false;
        while (!k->has_core_exited && !k->has_pending_signal && n < REAP_BATCH) {
                bool is_looked_at = k->watch.is_starting || !ring_has_room(k->ring);
                const pid_t told = k->told;
                RingRecord record;

                k->told = 0;
                k->scan = k->scan_after;
                if (told == 0 && now < k->scan_after)
                        break;
                if (!reap_wait(told > 0 ? P_PID : P_ALL, told, is_looked_at ? WNOWAIT : 0, &si, &usage)) {
                        if (told > 0)
                                continue;
                        pause = usec_min(REAP_SHARE * (clock_now_usec() - now) / USEC_PER_MSEC, REAP_PAUSE_MSEC);
                        k->scan_after = now + pause * USEC_PER_MSEC;
                        k->scan = USEC_INFINITY;
                        break;
                }
                now = clock_now_usec();
                if (si.si_pid == k->core) {
                        k->core_exit = si;
                        k->is_core_reaped = !is_looked_at;
                        k->has_core_exited = true;
                        break;
                }
                record = (RingRecord) {
                        .kind = RING_EXIT,
                        .pid = si.si_pid,
                        .code = si.si_code,
                        .status = si.si_status,
                        .uid = si.si_uid,
                        .time_usec = now,
                        .user_usec = (uint64_t) usage.user_sec * USEC_PER_SEC + (uint64_t) usage.user_usec,
                        .system_usec = (uint64_t) usage.system_sec * USEC_PER_SEC + (uint64_t) usage.system_usec,
                        .max_rss_kib = (uint64_t) usage.max_rss_kib,
                };
                if (!ring_put(k->ring, &record))
                        break;
                n++;
                if (is_looked_at)
                        (void) waitpid(si.si_pid, NULL, __WALL); /* a zombie of ours: cannot fail, does not wait */
        }
        k->must_reap = n == REAP_BATCH;
        if (n > 0)
                eventfd_signal(k->event_fd);
}

bool reap_silently(void) {
        pid_t pid;

        while ((pid = waitpid(-1, NULL, WNOHANG | __WALL)) > 0)
                ;
        return pid == 0;
}

/* Writes the signals that wait, up to the first for which the ring has no room. Nothing overtakes that one: whoever
 * writes says that we do not wait for room. */
static void reap_put_signals(Keeper *k) {
        k->has_pending_signal = true;
        for (size_t i = 0; i < n_elements(k->signals); i++)
                for (; k->signals[i].n_pending > 0; k->signals[i].n_pending--) {
                        if (!ring_put(k->ring, &k->signals[i].record))
                                return;
                        eventfd_signal(k->event_fd);
                }
        k->has_pending_signal = false;
}

static void reap_note_signal(Keeper *k, const struct signalfd_siginfo *info, usec_t now) {
        const unsigned number = info->ssi_signo % n_elements(k->signals);

        k->signals[number].n_pending += k->signals[number].n_pending < KEEPER_SIGNALS_KEPT;
        k->signals[number].record = (RingRecord) {
                .kind = RING_SIGNAL,
                .pid = (int32_t) info->ssi_pid,
                .code = info->ssi_code,
                .status = (int32_t) info->ssi_signo,
                .uid = info->ssi_uid,
                .time_usec = now,
        };
        k->n_asked += info->ssi_signo == SIGTERM || info->ssi_signo == SIGINT || info->ssi_signo == SIGQUIT
                || info->ssi_signo == (uint32_t) SIGRTMIN + 3;
        if (info->ssi_signo == SIGUSR2 && k->restart == USEC_INFINITY)
                k->restart = usec_add(now, KEEPER_RESTART_USEC);
        reap_put_signals(k); /* one by one, so that they stay in order while there is room */
}

void reap_signals(Keeper *k, usec_t now) {
        struct signalfd_siginfo infos[16];
        ssize_t n = read(k->signal_fd, infos, sizeof(infos));

        for (size_t i = 0; n > 0 && i < (size_t) n / sizeof(infos[0]); i++) {
                if (infos[i].ssi_signo == SIGCHLD) {
                        k->must_reap = true;
                        k->told = (pid_t) infos[i].ssi_pid;
                } else
                        reap_note_signal(k, &infos[i], now);
        }
}

void reap_retry(Keeper *k) {
        reap_put_signals(k);
        k->must_reap = true;
}
