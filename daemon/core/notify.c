#include "notify.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../../protocol/fds.h"
#include "../../protocol/log.h"
#include "../../protocol/poller.h"
#include "journal-ids.h"

#define NOTIFY_BATCH     16u /* datagrams of one socket in one wake-up */
#define NOTIFY_READ_MAX  64u /* datagrams in notify_socket_read(): more than a default queue holds */
#define NOTIFY_DIRECTORY "notify"

struct NotifySet {
        Poller *poller;  /* owned */
        char *directory; /* owned */
        NotifyReceived received;
        void *userdata;
};

struct NotifySocket {
        PollerEntry entry;
        NotifySet *set; /* borrowed */
        unsigned service;
        int fd; /* owned */
        uint64_t n_refused;
        bool *is_gone; /* set while messages are read: where to leave word that this socket was freed */
        struct sockaddr_un address;
};

/* --- the set --- */

static int notify_directory_make(const char *directory) {
        if (mkdir(directory, 0755) < 0)
                return errno == EEXIST ? 0 : -errno;
        /* Services of other users pass through it, whatever umask(2) says. */
        return chmod(directory, 0755) < 0 ? -errno : 0;
}

int notify_set_new(NotifySet **ret, Loop *loop, const char *runtime_directory, NotifyReceived received,
                   void *userdata) {
        cleanup(notify_set_freep) NotifySet *set = malloc(sizeof(*set));
        int r;

        if (!set)
                return -ENOMEM;
        *set = (NotifySet) { .received = received, .userdata = userdata };
        if (asprintf(&set->directory, "%s/" NOTIFY_DIRECTORY, runtime_directory) < 0) {
                set->directory = NULL; /* asprintf() leaves anything there */
                return -ENOMEM;
        }
        r = notify_directory_make(set->directory);
        if (r < 0)
                return r;
        r = poller_new(&set->poller, loop_event(loop), LOOP_PRIORITY_NOTIFY, "notify");
        if (r < 0)
                return r;
        *ret = take(set);
        return 0;
}

NotifySet *notify_set_free(NotifySet *set) {
        if (!set)
                return NULL;
        poller_free(set->poller);
        free(set->directory);
        free(set);
        return NULL;
}

/* --- receiving --- */

/* A log that a bad service can fill is a bad log: the first one, the second, the fourth … */
static void notify_socket_refuse(NotifySocket *s, const NotifySender *sender, const char *why) {
        uint64_t n = ++s->n_refused;

        if ((n & (n - 1)) == 0)
                log_id(LOG_WARNING, MSG_NOTIFY_IGNORED,
                       "Ignoring a notification from process %d on %s: it %s (%" PRIu64 " ignored until now).",
                       (int) sender->pid, s->address.sun_path, why, n);
}

/* There is room for the credentials and for nothing else: fds that a message carries are dropped by the kernel before
 * they become ours, however many they are. That also answers a barrier, whose fd is to be closed when all messages
 * before it were handled: they were, being read one by one. It needs no free fd in our table, and there is no close()
 * that could wait for somebody's FUSE. */
typedef union NotifyControl {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
} NotifyControl;

static NotifySender notify_sender(struct msghdr *header) {
        NotifySender sender = { .pid = 0, .uid = (uid_t) -1 };

        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
                    c->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
                        struct ucred credentials;

                        memcpy(&credentials, CMSG_DATA(c), sizeof(credentials));
                        sender = (NotifySender) { .pid = credentials.pid, .uid = credentials.uid };
                }
        return sender;
}

