#pragma once

/* Time: microseconds on CLOCK_BOOTTIME for deadlines, and the text of durations.
 * Nothing here knows the time of day. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base.h"

typedef uint64_t usec_t;

#define USEC_INFINITY   UINT64_MAX
#define USEC_PER_SEC    UINT64_C(1000000)
#define USEC_PER_MSEC   UINT64_C(1000)
#define DURATION_TEXT_MAX 64

/* Now on CLOCK_BOOTTIME. Called once per event; pure code is handed the result. */
usec_t clock_now_usec(void);

static inline usec_t usec_add(usec_t a, usec_t b) {
        usec_t sum;

        return __builtin_add_overflow(a, b, &sum) ? USEC_INFINITY : sum;
}

/* What is left from now until the deadline: 0 when it is over, USEC_INFINITY stays. */
static inline usec_t usec_left(usec_t deadline, usec_t now) {
        if (deadline == USEC_INFINITY)
                return USEC_INFINITY;
        return deadline > now ? deadline - now : 0;
}

/* The same as poll(2) has it: never early, and at most 24 days. */
static inline int usec_to_poll(usec_t left) {
        return left == 0 ? 0 : left / USEC_PER_MSEC < INT_MAX ? (int) (left / USEC_PER_MSEC) + 1 : INT_MAX;
}

static inline usec_t usec_min(usec_t a, usec_t b) {
        return a < b ? a : b;
}

/* A deadline only shrinks on its way down: a step gets its own budget or what is left
 * of its parent's, whichever ends first. */
static inline usec_t deadline_within(usec_t parent, usec_t now, usec_t budget) {
        return usec_min(usec_add(now, budget), parent);
}

/* Reads a time span as systemd.time(7) writes it: "90", "30s", "1min 30s", "500ms", "infinity".
 * A number without a unit is seconds. *ret is untouched on failure.
 * 0, -EINVAL (no time span), -ERANGE (too large). */
must_check int duration_parse(const char *text, usec_t *ret);

/* Writes a time span for people: "1min 30s", "2.5s", "120ms", "0", "infinity". Exact: duration_parse() reads
 * the same value back. DURATION_TEXT_MAX bytes hold any. Returns buf. */
char *duration_format(char *buf, size_t size, usec_t duration);
/* The nearest value that people care about, for a measured time: whole milliseconds below a second, tenths
 * below a minute, seconds above. */
usec_t duration_round(usec_t duration);
