#include "keeper.h"

#include <fcntl.h>
#include <string.h>

#include "../../protocol/fds.h" /* FDS_FIRST */

/* A move of many fds at once, where the place of one may be held by another that has to move as well. Each
 * fd is duplicated once: first those whose place is free, each followed by the one that waits for the place which
 * it has left; what remains are rings, and one temporary fd breaks each of them. */

static uint16_t place_holders[PLACE_MAX]; /* index plus one of the fd that still lies in this place; 0: nobody */

_Static_assert(PLACE_MAX < UINT16_MAX, "an index fits");

static bool place_is_in_range(int fd, unsigned n) {
        return fd >= FDS_FIRST && (unsigned) (fd - FDS_FIRST) < n;
}

/* place i is free, and so is the next one after each move. -EBADF in sources says: done. */
static int place_chain(int *sources, unsigned n, unsigned i) {
        for (;;) {
                int source = sources[i];

                if (dup2(source, FDS_FIRST + (int) i) < 0)
                        return -errno;
                sources[i] = -EBADF;
                if (!place_is_in_range(source, n))
                        return 0;
                i = (unsigned) (source - FDS_FIRST);
                place_holders[i] = 0;
        }
}

static int place_ring(int *sources, unsigned n, unsigned i) {
        unsigned freed = (unsigned) (sources[i] - FDS_FIRST);
        int temporary;

        if (freed == i) { /* a ring of one: it lies right */
                sources[i] = -EBADF;
                return fd_set_cloexec(FDS_FIRST + (int) i, false);
        }
        temporary = fcntl(sources[i], F_DUPFD_CLOEXEC, FDS_FIRST + (int) n);
        if (temporary < 0)
                return -errno;
        sources[i] = temporary;
        place_holders[freed] = 0;
        return place_chain(sources, n, freed);
}

int place_fds(int *sources, unsigned n) {
        if (n > PLACE_MAX)
                return -E2BIG;
        memset(place_holders, 0, sizeof(place_holders[0]) * n);
        for (unsigned i = 0; i < n; i++)
                if (place_is_in_range(sources[i], n))
                        place_holders[sources[i] - FDS_FIRST] = (uint16_t) (i + 1);
        for (unsigned pass = 0; pass < 2; pass++) {
                for (unsigned i = 0; i < n; i++) {
                        int r = 0;

                        if (sources[i] < 0)
                                continue;
                        if (place_holders[i] == 0)
                                r = place_chain(sources, n, i);
                        else if (pass > 0)
                                r = place_ring(sources, n, i);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}
