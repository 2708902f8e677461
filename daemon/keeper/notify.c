#include "notify.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../../protocol/fds.h" /* NOTIFY_FDS_MAX */
#include "keeper.h"

#define NOTIFY_BATCH     64
#define NOTIFY_DRAIN_MAX 65536 /* far more than a socket's queue holds: an end in any case */
#define NOTIFY_BUFFER    (8 * 1024 * 1024)

/* Ours, or systemd's only from the process that it knows: these never go up. */
static const char *const notify_kept_back[] = {
        "FDSTORE", "FDSTOREREMOVE", "FDNAME", "FDPOLL", "BARRIER", "MAINPID", "MAINPIDFD", "MAINPIDFDID",
        "WATCHDOG", "WATCHDOG_USEC", "NOTIFYACCESS",
};

static bool notify_is(const char *line, size_t length, const char *wanted) {
        return strlen(wanted) == length && memcmp(line, wanted, length) == 0;
}

static bool notify_is_kept_back(const char *key, size_t length) {
        for (size_t i = 0; i < n_elements(notify_kept_back); i++)
                if (notify_is(key, length, notify_kept_back[i]))
                        return true;
        return false;
}

static void notify_take_name(NotifyMessage *message, const char *value, size_t length) {
        if (length >= sizeof(message->name))
                length = sizeof(message->name) - 1;
        memcpy(message->name, value, length);
        message->name[length] = '\0';
}

static void notify_parse_line(const char *line, size_t length, NotifyMessage *message, char *upstream) {
        const char *equals = memchr(line, '=', length);
        size_t key;

        if (!equals || equals == line)
                return;
        key = (size_t) (equals - line);
        if (notify_is(line, key, "FDNAME"))
                notify_take_name(message, equals + 1, length - key - 1);
        else if (notify_is(line, length, "FDSTORE=1"))
                message->is_store = true;
        else if (notify_is(line, length, "FDSTOREREMOVE=1"))
                message->is_remove = true;
        else if (notify_is(line, length, "BARRIER=1"))
                message->is_barrier = true;
        if (notify_is_kept_back(line, key))
                return;
        if (message->upstream_length > 0)
                upstream[message->upstream_length++] = '\n';
        memcpy(upstream + message->upstream_length, line, length);
        message->upstream_length += length;
}

bool notify_parse(const char *text, size_t length, NotifyMessage *ret, char *upstream) {
        NotifyMessage message = { .name = "stored" }; /* systemd's default */

        if (length == 0 || memchr(text, '\0', length))
                return false;
        while (length > 0) {
                const char *newline = memchr(text, '\n', length);
                size_t line = newline ? (size_t) (newline - text) : length;

                notify_parse_line(text, line, &message, upstream);
                text += newline ? line + 1 : line;
                length -= newline ? line + 1 : line;
        }
        *ret = message;
        return true;
}

/* fds are the keeper's from here on: the one that is kept is marked with -EBADF. */
static void notify_handle(Keeper *k, const char *text, size_t length, int *fds, unsigned n_fds) {
        static char upstream[NOTIFY_MESSAGE_MAX];
        NotifyMessage message;

        if (!notify_parse(text, length, &message, upstream))
                return;
        if (message.is_store && n_fds == 1) {
                int r = store_put(message.name, take_fd(fds[0]));

                if (r != STORE_ADDED && r != STORE_REPLACED)
                        say(LOG_WARNING, "Cannot keep a file descriptor as '%.32s': %s.", message.name,
                            r == STORE_FULL ? "the store is full" : "the name is not valid");
        } else if (message.is_store) {
                say(LOG_WARNING, "Cannot keep '%.32s': it came with %u file descriptors.", message.name, n_fds);
        } else if (message.is_remove) {
                (void) store_remove(message.name); /* gone is what was asked for */
        }
        /* The fd of a barrier is closed by our caller: all that was sent before it has been read by now. */
        if (message.upstream_length > 0)
                say_upstream(k, upstream, message.upstream_length);
}

