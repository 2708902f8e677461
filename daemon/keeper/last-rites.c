#include "keeper.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define LAST_RITES_GRACE_USEC (30 * USEC_PER_SEC) /* when no core ever said */
#define LAST_RITES_KILL_USEC  (5 * USEC_PER_SEC)
#define LAST_RITES_ROUND_USEC (20 * USEC_PER_MSEC)
#define LAST_RITES_TOLD_MAX   20u
#define PROCESSES_MAX         262144u
#define PIDS_MAX              4194305u /* PID_MAX_LIMIT, which no kernel exceeds */

/* Everybody is read from /proc with the parent that it has, then those are kept whose parents lead to us. Not with
 * opendir(), which allocates. */

static struct Process {
        pid_t pid, parent;
} processes[PROCESSES_MAX]; /* descendants first */
static unsigned n_processes, n_descendants;
static bool is_ours[PIDS_MAX];
static char stat_text[512]; /* of whom was looked at last: "17 (name) S 1 " */

/* 0 when it is gone. */
static pid_t descendants_parent(pid_t pid) {
        char path[32];
        cleanup(fd_closep) int fd = -EBADF;
        const char *end;
        ssize_t n;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, stat_text, sizeof(stat_text) - 1);
        stat_text[n > 0 ? n : 0] = '\0';
        end = strrchr(stat_text, ')'); /* the name in front may contain anything */
        return end && strlen(end) > 4 ? (pid_t) strtol(end + 4, NULL, 10) : 0;
}

static void descendants_collect(void) {
        cleanup(fd_closep) int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _Alignas(struct dirent64) char buffer[4096];
        const struct dirent64 *entry;
        unsigned n_before;
        ssize_t n;

        n_processes = 0;
        while (fd >= 0 && (n = getdents64(fd, buffer, sizeof(buffer))) > 0)
                for (ssize_t at = 0; at < n; at += entry->d_reclen) {
                        struct Process process = { 0 };

                        entry = (const struct dirent64 *) (buffer + at);
                        process.pid = (pid_t) strtol(entry->d_name, NULL, 10);
                        if (process.pid > 0)
                                process.parent = descendants_parent(process.pid);
                        /* Whoever sends KILL comes again: those without a place have their turn later. */
                        if (process.parent > 0 && n_processes < PROCESSES_MAX)
                                processes[n_processes++] = process;
                }
        memset(is_ours, 0, sizeof(is_ours));
        is_ours[getpid()] = true;
        n_descendants = 0;
        do { /* children mostly follow their parents, so few rounds are needed */
                n_before = n_descendants;
                for (unsigned i = n_descendants; i < n_processes; i++) {
                        struct Process process = processes[i];

                        if (!is_ours[process.parent])
                                continue;
                        is_ours[process.pid] = true;
                        processes[i] = processes[n_descendants];
                        processes[n_descendants++] = process;
                }
        } while (n_descendants > n_before);
}

/* A child of ours keeps its pid until we reap it. The pid of any other may be somebody else's by now, so it
 * is held first and looked at again. */
static void descendants_send(const struct Process *process, int signal) {
        cleanup(fd_closep) int pidfd = -EBADF;
        pid_t self = getpid(), parent;

        if (process->parent == self) {
                (void) kill(process->pid, signal);
                return;
        }
        pidfd = (int) syscall(SYS_pidfd_open, process->pid, 0);
        parent = descendants_parent(process->pid);
        if (pidfd >= 0 && (parent == process->parent || parent == self))
                (void) syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

/* However deep they are; CONT after TERM is for those who are stopped. */
static void descendants_signal(int signal) {
        descendants_collect();
        for (unsigned i = 0; i < n_descendants; i++)
                descendants_send(&processes[i], signal);
        for (unsigned i = 0; signal == SIGTERM && i < n_descendants; i++)
                descendants_send(&processes[i], SIGCONT);
}

static void descendants_tell(void) {
        for (unsigned i = 0; i < n_descendants && i < LAST_RITES_TOLD_MAX; i++)
                if (descendants_parent(processes[i].pid) > 0)
                        say(LOG_ERR, "Process %.*s) cannot be killed, leaving it behind.",
                            (int) (strrchr(stat_text, ')') - stat_text), stat_text);
}

/* What is left is done without the core, so what served it makes room: reading /proc takes a few fds, and
 * none may be left. What the store holds stays: services write into it. */
static void last_rites_make_room(Keeper *k) {
        k->ring_fd = fd_close(k->ring_fd);
        k->event_fd = fd_close(k->event_fd);
        k->room_fd = fd_close(k->room_fd);
        k->notify_fd = fd_close(k->notify_fd);
}

/* Also until a child ends, or a signal comes. */
static void last_rites_wait(Keeper *k, usec_t until) {
        k->must_reap = false;
        watch_wait(k, usec_min(until, watch_upstream(k, clock_now_usec())));
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
                last_rites_wait(k, usec_min(end, usec_add(now, LAST_RITES_ROUND_USEC)));
        }
}

void last_rites_perform(Keeper *k) {
        const Ring *ring = k->ring;
        usec_t now = clock_now_usec(), end = ring->deadline_usec;
        unsigned n_enough = k->n_asked + (ring->is_draining ? 1 : 2); /* the second one asks for KILL */
        char time[DURATION_TEXT_MAX];

        if (!ring->is_draining || end == USEC_INFINITY)
                end = usec_add(now, ring->grace_usec > 0 ? ring->grace_usec : LAST_RITES_GRACE_USEC);
        last_rites_make_room(k);
        if (k->core > 0)
                (void) kill(k->core, SIGKILL); /* hung, or too late to be of use; our child, not reaped */
        say(LOG_ERR, "Ending all services without the core, within %s.",
            duration_format(time, sizeof(time), usec_left(end, now)));
        notify_upstream(k, "STOPPING=1\nSTATUS=The core could not be kept running, ending all services.");
        if (now < end)
                descendants_signal(SIGTERM);
        for (; reap_silently() && now < end && k->n_asked < n_enough; now = clock_now_usec())
                last_rites_wait(k, end);
        k->core = 0;
        k->exit_status = KEEPER_EXIT_GIVEN_UP;
        k->is_over = true;
}
