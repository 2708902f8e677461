#pragma once

/* What every verb works with: the command line, the connection, and the way to call a method and to say what went
 * wrong. A verb returns the exit status of the program. */

#include "../protocol/message.h"
#include "conn.h"
#include "options.h"
#include "print.h"

/* The manual has the same table. */
enum {
        STATUS_REACHED = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
        STATUS_NOT_SO = 3,        /* status, is-*: not so */
        STATUS_UNKNOWN = 4,       /* status, is-*: no such service */
        STATUS_NO_SERVICE = 5,    /* an action on a service that does not exist */
        STATUS_REFUSED = 8,
        STATUS_KILLED = 9,        /* stopped, but something had to be killed */
        STATUS_NOT_REACHED = 69,
        STATUS_NOT_PERMITTED = 77,
        STATUS_BAD_CONFIGURATION = 78,
        STATUS_TIMED_OUT = 124,
        STATUS_SIGNALLED = 128,   /* and the signal's number */
        STATUS_IDLE = 1000,       /* within the program: there is no operation, and none was named */
};

#define CONTROL_INTERFACE "io.draind.Control."

typedef struct Client {
        const Options *options; /* borrowed */
        Screen screen;          /* of stdout */
        bool is_looking;        /* the verb only looks: no such service is STATUS_UNKNOWN */
        bool is_trying;         /* a call that may fail: an error reply is not explained */
        bool may_be_idle;       /* that no operation is going on is no error: STATUS_IDLE, and nothing is said */
        usec_t deadline;        /* of --timeout */
        usec_t silence;         /* how long draind may say nothing at all */
        char *path;             /* owned, of the socket */
        Conn *conn;             /* owned */
} Client;

/* 0 or -errno. Nothing is connected yet. */
must_check int client_init(Client *client, const Options *options);
void client_done(Client *client);

/* One sentence on stderr, "drainctl: " in front; the text is our own, its arguments may be foreign. Returns status. */
int client_fail(int status, const char *format, ...) printf_like(2, 3);
/* Connects; STATUS_REACHED, or says why not. Fine when it is connected. */
must_check int client_connect(Client *client);
/* The call of one reply. parameters: consumed. *ret: message_reply_done(), only with STATUS_REACHED. Everything else
 * was said on stderr. */
must_check int client_call(Client *client, const char *method, json_t *parameters, MessageReply *ret);
/* The same for a call whose reply nobody looks at but --json. */
must_check int client_order(Client *client, const char *method, json_t *parameters);
/* Sends a call that goes on ("more"). parameters: borrowed. ConnOutcome or -errno, nothing is said. */
must_check int client_call_more(Client *client, const char *method, const json_t *parameters);
/* Says what an error reply means; returns the exit status for it. */
int client_explain(Client *client, const MessageReply *reply);
/* Says what an outcome of the connection (ConnOutcome other than CONN_DONE, or -errno) means. */
int client_explain_lost(Client *client, int outcome);

/* With --json: prints the parameters on a line of their own. Returns whether it did. */
bool client_print_json(const Client *client, const json_t *parameters);
/* Writes the text to stdout, unless --quiet. */
void client_print(const Client *client, Text *text);

/* A new array of the names on the command line; NULL when there are none. */
json_t *client_names(const Client *client);
/* json_pack() that ends the program when there is no memory. */
json_t *client_pack(const char *format, ...);
/* An id (all digits) on the command line. */
bool client_is_id(const char *name);