/* Collects up to max fds, and says who sent them: 0 when nobody did. */
static pid_t notify_unpack(struct msghdr *header, int *ret_fds, unsigned max, unsigned *ret_n_fds) {
        pid_t sender = 0;
        unsigned n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                size_t size = c->cmsg_len - CMSG_LEN(0);

                if (c->cmsg_level != SOL_SOCKET)
                        continue;
                if (c->cmsg_type == SCM_RIGHTS && n + size / sizeof(int) <= max) {
                        memcpy(ret_fds + n, CMSG_DATA(c), size);
                        n += (unsigned) (size / sizeof(int));
                } else if (c->cmsg_type == SCM_CREDENTIALS && size >= sizeof(struct ucred)) {
                        struct ucred credentials;

                        memcpy(&credentials, CMSG_DATA(c), sizeof(credentials));
                        sender = credentials.pid;
                }
        }
        *ret_n_fds = n;
        return sender;
}

/* Who sent the next datagram, which stays where it is and whose fds are not taken: 0 for nobody we could know,
 * -errno when there is none. */
static int notify_peek(const Keeper *k) {
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(struct ucred))];
        } control;
        struct msghdr header = { .msg_control = &control, .msg_controllen = sizeof(control) };
        int none[1];
        unsigned n_none;

        if (recvmsg(k->notify_fd, &header, MSG_DONTWAIT | MSG_PEEK | MSG_CMSG_CLOEXEC) < 0)
                return -errno;
        return notify_unpack(&header, none, 0, &n_none);
}

static void notify_take(Keeper *k) {
        static char text[NOTIFY_MESSAGE_MAX];
        static union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int) * NOTIFY_FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
        } control;
        struct iovec data = { .iov_base = text, .iov_len = sizeof(text) };
        struct msghdr header = {
                .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
        };
        int fds[NOTIFY_FDS_MAX];
        unsigned n_fds;
        ssize_t length;

        length = recvmsg(k->notify_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (length < 0)
                return;
        (void) notify_unpack(&header, fds, NOTIFY_FDS_MAX, &n_fds);
        if (header.msg_flags & MSG_CTRUNC)
                say(LOG_WARNING, "Cannot receive a file descriptor from the core: too many are open.");
        else if (!(header.msg_flags & MSG_TRUNC))
                notify_handle(k, text, (size_t) length, fds, n_fds);
        for (unsigned i = 0; i < n_fds; i++)
                (void) fd_close(fds[i]);
}

/* One datagram; false when there is none. Anybody can reach an abstract socket, so only the core is heard. The
 * fds of a stranger never become ours: to close a file on a hung file system could block us. */
static bool notify_receive(Keeper *k) {
        int sender = notify_peek(k);

        if (sender < 0)
                return false;
        if (sender > 0 && sender == k->core)
                notify_take(k);
        else
                (void) !recv(k->notify_fd, NULL, 0, MSG_DONTWAIT);
        return true;
}

void notify_read(Keeper *k) {
        for (int i = 0; i < NOTIFY_BATCH; i++)
                if (!notify_receive(k))
                        return;
}

void notify_drain(Keeper *k) {
        for (int i = 0; i < NOTIFY_DRAIN_MAX; i++)
                if (!notify_receive(k))
                        return;
}

int notify_open(Keeper *k) {
        cleanup(fd_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        socklen_t size = sizeof(sa_family_t); /* no name: the kernel finds one that is free */
        int on = 1, buffer = NOTIFY_BUFFER;

        if (fd < 0)
                return -errno;
        if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
                return -errno;
        if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)) < 0)
                (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)); /* what we may have */
        if (bind(fd, (struct sockaddr *) &address, size) < 0)
                return -errno;
        size = sizeof(address);
        if (getsockname(fd, (struct sockaddr *) &address, &size) < 0)
                return -errno;
        (void) snprintf(k->notify_address, sizeof(k->notify_address), "@%.*s",
                        (int) (size - offsetof(struct sockaddr_un, sun_path) - 1), address.sun_path + 1);
        k->notify_fd = take_fd(fd);
        return 0;
}
