#include "procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

enum {
        READ_BYTES = 8192,
        LAST_BYTES = 4096 - 64, /* a page without room for one more line */
        STAT_BYTES = 1024,
        ENVIRONMENT_MAX = 256 * 1024, /* so far we look for a mark: it stands near the start */
        DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
};

static void refill(Procfs *procfs) {
        for (int i = 0; i < PROCFS_RESERVE; i++)
                if (procfs->reserve[i] < 0)
                        procfs->reserve[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int procfs_init(Procfs *procfs) {
        char path[64];

        *procfs = (Procfs) { .root = -EBADF };
        for (int i = 0; i < PROCFS_RESERVE; i++)
                procfs->reserve[i] = -EBADF;
        procfs->root = open("/proc", DIRECTORY_FLAGS);
        if (procfs->root < 0)
                return -errno;
        refill(procfs);
        (void) snprintf(path, sizeof(path), "%d/task/%d/children", (int) getpid(), (int) getpid());
        procfs->has_children = faccessat(procfs->root, path, R_OK, 0) == 0;
        return 0;
}

void procfs_done(Procfs *procfs) {
        procfs->root = fd_close(procfs->root);
        for (int i = 0; i < PROCFS_RESERVE; i++)
                procfs->reserve[i] = fd_close(procfs->reserve[i]);
        free(procfs->pairs);
        procfs->pairs = NULL;
}

int procfs_open(Procfs *procfs, int directory, const char *path, int flags) {
        int fd = openat(directory, path, flags | O_CLOEXEC);

        for (int i = 0; fd < 0 && (errno == EMFILE || errno == ENFILE) && i < PROCFS_RESERVE; i++) {
                if (procfs->reserve[i] < 0)
                        continue;
                procfs->reserve[i] = fd_close(procfs->reserve[i]);
                fd = openat(directory, path, flags | O_CLOEXEC);
        }
        return fd < 0 ? -errno : fd;
}

void procfs_close(Procfs *procfs, int fd) {
        (void) fd_close(fd);
        for (int i = 0; i < PROCFS_RESERVE; i++)
                if (procfs->reserve[i] < 0) {
                        refill(procfs);
                        return;
                }
}

/* The n-th number from here on (1 is the first), or false. Moves *at behind it. */
static bool parse_number(const char **at, unsigned long long *ret) {
        unsigned long long value = 0;
        bool has_digit = false;

        while (**at == ' ' || **at == '-')
                (*at)++;
        for (; **at >= '0' && **at <= '9'; (*at)++, has_digit = true)
                value = value * 10 + (unsigned) (**at - '0');
        *ret = value;
        return has_digit;
}

/* PID (COMMAND) STATE, then numbers. COMMAND may hold anything, also ") Z": the last bracket counts. */
int procfs_parse_stat(const char *text, ProcStat *ret) {
        /* places after the state: 0 parent, 1 group, 2 session, 16 threads, 18 start time */
        unsigned long long fields[19], pid;
        const char *open = strchr(text, '('), *end = strrchr(text, ')'), *at = text;
        ProcStat stat = { 0 };
        size_t length;

        if (!open || !end || end < open || !parse_number(&at, &pid) || end[1] != ' ' || !end[2])
                return -EINVAL;
        length = (size_t) (end - open - 1);
        if (length >= sizeof(stat.command))
                length = sizeof(stat.command) - 1;
        memcpy(stat.command, open + 1, length);
        stat.state = end[2];
        at = end + 3;
        for (size_t i = 0; i < n_elements(fields); i++)
                if (!parse_number(&at, &fields[i]))
                        return -EINVAL;
        stat.pid = (pid_t) pid;
        stat.parent = (pid_t) fields[0];
        stat.group = (pid_t) fields[1];
        stat.session = (pid_t) fields[2];
        stat.n_threads = (unsigned) fields[16];
        stat.start_time = fields[18];
        *ret = stat;
        return 0;
}

static ssize_t read_file(Procfs *procfs, const char *path, char *text, size_t size) {
        int fd = procfs_open(procfs, procfs->root, path, O_RDONLY);
        ssize_t n;

        if (fd < 0)
                return fd;
        n = read(fd, text, size - 1);
        if (n < 0)
                n = -errno;
        else
                text[n] = '\0';
        procfs_close(procfs, fd);
        return n;
}

int procfs_stat(Procfs *procfs, pid_t pid, ProcStat *ret) {
        char path[32], text[STAT_BYTES];
        ssize_t n;

        (void) snprintf(path, sizeof(path), "%d/stat", (int) pid);
        n = read_file(procfs, path, text, sizeof(text));
        return n < 0 ? (int) n : procfs_parse_stat(text, ret);
}

int procfs_read_pids(int fd, ProcfsPid on_pid, void *userdata) {
        char text[READ_BYTES];
        off_t offset = 0;
        unsigned pid = 0;

        for (;;) {
                ssize_t n = pread(fd, text, sizeof(text), offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                for (ssize_t i = 0; i < n; i++) {
                        if (text[i] >= '0' && text[i] <= '9') {
                                pid = pid * 10 + (unsigned) (text[i] - '0');
                                continue;
                        }
                        if (pid != 0)
                                on_pid((pid_t) pid, userdata);
                        pid = 0;
                }
                offset += n;
                if (n >= LAST_BYTES) /* the kernel fills a page at least as long as there is more */
                        continue;
                if (pid != 0)
                        on_pid((pid_t) pid, userdata);
                return 0;
        }
}

/* Calls back for every entry whose name is a number. */
static int read_numbers(int directory, ProcfsPid on_number, void *userdata) {
        _Alignas(struct dirent64) char entries[READ_BYTES];

        for (;;) {
                long n = syscall(SYS_getdents64, directory, entries, sizeof(entries));

                if (n < 0)
                        return -errno;
                if (n == 0)
                        return 0;
                for (long at = 0; at < n;) {
                        const struct dirent64 *entry = (const struct dirent64 *) (entries + at);
                        const char *name = entry->d_name;
                        unsigned long long number;

                        at += entry->d_reclen;
                        if (*name >= '1' && *name <= '9' && parse_number(&name, &number) && !*name)
                                on_number((pid_t) number, userdata);
                }
        }
}

typedef struct NumberList {
        pid_t *numbers;
        unsigned n, max;
} NumberList;

static void note_number(pid_t number, void *userdata) {
        NumberList *list = userdata;

        if (list->n < list->max)
                list->numbers[list->n++] = number;
}

unsigned procfs_list_numbers(int directory, pid_t *ret, unsigned max) {
        NumberList list = { .numbers = ret, .max = max };
        int r = read_numbers(directory, note_number, &list);

        (void) r; /* what was read until then is told */
        return list.n;
}

typedef struct ChildrenCall {
        Procfs *procfs;
        pid_t pid;
        ProcfsPid on_pid;
        void *userdata;
        int result;
} ChildrenCall;

static void read_children_of_thread(pid_t thread, void *userdata) {
        ChildrenCall *call = userdata;
        char path[64];
        int fd, r;

        (void) snprintf(path, sizeof(path), "%d/task/%d/children", (int) call->pid, (int) thread);
        fd = procfs_open(call->procfs, call->procfs->root, path, O_RDONLY);
        r = fd < 0 ? fd : procfs_read_pids(fd, call->on_pid, call->userdata);
        if (fd >= 0)
                procfs_close(call->procfs, fd);
        if (r < 0)
                call->result = r;
}

static int children_of_threads(ChildrenCall *call) {
        char path[32];
        int fd, r;

        (void) snprintf(path, sizeof(path), "%d/task", (int) call->pid);
        fd = procfs_open(call->procfs, call->procfs->root, path, DIRECTORY_FLAGS);
        if (fd < 0)
                return fd;
        r = read_numbers(fd, read_children_of_thread, call);
        procfs_close(call->procfs, fd);
        return r;
}

/* A thread that ends meanwhile hands its children to another: only the leader's own failure is one. */
int procfs_children(Procfs *procfs, pid_t pid, unsigned n_threads, ProcfsPid on_pid, void *userdata) {
        ChildrenCall call = { .procfs = procfs, .pid = pid, .on_pid = on_pid, .userdata = userdata };

        if (!procfs->has_children) {
                for (unsigned i = 0; i < procfs->n_pairs; i++)
                        if (procfs->pairs[i].parent == pid)
                                on_pid(procfs->pairs[i].pid, userdata);
                return 0;
        }
        if (n_threads > 1)
                return children_of_threads(&call);
        read_children_of_thread(pid, &call);
        return call.result;
}

static void add_pair(pid_t pid, void *userdata) {
        Procfs *procfs = userdata;
        ProcStat stat;

        if (procfs_stat(procfs, pid, &stat) < 0)
                return; /* it has ended meanwhile */
        if (procfs->n_pairs == procfs->n_pairs_max) {
                unsigned max = procfs->n_pairs_max ? 2 * procfs->n_pairs_max : 4096;
                ProcfsPair *pairs = realloc(procfs->pairs, max * sizeof(*pairs));

                if (!pairs)
                        return; /* the rest comes into view when these have ended */
                procfs->pairs = pairs;
                procfs->n_pairs_max = max;
        }
        procfs->pairs[procfs->n_pairs++] = (ProcfsPair) { .pid = pid, .parent = stat.parent };
}

int procfs_refresh(Procfs *procfs) {
        if (procfs->has_children)
                return 0;
        procfs->n_pairs = 0;
        return procfs_everybody(procfs, add_pair, procfs);
}

int procfs_everybody(Procfs *procfs, ProcfsPid on_pid, void *userdata) {
        if (lseek(procfs->root, 0, SEEK_SET) < 0)
                return -errno;
        return read_numbers(procfs->root, on_pid, userdata);
}

/* Reads on behind the kept bytes. What is kept must leave room. */
static ssize_t read_more(int fd, char *text, size_t kept, size_t size) {
        ssize_t n;

        do
                n = read(fd, text + kept, size - kept);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

/* The first entry whose NUL is there and that starts with NAME=. *ret_rest: where the last, unfinished entry starts. */
static const char *find_entry(char *text, size_t n, const char *name, size_t *ret_rest) {
        size_t length = strlen(name), at = 0;
        char *end;

        while (at < n && (end = memchr(text + at, '\0', n - at))) {
                if (strncmp(text + at, name, length) == 0 && text[at + length] == '=')
                        return text + at + length + 1;
                at = (size_t) (end - text) + 1;
        }
        *ret_rest = at;
        return NULL;
}

static int find_in_environment(int fd, const char *name, char *ret, size_t size) {
        char text[READ_BYTES];
        size_t kept = 0, rest = 0;

        for (size_t total = 0; total < ENVIRONMENT_MAX;) {
                ssize_t n = read_more(fd, text, kept, sizeof(text));
                const char *value;

                if (n <= 0)
                        return (int) n;
                total += (size_t) n;
                kept += (size_t) n;
                value = find_entry(text, kept, name, &rest);
                if (value && strlen(value) < size) {
                        memcpy(ret, value, strlen(value) + 1);
                        return 1;
                }
                if (value)
                        return 0;
                /* An entry longer than the buffer is none of ours; its tail is taken for one of its own. */
                if (rest == 0 && kept == sizeof(text))
                        rest = kept;
                memmove(text, text + rest, kept - rest);
                kept -= rest;
        }
        return 0;
}

int procfs_environment(Procfs *procfs, pid_t pid, const char *name, char *ret, size_t size) {
        char path[32];
        int fd, r;

        (void) snprintf(path, sizeof(path), "%d/environ", (int) pid);
        fd = procfs_open(procfs, procfs->root, path, O_RDONLY);
        if (fd < 0)
                return fd;
        r = find_in_environment(fd, name, ret, size);
        procfs_close(procfs, fd);
        return r;
}
