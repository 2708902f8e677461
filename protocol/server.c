#include "server.h"

#include <assert.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fds.h"
#include "log.h"
#include "message.h"
#include "poller.h"
#include "server-interfaces.h"

/* A connection runs one call at a time: while one waits for its last reply the peer is paused, and what was pipelined
 * stays in its input. So replies are in order without any queue of calls. */

#define LISTENERS_MAX  4u
#define ACCEPT_BATCH   16u
#define USER_BUCKETS   256u

typedef struct Connection Connection;
typedef struct User User;

struct User { /* one for each uid that is connected */
        User *next;
        uid_t uid;
        unsigned n_connections;
};

struct Call {
        Connection *connection;
        MessageCall message;
        const ServerInterface *interface; /* NULL: there is no such method */
        void (*on_gone)(Call *call, void *userdata); /* NULL until it is kept */
        void *userdata;
        bool is_in_handler, is_done;
};

struct Connection {
        Connection *previous, *next;
        Server *server;
        Peer *peer; /* owned */
        User *user; /* owned together with its other connections */
        Call *call; /* owned; the one that runs, or NULL */
};

typedef struct Listener {
        PollerEntry entry;
        Server *server;
        int fd; /* owned */
} Listener;

struct Server {
        Poller *poller;
        ServerOptions options;
        ServerInterfaces interfaces;
        Listener listeners[LISTENERS_MAX];
        unsigned n_listeners;
        Connection *connections;
        unsigned n_connections;
        User *users[USER_BUCKETS];
        size_t n_output_bytes; /* queued since the last count: never less than what is queued */
        uint64_t n_refused, n_dropped;
        int reserve_fd; /* given up to be able to accept, and close, when there are no more fds */
        bool is_deaf;   /* no reserve either: listeners are off until a connection ends */
};

int server_new(Server **ret, Poller *poller, const ServerOptions *options) {
        Server *server = malloc(sizeof(*server));

        if (!server)
                return -ENOMEM;
        *server = (Server) { .poller = poller, .options = *options };
        if (server->options.connections_max == 0)
                server->options.connections_max = SERVER_CONNECTIONS_MAX;
        if (server->options.connections_user_max == 0)
                server->options.connections_user_max = SERVER_CONNECTIONS_USER_MAX;
        if (server->options.output_max_bytes == 0)
                server->options.output_max_bytes = SERVER_OUTPUT_MAX;
        server_interfaces_init(&server->interfaces, &server->options);
        server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* without it accepting may have to pause */
        *ret = server;
        return 0;
}

int server_add_interface(Server *server, const ServerInterface *interface) {
        return server_interfaces_add(&server->interfaces, interface);
}

void server_set_control_group(Server *server, bool has_control_group, gid_t control_group) {
        server->options.has_control_group = has_control_group;
        server->options.control_group = control_group;
}

unsigned server_n_connections(const Server *server) {
        return server->n_connections;
}

/* Calls. */

static void call_free(Call *call) {
        message_call_done(&call->message);
        free(call);
}

/* The last reply is out, or there is none to send. */
static void call_finish(Call *call) {
        call->connection->call = NULL;
        peer_resume(call->connection->peer);
        call->is_done = true;
        if (!call->is_in_handler)
                call_free(call);
}

/* Drops those who read the least until the rest is well below the limit. */
static void server_shed_output(Server *server) {
        const size_t wanted = server->options.output_max_bytes / 4 * 3;

        for (;;) {
                Connection *worst = NULL;
                size_t sum = 0;

                for (Connection *c = server->connections; c; c = c->next) {
                        size_t n = peer_n_queued_bytes(c->peer);

                        sum += n;
                        if (!worst || n > peer_n_queued_bytes(worst->peer))
                                worst = c;
                }
                server->n_output_bytes = sum;
                if (sum <= wanted || !worst)
                        return;
                peer_drop(worst->peer, PEER_TOO_SLOW);
        }
}

