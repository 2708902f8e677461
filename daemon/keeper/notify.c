#include "keeper.h"

#include <stdio.h>
#include <string.h>

#include "../../protocol/fds.h" /* notify_address() */

#define NOTIFY_BUFFER (8 * 1024 * 1024)

/* Ours, or systemd's only from the process that it knows: these never go up. */
static bool notify_is_kept_back(const char *line) {
        static const char *const keys[] = {
                "FDSTORE=", "FDSTOREREMOVE=", "FDNAME=", "FDPOLL=", "BARRIER=", "MAINPID=", "MAINPIDFD=",
                "MAINPIDFDID=", "WATCHDOG=", "WATCHDOG_USEC=", "NOTIFYACCESS=",
        };

        for (size_t i = 0; i < n_elements(keys); i++)
                if (strncmp(line, keys[i], strlen(keys[i])) == 0)
                        return true;
        return false;
}

bool notify_parse(const char *text, size_t length, NotifyMessage *ret, char *upstream) {
        NotifyMessage message = { .name = "stored" }; /* systemd's default */

        if (length == 0 || memchr(text, '\0', length))
                return false;
        for (size_t at = 0; at < length; at++) {
                const char *newline = memchr(text + at, '\n', length - at);
                size_t size = newline ? (size_t) (newline - text) - at : length - at;
                /* Each line goes up until it is known that it does not. */
                char *line = upstream + message.upstream_length + (message.upstream_length > 0);

                memcpy(line, text + at, size);
                line[size] = '\0';
                at += size;
                if (strncmp(line, "FDNAME=", 7) == 0)
                        (void) snprintf(message.name, sizeof(message.name), "%s", line + 7);
                message.is_store |= strcmp(line, "FDSTORE=1") == 0;
                message.is_remove |= strcmp(line, "FDSTOREREMOVE=1") == 0;
                if (line[0] == '=' || !strchr(line, '=') || notify_is_kept_back(line))
                        continue;
                if (message.upstream_length > 0)
                        line[-1] = '\n';
                message.upstream_length = (size_t) (line - upstream) + size;
        }
        *ret = message;
        return true;
}

/* *fd: -EBADF when none came; taken when it is kept. */
static void notify_handle(Keeper *k, const char *text, size_t length, int *fd) {
        static char upstream[NOTIFY_MESSAGE_MAX + 1];
        NotifyMessage message;

        if (!notify_parse(text, length, &message, upstream))
                return;
        if (message.is_store) {
                int r = *fd < 0 ? -EBADF : store_put(message.name, take_fd(*fd));

                if (r != STORE_ADDED && r != STORE_REPLACED)
                        say(LOG_WARNING, "Cannot keep a file descriptor as '%.32s': %s.", message.name,
                            r < 0 ? "none came" : r == STORE_FULL ? "the store is full" : "the name is not valid");
        } else if (message.is_remove) {
                (void) store_remove(message.name); /* gone is what was asked for */
        }
        /* The fd of a barrier is closed by our caller: all that was sent before it has been read by now. */
        if (message.upstream_length > 0)
                notify_upstream(k, upstream);
}

static void notify_take(Keeper *k) {
        static char text[NOTIFY_MESSAGE_MAX];
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 2)]; /* more are never ours */
        } control;
        struct iovec data = { .iov_base = text, .iov_len = sizeof(text) };
        struct msghdr header = {
                .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
        };
        ssize_t length = recvmsg(k->notify_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        int fds[2] = { -EBADF, -EBADF };

        if (length < 0)
                return;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                        memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
        if (header.msg_flags & MSG_CTRUNC || fds[1] >= 0)
                say(LOG_WARNING, "Cannot receive file descriptors from the core: one at a time, or too many are open.");
        else if (!(header.msg_flags & MSG_TRUNC))
                notify_handle(k, text, (size_t) length, &fds[0]);
        (void) fd_close(fds[0]);
        (void) fd_close(fds[1]);
}

/* Anybody can reach an abstract socket, so only the core is heard. Between its end and our last look its pid may become
 * somebody else's: of our own user or not heard, and that one could as well have changed the core itself.
 * Looked at before it is taken: the fds of a stranger never become ours, for to close a file on a hung file system
 * could block us. */
void notify_read(Keeper *k, unsigned n_max) {
        for (unsigned i = 0; i < n_max; i++) {
                union {
                        struct cmsghdr align;
                        char bytes[CMSG_SPACE(sizeof(struct ucred))];
                } control;
                struct msghdr header = { .msg_control = &control, .msg_controllen = sizeof(control) };
                struct ucred sender = { 0 };

                if (recvmsg(k->notify_fd, &header, MSG_DONTWAIT | MSG_PEEK | MSG_CMSG_CLOEXEC) < 0)
                        return;
                if (CMSG_FIRSTHDR(&header) && control.align.cmsg_type == SCM_CREDENTIALS)
                        memcpy(&sender, CMSG_DATA(&control.align), sizeof(sender));
                if (sender.pid > 0 && sender.pid == k->core && sender.uid == getuid())
                        notify_take(k);
                else
                        (void) !recv(k->notify_fd, NULL, 0, MSG_DONTWAIT);
        }
}

int notify_open(Keeper *k) {
        cleanup(fd_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        socklen_t size = sizeof(sa_family_t); /* no name: the kernel finds one that is free */
        int on = 1, buffer = NOTIFY_BUFFER;
        const char *upstream = getenv("NOTIFY_SOCKET");

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
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
        /* Other kinds of address (vsock) are for virtual machines as a whole. */
        if (upstream && notify_address(upstream, &k->upstream, &k->upstream_size) == 0)
                k->upstream_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        return 0;
}

void notify_upstream(Keeper *k, const char *text) {
        /* Lossy on purpose: systemd gets the next one, and nothing here may wait for it. EBADF: nobody listens. */
        (void) sendto(k->upstream_fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *) &k->upstream,
                      k->upstream_size);
}
