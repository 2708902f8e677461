#pragma once

/* What api-streams.c (the list of streams, and what they are told), api-follow.c (streams of services) and api-records.c (of
 * events and output) share. */

#include "api-bits.h"
#include "api-streams.h"

typedef struct Stream Stream;

typedef struct StreamType {
        bool (*is_owed)(const Stream *stream);
        /* Makes and sends what is owed, as far as *budget goes: one for each service, line, event or reply. May free the
         * stream. 0, or -errno: the stream cannot go on. */
        int (*serve)(Stream *stream, unsigned *budget);
        /* Every index is another: begins anew. */
        int (*reload)(Stream *stream);
} StreamType;

/* A stream of services. A round takes all that are marked, in order; what is marked again behind it waits for the next. */
typedef struct Follow {
        StreamRequest request; /* names: owned */
        uint64_t *selected, *marked, *reached; /* owned */
        unsigned at;           /* of the round: the next service */
        json_t *services;      /* owned: what the round has so far; NULL: there is none */
        Operation operation;   /* as last seen; id 0: none, or it was forgotten long ago */
        json_t *members;       /* owned: names of the operation's */
        uint8_t places;        /* of operations that changed */
        bool has_operation_changed, was_resumed;
} Follow;

typedef struct Records {
        char *service; /* owned; NULL: all */
        unsigned last; /* how many the first reply may hold */
        uint64_t after; /* the last that was sent */
        bool is_event, has_news;
} Records;

struct Stream {
        Streams *streams;
        Stream *previous, *next;
        Call *call;
        const StreamType *type;
        usec_t sent; /* the last reply */
        bool has_begun, needs_heartbeat, is_over;
        Follow follow;
        Records records;
};

struct Streams {
        Manager *manager;
        Stream *first, *last;
        unsigned n;
        unsigned n_services; /* length of all sets of bits */
        uint64_t *changed, *stopped, *resumed; /* since the streams were told; owned */
        uint8_t places;      /* of operations that changed since then */
        bool has_changed, is_reloaded;
        ManagerWatcher manager_watcher;
        EventWatcher event_watcher;
        OutputWatcher output_watcher;
        LoopWork *work;
        Timer heartbeat;
};

/* Sends and, without continues, ends the stream: it is gone then. parameters: consumed; NULL: could not be made. */
must_check int stream_send(Stream *stream, json_t *parameters, bool continues);

extern const StreamType api_follow_type, api_records_type;
must_check int api_follow_init(Stream *stream, const StreamRequest *request);
void api_follow_done(Follow *follow);
/* What happened since the last time, to all streams alike. */
void api_follow_tell(Stream *stream);
void api_follow_operation(Stream *stream, const Operation *operation);
