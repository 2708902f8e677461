#pragma once

/* A Varlink server: listening sockets, connections, dispatch by tables of methods, org.varlink.service. Replies go out
 * in the order of calls: one call of a connection runs at a time, further ones wait in its input. Knows no service. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base.h"
#include "peer.h" /* PeerCredentials */

#define SERVER_CONNECTIONS_MAX      10000u
#define SERVER_CONNECTIONS_USER_MAX 1024u
#define SERVER_OUTPUT_MAX           ((size_t) 128 << 20) /* of all connections together */

#define ERROR_METHOD_NOT_FOUND       "org.varlink.service.MethodNotFound"
#define ERROR_METHOD_NOT_IMPLEMENTED "org.varlink.service.MethodNotImplemented"
#define ERROR_INTERFACE_NOT_FOUND    "org.varlink.service.InterfaceNotFound"
#define ERROR_INVALID_PARAMETER      "org.varlink.service.InvalidParameter"
#define ERROR_PERMISSION_DENIED      "org.varlink.service.PermissionDenied"
#define ERROR_EXPECTED_MORE          "org.varlink.service.ExpectedMore"

typedef struct Server Server;
typedef struct Call Call;

/* parameters: an object, borrowed for the call of the handler. It replies with call_reply() or call_error(), now or,
 * after call_keep(), later. 0, or -errno: the caller gets the error "INTERFACE.Failed" (errno, message). */
typedef int (*ServerHandler)(Call *call, const json_t *parameters, void *userdata);

enum {
        METHOD_CHANGES = 1 << 0,    /* for root, our own user and the control group alone */
        METHOD_NEEDS_MORE = 1 << 1, /* refused without `more` */
};

typedef struct ServerMethod {
        const char *name; /* without its interface: "Drain"; the table ends with NULL */
        ServerHandler handler;
        unsigned flags;
} ServerMethod;

typedef struct ServerInterface {
        const char *name;            /* "io.draind.Control" */
        const char *description;     /* the text of its .varlink file */
        const ServerMethod *methods;
        void *userdata;              /* for the handlers */
} ServerInterface;

typedef struct ServerOptions {
        const char *vendor, *product, *version, *url;
        bool has_control_group;
        gid_t control_group;
        unsigned connections_max, connections_user_max; /* 0: the defaults above */
        size_t output_max_bytes;                        /* of all connections together; 0: the default above */
        PeerLimits limits;                              /* of each connection */
} ServerOptions;

/* *ret: server_free(). poller: borrowed for its life. The strings of options are borrowed for as long. */
must_check int server_new(Server **ret, Poller *poller, const ServerOptions *options);
/* Closes everything; the owners of kept calls are told. Not from within a handler. NULL is fine; returns NULL. */
Server *server_free(Server *server);
static inline void server_freep(Server **server) {
        *server = server_free(*server);
}
/* interface: borrowed for the server's life. 0, -EEXIST or -ENOSPC (more than 8). */
must_check int server_add_interface(Server *server, const ServerInterface *interface);
/* A new one takes effect for the calls that follow. */
void server_set_control_group(Server *server, bool has_control_group, gid_t control_group);
/* fd: a listening stream socket, consumed, on failure too; made non-blocking. */
must_check int server_listen(Server *server, int fd);
/* fd: a connected socket, consumed, on failure too. -EMFILE, -EDQUOT: the limits above. */
must_check int server_add_connection(Server *server, int fd);
unsigned server_n_connections(const Server *server);

/* The last reply of a call ends it: call must not be used after it. parameters: consumed, on failure too; NULL is {},
 * so check what may have failed to be built. continues: another reply follows. For a caller that did not ask for
 * `more` those are swallowed, and only the last one is sent; for a `oneway` call nothing is. 0 or -ENOMEM, in which
 * case the connection is lost, and nothing else. */
int call_reply(Call *call, json_t *parameters, bool continues);
/* Builds the parameters as json_pack(3). What cannot be built (no memory, a string that is no UTF-8) ends the call with
 * "INTERFACE.Failed" and returns -errno. */
int call_reply_pack(Call *call, bool continues, const char *format, ...);
int call_error(Call *call, const char *error, json_t *parameters);
int call_invalid_parameter(Call *call, const char *parameter);
/* The call outlives its handler. on_gone: called once if the connection ends before the last reply; call is not to be
 * used after that. May be called again to hand the call to another owner. */
void call_keep(Call *call, void (*on_gone)(Call *call, void *userdata), void *userdata);
/* "interface.Method"; borrowed. */
const char *call_method(const Call *call);
bool call_wants_more(const Call *call);
bool call_is_oneway(const Call *call);
/* Whether this caller may use methods that change things. */
bool call_may_change(const Call *call);
/* Borrowed, for the life of the call. */
const PeerCredentials *call_credentials(const Call *call);
