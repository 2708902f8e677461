#include "conn.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../protocol/buf.h"
#include "../protocol/frame.h"
#include "config.h"

#define READ_SIZE         ((size_t) 64 * 1024)
#define CONNECT_RETRY_MSEC 50

struct Conn {
        int fd;
        Buf in;
        size_t scanned;
};

int conn_find_path(const char *given, char **ret) {
        static const char system_path[] = DRAIND_RUN_DIR "/control";
        const char *environment = getenv("DRAIND_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");
        cleanup(freep) char *user_path = NULL;

        if (!given && environment && environment[0])
                given = environment;
        if (!given && runtime && runtime[0] == '/' && access(system_path, F_OK) < 0) {
                if (asprintf(&user_path, "%s/draind/control", runtime) < 0)
                        return -ENOMEM;
                if (access(user_path, F_OK) == 0)
                        given = user_path;
        }
        *ret = strdup(given ? given : system_path);
        return *ret ? 0 : -ENOMEM;
}

/* CONN_DONE, CONN_WOKEN, CONN_TIMED_OUT or -errno. */
static int wait_for(int fd, short events, int wake_fd, usec_t deadline) {
        struct pollfd fds[] = { { .fd = fd, .events = events }, { .fd = wake_fd, .events = POLLIN } };

        for (;;) {
                usec_t left = usec_left(deadline, clock_now_usec());
                struct timespec timeout = { .tv_sec = (time_t) (left / USEC_PER_SEC),
                                            .tv_nsec = (long) (left % USEC_PER_SEC) * 1000 };
                int n = ppoll(fds, n_elements(fds), left == USEC_INFINITY ? NULL : &timeout, NULL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (fds[1].revents)
                        return CONN_WOKEN;
                if (fds[0].revents)
                        return CONN_DONE;
                if (usec_left(deadline, clock_now_usec()) == 0)
                        return CONN_TIMED_OUT;
        }
}

static int address_of(const char *path, struct sockaddr_un *ret, socklen_t *ret_length) {
        size_t length = strlen(path);

        if (length == 0)
                return -ENOENT;
        if (length >= sizeof(ret->sun_path))
                return -ENAMETOOLONG;
        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        memcpy(ret->sun_path, path, length);
        *ret_length = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length + 1);
        if (path[0] == '@') { /* an abstract name, as systemd writes it */
                ret->sun_path[0] = '\0';
                (*ret_length)--;
        }
        return 0;
}

int conn_new(Conn **ret, const char *path, usec_t deadline) {
        cleanup(fd_closep) int fd = -EBADF;
        struct sockaddr_un address;
        socklen_t length;
        int r;

        r = address_of(path, &address, &length);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        while (connect(fd, (struct sockaddr *) &address, length) < 0) {
                if (errno != EAGAIN && errno != EINTR)
                        return -errno;
                /* The line of those who wait is full, and nothing tells when it is not. */
                if (usec_left(deadline, clock_now_usec()) == 0)
                        return CONN_TIMED_OUT;
                (void) poll(NULL, 0, CONNECT_RETRY_MSEC); /* cut short by a signal is fine */
        }
        *ret = malloc(sizeof(Conn));
        if (!*ret)
                return -ENOMEM;
        **ret = (Conn) { .fd = take_fd(fd), .in = buf_make(FRAME_REPLY_MAX + 1 + READ_SIZE) };
        return 0;
}

Conn *conn_free(Conn *conn) {
        if (!conn)
                return NULL;
        conn->fd = fd_close(conn->fd);
        buf_done(&conn->in);
        free(conn);
        return NULL;
}

int conn_call(Conn *conn, const char *method, const json_t *parameters, bool more, usec_t deadline) {
        cleanup(freep) char *text = NULL;
        size_t length, sent = 0;
        int r;

        r = message_format_call(method, parameters, more, false, &text, &length);
        if (r < 0)
                return r;
        while (sent < length) {
                ssize_t n = send(conn->fd, text + sent, length - sent, MSG_NOSIGNAL);

                if (n >= 0) {
                        sent += (size_t) n;
                        continue;
                }
                if (errno == EPIPE || errno == ECONNRESET)
                        return CONN_CLOSED;
                if (errno == EINTR)
                        continue;
                if (errno != EAGAIN)
                        return -errno;
                r = wait_for(conn->fd, POLLOUT, -EBADF, deadline);
                if (r != CONN_DONE)
                        return r;
        }
        return CONN_DONE;
}

/* CONN_DONE: *ret is a reply; CONN_TIMED_OUT: it has not all arrived. */
static int take_reply(Conn *conn, MessageReply *ret) {
        size_t length;
        int r;

        switch (frame_find(buf_bytes(&conn->in), conn->in.length, FRAME_REPLY_MAX, &conn->scanned, &length)) {
        case FRAME_MORE:
                return CONN_TIMED_OUT;
        case FRAME_TOO_LARGE:
                return CONN_GARBLED;
        case FRAME_MESSAGE:
                break;
        }
        r = message_parse_reply(buf_bytes(&conn->in), length, ret);
        if (r < 0)
                return r;
        buf_consume(&conn->in, length + 1);
        conn->scanned = 0;
        return r == MESSAGE_PARSED ? CONN_DONE : CONN_GARBLED;
}

int conn_receive(Conn *conn, int wake_fd, usec_t deadline, MessageReply *ret) {
        for (;;) {
                char *room;
                ssize_t n;
                int r = take_reply(conn, ret);

                if (r != CONN_TIMED_OUT)
                        return r;
                r = wait_for(conn->fd, POLLIN, wake_fd, deadline);
                if (r != CONN_DONE)
                        return r;
                r = buf_reserve(&conn->in, READ_SIZE, &room);
                if (r < 0)
                        return r;
                n = recv(conn->fd, room, READ_SIZE, 0);
                if (n == 0 || (n < 0 && errno == ECONNRESET))
                        return CONN_CLOSED;
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return -errno;
                if (n > 0)
                        buf_commit(&conn->in, (size_t) n);
        }
}