static int connection_send(Connection *connection, const char *text, size_t length) {
        Server *server = connection->server;
        int r;

        r = peer_send(connection->peer, text, length);
        if (peer_n_queued_bytes(connection->peer) == 0)
                return r; /* all written at once, as nearly always */
        server->n_output_bytes += length;
        if (server->n_output_bytes > server->options.output_max_bytes)
                server_shed_output(server);
        return r;
}

/* Sends a message that was made with result made, which is -errno if it could not be. */
static int call_send(Call *call, int made, char *text, size_t length) {
        cleanup(freep) char *owned = text;

        if (made < 0) { /* a missing reply would be answered by the next one */
                peer_drop(call->connection->peer, PEER_NO_MEMORY);
                return made;
        }
        return connection_send(call->connection, owned, length);
}

int call_reply(Call *call, json_t *parameters, bool continues) {
        char *text = NULL;
        size_t length = 0;
        int r = 0;

        assert(!call->is_done);
        if (!call->message.oneway && (!continues || call->message.more)) {
                r = message_format_reply(parameters, continues, &text, &length);
                r = call_send(call, r, text, length);
        }
        json_decref(parameters);
        if (!continues)
                call_finish(call);
        return r;
}

int call_error(Call *call, const char *error, json_t *parameters) {
        char *text = NULL;
        size_t length = 0;
        int r = 0;

        assert(!call->is_done);
        if (!call->message.oneway) {
                r = message_format_error(error, parameters, &text, &length);
                r = call_send(call, r, text, length);
        }
        json_decref(parameters);
        call_finish(call);
        return r;
}

/* The method has failed, which is our trouble and not the caller's. */
static void call_failed(Call *call, int error) {
        char name[256];

        log_message(LOG_WARNING, "Could not carry out %s for process %d: %s.", call->message.method,
                    (int) call_credentials(call)->pid, strerror(-error));
        (void) snprintf(name, sizeof(name), "%s.Failed", call->interface->name);
        (void) call_error(call, name, json_pack("{s:i, s:s}", "errno", -error, "message", strerror(-error)));
}

int call_reply_pack(Call *call, bool continues, const char *format, ...) {
        json_error_t error;
        json_t *parameters;
        va_list arguments;
        int r;

        va_start(arguments, format);
        parameters = json_vpack_ex(&error, 0, format, arguments);
        va_end(arguments);
        if (parameters)
                return call_reply(call, parameters, continues);
        r = json_error_code(&error) == json_error_invalid_utf8 ? -EILSEQ : -ENOMEM;
        call_failed(call, r);
        return r;
}

int call_invalid_parameter(Call *call, const char *parameter) {
        return call_error(call, ERROR_INVALID_PARAMETER, json_pack("{s:s}", "parameter", parameter));
}

void call_keep(Call *call, void (*on_gone)(Call *call, void *userdata), void *userdata) {
        assert(!call->is_done && on_gone);
        call->on_gone = on_gone;
        call->userdata = userdata;
}

const char *call_method(const Call *call) {
        return call->message.method;
}

bool call_wants_more(const Call *call) {
        return call->message.more;
}

bool call_is_oneway(const Call *call) {
        return call->message.oneway;
}

const PeerCredentials *call_credentials(const Call *call) {
        return peer_credentials(call->connection->peer);
}

bool call_may_change(const Call *call) {
        const PeerCredentials *who = call_credentials(call);
        const ServerOptions *options = &call->connection->server->options;

        if (who->uid == (uid_t) -1)
                return false;
        return who->uid == 0 || who->uid == geteuid() ||
               (options->has_control_group && peer_is_member(call->connection->peer, options->control_group));
}

/* Dispatch. */

static void call_handle(Call *call, const ServerMethod *method) {
        int r;

        call->is_in_handler = true;
        r = method->handler(call, call->message.parameters, call->interface->userdata);
        call->is_in_handler = false;
        if (call->is_done) {
                call_free(call);
        } else if (r < 0) {
                call_failed(call, r);
        } else if (call->message.oneway && !call->on_gone) {
                call_finish(call);
        } else if (!call->on_gone) { /* neither answered nor kept: the caller must not wait for ever */
                call_failed(call, -ENOMSG);
        }
}

