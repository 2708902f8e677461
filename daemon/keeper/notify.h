#pragma once

/* The socket on which the core talks to the keeper: systemd's notify protocol. fds go to the store,
 * what is meant for systemd goes up, anything else is ignored. */

#include <stdbool.h>
#include <stddef.h>

#include "../../protocol/base.h"
#include "store.h"

typedef struct Keeper Keeper;

#define NOTIFY_MESSAGE_MAX 65536u

typedef struct NotifyMessage {
        bool is_store, is_remove, is_barrier;
        char name[STORE_NAME_MAX + 2]; /* FDNAME=, cut where it is too long, so that the store refuses it */
        size_t upstream_length;        /* 0: nothing for systemd */
} NotifyMessage;

/* Pure. upstream: room for length bytes, gets the assignments that are meant for systemd.
 * false: no message of this protocol, nothing was written. */
bool notify_parse(const char *text, size_t length, NotifyMessage *ret, char *upstream);

/* Opens the keeper's own socket. 0 or -errno. */
must_check int notify_open(Keeper *k);
/* Reads what is there, a bounded batch. */
void notify_read(Keeper *k);
/* The core is dead: reads all that it has sent. */
void notify_drain(Keeper *k);
