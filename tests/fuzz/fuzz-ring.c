#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/ring.h"

int fuzz_accepted;

/* The first bytes are laid over a ring's header, as a crashed core may leave it; each further byte is a step of the
 * keeper or the core. Good: the header was valid. Nothing may leave the memory; a valid ring loses no record. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Ring *ring = calloc(1, ring_size_bytes());
        size_t n_header = size < sizeof(Ring) ? size : sizeof(Ring);
        uint64_t put = 0, taken = 0, unread;

        assert(ring);
        ring_init(ring);
        if (n_header > 0)
                memcpy(ring, data, n_header);
        fuzz_accepted = ring_is_valid(ring, ring_size_bytes());
        unread = fuzz_accepted ? ring->head - ring->tail : 0;
        for (size_t i = n_header; i < size; i++) {
                unsigned times = data[i] & 0x40 ? 1000 : 1;
                bool was_starved;
                RingRecord record;

                for (unsigned k = 0; k < times; k++) {
                        if ((data[i] & 0x80) != 0)
                                put += ring_put(ring, &(RingRecord) { .kind = RING_EXIT });
                        else
                                taken += ring_take(ring, &record, &was_starved);
                }
                (void) ring_peek(ring, data[i]);
        }
        if (fuzz_accepted)
                assert(ring->head - ring->tail == unread + put - taken && unread + put - taken <= RING_CAPACITY);
        free(ring);
        return 0;
}
