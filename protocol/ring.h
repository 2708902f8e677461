#pragma once

/* The shared page between keeper and core: a ring of exit and signal records (keeper writes, core
 * reads), and a few words that the core leaves for the keeper. It lives in a memfd that outlives the core.
 * One writer, one reader; no locks. Knows no services. */

#include <stdbool.h>
#include <stdint.h>

#include "base.h"
#include "exit-record.h"

#define RING_MAGIC    UINT32_C(0x52445244)
#define RING_VERSION  1u
#define RING_CAPACITY 1024u /* records; a power of two. It is all in memory after a while */

/* Names under which the keeper passes its fds (LISTEN_FDNAMES). */
#define RING_FDNAME       "ring"       /* the memfd */
#define RING_EVENT_FDNAME "ring-event" /* eventfd: the keeper has appended */
#define RING_ROOM_FDNAME  "ring-room"  /* eventfd: the core has made room in a full ring */
#define BOARD_FDNAME      "blackboard" /* memfd of the core, kept for the next core */

typedef struct Ring {
        uint32_t magic, version, capacity;
        uint32_t generation; /* keeper: how many times a core was started; 1 is the first */
        uint64_t head;       /* keeper: records ever written (release) */
        uint64_t tail;       /* core: records ever read (release) */
        uint32_t starved;    /* keeper: 1 while a full ring keeps it from reaping */
        uint32_t finished;   /* core: 1 when it ends on purpose; exit_status is then the keeper's own */
        int32_t exit_status;
        uint32_t is_draining;   /* core: 1 while everything is being drained */
        uint64_t deadline_usec; /* core: the absolute end of that drain, UINT64_MAX while there is none */
        uint64_t grace_usec;    /* core: what a drain would get if it began now */
        uint64_t ping;          /* keeper: counts up, then wakes the core, when it wants a sign of life */
        uint64_t pong;          /* core: the last ping it saw from within its loop, so when it has taken over */
        RingRecord records[];
} Ring;

static inline size_t ring_size_bytes(void) {
        return sizeof(Ring) + (size_t) RING_CAPACITY * sizeof(RingRecord);
}

/* Keeper: prepares fresh memory of ring_size_bytes(); touches the first page alone. */
void ring_init(Ring *ring);
/* Core: whether this memory is a ring that this version can read. */
bool ring_is_valid(const Ring *ring, size_t size_bytes);
/* Keeper: whether the next record fits. */
bool ring_has_room(const Ring *ring);
/* Keeper: appends; false when the ring is full (nothing is written, starved is set). */
must_check bool ring_put(Ring *ring, const RingRecord *record);
/* Core: copies the oldest unread record and frees its place; false when there is none.
 * *ret_was_starved (set in both cases): the keeper waits for room and must be told through the RING_ROOM
 * eventfd. It stays set until the keeper has written again, so one signal after a batch is enough. */
must_check bool ring_take(Ring *ring, RingRecord *ret, bool *ret_was_starved);
/* Core: the index-th unread record, left in place; NULL when there are not that many.
 * Borrowed until it is taken. */
const RingRecord *ring_peek(const Ring *ring, uint64_t index);
