#include "api-streams.h"

#include <string.h>

#include "api-methods.h"
#include "api-streams-private.h"

/* What is told while signals are on their way costs one bit, however many streams there are. */

#define STREAMS_BATCH     64u                /* services, lines … that are made into JSON in one wake-up */
#define HEARTBEAT_USEC    (10 * USEC_PER_SEC)
#define HEARTBEAT_SILENCE (5 * USEC_PER_SEC) /* who heard something since then needs none: nobody waits for 15 s */

/* --- the list --- */

static void streams_append(Streams *streams, Stream *stream) {
        stream->previous = streams->last;
        stream->next = NULL;
        *(streams->last ? &streams->last->next : &streams->first) = stream;
        streams->last = stream;
        streams->n++;
}

static void streams_remove(Streams *streams, Stream *stream) {
        *(stream->previous ? &stream->previous->next : &streams->first) = stream->next;
        *(stream->next ? &stream->next->previous : &streams->last) = stream->previous;
        streams->n--;
}

static void stream_done(Stream *stream) {
        api_follow_done(&stream->follow);
        free(stream->records.service);
        free(stream);
}

static void stream_on_gone(Call *call, void *userdata) {
        Stream *stream = userdata;
        Streams *streams = stream->streams;

        streams_remove(streams, stream);
        stream_done(stream);
        if (streams->n == 0)
                timer_arm(manager_loop(streams->manager), &streams->heartbeat, USEC_INFINITY);
}

int stream_send(Stream *stream, json_t *parameters, bool continues) {
        Call *call = stream->call;

        if (!parameters)
                return -ENOMEM;
        stream->has_begun = true;
        stream->needs_heartbeat = false;
        stream->sent = manager_now(stream->streams->manager);
        if (!continues)
                stream_on_gone(call, stream);
        (void) call_reply(call, parameters, continues); /* on failure the connection ends, which is told like any end */
        return 0;
}

static void stream_fail(Stream *stream, int error) {
        Call *call = stream->call;

        stream_on_gone(call, stream);
        (void) call_error(call, ERROR_FAILED,
                          json_pack("{s:i, s:s}", "errno", -error, "message", strerror(-error)));
}

static void streams_add(Streams *streams, Stream *stream, Call *call) {
        Loop *loop = manager_loop(streams->manager);

        stream->streams = streams;
        stream->call = call;
        stream->sent = manager_now(streams->manager);
        streams_append(streams, stream);
        call_keep(call, stream_on_gone, stream);
        loop_post(streams->work);
        if (!timer_is_armed(&streams->heartbeat))
                timer_arm(loop, &streams->heartbeat, usec_add(stream->sent, HEARTBEAT_USEC));
}

int streams_add_records(Streams *streams, Call *call, StreamRecords records, const char *service, unsigned last) {
        Stream *stream = calloc(1, sizeof(*stream));

        if (!stream)
                return -ENOMEM;
        stream->type = &api_records_type;
        stream->records = (Records) { .last = last, .is_event = records == STREAM_EVENTS };
        if (service) {
                stream->records.service = strdup(service);
                if (!stream->records.service) {
                        free(stream);
                        return -ENOMEM;
                }
        }
        streams_add(streams, stream, call);
        return 0;
}

/* --- being told --- */

static void on_service_changed(ManagerWatcher *watcher, unsigned service) {
        Streams *streams = container_of(watcher, Streams, manager_watcher);

        if (streams->n == 0 || service >= streams->n_services) /* by new numbers: everything is sent again soon */
                return;
        bits_add(streams->changed, service);
        if (machine_cell(manager_machine(streams->manager), service)->state == SERVICE_STOPPED)
                bits_add(streams->stopped, service);
        streams->has_changed = true;
        loop_post(streams->work);
}

static void on_operation_changed(ManagerWatcher *watcher, const Operation *operation) {
        Streams *streams = container_of(watcher, Streams, manager_watcher);
        const Machine *machine = manager_machine(streams->manager);
        unsigned place = (unsigned) (operation - machine_operation(machine, 0));
        unsigned n = machine_n_services(machine);

        if (streams->n == 0)
                return;
        for (unsigned i = 0; operation->state == OPERATION_RESUMED && i < n && i < streams->n_services; i++)
                if (machine_is_member(machine, place, i))
                        bits_add(streams->resumed, i);
        for (Stream *stream = streams->first; stream; stream = stream->next)
                if (stream->type == &api_follow_type)
                        api_follow_operation(stream, operation);
        streams->places |= (uint8_t) (1u << place);
        streams->has_changed = true;
        loop_post(streams->work);
}

static void on_reloaded(ManagerWatcher *watcher) {
        Streams *streams = container_of(watcher, Streams, manager_watcher);

        streams->is_reloaded = true;
        loop_post(streams->work);
}

static void streams_on_news(Streams *streams, bool is_event) {
        bool is_anyone = false;

        for (Stream *stream = streams->first; stream; stream = stream->next)
                if (stream->type == &api_records_type && stream->records.is_event == is_event)
                        is_anyone = stream->records.has_news = true;
        if (is_anyone)
                loop_post(streams->work);
}

static void on_event(const Event *event, void *userdata) {
        streams_on_news(userdata, true);
}

