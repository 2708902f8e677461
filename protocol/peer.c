#include "peer.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "buf.h"
#include "fds.h"
#include "frame.h"
#include "poller.h"

/* One wake-up writes what waits, reads once, and hands out at most PEER_BATCH messages. What is left over needs no
 * timer and no queue: the peer then asks for EPOLLOUT as well, which is ready unless the other side does not read, and
 * in that case it gets nothing more to do anyway. An end that is decided within a call of the owner is carried out in
 * the same way: shutdown(2) makes the fd report EPOLLHUP. */

#define READ_BYTES        16384u
#define OUTPUT_HIGH_BYTES ((size_t) 256 * 1024) /* above this no further message is handed out */

struct Peer {
        PollerEntry entry;
        int fd; /* owned */
        const PeerHandlers *handlers;
        void *userdata;
        PeerLimits limits;
        Buf in, out;
        size_t scanned; /* bytes of in that hold no NUL */
        PeerCredentials credentials;
        PeerEnd end;
        bool may_have_message; /* in was not looked through to its end */
        bool is_input_ended, is_paused, is_ending, is_busy, is_freed;
};

static void peer_on_ready(PollerEntry *entry, uint32_t events);

static void peer_update(Peer *peer) {
        uint32_t events = 0;

        if (peer->is_busy || peer->is_freed)
                return; /* done once, when the callbacks have returned */
        if (!peer->is_ending) {
                if (peer->out.length > 0)
                        events |= EPOLLOUT;
                if (!peer->is_paused && peer->out.length < OUTPUT_HIGH_BYTES) {
                        if (peer->may_have_message || peer->is_input_ended)
                                events |= EPOLLOUT;
                        if (!peer->is_input_ended)
                                events |= EPOLLIN;
                }
        }
        if (peer->entry.poller)
                poller_modify(&peer->entry, events);
}

static void peer_read_credentials(Peer *peer) {
        struct ucred ucred = { .pid = 0, .uid = (uid_t) -1, .gid = (gid_t) -1 };
        socklen_t length = sizeof(ucred);

        if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &ucred, &length) < 0)
                ucred = (struct ucred) { .pid = 0, .uid = (uid_t) -1, .gid = (gid_t) -1 };
        peer->credentials = (PeerCredentials) { .pid = ucred.pid, .uid = ucred.uid, .gid = ucred.gid };
}

int peer_new(Peer **ret, Poller *poller, int fd, const PeerLimits *limits, const PeerHandlers *handlers,
             void *userdata) {
        cleanup(fd_closep) int owned = fd;
        cleanup(peer_freep) Peer *peer = malloc(sizeof(*peer));
        int r;

        if (!peer)
                return -ENOMEM;
        *peer = (Peer) { .fd = take_fd(owned), .handlers = handlers, .userdata = userdata, .limits = *limits };
        if (peer->limits.message_max_bytes == 0)
                peer->limits.message_max_bytes = FRAME_REQUEST_MAX;
        if (peer->limits.output_max_bytes == 0)
                peer->limits.output_max_bytes = PEER_OUTPUT_MAX;
        peer->in = buf_make(peer->limits.message_max_bytes + READ_BYTES);
        peer->out = buf_make(peer->limits.output_max_bytes);
        r = fd_set_nonblock(peer->fd);
        if (r < 0)
                return r;
        peer_read_credentials(peer);
        r = poller_add(poller, &peer->entry, peer->fd, EPOLLIN, peer_on_ready);
        if (r < 0)
                return r;
        *ret = take(peer);
        return 0;
}

static void peer_destroy(Peer *peer) {
        buf_done(&peer->in);
        buf_done(&peer->out);
        free(peer);
}

Peer *peer_free(Peer *peer) {
        if (!peer)
                return NULL;
        assert(!peer->is_freed);
        poller_remove(&peer->entry);
        peer->fd = fd_close(peer->fd);
        peer->is_freed = true;
        if (!peer->is_busy)
                peer_destroy(peer);
        return NULL;
}

static void peer_end(Peer *peer, PeerEnd end) {
        if (peer->is_ending)
                return;
        peer->is_ending = true;
        peer->end = end;
        buf_done(&peer->out);
}

void peer_drop(Peer *peer, PeerEnd end) {
        if (peer->is_ending || peer->is_freed)
                return;
        peer_end(peer, end);
        (void) shutdown(peer->fd, SHUT_RDWR); /* ENOTCONN: the other side was faster, and that reports EPOLLHUP too */
        peer_update(peer);
}

/* Bytes that the socket took, or -errno. */
static ssize_t peer_write(Peer *peer, const char *bytes, size_t length) {
        ssize_t n = send(peer->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n >= 0)
                return n;
        return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
}

static void peer_flush(Peer *peer) {
        ssize_t n;

        if (peer->out.length == 0)
                return;
        n = peer_write(peer, buf_bytes(&peer->out), peer->out.length);
        if (n < 0)
                peer_end(peer, PEER_GONE);
        else
                buf_consume(&peer->out, (size_t) n);
}