/* Answered or refused with the errors that every Varlink service has. */
static void call_dispatch(Call *call) {
        const MessageCall *message = &call->message;
        const ServerMethod *method = server_interfaces_find(&call->connection->server->interfaces, message->method,
                                                            &call->interface);

        if (!method)
                (void) call_error(call, ERROR_METHOD_NOT_FOUND, json_pack("{s:s}", "method", message->method));
        else if (message->upgrade)
                (void) call_error(call, ERROR_METHOD_NOT_IMPLEMENTED, json_pack("{s:s}", "method", message->method));
        else if ((method->flags & METHOD_CHANGES) != 0 && !call_may_change(call))
                (void) call_error(call, ERROR_PERMISSION_DENIED, NULL);
        else if ((method->flags & METHOD_NEEDS_MORE) != 0 && !message->more)
                (void) call_error(call, ERROR_EXPECTED_MORE, NULL);
        else
                call_handle(call, method);
}

static void connection_on_message(Peer *peer, const char *text, size_t length, void *userdata) {
        Connection *connection = userdata;
        MessageCall message;
        int r;

        r = message_parse_call(text, length, &message);
        if (r < 0) {
                peer_drop(peer, PEER_NO_MEMORY);
                return;
        }
        if (r == MESSAGE_INVALID) {
                peer_drop(peer, PEER_DROPPED);
                return;
        }
        connection->call = malloc(sizeof(*connection->call));
        if (!connection->call || (message.oneway && message.more)) {
                peer_drop(peer, connection->call ? PEER_DROPPED : PEER_NO_MEMORY);
                message_call_done(&message);
                free(take(connection->call));
                return;
        }
        *connection->call = (Call) { .connection = connection, .message = message };
        peer_pause(peer);
        call_dispatch(connection->call);
}

/* Connections. */

static User **find_user(Server *server, uid_t uid) {
        User **user = &server->users[uid % USER_BUCKETS];

        while (*user && (*user)->uid != uid)
                user = &(*user)->next;
        return user;
}

static int user_add_connection(Server *server, uid_t uid, User **ret) {
        User **user = find_user(server, uid);

        if (!*user) {
                *user = malloc(sizeof(**user));
                if (!*user)
                        return -ENOMEM;
                **user = (User) { .uid = uid };
        } else if ((*user)->n_connections >= server->options.connections_user_max) {
                return -EDQUOT;
        }
        (*user)->n_connections++;
        *ret = *user;
        return 0;
}

static void user_remove_connection(Server *server, User *user) {
        if (--user->n_connections > 0)
                return;
        *find_user(server, user->uid) = user->next;
        free(user);
}

static void server_hear_again(Server *server) {
        if (!server->is_deaf)
                return;
        server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        server->is_deaf = false;
        for (unsigned i = 0; i < server->n_listeners; i++)
                poller_modify(&server->listeners[i].entry, EPOLLIN);
}

static void connection_free(Connection *connection) {
        Server *server = connection->server;
        Call *call = take(connection->call);

        if (call) {
                if (call->on_gone)
                        call->on_gone(call, call->userdata);
                call_free(call);
        }
        if (connection->previous)
                connection->previous->next = connection->next;
        else
                server->connections = connection->next;
        if (connection->next)
                connection->next->previous = connection->previous;
        server->n_connections--;
        user_remove_connection(server, connection->user);
        peer_free(connection->peer);
        free(connection);
        server_hear_again(server);
}

/* The 1st, 2nd, 4th, 8th …: a flood must not become one in the log. */
static bool is_worth_telling(uint64_t n) {
        return (n & (n - 1)) == 0;
}

static void connection_on_end(Peer *peer, PeerEnd end, void *userdata) {
        Connection *connection = userdata;

        if (end != PEER_GONE && is_worth_telling(++connection->server->n_dropped))
                log_message(LOG_INFO, "Closing the connection of process %d (uid %d): %s (%llu so far).",
                            (int) peer_credentials(peer)->pid, (int) peer_credentials(peer)->uid, peer_end_text(end),
                            (unsigned long long) connection->server->n_dropped);
        connection_free(connection);
}

