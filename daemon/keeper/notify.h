#pragma once

/* Both sides of systemd's notify protocol. What the core sends to the keeper: fds go to the store, what is meant
 * for systemd goes up, anything else is ignored. */

#include <stdbool.h>
#include <stddef.h>

#include "../../protocol/base.h"
#include "store.h"

typedef struct Keeper Keeper;

#define NOTIFY_MESSAGE_MAX 65536u
#define NOTIFY_ALL         65536u /* far more than a socket's queue holds: an end in any case */

typedef struct NotifyMessage {
        bool is_store, is_remove;
        char name[STORE_NAME_MAX + 2]; /* FDNAME=, cut where it is too long, so that the store refuses it */
        size_t upstream_length;        /* 0: nothing for systemd */
} NotifyMessage;

/* Pure. upstream: room for length + 1 bytes, gets the assignments that are meant for systemd.
 * false: no message of this protocol, nothing was written. */
bool notify_parse(const char *text, size_t length, NotifyMessage *ret, char *upstream);

/* Opens the keeper's own socket, and one to systemd where NOTIFY_SOCKET= names it. 0 or -errno. */
must_check int notify_open(Keeper *k);
/* Reads what the core has sent, at most n_max datagrams. */
void notify_read(Keeper *k, unsigned n_max);
/* One datagram to systemd; dropped when it would block. */
void notify_upstream(Keeper *k, const char *text, size_t length);
