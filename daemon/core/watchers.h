#pragma once

/* A list of those who want to be told. Embedded in its owner; allocates nothing. A watcher may be removed at any time,
 * also from within the callback that a walk over the list is making, and a walk may begin within another. */

#include <stdbool.h>

#include "../../protocol/base.h"

typedef struct Watchers Watchers;
typedef struct Watcher Watcher;
typedef struct WatchersWalk WatchersWalk;

/* Zeroed: in no list. */
struct Watcher {
        Watchers *in;
        Watcher *previous, *next;
};

/* Zeroed: empty. */
struct Watchers {
        Watcher *first, *last;
        WatchersWalk *walks;
};

struct WatchersWalk {
        Watchers *over;
        Watcher *next;
        WatchersWalk *outer;
};

/* At the end; walks that are going on reach it. */
void watchers_add(Watchers *watchers, Watcher *watcher);
void watchers_remove(Watcher *watcher); /* fine when it is in none */

/* for (w = watchers_begin(&walk, &list); w; w = watchers_next(&walk)): must run to its end. */
Watcher *watchers_begin(WatchersWalk *walk, Watchers *watchers);
Watcher *watchers_next(WatchersWalk *walk);
