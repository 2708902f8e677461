#pragma once

/* One connection to draind: calls out, replies in, each with a deadline. Knows no method. */

#include <stdbool.h>

#include "../protocol/base.h"
#include "../protocol/clock.h"
#include "../protocol/message.h"

typedef struct Conn Conn;

typedef enum ConnOutcome {
        CONN_DONE,
        CONN_TIMED_OUT,
        CONN_CLOSED,  /* the other side is gone */
        CONN_GARBLED, /* what came is no reply, or larger than any */
        CONN_WOKEN,   /* wake_fd is readable */
} ConnOutcome;

/* Where draind is expected: what was given, $DRAIND_SOCKET, the system's socket, or the user's own when that is not
 * there. *ret: free(). 0 or -ENOMEM. */
must_check int conn_find_path(const char *given, char **ret);

/* *ret: conn_free(). 0, -errno as of connect(2), or CONN_TIMED_OUT: nobody takes connections. */
must_check int conn_new(Conn **ret, const char *path, usec_t deadline);
Conn *conn_free(Conn *conn);
static inline void conn_freep(Conn **conn) {
        *conn = conn_free(*conn);
}

/* parameters: borrowed. ConnOutcome or -errno. */
must_check int conn_call(Conn *conn, const char *method, const json_t *parameters, bool more, usec_t deadline);
/* *ret: message_reply_done(). wake_fd: borrowed; a negative one is none. ConnOutcome or -errno. */
must_check int conn_receive(Conn *conn, int wake_fd, usec_t deadline, MessageReply *ret);
