#pragma once

/* Why a process does not stop: what it waits for and what became of the signal, as /proc tells it. Never waits for
 * the process: reads nothing that takes its memory's lock. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../protocol/base.h"

enum { VERDICT_COMMAND_BYTES = 16, VERDICT_WCHAN_BYTES = 64, VERDICT_TEXT_BYTES = 384 };

typedef struct Verdict {
        pid_t pid, parent, tracer; /* tracer: 0 when it is not traced */
        pid_t thread;              /* the one that the rest is about: one in state D if there is one */
        unsigned n_threads;
        char state;                /* of that thread */
        bool has_lost_leader;      /* the main thread has ended, others go on */
        long system_call;          /* number of the call that it is in; -1: none, or cannot be told */
        uint64_t blocked, ignored, caught, pending; /* bit N-1 is signal N; pending for it or for the thread */
        char command[VERDICT_COMMAND_BYTES], wchan[VERDICT_WCHAN_BYTES];
} Verdict;

/* 0, or -ESRCH: it has ended, a zombie has too. Other negative numbers: /proc cannot be read. */
must_check int verdict_take(pid_t pid, Verdict *ret);

/* Parts that are pure. */
must_check int verdict_parse_status(const char *text, Verdict *verdict); /* /proc/PID/status, adds to verdict */
const char *verdict_system_call_name(long number);                       /* NULL: not a common one */

/* "nginx (pid 12) ignores SIGTERM; sleeping in read(2), wchan pipe_read". signal: the last that was sent, or 0.
 * Returns buf, cut if it must be; VERDICT_TEXT_BYTES are enough. */
char *verdict_format(char *buf, size_t size, const Verdict *verdict, int signal);
