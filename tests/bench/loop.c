/* The floor that draind is held against: a process that only spawns, signals and waits, and the helpers of a measurement.
 *
 *     bench-loop all SERVICE STAMPS N          starts N; on SIGTERM signals all of them, and ends when they have ended
 *     bench-loop chain SERVICE STAMPS N        the same, the last one first, each after the one before it has ended
 *     bench-loop deadline SERVICE STAMPS N MS  as all, with SIGKILL to what is left after MS
 *     bench-loop init COMMAND...               runs the command and reaps whatever ends, until the command has ended
 *     bench-loop orphans STAMPS N              leaves N orphans to PID 1 and measures how long they are to be seen
 *     bench-loop watch STAMPS                  notes when each service dies; says "ready" first
 *     bench-loop burn                          keeps one core busy until it is killed */

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "stamps.h"

extern char **environ;

typedef struct Loop {
        const char *service, *stamps;
        unsigned n, n_left;
        pid_t *pids;
        sigset_t mask;
} Loop;

static unsigned number(const char *text) {
        return (unsigned) strtoul(text, NULL, 10);
}

static pid_t spawn(char *const argv[]) {
        sigset_t none;
        pid_t pid;

        (void) sigemptyset(&none);
        pid = vfork();
        if (pid != 0)
                return pid;
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) setpgid(0, 0); /* as any supervisor does: a group of its own */
        (void) execve(argv[0], argv, environ);
        _exit(127);
}

static bool loop_start(Loop *loop) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void) setrlimit(RLIMIT_NOFILE, &limit);
        }
        (void) sigemptyset(&loop->mask);
        (void) sigaddset(&loop->mask, SIGTERM);
        (void) sigaddset(&loop->mask, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &loop->mask, NULL);
        loop->pids = calloc(loop->n, sizeof(*loop->pids));
        if (!loop->pids)
                return false;
        for (unsigned i = 0; i < loop->n; i++) {
                char index[16];

                (void) snprintf(index, sizeof(index), "%u", i);
                loop->pids[i] = spawn((char *const[]) { (char *) loop->service, index, (char *) loop->stamps, NULL });
                if (loop->pids[i] < 0)
                        return false;
        }
        loop->n_left = loop->n;
        return true;
}

static void loop_await_term(Loop *loop) {
        while (sigwaitinfo(&loop->mask, NULL) != SIGTERM)
                ;
}

static void loop_signal(Loop *loop, int signal) {
        for (unsigned i = 0; i < loop->n; i++)
                if (loop->pids[i] > 0)
                        (void) kill(loop->pids[i], signal);
}

/* Reaps what has ended; with WNOHANG, what has ended by now. */
static void loop_reap(Loop *loop, int flags) {
        pid_t pid;

        while (loop->n_left > 0 && (pid = waitpid(-1, NULL, flags)) > 0) {
                loop->n_left--;
                if (!(flags & WNOHANG))
                        continue;
                for (unsigned i = 0; i < loop->n; i++) /* it must not be signalled again */
                        if (loop->pids[i] == pid)
                                loop->pids[i] = 0;
        }
}

static int run_all(Loop *loop) {
        if (!loop_start(loop))
                return 1;
        loop_await_term(loop);
        loop_signal(loop, SIGTERM);
        loop_reap(loop, 0);
        return loop->n_left > 0;
}

static int run_chain(Loop *loop) {
        if (!loop_start(loop))
                return 1;
        loop_await_term(loop);
        for (unsigned i = loop->n; i-- > 0; ) {
                (void) kill(loop->pids[i], SIGTERM);
                (void) waitpid(loop->pids[i], NULL, 0);
        }
        return 0;
}

static int run_deadline(Loop *loop, unsigned ms) {
        uint64_t end;

        if (!loop_start(loop))
                return 1;
        loop_await_term(loop);
        end = stamps_now() + UINT64_C(1000000) * ms;
        loop_signal(loop, SIGTERM);
        for (;;) {
                uint64_t now = stamps_now(), left = end > now ? end - now : 0;
                struct timespec timeout = { .tv_sec = (time_t) (left / 1000000000u), .tv_nsec = (long) (left % 1000000000u) };

                loop_reap(loop, WNOHANG);
                if (loop->n_left == 0)
                        return 0;
                if (sigtimedwait(&loop->mask, NULL, &timeout) < 0 && errno == EAGAIN)
                        break;
        }
        loop_signal(loop, SIGKILL);
        loop_reap(loop, 0);
        return 0;
}

