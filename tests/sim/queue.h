#pragma once

/* The virtual clock's two heaps: what is to come, in order of time, and what is due, in the order in which the
 * loop serves it (exits, requests to stop, notifications, timers, control). */

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/clock.h"

/* Also the order among those that are due together. */
typedef enum HappeningKind {
        HAPPENING_LEADER_EXIT,
        HAPPENING_HOOK_EXIT,
        HAPPENING_CHILD_EXIT,
        HAPPENING_LOOK, /* the core looks at the tree again */
        HAPPENING_STOP, /* a request to drain, skip or kill */
        HAPPENING_READY,
        HAPPENING_PING,
        HAPPENING_TRIGGER,
        HAPPENING_EXTEND,
        HAPPENING_GUARD,
        HAPPENING_REACT, /* a process makes up its mind about a signal */
        HAPPENING_TIMER,
        HAPPENING_OPERATION_TIMER,
        HAPPENING_REQUEST, /* any other request */
        HAPPENING_CRASH,
        HAPPENING_KIND_MAX,
} HappeningKind;

typedef struct Happening {
        usec_t at;
        uint64_t key; /* of who it happens to: a pid, or the version of a timer */
        uint64_t sequence;
        uint32_t service; /* or the place of an operation */
        uint32_t argument;
        HappeningKind kind;
} Happening;

typedef bool (*HappeningBefore)(const Happening *a, const Happening *b);
bool happening_is_earlier(const Happening *a, const Happening *b);      /* by time */
bool happening_is_served_first(const Happening *a, const Happening *b); /* by kind */

typedef struct Queue {
        Happening *items; /* owned */
        unsigned n, n_allocated;
        HappeningBefore before;
} Queue;

void queue_put(Queue *queue, Happening happening);
Happening queue_take(Queue *queue); /* it is not empty */
void queue_done(Queue *queue);
