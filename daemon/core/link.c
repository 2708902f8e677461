#include "link.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "../../protocol/fds.h"

#define STORE_WAIT_SEC 2 /* the keeper reads at once; longer than this it is not alive */

struct Link {
        InheritedFd *fds; /* owned, each fd too until it is taken */
        unsigned n_fds;
        Ring *ring; /* mapped */
        int ring_fd, event_fd, room_fd;
        int keeper_fd; /* connected to its notify socket */
};

/* Sorted by name: thousands are looked up one by one. */
static int inherited_compare(const void *a, const void *b) {
        return strcmp(((const InheritedFd *) a)->name, ((const InheritedFd *) b)->name);
}

must_check static int map_ring(Link *link) {
        struct stat st;
        void *memory;

        if (link->ring_fd < 0 || link->event_fd < 0 || link->room_fd < 0)
                return -ENOLINK;
        if (fstat(link->ring_fd, &st) < 0)
                return -errno;
        memory = mmap(NULL, ring_size_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, link->ring_fd, 0);
        if (memory == MAP_FAILED)
                return -errno;
        link->ring = memory;
        return ring_is_valid(link->ring, (size_t) st.st_size) ? 0 : -EBADMSG;
}

/* Its queue holds ten datagrams where nobody has raised the limit: storing waits for room, telling does not. */
must_check static int connect_keeper(const char *text, int *ret_fd) {
        struct timeval patience = { .tv_sec = STORE_WAIT_SEC };
        struct sockaddr_un address;
        cleanup(fd_closep) int fd = -EBADF;
        socklen_t length;
        int r;

        r = notify_address(text, &address, &length);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *) &address, length) < 0)
                return -errno;
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
                return -errno;
        *ret_fd = take_fd(fd);
        return 0;
}

int link_new(Link **ret) {
        cleanup(link_freep) Link *link = calloc(1, sizeof(*link));
        const char *address = getenv("NOTIFY_SOCKET");
        unsigned n = inherited_fds_count();
        int r;

        if (!link)
                return -ENOMEM;
        link->ring_fd = link->event_fd = link->room_fd = link->keeper_fd = -EBADF;
        if (n == 0 || !address)
                return -ENOLINK;
        r = connect_keeper(address, &link->keeper_fd);
        if (r < 0)
                return r;
        link->fds = calloc(n, sizeof(*link->fds));
        if (!link->fds)
                return -ENOMEM;
        link->n_fds = inherited_fds_take(link->fds, n);
        qsort(link->fds, link->n_fds, sizeof(*link->fds), inherited_compare);
        link->ring_fd = link_take_fd(link, RING_FDNAME);
        link->event_fd = link_take_fd(link, RING_EVENT_FDNAME);
        link->room_fd = link_take_fd(link, RING_ROOM_FDNAME);
        r = map_ring(link);
        if (r < 0)
                return r;
        *ret = take(link);
        return 0;
}

Link *link_free(Link *link) {
        if (!link)
                return NULL;
        for (unsigned i = 0; i < link->n_fds; i++)
                (void) fd_close(link->fds[i].fd);
        if (link->ring)
                (void) munmap(link->ring, ring_size_bytes());
        (void) fd_close(link->ring_fd);
        (void) fd_close(link->event_fd);
        (void) fd_close(link->room_fd);
        (void) fd_close(link->keeper_fd);
        free(link->fds);
        free(link);
        return NULL;
}

Ring *link_ring(Link *link) {
        return link->ring;
}

int link_event_fd(const Link *link) {
        return link->event_fd;
}

int link_take_fd(Link *link, const char *name) {
        InheritedFd key = { .fd = -EBADF }, *found;

        (void) snprintf(key.name, sizeof(key.name), "%s", name);
        found = link->n_fds > 0 ? bsearch(&key, link->fds, link->n_fds, sizeof(key), inherited_compare) : NULL;
        return found ? take_fd(found->fd) : -EBADF;
}

static const char *place_name(char *buf, size_t size, char letter, unsigned place) {
        (void) snprintf(buf, size, "%c%u", letter, place);
        return buf;
}

int link_take_place_fd(Link *link, char letter, unsigned place) {
        char name[16];

        return link_take_fd(link, place_name(name, sizeof(name), letter, place));
}

void link_drop_rest(Link *link) {
        for (unsigned i = 0; i < link->n_fds; i++)
                if (link->fds[i].fd >= 0) {
                        link->fds[i].fd = fd_close(link->fds[i].fd);
                        link_unstore(link, link->fds[i].name);
                }
        free(link->fds);
        link->fds = NULL;
        link->n_fds = 0;
}

const RingRecord *link_peek(Link *link, uint64_t index) {
        return ring_peek(link->ring, index);
}

void link_done(Link *link) {
        RingRecord record;
        bool was_starved;

        drop(ring_take(link->ring, &record, &was_starved)); /* it was peeked at */
        if (was_starved)
                eventfd_signal(link->room_fd);
}

uint64_t link_position(const Link *link) {
        return link->ring->tail;
}

must_check static int send_text(Link *link, const char *text, int fd, int flags) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec iov = { .iov_base = (char *) text, .iov_len = strlen(text) };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (fd >= 0) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(sizeof(int));
                control.header = (struct cmsghdr) { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                                    .cmsg_len = CMSG_LEN(sizeof(int)) };
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        }
        return sendmsg(link->keeper_fd, &message, flags | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int link_store(Link *link, const char *name, int fd) {
        char text[320];

        (void) snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
        return send_text(link, text, fd, 0);
}

int link_store_place(Link *link, char letter, unsigned place, int fd) {
        char name[16];

        return link_store(link, place_name(name, sizeof(name), letter, place), fd);
}

void link_unstore(Link *link, const char *name) {
        char text[320];

        (void) snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
        drop(send_text(link, text, -EBADF, 0)); /* kept a little longer, it does no harm */
}

void link_unstore_place(Link *link, char letter, unsigned place) {
        char name[16];

        link_unstore(link, place_name(name, sizeof(name), letter, place));
}

void link_notify(Link *link, const char *text) {
        drop(send_text(link, text, -EBADF, MSG_DONTWAIT)); /* news for people; the next one comes soon */
}

bool link_set_deadline(Link *link, bool is_draining, usec_t deadline) {
        if (link->ring->deadline_usec == deadline && (link->ring->is_draining != 0) == is_draining)
                return false;
        __atomic_store_n(&link->ring->deadline_usec, deadline, __ATOMIC_SEQ_CST);
        __atomic_store_n(&link->ring->is_draining, is_draining, __ATOMIC_SEQ_CST);
        return true;
}

void link_wake_keeper(Link *link) {
        eventfd_signal(link->room_fd);
}

void link_set_grace(Link *link, usec_t grace) {
        __atomic_store_n(&link->ring->grace_usec, grace, __ATOMIC_SEQ_CST);
}

void link_pong(Link *link) {
        uint64_t ping = __atomic_load_n(&link->ring->ping, __ATOMIC_ACQUIRE);

        __atomic_store_n(&link->ring->pong, ping, __ATOMIC_RELEASE);
}

void link_finish(Link *link, int exit_status) {
        __atomic_store_n(&link->ring->exit_status, exit_status, __ATOMIC_SEQ_CST);
        __atomic_store_n(&link->ring->finished, 1, __ATOMIC_SEQ_CST);
}
