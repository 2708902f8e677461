#include "poller.h"

#include <assert.h>

/* A batch is fetched, then called one by one. A callback may remove any entry and free its owner: the places of the
 * batch that still name it are cleared, so nothing that the kernel reported before is delivered after. */

struct Poller {
        int fd; /* belongs to source */
        sd_event_source *source;
        struct epoll_event batch[POLLER_BATCH];
        int at, n_batch; /* the callback that runs, and how many were fetched */
};

static int poller_on_ready(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Poller *poller = userdata;
        int n;

        n = epoll_wait(poller->fd, poller->batch, POLLER_BATCH, 0);
        if (n < 0)
                return errno == EINTR ? 0 : -errno; /* our own set is broken: nothing can go on */
        poller->n_batch = n;
        for (poller->at = 0; poller->at < poller->n_batch; poller->at++) {
                const struct epoll_event *event = &poller->batch[poller->at];
                PollerEntry *entry = event->data.ptr;

                if (entry)
                        entry->callback(entry, event->events);
        }
        poller->n_batch = 0;
        return 0;
}

int poller_new(Poller **ret, sd_event *event, int64_t priority, const char *description) {
        cleanup(poller_freep) Poller *poller = malloc(sizeof(*poller));
        int r;

        if (!poller)
                return -ENOMEM;
        *poller = (Poller) { .fd = epoll_create1(EPOLL_CLOEXEC) };
        if (poller->fd < 0)
                return -errno;
        r = sd_event_add_io(event, &poller->source, poller->fd, EPOLLIN, poller_on_ready, poller);
        if (r < 0)
                return r;
        r = sd_event_source_set_io_fd_own(poller->source, 1);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(poller->source, priority);
        if (r < 0)
                return r;
        r = sd_event_source_set_exit_on_failure(poller->source, 1);
        if (r < 0)
                return r;
        r = sd_event_source_set_description(poller->source, description);
        if (r < 0)
                return r;
        *ret = take(poller);
        return 0;
}

Poller *poller_free(Poller *poller) {
        if (!poller)
                return NULL;
        if (!poller->source || sd_event_source_get_io_fd_own(poller->source) <= 0)
                (void) fd_close(poller->fd);
        sd_event_source_disable_unref(poller->source);
        free(poller);
        return NULL;
}

int poller_add(Poller *poller, PollerEntry *entry, int fd, uint32_t events, PollerCallback callback) {
        struct epoll_event event = { .events = events, .data.ptr = entry };

        assert(!entry->poller);
        if (epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;
        *entry = (PollerEntry) { .poller = poller, .callback = callback, .fd = fd, .events = events };
        return 0;
}

void poller_modify(PollerEntry *entry, uint32_t events) {
        struct epoll_event event = { .events = events, .data.ptr = entry };
        int r;

        assert(entry->poller);
        if (entry->events == events)
                return;
        r = epoll_ctl(entry->poller->fd, EPOLL_CTL_MOD, entry->fd, &event);
        assert(r == 0); /* it allocates nothing; only an fd that was closed too early fails */
        entry->events = events;
}

void poller_remove(PollerEntry *entry) {
        Poller *poller = entry->poller;

        if (!poller)
                return;
        for (int i = poller->at + 1; i < poller->n_batch; i++)
                if (poller->batch[i].data.ptr == entry)
                        poller->batch[i].data.ptr = NULL;
        (void) epoll_ctl(poller->fd, EPOLL_CTL_DEL, entry->fd, NULL); /* ENOENT: the caller has closed it */
        *entry = (PollerEntry) { .fd = -EBADF };
}
