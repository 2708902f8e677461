#pragma once

/* One stream connection that carries NUL-ended messages: bounded queues in both directions, never blocks. Knows
 * neither JSON nor Varlink. A peer that is slow, dead or greedy costs itself its connection. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base.h"

#define PEER_BATCH       16u                 /* messages for one wake-up */
#define PEER_OUTPUT_MAX  ((size_t) 16 << 20) /* default for what may wait to be written */

typedef struct Peer Peer;
typedef struct Poller Poller;

typedef struct PeerCredentials {
        pid_t pid; /* 0: in a pid namespace that we do not see */
        uid_t uid;
        gid_t gid;
} PeerCredentials;

typedef enum PeerEnd {
        PEER_GONE,       /* it closed its side, or the connection broke */
        PEER_TOO_LARGE,  /* it sent a message above the limit */
        PEER_TOO_SLOW,   /* it does not read what is sent to it */
        PEER_NO_MEMORY,
        PEER_DROPPED,    /* by peer_drop() */
        PEER_END_MAX,
} PeerEnd;

typedef struct PeerHandlers {
        /* One message, without its NUL (there is one behind it); borrowed for the call. May peer_free() it. */
        void (*on_message)(Peer *peer, const char *text, size_t length, void *userdata);
        /* Called once, as the last thing, never from within peer_send() or peer_drop(). The owner must peer_free() it,
         * now or later. */
        void (*on_end)(Peer *peer, PeerEnd end, void *userdata);
} PeerHandlers;

typedef struct PeerLimits {
        size_t message_max_bytes; /* 0: FRAME_REQUEST_MAX */
        size_t output_max_bytes;  /* 0: PEER_OUTPUT_MAX */
} PeerLimits;

/* fd: a connected stream socket, consumed, on failure too; made non-blocking. poller and
 * handlers: borrowed for its life. *ret: peer_free(). */
must_check int peer_new(Peer **ret, Poller *poller, int fd, const PeerLimits *limits, const PeerHandlers *handlers,
                        void *userdata);
/* Closes the connection; on_end is not called. NULL is fine; allowed within its callbacks (memory goes when they have
 * returned). Returns NULL. */
Peer *peer_free(Peer *peer);
static inline void peer_freep(Peer **peer) {
        *peer = peer_free(*peer);
}

/* Queues length bytes, of which the last is the NUL, and writes what the socket takes at once. A peer whose queue is
 * full is dropped: on_end follows from the loop. 0 or -ENOMEM (the peer is dropped as well). */
must_check int peer_send(Peer *peer, const char *text, size_t length);
/* Ends the connection: nothing is read or written any more, on_end follows from the loop. */
void peer_drop(Peer *peer, PeerEnd end);
/* While paused no message is handed out and nothing is read; a connection that breaks is still noticed. */
void peer_pause(Peer *peer);
void peer_resume(Peer *peer);

size_t peer_n_queued_bytes(const Peer *peer);
/* Who connected (SO_PEERCRED). Borrowed. uid and gid are (uid_t) -1 where the socket knows none. */
const PeerCredentials *peer_credentials(const Peer *peer);
/* Whether the group was the peer's own or one of its supplementary ones when it connected. */
bool peer_is_member(const Peer *peer, gid_t group);
const char *peer_end_text(PeerEnd end);
