#include "keeper.h"

#include <fcntl.h>
#include <string.h>

#include "../../protocol/fds.h" /* FDS_FIRST */

/* A move of many fds at once, where the place of one may be held by another whose turn comes later: that one is
 * set aside. Each source is closed once it is placed, so there is never more than one fd above those that stay. */
int place_fds(int *sources, unsigned n) {
        static uint16_t holders[PLACE_MAX]; /* index plus one of the fd that still lies in this place; 0: nobody */

        _Static_assert(PLACE_MAX < UINT16_MAX, "an index fits");
        if (n > PLACE_MAX)
                return -E2BIG;
        memset(holders, 0, sizeof(holders));
        for (unsigned i = 0; i < n; i++)
                if (sources[i] >= FDS_FIRST && sources[i] < FDS_FIRST + (int) n)
                        holders[sources[i] - FDS_FIRST] = (uint16_t) (i + 1);
        for (unsigned i = 0; i < n; i++) {
                int place = FDS_FIRST + (int) i, source = sources[i];

                if (source == place) {
                        if (fd_set_cloexec(place, false) < 0)
                                return -errno;
                        continue;
                }
                if (holders[i] > 0) {
                        int aside = fcntl(place, F_DUPFD_CLOEXEC, FDS_FIRST + (int) n);

                        if (aside < 0)
                                return -errno;
                        sources[holders[i] - 1] = aside;
                }
                if (dup2(source, place) < 0)
                        return -errno;
                if (source >= FDS_FIRST && source < FDS_FIRST + (int) n)
                        holders[source - FDS_FIRST] = 0;
                (void) fd_close(source);
        }
        return 0;
}
