#pragma once

/* Many fds under one source of the loop: a nested epoll set that is drained in bounded batches. sd-event alone costs
 * O(n) for every one of n ready fds; this costs a constant. The kernel moves an fd that was reported to the end of the
 * line, so nobody starves. Allocates nothing after poller_new(): an entry is a field of its owner. */

#include <stdint.h>
#include <sys/epoll.h> /* EPOLLIN … */
#include <systemd/sd-event.h>

#include "base.h"

#define POLLER_BATCH 64 /* callbacks for one wake-up of the loop */

typedef struct Poller Poller;
typedef struct PollerEntry PollerEntry;

/* events: what is ready (EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR …). Level-triggered: what is left undone comes again.
 * May remove and free any entry, its own too, and add others; must not free the poller. */
typedef void (*PollerCallback)(PollerEntry *entry, uint32_t events);

/* Embedded; get at the owner with container_of(). Zeroed before its first use; only the poller writes it. */
struct PollerEntry {
        Poller *poller; /* NULL: not in any */
        PollerCallback callback;
        int fd; /* borrowed: remove the entry before the fd is closed */
        uint32_t events;
};

/* *ret: poller_free(). event: borrowed for as long. priority: as sd-event has it, lower is sooner.
 * description: of the source, for debugging; copied. */
must_check int poller_new(Poller **ret, sd_event *event, int64_t priority, const char *description);
/* Entries that are still in it are the caller's fault: they must not be used any more. Returns NULL. */
Poller *poller_free(Poller *poller);
static inline void poller_freep(Poller **poller) {
        *poller = poller_free(*poller);
}

/* 0 or -errno (-ENOMEM, -ENOSPC: the user's limit of watches; -EPERM: the fd cannot be polled, as with files). */
must_check int poller_add(Poller *poller, PollerEntry *entry, int fd, uint32_t events, PollerCallback callback);
/* 0 events: only EPOLLHUP and EPOLLERR are reported, which the kernel always does. Cannot fail for an entry that
 * is in. */
void poller_modify(PollerEntry *entry, uint32_t events);
/* From here on the callback is not called, also not for what this batch has already fetched. Fine when it is not in. */
void poller_remove(PollerEntry *entry);
