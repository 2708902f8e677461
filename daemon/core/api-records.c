#include "api-json.h"
#include "api-streams-private.h"

#include <time.h>

/* Streams of events and of output. They know the number of the last record that was sent, and ask for those after it; what
 * was overwritten meanwhile is lost, which the gap in the numbers tells. */

typedef struct Collected {
        json_t *array;
        uint64_t after; /* only what is later */
        int64_t realtime_offset;
        int error;
} Collected;

static void collect_event(const Event *event, void *userdata) {
        Collected *collected = userdata;
        json_t *item = NULL;
        int r;

        if (event->sequence <= collected->after || collected->error < 0)
                return;
        r = api_json_event(event, &item);
        collected->error = api_json_append(collected->array, r, item);
}

static void collect_line(const OutputLine *line, void *userdata) {
        Collected *collected = userdata;
        json_t *item = NULL;
        int r;

        if (line->sequence <= collected->after || collected->error < 0)
                return;
        r = api_json_line(line, collected->realtime_offset, &item);
        collected->error = api_json_append(collected->array, r, item);
}

static int64_t usec_of(clockid_t clock) {
        struct timespec now = { 0 };

        (void) clock_gettime(clock, &now); /* cannot fail */
        return (int64_t) now.tv_sec * (int64_t) USEC_PER_SEC + now.tv_nsec / 1000;
}

static unsigned at_most(uint64_t n, unsigned max) {
        return n < max ? (unsigned) n : max;
}

/* Returns the number of the newest, sent or not. */
static uint64_t collect(Stream *stream, Collected *collected) {
        const Records *records = &stream->records;
        Manager *manager = stream->streams->manager;
        uint64_t newest = records->is_event ? events_last(manager_events(manager)) : outputs_n_lines(manager_outputs(manager));
        unsigned n = stream->has_begun ? at_most(newest - records->after, UINT32_MAX) : records->last;

        if (n == 0)
                return newest;
        if (records->is_event)
                (void) events_recent(manager_events(manager), records->service, at_most(n, EVENTS_MAX), collect_event, collected);
        else
                (void) outputs_recent(manager_outputs(manager), records->service, n, collect_line, collected);
        return newest;
}

static bool records_is_owed(const Stream *stream) {
        return !stream->has_begun || stream->needs_heartbeat || stream->records.has_news;
}

static int records_serve(Stream *stream, unsigned *budget) {
        Records *records = &stream->records;
        Collected collected = {
                .array = json_array(), .after = records->after,
                .realtime_offset = usec_of(CLOCK_REALTIME) - usec_of(CLOCK_BOOTTIME),
        };
        size_t n;

        if (!collected.array)
                return -ENOMEM;
        records->after = collect(stream, &collected);
        records->has_news = false;
        n = json_array_size(collected.array);
        if (collected.error < 0) {
                json_decref(collected.array);
                return collected.error;
        }
        *budget -= at_most(n + 1, *budget);
        if (n == 0 && stream->has_begun && !stream->needs_heartbeat) { /* it was another service's */
                json_decref(collected.array);
                return 0;
        }
        return stream_send(stream, json_pack("{s:o}", records->is_event ? "events" : "lines", collected.array),
                           call_wants_more(stream->call));
}

static int records_reload(Stream *stream) {
        return 0;
}

const StreamType api_records_type = { .is_owed = records_is_owed, .serve = records_serve, .reload = records_reload };
