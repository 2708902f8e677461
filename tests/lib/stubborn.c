/* A service that is hard to stop: stubborn RECIPE [N]. It says "ready PID" when everything is set up, PID being of
 * the process that the recipe is about. Processes that it leaves behind end by SIGKILL only, where not said otherwise. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void say_ready(pid_t pid) {
        (void) printf("ready %d\n", (int) pid);
        (void) fflush(stdout);
}

__attribute__((__noreturn__)) static void wait_for_ever(void) {
        for (;;)
                (void) pause();
}

static void on_term(int signal) {
        _exit(0);
}

static void on_ignored(int signal) {
}

static void ignore(int n) {
        (void) signal(SIGTERM, SIG_IGN);
        say_ready(getpid());
        wait_for_ever();
}

static void block(int n) {
        sigset_t mask;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        say_ready(getpid());
        wait_for_ever();
}

static void handle(int n) {
        (void) signal(SIGTERM, on_ignored);
        say_ready(getpid());
        wait_for_ever();
}

static void obey(int n) {
        say_ready(getpid());
        wait_for_ever();
}

static void read_pipe(int n) {
        int fds[2];
        char byte;

        (void) signal(SIGTERM, SIG_IGN);
        if (pipe(fds) < 0)
                exit(1);
        say_ready(getpid());
        for (;;)
                if (read(fds[0], &byte, 1) < 0)
                        exit(1);
}

static void stop(int n) {
        say_ready(getpid());
        (void) raise(SIGSTOP);
        wait_for_ever();
}

/* Children that ignore TERM, which the leader obeys. */
static void children(int n) {
        (void) signal(SIGTERM, SIG_IGN);
        for (int i = 0; i < n; i++)
                if (fork() == 0)
                        wait_for_ever();
        (void) signal(SIGTERM, on_term);
        say_ready(getpid());
        wait_for_ever();
}

/* Each the parent of the next. */
static void chain(int n) {
        for (int i = 0; i < n; i++)
                if (fork() != 0)
                        wait_for_ever();
        say_ready(getpid());
        wait_for_ever();
}

/* Two forks and a session of its own, as daemons do. */
static void escape(int n) {
        pid_t pid = fork();

        if (pid == 0) {
                (void) setsid();
                if (fork() != 0)
                        _exit(0);
                (void) signal(SIGTERM, SIG_IGN);
                say_ready(getpid());
                wait_for_ever();
        }
        (void) waitpid(pid, NULL, 0);
        (void) signal(SIGTERM, on_term);
        wait_for_ever();
}

/* A child in a session of its own that overwrites the memory of its environment, as those do that set their title. */
static void hide(int n) {
        if (fork() == 0) {
                (void) setsid();
                (void) signal(SIGTERM, SIG_IGN);
                for (char **at = environ; *at; at++)
                        memset(*at, 0, strlen(*at));
                say_ready(getpid());
                wait_for_ever();
        }
        (void) signal(SIGTERM, on_term);
        wait_for_ever();
}

static void zombies(int n) {
        for (int i = 0; i < n; i++) {
                pid_t pid = fork();
                siginfo_t info;

                if (pid == 0)
                        _exit(0);
                (void) waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT);
        }
        say_ready(getpid());
        wait_for_ever();
}

static void *be_the_last(void *userdata) {
        say_ready(getpid());
        wait_for_ever();
}

static void lose_leader(int n) {
        pthread_t thread;

        (void) signal(SIGTERM, SIG_IGN);
        if (pthread_create(&thread, NULL, be_the_last, NULL) != 0)
                exit(1);
        (void) syscall(SYS_exit, 0); /* the main thread only */
}

static void *fork_child(void *userdata) {
        pid_t pid = fork();

        if (pid == 0)
                wait_for_ever();
        say_ready(pid);
        wait_for_ever();
}

static void fork_in_thread(int n) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, fork_child, NULL) != 0)
                exit(1);
        wait_for_ever();
}

/* Waits in the kernel for a child that borrows its memory: state D. The handler keeps TERM from being fatal. The child
 * ends with us, also when we end before it has asked for that. */
static void wait_in_kernel(int n) {
        long self = getpid();

        (void) signal(SIGTERM, on_ignored);
        say_ready(getpid());
        if (vfork() == 0) {
                (void) syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
                while (syscall(SYS_getppid) == self)
                        (void) syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
                (void) syscall(SYS_exit_group, 0);
        }
        wait_for_ever();
}

static void *wait_in_kernel_there(void *userdata) {
        wait_in_kernel(0);
        return NULL;
}

/* A thread in state D; the main one sleeps. */
static void wait_in_thread(int n) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, wait_in_kernel_there, NULL) != 0)
                exit(1);
        wait_for_ever();
}

/* A new process in a new session every millisecond; its maker ends. Gives up after five seconds. */
static void run_away(int n) {
        say_ready(getpid());
        for (int i = 0; i < 5000; i++) {
                pid_t pid = fork();

                if (pid > 0)
                        _exit(0);
                if (pid == 0) {
                        (void) setsid();
                        (void) signal(SIGTERM, SIG_IGN);
                        (void) usleep(1000);
                }
        }
}

int main(int argc, char *argv[]) {
        static const struct {
                const char *name;
                void (*run)(int n);
        } recipes[] = {
                { "ignore", ignore },     { "block", block },           { "handle", handle },
                { "obey", obey },         { "read", read_pipe },        { "stop", stop },
                { "children", children }, { "chain", chain },           { "escape", escape },
                { "hide", hide },         { "zombies", zombies },       { "leader", lose_leader },
                { "thread", fork_in_thread }, { "dstate", wait_in_kernel }, { "run-away", run_away },
                { "dthread", wait_in_thread },
        };
        int n = argc > 2 ? atoi(argv[2]) : 1;

        for (size_t i = 0; argc > 1 && i < sizeof(recipes) / sizeof(recipes[0]); i++)
                if (strcmp(argv[1], recipes[i].name) == 0) {
                        recipes[i].run(n);
                        return 0;
                }
        (void) fprintf(stderr, "usage: stubborn RECIPE [N]\n");
        return 2;
}
