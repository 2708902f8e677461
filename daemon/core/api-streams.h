#pragma once

/* Calls that are answered later, or again and again: each is a stream. What changes is only marked when it is told of, and
 * sent from a work of the loop, where nothing more urgent is to be done; of what changed often only the last is sent. */

#include "../../protocol/server.h"
#include "manager.h"

typedef struct Streams Streams;

/* What a stream of services waits for. */
typedef enum StreamGoal {
        GOAL_NONE,      /* goes on for ever */
        GOAL_REACHED,   /* it is so already */
        GOAL_OPERATION, /* until the operation has got where it was asked to go */
        GOAL_RUNNING,   /* until the services are … */
        GOAL_READY,
        GOAL_QUIESCED,
        GOAL_STOPPED,
} StreamGoal;

/* Members of its replies, beside services. */
typedef enum StreamMember {
        MEMBER_OPERATIONS = 1 << 0,
        MEMBER_OPERATION = 1 << 1,
        MEMBER_JOINED = 1 << 2,
        MEMBER_DONE = 1 << 3,
} StreamMember;

typedef struct StreamRequest {
        StreamGoal goal;
        unsigned members;     /* StreamMember */
        const json_t *names;  /* an array, shared; NULL: the operation's members, or with none all services */
        uint64_t operation;   /* its id; 0: none */
        bool is_once;         /* one reply, whatever the caller asked for */
        bool has_joined;
        bool is_quiesced_enough; /* GOAL_OPERATION: no need to wait for its end */
        bool has_patience;    /* some may fail: the others are waited for all the same */
        bool counts_processes;
} StreamRequest;

typedef enum StreamRecords { STREAM_EVENTS, STREAM_LINES } StreamRecords;

/* manager is borrowed. Costs nothing while there is no stream. */
must_check int streams_new(Streams **ret, Manager *manager);
/* The calls must have ended. */
Streams *streams_free(Streams *streams);
static inline void streams_freep(Streams **streams) {
        *streams = streams_free(*streams);
}
/* The call is kept and answered; the first reply follows from the loop. The names exist. 0 or -ENOMEM (the call is still the
 * caller's). */
must_check int streams_add_services(Streams *streams, Call *call, const StreamRequest *request);
/* service: copied; NULL: of all. last: how many of those that there are already. */
must_check int streams_add_records(Streams *streams, Call *call, StreamRecords records, const char *service, unsigned last);
/* Sends now what is owed. */
void streams_flush(Streams *streams);
