#include "verdict.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "../config/model.h"
#include "procfs.h"

/* Not read: cmdline and environ. Both take the memory's lock, which a process in state D may hold for as long as it
 * waits; that is just whom a verdict is about. stat, status, wchan and syscall do without. */

enum { FILE_BYTES = 4096, THREADS_MAX = 64, SIGNALS_NAMED = 64 };

typedef struct CallName {
        long number;
        const char *name;
} CallName;

/* Where a process waits. The old calls exist on x86 alone. */
static const CallName call_names[] = {
        { SYS_read, "read" },
        { SYS_write, "write" },
        { SYS_readv, "readv" },
        { SYS_writev, "writev" },
        { SYS_pread64, "pread64" },
        { SYS_pwrite64, "pwrite64" },
        { SYS_openat, "openat" },
        { SYS_close, "close" },
        { SYS_ioctl, "ioctl" },
        { SYS_fcntl, "fcntl" },
        { SYS_flock, "flock" },
        { SYS_fsync, "fsync" },
        { SYS_fdatasync, "fdatasync" },
        { SYS_sync, "sync" },
        { SYS_syncfs, "syncfs" },
        { SYS_ftruncate, "ftruncate" },
        { SYS_getdents64, "getdents64" },
        { SYS_unlinkat, "unlinkat" },
        { SYS_mkdirat, "mkdirat" },
        { SYS_statx, "statx" },
        { SYS_statfs, "statfs" },
        { SYS_umount2, "umount2" },
        { SYS_mount, "mount" },
        { SYS_ppoll, "ppoll" },
        { SYS_pselect6, "pselect6" },
        { SYS_epoll_pwait, "epoll_pwait" },
        { SYS_futex, "futex" },
        { SYS_nanosleep, "nanosleep" },
        { SYS_clock_nanosleep, "clock_nanosleep" },
        { SYS_restart_syscall, "restart_syscall" },
        { SYS_wait4, "wait4" },
        { SYS_waitid, "waitid" },
        { SYS_rt_sigsuspend, "rt_sigsuspend" },
        { SYS_rt_sigtimedwait, "rt_sigtimedwait" },
        { SYS_accept, "accept" },
        { SYS_accept4, "accept4" },
        { SYS_connect, "connect" },
        { SYS_recvfrom, "recvfrom" },
        { SYS_recvmsg, "recvmsg" },
        { SYS_recvmmsg, "recvmmsg" },
        { SYS_sendto, "sendto" },
        { SYS_sendmsg, "sendmsg" },
        { SYS_sendfile, "sendfile" },
        { SYS_splice, "splice" },
        { SYS_msgrcv, "msgrcv" },
        { SYS_semtimedop, "semtimedop" },
        { SYS_mq_timedreceive, "mq_timedreceive" },
        { SYS_io_getevents, "io_getevents" },
        { SYS_io_uring_enter, "io_uring_enter" },
        { SYS_clone, "clone" },
        { SYS_clone3, "clone3" },
        { SYS_execve, "execve" },
        { SYS_exit_group, "exit_group" },
        { SYS_exit, "exit" },
        { SYS_munmap, "munmap" },
        { SYS_msync, "msync" },
        { SYS_ptrace, "ptrace" },
#ifdef SYS_open
        { SYS_open, "open" },
        { SYS_stat, "stat" },
        { SYS_lstat, "lstat" },
        { SYS_unlink, "unlink" },
        { SYS_rename, "rename" },
        { SYS_mkdir, "mkdir" },
        { SYS_rmdir, "rmdir" },
        { SYS_poll, "poll" },
        { SYS_select, "select" },
        { SYS_epoll_wait, "epoll_wait" },
        { SYS_pause, "pause" },
        { SYS_fork, "fork" },
        { SYS_vfork, "vfork" },
#endif
};

const char *verdict_system_call_name(long number) {
        for (size_t i = 0; i < n_elements(call_names); i++)
                if (call_names[i].number == number)
                        return call_names[i].name;
        return NULL;
}

