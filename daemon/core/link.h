#pragma once

/* The core's end of the keeper: the ring it writes, the fds it keeps, the words it passes up. */

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/base.h"
#include "../../protocol/clock.h"
#include "../../protocol/ring.h"

typedef struct Link Link;

/* Takes over what the keeper has passed in LISTEN_FDS. -ENOLINK: not started by a keeper. */
must_check int link_new(Link **ret);
Link *link_free(Link *link);
static inline void link_freep(Link **link) { *link = link_free(*link); }

Ring *link_ring(Link *link);
int link_event_fd(const Link *link); /* readable when the keeper has appended; borrowed */
/* The inherited fd of this name, the caller's from now on; -EBADF: there is none. */
int link_take_fd(Link *link, const char *name);
/* The same for names of a letter and a number. */
int link_take_place_fd(Link *link, char letter, unsigned place);
/* What is left belongs to nobody: closed here, and let go by the keeper where it was in its store. */
void link_drop_rest(Link *link);

/* The oldest unread record stays in the ring until link_done(): a core that dies in between reads it again. */
const RingRecord *link_peek(Link *link, uint64_t index);
void link_done(Link *link);
/* Position of the oldest unread record. */
uint64_t link_position(const Link *link);

/* Hands fds to the keeper; waits for its queue for a moment if it must, so only where nothing is being stopped. */
must_check int link_store(Link *link, const char *name, int fd);
must_check int link_store_place(Link *link, char letter, unsigned place, int fd);
void link_unstore(Link *link, const char *name);
void link_unstore_place(Link *link, char letter, unsigned place);
/* Passed on to the service manager above: "READY=1\nSTATUS=…". Never waits; what does not fit is lost. */
void link_notify(Link *link, const char *text);

/* The drain of everything and its end; USEC_INFINITY: none. For the keeper's last rites. true: it is another than before,
 * which the keeper takes in when it is woken. */
must_check bool link_set_deadline(Link *link, bool is_draining, usec_t deadline);
void link_wake_keeper(Link *link);
void link_set_grace(Link *link, usec_t grace);
/* Answers the keeper's ping. */
void link_pong(Link *link);
/* From here on the end of this process is the end of draind, with this exit status. */
void link_finish(Link *link, int exit_status);