static void on_line(const OutputLine *line, void *userdata) {
        streams_on_news(userdata, false);
}

/* --- sending --- */

/* After a reload the sets have another length. */
must_check static int streams_resize(Streams *streams) {
        unsigned n = manager_model(streams->manager)->n_services;
        uint64_t *changed = bits_new(n), *stopped = bits_new(n), *resumed = bits_new(n);

        if (!changed || !stopped || !resumed) {
                free(changed);
                free(stopped);
                free(resumed);
                return -ENOMEM;
        }
        free(streams->changed);
        free(streams->stopped);
        free(streams->resumed);
        streams->changed = changed;
        streams->stopped = stopped;
        streams->resumed = resumed;
        streams->n_services = n;
        streams->is_reloaded = false;
        return 0;
}

static void streams_reload(Streams *streams) {
        int r = streams_resize(streams);

        for (Stream *stream = streams->first, *next; stream; stream = next) {
                int error = r < 0 ? r : stream->type->reload(stream);

                next = stream->next;
                if (error < 0)
                        stream_fail(stream, error);
        }
}

/* Spreads what is marked for all of them. */
static void streams_tell(Streams *streams) {
        size_t size = bits_n_words(streams->n_services) * sizeof(uint64_t);

        if (streams->is_reloaded)
                streams_reload(streams);
        if (!streams->has_changed)
                return;
        for (Stream *stream = streams->first; stream; stream = stream->next)
                if (stream->type == &api_follow_type)
                        api_follow_tell(stream);
        memset(streams->changed, 0, size);
        memset(streams->stopped, 0, size);
        memset(streams->resumed, 0, size);
        streams->places = 0;
        streams->has_changed = false;
}

/* Each in turn, so that one who asks for much does not hold up the others. Returns whether something is left. */
static bool streams_serve(Streams *streams, unsigned budget) {
        streams_tell(streams);
        for (unsigned n = streams->n; n > 0 && budget > 0; n--) {
                Stream *stream = streams->first;
                int r;

                streams_remove(streams, stream);
                streams_append(streams, stream);
                if (!stream->type->is_owed(stream))
                        continue;
                r = stream->type->serve(stream, &budget);
                if (r < 0)
                        stream_fail(stream, r);
        }
        return budget == 0;
}

static void streams_work(void *userdata) {
        Streams *streams = userdata;

        if (streams_serve(streams, STREAMS_BATCH))
                loop_post(streams->work);
}

void streams_flush(Streams *streams) {
        drop(streams_serve(streams, UINT32_MAX)); /* what changes from here on, nobody hears of */
}

static void on_heartbeat(Timer *timer, usec_t now) {
        Streams *streams = container_of(timer, Streams, heartbeat);

        for (Stream *stream = streams->first; stream; stream = stream->next)
                stream->needs_heartbeat = now >= usec_add(stream->sent, HEARTBEAT_SILENCE);
        if (streams->n == 0)
                return;
        loop_post(streams->work);
        timer_arm(manager_loop(streams->manager), timer, usec_add(now, HEARTBEAT_USEC));
}

/* --- making --- */

int streams_add_services(Streams *streams, Call *call, const StreamRequest *request) {
        Stream *stream;
        int r;

        streams_tell(streams);
        if (streams->is_reloaded)
                return -ENOMEM;
        stream = calloc(1, sizeof(*stream));
        if (!stream)
                return -ENOMEM;
        stream->streams = streams;
        stream->type = &api_follow_type;
        r = api_follow_init(stream, request);
        if (r < 0) {
                stream_done(stream);
                return r;
        }
        streams_add(streams, stream, call);
        return 0;
}

int streams_new(Streams **ret, Manager *manager) {
        cleanup(streams_freep) Streams *streams = calloc(1, sizeof(*streams));
        int r;

        if (!streams)
                return -ENOMEM;
        *streams = (Streams) {
                .manager = manager,
                .manager_watcher = { .service_changed = on_service_changed, .operation_changed = on_operation_changed,
                                     .reloaded = on_reloaded },
                .event_watcher = { .happened = on_event, .userdata = streams },
                .output_watcher = { .on_line = on_line, .userdata = streams },
                .heartbeat = { .fired = on_heartbeat },
        };
        r = streams_resize(streams);
        if (r < 0)
                return r;
        r = loop_add_work(manager_loop(manager), LOOP_PRIORITY_CONTROL, "replies", streams_work, streams, &streams->work);
        if (r < 0)
                return r;
        manager_watch(manager, &streams->manager_watcher);
        events_watch(manager_events(manager), &streams->event_watcher);
        outputs_watch(manager_outputs(manager), &streams->output_watcher);
        *ret = take(streams);
        return 0;
}

Streams *streams_free(Streams *streams) {
        if (!streams)
                return NULL;
        manager_unwatch(&streams->manager_watcher);
        events_unwatch(&streams->event_watcher);
        outputs_unwatch(&streams->output_watcher);
        timer_arm(manager_loop(streams->manager), &streams->heartbeat, USEC_INFINITY);
        loop_remove_work(streams->work);
        free(streams->changed);
        free(streams->stopped);
        free(streams->resumed);
        free(streams);
        return NULL;
}