/* directory: a process or a thread, held open, so that all files are of the same one. */
static int read_file(int directory, const char *path, char *text, size_t size) {
        cleanup(fd_closep) int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = read(fd, text, size - 1);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        return 0;
}

/* The text behind "KEY:" and its blanks, or NULL. */
static const char *find_line(const char *text, const char *key) {
        size_t length = strlen(key);

        for (const char *at = text; at && *at; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
                if (strncmp(at, key, length) == 0 && at[length] == ':')
                        return at + length + 1 + strspn(at + length + 1, " \t");
        return NULL;
}

static uint64_t parse_mask(const char *text, const char *key) {
        const char *at = find_line(text, key);

        return at ? strtoull(at, NULL, 16) : 0;
}

int verdict_parse_status(const char *text, Verdict *verdict) {
        const char *tracer = find_line(text, "TracerPid"), *state = find_line(text, "State");

        if (!state || !*state)
                return -EINVAL;
        verdict->tracer = tracer ? (pid_t) strtol(tracer, NULL, 10) : 0;
        verdict->blocked = parse_mask(text, "SigBlk");
        verdict->ignored = parse_mask(text, "SigIgn");
        verdict->caught = parse_mask(text, "SigCgt");
        verdict->pending = parse_mask(text, "SigPnd") | parse_mask(text, "ShdPnd");
        return 0;
}

static int open_directory(int parent, const char *path) {
        int fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static int read_stat(int directory, ProcStat *ret) {
        char text[1024];
        int r = read_file(directory, "stat", text, sizeof(text));

        return r < 0 ? r : procfs_parse_stat(text, ret);
}

/* The thread that holds the process up: one in state D before all others, else the main one, else any. */
static pid_t choose_thread(int process, const ProcStat *leader) {
        cleanup(fd_closep) int tasks = open_directory(process, "task");
        pid_t chosen = leader->state == 'Z' ? 0 : leader->pid, threads[THREADS_MAX];
        unsigned n;

        if (leader->state == 'D' || leader->n_threads <= 1 || tasks < 0)
                return leader->pid;
        n = procfs_list_numbers(tasks, threads, THREADS_MAX);
        for (unsigned i = 0; i < n; i++) {
                cleanup(fd_closep) int thread = -EBADF;
                ProcStat stat;
                char name[16];

                (void) snprintf(name, sizeof(name), "%d", (int) threads[i]);
                thread = open_directory(tasks, name);
                if (thread < 0 || read_stat(thread, &stat) < 0)
                        continue;
                if (stat.state == 'D')
                        return threads[i];
                if (chosen == 0 && stat.state != 'Z' && stat.state != 'X')
                        chosen = threads[i];
        }
        return chosen != 0 ? chosen : leader->pid;
}

static long parse_system_call(const char *text) {
        char *end;
        long number = strtol(text, &end, 10);

        return end == text ? -1 : number; /* "running" */
}

static void read_waiting(int thread, Verdict *verdict) {
        char text[FILE_BYTES];

        verdict->system_call = -1;
        if (read_file(thread, "syscall", text, sizeof(text)) >= 0) /* EPERM where we may not trace */
                verdict->system_call = parse_system_call(text);
        if (read_file(thread, "wchan", text, sizeof(text)) >= 0 && strcmp(text, "0") != 0)
                (void) snprintf(verdict->wchan, sizeof(verdict->wchan), "%.*s", (int) strcspn(text, "\n"), text);
}

static int read_thread(int process, Verdict *verdict) {
        cleanup(fd_closep) int thread = -EBADF;
        char path[32], text[FILE_BYTES];
        ProcStat stat;
        int r;

        (void) snprintf(path, sizeof(path), "task/%d", (int) verdict->thread);
        thread = open_directory(process, path);
        if (thread < 0)
                return thread;
        r = read_stat(thread, &stat);
        if (r < 0)
                return r;
        verdict->state = stat.state;
        r = read_file(thread, "status", text, sizeof(text));
        if (r < 0)
                return r;
        read_waiting(thread, verdict);
        return verdict_parse_status(text, verdict);
}

int verdict_take(pid_t pid, Verdict *ret) {
        cleanup(fd_closep) int process = -EBADF;
        char path[32];
        ProcStat leader;
        Verdict verdict;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d", (int) pid);
        process = open_directory(AT_FDCWD, path);
        if (process < 0)
                return process == -ENOENT ? -ESRCH : process;
        r = read_stat(process, &leader);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        if (!procfs_is_living(&leader))
                return -ESRCH;
        verdict = (Verdict) { .pid = pid, .parent = leader.parent, .n_threads = leader.n_threads, .system_call = -1,
                              .has_lost_leader = leader.state == 'Z', .thread = choose_thread(process, &leader) };
        memcpy(verdict.command, leader.command, sizeof(verdict.command));
        r = read_thread(process, &verdict);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        *ret = verdict;
        return 0;
}

typedef struct Text {
        char *buf;
        size_t size, at;
} Text;

__attribute__((__format__(__printf__, 2, 3))) static void add(Text *text, const char *format, ...) {
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(text->buf + text->at, text->size - text->at, format, arguments);
        va_end(arguments);
        if (n > 0)
                text->at = text->at + (size_t) n < text->size ? text->at + (size_t) n : text->size - 1;
}

/* The name is the process's own choice: no line breaks or escapes of its in the log. */
static void add_command(Text *text, const char *command) {
        for (; *command; command++)
                add(text, "%c", isprint((unsigned char) *command) ? *command : '?');
}

static void add_signal(Text *text, const Verdict *verdict, int signal) {
        uint64_t bit = signal >= 1 && signal <= SIGNALS_NAMED ? UINT64_C(1) << (signal - 1) : 0;
        char name[24];

        if (bit == 0)
                return;
        (void) signal_format(name, sizeof(name), signal);
        if (verdict->ignored & bit)
                add(text, " ignores SIG%s;", name);
        else if (verdict->blocked & bit)
                add(text, " blocks SIG%s%s;", name, verdict->pending & bit ? ", it is pending" : "");
        else if (verdict->pending & bit)
                add(text, " has not been able to take SIG%s;", name);
        else if (verdict->caught & bit)
                add(text, " handles SIG%s itself;", name);
        else
                add(text, " does not handle SIG%s;", name);
}

static const char *state_text(char state) {
        switch (state) {
        case 'R':
                return "running";
        case 'S':
                return "sleeping";
        case 'D':
                return "waiting in the kernel and cannot be interrupted (state D)";
        case 'T':
                return "stopped, needs SIGCONT";
        case 't':
                return "stopped by a tracer";
        case 'I':
                return "idle";
        default:
                return "in an unknown state";
        }
}

static void add_waiting(Text *text, const Verdict *verdict) {
        const char *call = verdict_system_call_name(verdict->system_call);

        add(text, " %s", state_text(verdict->state));
        if (call)
                add(text, " in %s(2)", call);
        else if (verdict->system_call >= 0)
                add(text, " in system call %ld", verdict->system_call);
        if (verdict->wchan[0])
                add(text, ", wchan %s", verdict->wchan);
}

char *verdict_format(char *buf, size_t size, const Verdict *verdict, int signal) {
        Text text = { .buf = buf, .size = size };

        if (size == 0)
                return buf;
        buf[0] = '\0';
        add_command(&text, verdict->command);
        add(&text, " (pid %d)", (int) verdict->pid);
        add_signal(&text, verdict, signal);
        if (verdict->thread != verdict->pid)
                add(&text, " thread %d of %u is", (int) verdict->thread, verdict->n_threads);
        add_waiting(&text, verdict);
        if (verdict->has_lost_leader)
                add(&text, "; its main thread has ended");
        if (verdict->tracer > 0)
                add(&text, "; traced by pid %d", (int) verdict->tracer);
        return buf;
}
