#pragma once

/* io.draind.Control on the core's side: what clients may ask, over the manager. */

#include "../../protocol/base.h"
#include "manager.h"

typedef struct Api Api;

/* socket_path: NULL: none of its own. inherited_fd: a listening socket, consumed, on failure too, or -EBADF.
 * manager is borrowed. -EADDRINUSE: somebody lives behind that path. *ret: api_free(). */
must_check int api_new(Api **ret, Manager *manager, const char *socket_path, int inherited_fd);
Api *api_free(Api *api);
static inline void api_freep(Api **api) { *api = api_free(*api); }
/* For the keeper's store; borrowed, -EBADF: there is none. */
int api_listening_fd(const Api *api);
/* After a reload: who may change things. */
void api_set_control_group(Api *api, bool has_control_group, gid_t control_group);
/* Sends what is owed to those who wait, as far as it goes without waiting: before draind ends. */
void api_flush(Api *api);
