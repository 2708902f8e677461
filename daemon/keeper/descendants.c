#include "keeper.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* Everybody is read from /proc with the parent that it has, then those are kept whose parents lead to us. Not with
 * opendir(), which allocates. */

#define PROCESSES_MAX 262144u
#define PIDS_MAX      4194305u /* PID_MAX_LIMIT, which no kernel exceeds */
#define TOLD_MAX      20u

typedef struct DirectoryEntry {
        uint64_t inode;
        int64_t offset;
        uint16_t length;
        uint8_t type;
        char name[];
} DirectoryEntry;

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

static void descendants_add(pid_t pid) {
        pid_t parent = pid > 0 ? descendants_parent(pid) : 0;

        /* Whoever sends KILL comes again until nobody is left, so those without a place have their turn later. */
        if (parent > 0 && n_processes < PROCESSES_MAX)
                processes[n_processes++] = (struct Process) { pid, parent };
}

static void descendants_read(void) {
        cleanup(fd_closep) int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _Alignas(DirectoryEntry) char buffer[4096];
        const DirectoryEntry *entry;
        long n;

        n_processes = 0;
        while (fd >= 0 && (n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0)
                for (long at = 0; at < n; at += entry->length) {
                        entry = (const DirectoryEntry *) (buffer + at);
                        descendants_add((pid_t) strtol(entry->name, NULL, 10));
                }
}

static void descendants_collect(void) {
        unsigned n_before;

        descendants_read();
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

void descendants_signal(int signal) {
        descendants_collect();
        for (unsigned i = 0; i < n_descendants; i++)
                descendants_send(&processes[i], signal);
        for (unsigned i = 0; signal == SIGTERM && i < n_descendants; i++)
                descendants_send(&processes[i], SIGCONT);
}

void descendants_tell(void) {
        for (unsigned i = 0; i < n_descendants && i < TOLD_MAX; i++)
                if (descendants_parent(processes[i].pid) > 0)
                        say(LOG_ERR, "Process %.*s) cannot be killed, leaving it behind.",
                            (int) (strrchr(stat_text, ')') - stat_text), stat_text);
}
