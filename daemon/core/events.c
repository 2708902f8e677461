#include "events.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "text.h"

#define EVENTS_CHUNK   64u /* records that are allocated together */
#define EVENT_SIZE     256u
#define EVENT_N_TEXTS  5u

/* The texts stand one after another in data, each with its NUL. */
typedef struct EventRecord {
        uint64_t sequence; /* 0: nothing here yet */
        uint64_t time, realtime_usec, operation;
        uint8_t kind;
        uint8_t places[EVENT_N_TEXTS]; /* in data, counted from 1; 0: none */
        char data[EVENT_SIZE - 4 * sizeof(uint64_t) - 1 - EVENT_N_TEXTS];
} EventRecord;

static_assert(sizeof(EventRecord) == EVENT_SIZE, "a record has no holes");
static_assert(sizeof(((EventRecord *) NULL)->data) >= EVENTS_TEXT_MAX, "as the header says");

struct Events {
        EventRecord *chunks[EVENTS_MAX / EVENTS_CHUNK]; /* owned; NULL until it is their turn */
        uint64_t last;
        Watchers watchers;
};

const char *event_kind_name(EventKind kind) {
        static const char *const names[EVENT_KIND_MAX] = {
                [EVENT_SERVICE] = "service",
                [EVENT_OPERATION] = "operation",
                [EVENT_MESSAGE] = "message",
        };

        return kind < EVENT_KIND_MAX ? names[kind] : "unknown";
}

int events_new(Events **ret) {
        Events *events = calloc(1, sizeof(*events));

        if (!events)
                return -ENOMEM;
        *ret = events;
        return 0;
}

Events *events_free(Events *events) {
        if (!events)
                return NULL;
        for (size_t i = 0; i < n_elements(events->chunks); i++)
                free(events->chunks[i]);
        free(events);
        return NULL;
}

static EventRecord *event_record_at(const Events *events, uint64_t sequence) {
        EventRecord *chunk = events->chunks[sequence % EVENTS_MAX / EVENTS_CHUNK];

        return chunk ? &chunk[sequence % EVENTS_CHUNK] : NULL;
}

static void event_record_pack(EventRecord *record, const Event *event) {
        /* How long each may be; the last gets all that is left. */
        static const size_t limits[EVENT_N_TEXTS] = { 64, 24, 24, 48, sizeof(record->data) };
        const char *const texts[EVENT_N_TEXTS] = { event->service, event->from, event->to, event->detail, event->text };
        size_t used = 0;

        *record = (EventRecord) {
                .sequence = event->sequence,
                .time = event->time,
                .realtime_usec = event->realtime_usec,
                .operation = event->operation,
                .kind = (uint8_t) event->kind,
        };
        for (unsigned i = 0; i < EVENT_N_TEXTS; i++) {
                size_t left = sizeof(record->data) - used, room = limits[i] < left ? limits[i] : left;

                if (!texts[i])
                        continue;
                record->places[i] = (uint8_t) (used + 1);
                used += text_escape(record->data + used, room, texts[i], strlen(texts[i])) + 1;
        }
}

static const char *event_record_text(const EventRecord *record, unsigned i) {
        return record->places[i] == 0 ? NULL : record->data + record->places[i] - 1;
}

static Event event_record_unpack(const EventRecord *record) {
        return (Event) {
                .sequence = record->sequence,
                .time = record->time,
                .realtime_usec = record->realtime_usec,
                .kind = (EventKind) record->kind,
                .operation = record->operation,
                .service = event_record_text(record, 0),
                .from = event_record_text(record, 1),
                .to = event_record_text(record, 2),
                .detail = event_record_text(record, 3),
                .text = event_record_text(record, 4),
        };
}

static void event_record_keep(Events *events, const EventRecord *record) {
        EventRecord **chunk = &events->chunks[record->sequence % EVENTS_MAX / EVENTS_CHUNK];

        if (!*chunk)
                *chunk = calloc(EVENTS_CHUNK, sizeof(EventRecord));
        if (*chunk)
                (*chunk)[record->sequence % EVENTS_CHUNK] = *record;
}

void events_record(Events *events, const Event *event) {
        EventRecord record; /* a copy of our own: a watcher may record more, until this one is overwritten */
        struct timespec realtime = { 0 };
        Event told = *event;
        WatchersWalk walk;

        (void) clock_gettime(CLOCK_REALTIME, &realtime); /* cannot fail */
        told.sequence = ++events->last;
        told.realtime_usec = (uint64_t) realtime.tv_sec * USEC_PER_SEC + (uint64_t) realtime.tv_nsec / 1000;
        event_record_pack(&record, &told);
        event_record_keep(events, &record);
        told = event_record_unpack(&record);
        for (Watcher *w = watchers_begin(&walk, &events->watchers); w; w = watchers_next(&walk)) {
                EventWatcher *watcher = container_of(w, EventWatcher, watcher);

                watcher->happened(&told, watcher->userdata);
        }
}

void events_watch(Events *events, EventWatcher *watcher) {
        watchers_add(&events->watchers, &watcher->watcher);
}

void events_unwatch(EventWatcher *watcher) {
        watchers_remove(&watcher->watcher);
}

static bool event_record_matches(const EventRecord *record, uint64_t sequence, const char *service) {
        const char *name;

        if (!record || record->sequence != sequence)
                return false;
        if (!service)
                return true;
        name = event_record_text(record, 0);
        return name && strcmp(name, service) == 0;
}

unsigned events_recent(const Events *events, const char *service, unsigned n, EventHappened happened, void *userdata) {
        uint64_t oldest = events->last > EVENTS_MAX ? events->last - EVENTS_MAX + 1 : 1, from = events->last + 1;
        unsigned found = 0;

        for (uint64_t at = events->last; at >= oldest && found < n; at--)
                if (event_record_matches(event_record_at(events, at), at, service)) {
                        from = at;
                        found++;
                }
        for (uint64_t at = from; at <= events->last; at++) {
                const EventRecord *record = event_record_at(events, at);

                if (event_record_matches(record, at, service)) {
                        Event event = event_record_unpack(record);

                        happened(&event, userdata);
                }
        }
        return found;
}

uint64_t events_last(const Events *events) {
        return events->last;
}
