#include "keeper.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* Breadth first from ourselves through /proc/PID/task/TID/children, so that no process is looked at but ours.
 * Kernels without that file are searched through the parents of all processes instead. No opendir(): it allocates. */

typedef struct DirectoryEntry {
        uint64_t inode;
        int64_t offset;
        uint16_t length;
        uint8_t type;
        char name[];
} DirectoryEntry;

static pid_t descendants_pids[DESCENDANTS_MAX], descendants_parents[DESCENDANTS_MAX];
static unsigned descendants_n;

static void descendants_add(pid_t pid, pid_t parent) {
        if (descendants_n == DESCENDANTS_MAX)
                return; /* whoever sends KILL comes again until nobody is left */
        descendants_parents[descendants_n] = parent;
        descendants_pids[descendants_n++] = pid;
}

static pid_t descendants_number(const char *text) {
        pid_t n = 0;

        for (; *text >= '0' && *text <= '9' && n < 1 << 24; text++)
                n = n * 10 + (*text - '0');
        return *text == '\0' ? n : 0;
}

/* Calls found for each entry of a directory of /proc that is a number. -errno when it cannot be opened. */
static int descendants_each(const char *path, pid_t process, void (*found)(pid_t number, pid_t process)) {
        cleanup(fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _Alignas(DirectoryEntry) char buffer[4096];
        long n;

        if (fd < 0)
                return -errno;
        while ((n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0) {
                for (long at = 0; at < n;) {
                        const DirectoryEntry *entry = (const DirectoryEntry *) (buffer + at);
                        pid_t number = descendants_number(entry->name);

                        if (number > 0)
                                found(number, process);
                        at += entry->length;
                }
        }
        return 0;
}

static int descendants_open_children(pid_t process, pid_t thread) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) process, (int) thread);
        return open(path, O_RDONLY | O_CLOEXEC);
}

static void descendants_of_thread(pid_t thread, pid_t process) {
        cleanup(fd_closep) int fd = descendants_open_children(process, thread);
        char buffer[4096];
        pid_t pid = 0;
        ssize_t n;

        while (fd >= 0 && (n = read(fd, buffer, sizeof(buffer))) > 0) {
                for (ssize_t i = 0; i < n; i++) { /* each number is followed by a blank */
                        if (buffer[i] >= '0' && buffer[i] <= '9') {
                                pid = pid * 10 + (buffer[i] - '0');
                        } else if (pid > 0) {
                                descendants_add(pid, process);
                                pid = 0;
                        }
                }
        }
}

/* The parent of a process, 0 when it is gone. */
static pid_t descendants_parent(pid_t pid) {
        char path[32], text[512];
        cleanup(fd_closep) int fd = -EBADF;
        const char *end;
        ssize_t n;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        end = strrchr(text, ')'); /* the name in front may contain anything; ") S 17 " follows */
        return end && strlen(end) > 4 ? (pid_t) strtol(end + 4, NULL, 10) : 0;
}

static void descendants_by_parent(pid_t pid, pid_t wanted) {
        if (descendants_parent(pid) == wanted)
                descendants_add(pid, wanted);
}

static void descendants_collect(void) {
        pid_t self = getpid();
        cleanup(fd_closep) int fd = descendants_open_children(self, self);
        bool has_children_files = fd >= 0;
        char path[32];

        descendants_n = 0;
        fd = fd_close(fd);
        for (unsigned i = 0; i <= descendants_n; i++) {
                pid_t process = i == 0 ? self : descendants_pids[i - 1];

                (void) snprintf(path, sizeof(path), "/proc/%d/task", (int) process);
                /* A process that is gone meanwhile has handed its children to us. */
                if (has_children_files)
                        (void) descendants_each(path, process, descendants_of_thread);
                else
                        (void) descendants_each("/proc", process, descendants_by_parent);
        }
}

/* A child of ours keeps its pid until we reap it. The pid of any other may be somebody else's by now, so it
 * is held first and looked at again. */
static void descendants_send(pid_t pid, pid_t parent, int signal) {
        cleanup(fd_closep) int pidfd = -EBADF;
        pid_t self = getpid(), now;

        if (parent == self) {
                (void) kill(pid, signal);
                return;
        }
        pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        now = descendants_parent(pid);
        if (now <= 0 || (now != parent && now != self))
                return;
        if (pidfd >= 0)
                (void) syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
        else if (errno == ENOSYS || errno == EMFILE)
                (void) kill(pid, signal);
}

unsigned descendants_signal(int signal) {
        descendants_collect();
        for (unsigned i = 0; i < descendants_n; i++)
                descendants_send(descendants_pids[i], descendants_parents[i], signal);
        if (signal == SIGTERM)
                for (unsigned i = 0; i < descendants_n; i++)
                        descendants_send(descendants_pids[i], descendants_parents[i], SIGCONT);
        return descendants_n;
}

pid_t descendants_get(unsigned index) {
        return descendants_pids[index];
}
