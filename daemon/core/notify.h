#pragma once

/* $NOTIFY_SOCKET of each service: a socket of its own, so a message is attributed to the service by where it came in,
 * not by a pid that may be gone. The paths are in the runtime directory; a socket may outlive the core in the keeper's
 * store. Knows no states: what a message means is the callback's. */

#include <stdint.h>
#include <sys/types.h>

#include "../../protocol/base.h"
#include "loop.h"
#include "notify-message.h"

typedef struct NotifySet NotifySet;
typedef struct NotifySocket NotifySocket;

/* As the kernel has checked it. pid is 0 where the sender is in no pid namespace that we see. */
typedef struct NotifySender {
        pid_t pid;
        uid_t uid;
} NotifySender;

/* message and its texts: borrowed for the call. Every process of the machine that can reach the path may write to it,
 * so whether this sender may speak for the service is the callback's to judge. May free any socket, this one too; must
 * not free the set. */
typedef void (*NotifyReceived)(unsigned service, const NotifyMessage *message, const NotifySender *sender,
                               void *userdata);

/* runtime_directory: of draind, copied; its folder notify/ is made when it is not there. loop is borrowed. */
must_check int notify_set_new(NotifySet **ret, Loop *loop, const char *runtime_directory, NotifyReceived received,
                              void *userdata);
/* All its sockets are freed already. Returns NULL. */
NotifySet *notify_set_free(NotifySet *set);
static inline void notify_set_freep(NotifySet **set) {
        *set = notify_set_free(*set);
}

/* service: a number that the callback gets. name: of the service. inherited_fd: consumed, on failure too; taken over
 * when it is such a socket and still has its path, else a new one is made (also with -EBADF).
 * 0 or -errno (-ENAMETOOLONG: the runtime directory leaves no room for a path). */
must_check int notify_socket_new(NotifySocket **ret, NotifySet *set, unsigned service, const char *name,
                                 int inherited_fd);
/* Closes it and leaves its path: the next core may have the same socket. Returns NULL. */
NotifySocket *notify_socket_free(NotifySocket *socket);
static inline void notify_socket_freep(NotifySocket **socket) {
        *socket = notify_socket_free(*socket);
}
/* The service is no more: removes the path, then as notify_socket_free(). */
NotifySocket *notify_socket_remove(NotifySocket *socket);

/* After a reload that has numbered the services anew. */
void notify_socket_renumber(NotifySocket *socket, unsigned service);
int notify_socket_fd(const NotifySocket *socket);           /* borrowed; for the keeper's store */
const char *notify_socket_path(const NotifySocket *socket); /* borrowed; for the service's environment */
/* Datagrams that were refused as a whole, since it was made. */
uint64_t notify_socket_n_refused(const NotifySocket *socket);
/* Reads what is waiting now (bounded): before an exit is judged, READY=1 that came before it must have been seen. */
void notify_socket_read(NotifySocket *socket);
