#include "ring.h"

/* The numbers head and tail only grow; a place is a number modulo the capacity, which is our constant and
 * never the one in shared memory: whatever a crashed or confused core left there, no access leaves the array. */

static RingRecord *place(Ring *ring, uint64_t number) {
        return &ring->records[number & (RING_CAPACITY - 1)];
}

void ring_init(Ring *ring) {
        *ring = (Ring) { .generation = 0 };
        ring->version = RING_VERSION;
        ring->capacity = RING_CAPACITY;
        ring->deadline_usec = UINT64_MAX;
        __atomic_store_n(&ring->magic, RING_MAGIC, __ATOMIC_RELEASE);
}

bool ring_is_valid(const Ring *ring, size_t size_bytes) {
        uint64_t head, tail;

        if (size_bytes < ring_size_bytes())
                return false;
        if (__atomic_load_n(&ring->magic, __ATOMIC_ACQUIRE) != RING_MAGIC || ring->version != RING_VERSION ||
            ring->capacity != RING_CAPACITY)
                return false;
        tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE); /* before head: head only grows */
        head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
        return head - tail <= RING_CAPACITY;
}

static bool has_room(const Ring *ring, uint64_t head) {
        /* A tail that is ahead of the head makes a huge difference: full, and nothing is overwritten. */
        return head - __atomic_load_n(&ring->tail, __ATOMIC_SEQ_CST) < RING_CAPACITY;
}

bool ring_has_room(const Ring *ring) {
        return has_room(ring, __atomic_load_n(&ring->head, __ATOMIC_RELAXED));
}

bool ring_put(Ring *ring, const RingRecord *record) {
        uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_RELAXED); /* nobody else writes it */

        if (!has_room(ring, head)) {
                /* Say that we wait, then look again: a reader that made room in between did not see us wait. */
                __atomic_store_n(&ring->starved, 1, __ATOMIC_SEQ_CST);
                if (!has_room(ring, head))
                        return false;
        }
        *place(ring, head) = *record;
        __atomic_store_n(&ring->head, head + 1, __ATOMIC_RELEASE);
        /* Cleared by us alone: a reader that crashed before it told us leaves the word for the next one. */
        if (__atomic_load_n(&ring->starved, __ATOMIC_RELAXED) != 0)
                __atomic_store_n(&ring->starved, 0, __ATOMIC_SEQ_CST);
        return true;
}

const RingRecord *ring_peek(const Ring *ring, uint64_t index) {
        uint64_t tail = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
        uint64_t unread = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) - tail;

        if (unread > RING_CAPACITY || index >= unread)
                return NULL;
        return &ring->records[(tail + index) & (RING_CAPACITY - 1)];
}

bool ring_take(Ring *ring, RingRecord *ret, bool *ret_was_starved) {
        const RingRecord *record = ring_peek(ring, 0);

        if (record) {
                *ret = *record;
                /* The copy is complete before the place is free. */
                __atomic_store_n(&ring->tail, __atomic_load_n(&ring->tail, __ATOMIC_RELAXED) + 1, __ATOMIC_SEQ_CST);
        }
        *ret_was_starved = __atomic_load_n(&ring->starved, __ATOMIC_SEQ_CST) != 0;
        return record != NULL;
}