static int run_init(char *const argv[]) {
        pid_t command = spawn(argv);
        int status;

        for (;;) {
                pid_t pid = wait(&status);

                if (pid == command)
                        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
                if (pid < 0 && errno == ECHILD)
                        return 1;
        }
}

/* The herd: n processes that end when the write end of the gate is closed. Their parent ends first. */
static bool make_orphans(pid_t *pids, unsigned n, int gate[static 2]) {
        pid_t parent = fork();
        int status;

        if (parent == 0) {
                (void) close(gate[1]);
                for (unsigned i = 0; i < n; i++) {
                        pid_t pid = fork();
                        char byte;

                        if (pid == 0)
                                _exit(read(gate[0], &byte, 1) != 0);
                        if (pid < 0)
                                _exit(1);
                        pids[i] = pid;
                }
                _exit(0);
        }
        return parent > 0 && waitpid(parent, &status, 0) == parent && status == 0;
}

static int run_orphans(Stamps *stamps, unsigned n) {
        pid_t *pids = mmap(NULL, n * sizeof(*pids), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int gate[2];

        if (pids == MAP_FAILED || pipe2(gate, O_CLOEXEC) < 0 || !make_orphans(pids, n, gate))
                return 1;
        stamps->from = stamps_now();
        (void) close(gate[1]);
        for (unsigned i = 0; i < n; ) /* a zombie can still be signalled: ESRCH means reaped */
                if (kill(pids[i], 0) < 0)
                        i++;
                else
                        (void) poll(NULL, 0, 1);
        stamps->to = stamps_now();
        return 0;
}

static int run_watch(Stamps *stamps) {
        struct sched_param priority = { .sched_priority = 50 };
        uint64_t n_left = 0;
        int set = epoll_create1(EPOLL_CLOEXEC);

        (void) sched_setscheduler(0, SCHED_FIFO, &priority); /* a privilege: without it, it is a little less exact */
        for (uint64_t i = 0; i < stamps->n; i++) {
                int fd = (int) syscall(SYS_pidfd_open, stamps_slot(stamps, i)->pid, 0);
                struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.u64 = i };

                if (fd < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0)
                        return 1;
                n_left++;
        }
        puts("ready");
        (void) fflush(stdout);
        while (n_left > 0) {
                struct epoll_event events[64];
                int n = epoll_wait(set, events, 64, -1);
                uint64_t now = stamps_now();

                for (int i = 0; i < n; i++, n_left--)
                        stamps_slot(stamps, events[i].data.u64)->died = now;
        }
        return 0;
}

int main(int argc, char *argv[]) {
        const char *mode = argc > 1 ? argv[1] : "";
        Stamps *stamps = NULL;
        Loop loop = { 0 };

        if (argc >= 3 && strcmp(mode, "init") == 0)
                return run_init(argv + 2);
        if (argc >= 5)
                loop = (Loop) { .service = argv[2], .stamps = argv[3], .n = number(argv[4]) };
        if (argc == 5 && strcmp(mode, "all") == 0)
                return run_all(&loop);
        if (argc == 5 && strcmp(mode, "chain") == 0)
                return run_chain(&loop);
        if (argc == 6 && strcmp(mode, "deadline") == 0)
                return run_deadline(&loop, number(argv[5]));
        if (argc >= 3)
                stamps = stamps_map(argv[2]);
        if (stamps && argc == 4 && strcmp(mode, "orphans") == 0)
                return run_orphans(stamps, number(argv[3]));
        if (stamps && argc == 3 && strcmp(mode, "watch") == 0)
                return run_watch(stamps);
        for (volatile unsigned long spin = 0; strcmp(mode, "burn") == 0; spin++)
                ;
        fputs("usage: see the comment at the top of loop.c\n", stderr);
        return 2;
}