/* 0: one was read. -EAGAIN: there is none. */
static int notify_socket_receive(NotifySocket *s) {
        char text[NOTIFY_MESSAGE_MAX + 1];
        NotifyControl control = { 0 };
        struct iovec iovec = { .iov_base = text, .iov_len = NOTIFY_MESSAGE_MAX };
        struct msghdr header = {
                .msg_iov = &iovec,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        NotifyMessage message;
        NotifyOutcome outcome;
        NotifySender sender;
        ssize_t n;

        n = recvmsg(s->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC); /* n is the true length */
        if (n < 0)
                return -errno;
        sender = notify_sender(&header);
        outcome = notify_message_parse(text, (size_t) n, &message);
        if (outcome == NOTIFY_PARSED)
                s->set->received(s->service, &message, &sender, s->set->userdata); /* s may be gone */
        else
                notify_socket_refuse(s, &sender, notify_outcome_text(outcome));
        return 0;
}

static void notify_socket_receive_some(NotifySocket *s, unsigned max) {
        bool is_gone = false;
        int r = 0;

        if (s->is_gone)
                return; /* called from within our own callback: the reader out there goes on */
        s->is_gone = &is_gone;
        for (unsigned i = 0; i < max && r == 0 && !is_gone; i++)
                r = notify_socket_receive(s);
        if (is_gone)
                return;
        s->is_gone = NULL;
        if (r == 0 || r == -EAGAIN || r == -EINTR || r == -ENOMEM || r == -ENOBUFS)
                return;
        log_message(LOG_ERR, "Cannot read %s, not listening to it any more: %s.", s->address.sun_path, strerror(-r));
        poller_remove(&s->entry); /* it would wake us for ever */
}

void notify_socket_read(NotifySocket *socket) {
        notify_socket_receive_some(socket, NOTIFY_READ_MAX);
}

static void notify_on_ready(PollerEntry *entry, uint32_t events) {
        notify_socket_receive_some(container_of(entry, NotifySocket, entry), NOTIFY_BATCH);
}

/* --- one socket --- */

static uint64_t hash_text(const char *text) {
        uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

        for (; *text != '\0'; text++)
                hash = (hash ^ (unsigned char) *text) * UINT64_C(1099511628211);
        return hash;
}

/* The name, or where sun_path has no room for it a short stand-in that cannot be a service's name. */
static int notify_address_make(struct sockaddr_un *ret, const char *directory, const char *name) {
        const size_t size = sizeof(ret->sun_path);

        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        if ((size_t) snprintf(ret->sun_path, size, "%s/%s", directory, name) < size)
                return 0;
        if ((size_t) snprintf(ret->sun_path, size, "%s/.%016" PRIx64, directory, hash_text(name)) < size)
                return 0;
        return -ENAMETOOLONG;
}

/* Whether it is a notify socket, and one that can still be reached. */
static bool notify_socket_take_over(NotifySocket *s, int fd) {
        socklen_t length = sizeof(s->address), type_length = sizeof(int);
        struct stat status;
        int type = 0;

        s->address = (struct sockaddr_un) { 0 };
        if (getsockname(fd, (struct sockaddr *) &s->address, &length) < 0 || s->address.sun_family != AF_UNIX ||
            s->address.sun_path[0] != '/' || length > sizeof(s->address) ||
            memchr(s->address.sun_path, '\0', sizeof(s->address.sun_path)) == NULL)
                return false;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) < 0 || type != SOCK_DGRAM)
                return false;
        if (lstat(s->address.sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
                return false;
        return fd_set_cloexec(fd, true) >= 0 && fd_set_nonblock(fd) >= 0;
}

static int notify_socket_bind(NotifySocket *s, const char *name) {
        int r;

        r = notify_address_make(&s->address, s->set->directory, name);
        if (r < 0)
                return r;
        s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (s->fd < 0)
                return -errno;
        if (unlink(s->address.sun_path) < 0 && errno != ENOENT) /* an earlier draind's */
                return -errno;
        if (bind(s->fd, (const struct sockaddr *) &s->address, sizeof(s->address)) < 0)
                return -errno;
        /* The service may have any user, and change it. */
        return chmod(s->address.sun_path, 0666) < 0 ? -errno : 0;
}

int notify_socket_new(NotifySocket **ret, NotifySet *set, unsigned service, const char *name, int inherited_fd) {
        cleanup(fd_closep) int inherited = inherited_fd;
        cleanup(notify_socket_freep) NotifySocket *s = malloc(sizeof(*s));
        const int on = 1;
        int r;

        if (!s)
                return -ENOMEM;
        *s = (NotifySocket) { .set = set, .service = service, .fd = -EBADF };
        if (inherited >= 0 && notify_socket_take_over(s, inherited)) {
                s->fd = take_fd(inherited);
        } else {
                r = notify_socket_bind(s, name);
                if (r < 0)
                        return r;
        }
        if (setsockopt(s->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
                return -errno;
        r = poller_add(set->poller, &s->entry, s->fd, EPOLLIN, notify_on_ready);
        if (r < 0)
                return r;
        *ret = take(s);
        return 0;
}

NotifySocket *notify_socket_free(NotifySocket *socket) {
        if (!socket)
                return NULL;
        poller_remove(&socket->entry);
        if (socket->is_gone)
                *socket->is_gone = true;
        fd_close(socket->fd);
        free(socket);
        return NULL;
}

NotifySocket *notify_socket_remove(NotifySocket *socket) {
        if (socket)
                (void) unlink(socket->address.sun_path); /* what stays behind is replaced when the name comes again */
        return notify_socket_free(socket);
}

void notify_socket_renumber(NotifySocket *socket, unsigned service) {
        socket->service = service;
}

int notify_socket_fd(const NotifySocket *socket) {
        return socket->fd;
}

const char *notify_socket_path(const NotifySocket *socket) {
        return socket->address.sun_path;
}

uint64_t notify_socket_n_refused(const NotifySocket *socket) {
        return socket->n_refused;
}
