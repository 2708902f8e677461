#pragma once

/* Turning a loop in a test until something has happened, or the test has failed. */

#include <systemd/sd-event.h>
#include <time.h>

#include "test.h"

#define LOOP_DEADLINE_SECONDS 20 /* far beyond what any test takes: a loaded machine is not a failure */

static inline double loop_seconds(void) {
        struct timespec now;

        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
        return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

#define loop_until(event, condition)                                                      \
        do {                                                                              \
                double deadline_ = loop_seconds() + LOOP_DEADLINE_SECONDS;                \
                                                                                          \
                while (!(condition)) {                                                    \
                        assert_true(sd_event_run(event, 1000) >= 0);                      \
                        if (loop_seconds() > deadline_)                                   \
                                fail_msg("waited in vain for: %s", #condition);           \
                }                                                                         \
        } while (0)

/* Everything that is ready now is dispatched; the loop has nothing more to do. */
static inline unsigned loop_settle(sd_event *event) {
        unsigned n = 0;

        while (sd_event_run(event, 0) > 0)
                assert_true(++n < 1000000); /* a loop that never comes to rest spins */
        return n;
}
