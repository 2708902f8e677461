#pragma once

/* What has happened lately: a ring of a fixed number of records, and watchers that are told of each. Knows neither
 * services nor JSON; names are text, so records outlive a reload. */

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/base.h"
#include "../../protocol/clock.h"
#include "watchers.h"

#define EVENTS_MAX      512u /* records that are kept */
#define EVENTS_TEXT_MAX 208u /* bytes of all texts of a record; text itself is what is cut */

typedef enum EventKind { EVENT_SERVICE, EVENT_OPERATION, EVENT_MESSAGE, EVENT_KIND_MAX } EventKind;
const char *event_kind_name(EventKind kind);

/* Texts are borrowed; NULL: none. */
typedef struct Event {
        uint64_t sequence; /* 1, 2, 3 …; set by events_record() */
        usec_t time;       /* CLOCK_BOOTTIME */
        uint64_t realtime_usec; /* since 1970, when it was recorded; set by events_record() */
        EventKind kind;
        uint64_t operation; /* 0: none */
        const char *service, *from, *to, *detail, *text;
} Event;

typedef void (*EventHappened)(const Event *event, void *userdata);

/* Embedded in its owner; zeroed apart from these two. */
typedef struct EventWatcher {
        EventHappened happened;
        void *userdata;
        Watcher watcher;
} EventWatcher;

typedef struct Events Events;

must_check int events_new(Events **ret);
Events *events_free(Events *events);
static inline void events_freep(Events **events) {
        *events = events_free(*events);
}

/* Copies and tells the watchers. Where memory is short it is told and not kept. */
void events_record(Events *events, const Event *event);
/* Watchers may remove themselves and record further events from within. */
void events_watch(Events *events, EventWatcher *watcher);
void events_unwatch(EventWatcher *watcher);

/* The newest n, the oldest of them first. service: NULL is all. Returns how many; must not record from within. */
unsigned events_recent(const Events *events, const char *service, unsigned n, EventHappened happened, void *userdata);
/* Of the newest; 0 while there is none. */
uint64_t events_last(const Events *events);
