#include "verbs.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "view.h"

#define LINES_DEFAULT 20
#define AGAIN_MSEC    200
#define AGAIN_USEC    (10 * USEC_PER_SEC)

/* Events and output are read in the same way. */
typedef struct RecordKind {
        const char *method, *member;
        void (*add)(Text *text, const json_t *record, bool names_service);
} RecordKind;

static void add_time(Text *text, int64_t realtime) {
        time_t seconds = realtime / (int64_t) USEC_PER_SEC;
        char buf[32] = "";
        struct tm local;

        if (realtime >= 0 && localtime_r(&seconds, &local))
                (void) strftime(buf, sizeof(buf), "%b %d %H:%M:%S", &local);
        text_add_coloured(text, COLOUR_DIM, "%s.%03u ", buf, (unsigned) (realtime / 1000 % 1000));
}

static void add_event(Text *text, const json_t *record, bool names_service) {
        EventView event = view_event(record);

        add_time(text, event.realtime);
        if (event.service && names_service) {
                text_add_coloured(text, COLOUR_CYAN, "%s", event.service);
                text_add(text, ": ");
        }
        text_add_foreign(text, view_or_empty(event.text));
        text_newline(text);
}

static void add_log_line(Text *text, const json_t *record, bool names_service) {
        LogLineView line = view_log_line(record);

        if (names_service && line.service) {
                text_add_coloured(text, COLOUR_CYAN, "%s", line.service);
                text_add(text, " %s ", screen_glyph(text->screen, GLYPH_RULE));
        }
        text_add_output(text, view_or_empty(line.text));
        text_newline(text);
}

static void show_records(Client *client, const RecordKind *kind, const json_t *parameters) {
        const json_t *records = json_object_get(parameters, kind->member), *record;
        Text text = text_make(&client->screen, false); /* what was written is shown as a whole */
        bool names_service = client->options->n_names == 0;
        size_t i;

        if (json_array_size(records) > 0 && !client_print_json(client, parameters)) {
                json_array_foreach(records, i, record)
                        kind->add(&text, record, names_service);
                client_print(client, &text);
        }
        text_done(&text);
}

/* Reads until the connection ends. CONN_CLOSED, or an exit status that was explained, as a negative number. */
static int follow_records(Client *client, const RecordKind *kind, bool *ret_had_reply) {
        for (;;) {
                usec_t until = usec_min(client->deadline, usec_add(clock_now_usec(), client->silence));
                MessageReply reply;
                int r = conn_receive(client->conn, -EBADF, until, &reply);
                bool continues;

                if (r == CONN_TIMED_OUT && usec_left(client->deadline, clock_now_usec()) == 0)
                        return -STATUS_TIMED_OUT;
                if (r == CONN_CLOSED)
                        return CONN_CLOSED;
                if (r != CONN_DONE)
                        return -client_explain_lost(client, r);
                continues = reply.continues;
                r = reply.error ? client_explain(client, &reply) : STATUS_REACHED;
                if (!reply.error)
                        show_records(client, kind, reply.parameters);
                message_reply_done(&reply);
                if (r != STATUS_REACHED)
                        return -r;
                *ret_had_reply = true;
                if (!continues)
                        return CONN_CLOSED;
        }
}

static bool reconnect(Client *client) {
        usec_t give_up = usec_add(clock_now_usec(), AGAIN_USEC);

        client->conn = conn_free(client->conn);
        while (conn_new(&client->conn, client->path, usec_min(give_up, client->deadline)) != CONN_DONE) {
                if (usec_left(usec_min(give_up, client->deadline), clock_now_usec()) == 0)
                        return false;
                (void) poll(NULL, 0, AGAIN_MSEC); /* cut short by a signal is fine */
        }
        return true;
}

/* Goes on over the start of a new core: what came in between is missing, which is said. */
static int follow(Client *client, const RecordKind *kind, json_t *parameters) {
        for (int status = client_connect(client); status == STATUS_REACHED;) {
                bool had_reply = false;
                int r = client_call_more(client, kind->method, parameters);

                if (r == CONN_DONE) {
                        r = follow_records(client, kind, &had_reply);
                        if (r < 0)
                                return -r;
                }
                if (!had_reply)
                        return client_explain_lost(client, r);
                if (!reconnect(client))
                        return client_fail(STATUS_NOT_REACHED, "draind has ended.");
                (void) client_fail(0, "The connection was lost and is there again; something may be missing here.");
                (void) json_object_set_new(parameters, "last", json_integer(0));
        }
        return STATUS_NOT_REACHED;
}

static int run(Client *client, const RecordKind *kind) {
        const Options *options = client->options;
        int64_t last = options->n_lines >= 0 ? options->n_lines : LINES_DEFAULT;
        json_t *parameters = client_pack("{s:I}", "last", (json_int_t) last);
        MessageReply reply;
        int status;

        client->is_looking = true;
        if (options->n_names > 0 && json_object_set_new(parameters, "service", json_string(options->names[0])) < 0)
                die(EILSEQ); /* no UTF-8 */
        if (options_has(options, OPTION_FOLLOW)) {
                status = follow(client, kind, parameters);
                json_decref(parameters);
                return status;
        }
        status = client_call(client, kind->method, parameters, &reply);
        if (status != STATUS_REACHED)
                return status;
        if (options_has(options, OPTION_JSON))
                (void) client_print_json(client, reply.parameters);
        else
                show_records(client, kind, reply.parameters);
        message_reply_done(&reply);
        return STATUS_REACHED;
}

int records_events(Client *client) {
        static const RecordKind kind = { CONTROL_INTERFACE "Events", "events", add_event };

        return run(client, &kind);
}

int records_logs(Client *client) {
        static const RecordKind kind = { CONTROL_INTERFACE "Logs", "lines", add_log_line };

        return run(client, &kind);
}