int peer_send(Peer *peer, const char *text, size_t length) {
        ssize_t n = 0;
        int r;

        if (peer->is_ending || peer->is_freed)
                return 0;
        if (peer->out.length == 0)
                n = peer_write(peer, text, length);
        if (n < 0) {
                peer_drop(peer, PEER_GONE);
                return 0;
        }
        r = buf_append(&peer->out, text + n, length - (size_t) n);
        if (r == -ENOBUFS) {
                peer_drop(peer, PEER_TOO_SLOW);
                return 0;
        }
        if (r < 0) { /* a reply with a hole in it cannot be sent: the stream is lost */
                peer_drop(peer, PEER_NO_MEMORY);
                return r;
        }
        peer_update(peer);
        return 0;
}

static void peer_read(Peer *peer) {
        char bytes[READ_BYTES];
        ssize_t n;

        n = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n < 0) {
                if (errno != EAGAIN && errno != EINTR)
                        peer_end(peer, PEER_GONE);
                return;
        }
        if (n == 0) {
                peer->is_input_ended = true; /* it may still read: what it has asked for is answered */
                return;
        }
        if (buf_append(&peer->in, bytes, (size_t) n) < 0) {
                peer_end(peer, PEER_NO_MEMORY); /* never ENOBUFS: more than a message is not kept before reading */
                return;
        }
        peer->may_have_message = true;
}

static bool peer_may_hand_out(const Peer *peer) {
        return !peer->is_ending && !peer->is_freed && !peer->is_paused && peer->out.length < OUTPUT_HIGH_BYTES;
}

static void peer_hand_out(Peer *peer) {
        for (unsigned i = 0; i < PEER_BATCH && peer_may_hand_out(peer) && peer->may_have_message; i++) {
                size_t length = 0;

                switch (frame_find(buf_bytes(&peer->in), peer->in.length, peer->limits.message_max_bytes,
                                   &peer->scanned, &length)) {
                case FRAME_MESSAGE:
                        peer->handlers->on_message(peer, buf_bytes(&peer->in), length, peer->userdata);
                        buf_consume(&peer->in, length + 1);
                        peer->scanned = 0;
                        peer->may_have_message = peer->in.length > 0;
                        break;
                case FRAME_MORE:
                        peer->may_have_message = false;
                        break;
                case FRAME_TOO_LARGE:
                        peer_end(peer, PEER_TOO_LARGE);
                        break;
                }
        }
}

static void peer_on_ready(PollerEntry *entry, uint32_t events) {
        Peer *peer = container_of(entry, Peer, entry);
        bool is_closed = (events & EPOLLHUP) != 0;

        peer->is_busy = true;
        if (!peer->is_ending && (events & EPOLLOUT) != 0)
                peer_flush(peer);
        /* Closed both ways: nobody waits for the running call or for what is queued. Calls that were sent before are
         * carried out all the same. */
        if ((events & EPOLLERR) != 0 || (is_closed && (peer->is_paused || peer->out.length > 0)))
                peer_end(peer, PEER_GONE);
        if (peer_may_hand_out(peer) && !peer->may_have_message && !peer->is_input_ended &&
            (events & (EPOLLIN | EPOLLHUP)) != 0)
                peer_read(peer);
        peer_hand_out(peer);
        if (peer->is_input_ended && !peer->may_have_message && !peer->is_paused && peer->out.length == 0)
                peer_end(peer, PEER_GONE);
        if (peer->is_ending && !peer->is_freed) {
                poller_remove(&peer->entry);
                peer->handlers->on_end(peer, peer->end, peer->userdata);
        }
        peer->is_busy = false;
        if (peer->is_freed)
                peer_destroy(peer);
        else
                peer_update(peer);
}

void peer_pause(Peer *peer) {
        peer->is_paused = true;
        peer_update(peer);
}

void peer_resume(Peer *peer) {
        peer->is_paused = false;
        peer_update(peer);
}

size_t peer_n_queued_bytes(const Peer *peer) {
        return peer->out.length;
}

const PeerCredentials *peer_credentials(const Peer *peer) {
        return &peer->credentials;
}

bool peer_is_member(const Peer *peer, gid_t group) {
        cleanup(freep) gid_t *many = NULL;
        gid_t few[32], *groups = few;
        socklen_t length = sizeof(few);

        if (peer->credentials.gid == group && group != (gid_t) -1)
                return true;
        if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0) {
                if (errno != ERANGE)
                        return false;
                groups = many = malloc(length); /* the kernel has told how much it needs */
                if (!groups || getsockopt(peer->fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0)
                        return false;
        }
        for (size_t i = 0; i < length / sizeof(gid_t); i++)
                if (groups[i] == group)
                        return true;
        return false;
}

const char *peer_end_text(PeerEnd end) {
        static const char *const texts[] = {
                [PEER_GONE] = "it is gone",
                [PEER_TOO_LARGE] = "its message is too large",
                [PEER_TOO_SLOW] = "it does not read its replies",
                [PEER_NO_MEMORY] = "out of memory",
                [PEER_DROPPED] = "it broke the protocol",
        };

        return end < PEER_END_MAX ? texts[end] : "unknown";
}
