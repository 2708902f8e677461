#include "watchers.h"

void watchers_add(Watchers *watchers, Watcher *watcher) {
        watchers_remove(watcher);
        *watcher = (Watcher) { .in = watchers, .previous = watchers->last };
        *(watchers->last ? &watchers->last->next : &watchers->first) = watcher;
        watchers->last = watcher;
        /* A walk whose last watcher is at work right now goes on to the new one. */
        for (WatchersWalk *walk = watchers->walks; walk; walk = walk->outer)
                if (!walk->next)
                        walk->next = watcher;
}

void watchers_remove(Watcher *watcher) {
        Watchers *watchers = watcher->in;

        if (!watchers)
                return;
        for (WatchersWalk *walk = watchers->walks; walk; walk = walk->outer)
                if (walk->next == watcher)
                        walk->next = watcher->next;
        *(watcher->previous ? &watcher->previous->next : &watchers->first) = watcher->next;
        *(watcher->next ? &watcher->next->previous : &watchers->last) = watcher->previous;
        *watcher = (Watcher) { 0 };
}

Watcher *watchers_begin(WatchersWalk *walk, Watchers *watchers) {
        *walk = (WatchersWalk) { .over = watchers, .next = watchers->first, .outer = watchers->walks };
        watchers->walks = walk;
        return watchers_next(walk);
}

Watcher *watchers_next(WatchersWalk *walk) {
        Watcher *watcher = walk->next;

        if (watcher)
                walk->next = watcher->next;
        else
                walk->over->walks = walk->outer; /* the innermost walk is always the first to end */
        return watcher;
}
