/* What is supervised in a measurement: notes when it runs, when SIGTERM reaches it and when it ends.
 *
 *     bench-service INDEX STAMPS */

#include <signal.h>
#include <stdlib.h>

#include "stamps.h"

static Stamps *stamps;
static Stamp *stamp;
static volatile sig_atomic_t is_termed;

static void on_term(int signal) {
        (void) signal;
        if (is_termed)
                return;
        stamp->termed = stamps_now();
        atomic_fetch_add(&stamps->n_termed, 1);
        is_termed = 1;
}

int main(int argc, char *argv[]) {
        struct sigaction action = { .sa_handler = on_term };
        unsigned long index;
        sigset_t all, none;

        if (argc != 3 || !(stamps = stamps_map(argv[2])) || (index = strtoul(argv[1], NULL, 10)) >= stamps->n)
                return 2;
        stamp = stamps_slot(stamps, index);
        (void) sigfillset(&all);
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_BLOCK, &all, NULL);
        (void) sigaction(SIGTERM, &action, NULL);
        stamp->pid = (uint32_t) getpid();
        stamp->n_starts++;
        stamp->began = stamps_now();
        atomic_fetch_add(&stamps->n_began, 1);
        if (stamps->flags & STAMPS_EXIT_NOW)
                return 0;
        while (!is_termed || (stamps->flags & STAMPS_IGNORE_TERM))
                (void) sigsuspend(&none);
        stamp->ended = stamps_now();
        atomic_fetch_add(&stamps->n_ended, 1);
        _exit(0);
}