static const PeerHandlers connection_handlers = {
        .on_message = connection_on_message,
        .on_end = connection_on_end,
};

int server_add_connection(Server *server, int fd) {
        cleanup(fd_closep) int owned = fd;
        cleanup(peer_freep) Peer *peer = NULL;
        cleanup(freep) Connection *connection = NULL;
        int r;

        if (server->n_connections >= server->options.connections_max)
                return -EMFILE;
        connection = malloc(sizeof(*connection));
        if (!connection)
                return -ENOMEM;
        r = peer_new(&peer, server->poller, take_fd(owned), &server->options.limits, &connection_handlers, connection);
        if (r < 0)
                return r;
        *connection = (Connection) { .server = server, .next = server->connections };
        r = user_add_connection(server, peer_credentials(peer)->uid, &connection->user);
        if (r < 0)
                return r;
        connection->peer = take(peer);
        if (server->connections)
                server->connections->previous = connection;
        server->connections = take(connection);
        server->n_connections++;
        return 0;
}

/* Listening. */

static void server_on_refused(Server *server, int error) {
        if (is_worth_telling(++server->n_refused))
                log_message(LOG_WARNING, "Refused a connection: %s (%llu so far, %u connected).",
                            error == -EDQUOT ? "too many of the same user" : strerror(-error),
                            (unsigned long long) server->n_refused, server->n_connections);
}

/* No fd for the client: with the reserve it is accepted and sent away, for else the listener stays readable and the
 * loop turns for nothing. */
static void listener_turn_away(Listener *listener, int error) {
        Server *server = listener->server;
        int fd = -EBADF;

        server_on_refused(server, error);
        if (server->reserve_fd >= 0) {
                server->reserve_fd = fd_close(server->reserve_fd);
                fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                (void) fd_close(fd);
                server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        }
        if (fd >= 0 || server->n_connections == 0)
                return; /* without a connection there is none whose end could wake us */
        server->reserve_fd = fd_close(server->reserve_fd);
        server->is_deaf = true;
        for (unsigned i = 0; i < server->n_listeners; i++)
                poller_modify(&server->listeners[i].entry, 0);
}

static void listener_on_ready(PollerEntry *entry, uint32_t events) {
        Listener *listener = container_of(entry, Listener, entry);

        for (unsigned i = 0; i < ACCEPT_BATCH && !listener->server->is_deaf; i++) {
                int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                int r;

                if (fd < 0) {
                        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                                listener_turn_away(listener, -errno);
                        return; /* EAGAIN, ECONNABORTED, EINTR: it comes again if there is more */
                }
                r = server_add_connection(listener->server, fd);
                if (r < 0)
                        server_on_refused(listener->server, r);
        }
}

int server_listen(Server *server, int fd) {
        cleanup(fd_closep) int owned = fd;
        Listener *listener = &server->listeners[server->n_listeners];
        int r;

        if (server->n_listeners == LISTENERS_MAX)
                return -ENOSPC;
        r = fd_set_nonblock(owned);
        if (r < 0)
                return r;
        *listener = (Listener) { .server = server };
        r = poller_add(server->poller, &listener->entry, owned, server->is_deaf ? 0 : EPOLLIN, listener_on_ready);
        if (r < 0)
                return r;
        listener->fd = take_fd(owned);
        server->n_listeners++;
        return 0;
}

Server *server_free(Server *server) {
        if (!server)
                return NULL;
        for (unsigned i = 0; i < server->n_listeners; i++) {
                poller_remove(&server->listeners[i].entry);
                (void) fd_close(server->listeners[i].fd);
        }
        server->n_listeners = 0;
        while (server->connections)
                connection_free(server->connections);
        (void) fd_close(server->reserve_fd);
        free(server);
        return NULL;
}
