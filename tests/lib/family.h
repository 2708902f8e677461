#pragma once

/* For tests of what runs as the core, a child of the keeper: the test is the keeper (it reaps, it adopts orphans),
 * and the body of a test case runs in a child of it. cmocka's assertions mean nothing there: use check(). */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define check(condition) ((condition) ? (void) 0 : family_fail(#condition, __FILE__, __LINE__))

__attribute__((__noreturn__)) static inline void family_fail(const char *text, const char *file, int line) {
        (void) fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
        (void) fflush(NULL);
        _exit(1);
}

/* Milliseconds of a clock that runs on. */
static inline long long family_now(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_BOOTTIME, &now);
        return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* For conditions that nothing announces: looks again every millisecond, and fails after ten seconds. */
#define check_becomes(condition)                                                                  \
        do {                                                                                      \
                long long until_ = family_now() + 10000;                                          \
                while (!(condition)) {                                                            \
                        check(family_now() < until_ && #condition);                               \
                        (void) poll(NULL, 0, 1);                                                  \
                }                                                                                 \
        } while (0)

/* Ends and reaps whatever is left below us. */
static inline void family_sweep(void) {
        char path[64], text[65536];

        (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) getpid(), (int) getpid());
        for (int pass = 0; pass < 1000; pass++) {
                FILE *file = fopen(path, "re");
                size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
                char *at = text;

                text[n] = '\0';
                if (file)
                        (void) fclose(file);
                if (n == 0)
                        return;
                for (long pid; (pid = strtol(at, &at, 10)) > 0;)
                        (void) kill((pid_t) pid, SIGKILL);
                (void) waitpid(-1, NULL, __WALL);
        }
}

/* Runs body in the core's place; the keeper reaps everything meanwhile. The core's exit status, -1 after a signal. */
static inline int family_run(void (*body)(void *userdata), void *userdata) {
        int status = 0, result = -1;
        pid_t core, pid;

        (void) fflush(NULL);
        if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return -1;
        core = fork();
        if (core == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
                body(userdata);
                (void) fflush(NULL);
                _exit(0);
        }
        while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR)
                if (pid == core) {
                        result = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
                        break;
                }
        family_sweep();
        return result;
}
