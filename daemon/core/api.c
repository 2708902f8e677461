#include "api.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../../protocol/poller.h"
#include "../../protocol/server.h"
#include "api-methods.h"
#include "api-streams.h"
#include "config.h"

#define BACKLOG 4096

/* protocol/io.draind.Control.varlink, put in by the build. */
extern const char api_interface_text[];

struct Api {
        Manager *manager; /* borrowed */
        Poller *poller;   /* owned */
        Server *server;   /* owned */
        Streams *streams; /* owned */
        ServerInterface interface;
        ApiContext context;
        int listening_fd; /* the server's */
};

/* --- the socket --- */

static bool is_answered(const struct sockaddr_un *address) {
        cleanup(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return true; /* in doubt nothing is taken from anybody */
        if (connect(fd, (const struct sockaddr *) address, sizeof(*address)) == 0)
                return true;
        return errno != ECONNREFUSED && errno != ENOENT;
}

/* Removes a socket that nobody listens on any more. -EADDRINUSE: somebody does; -EEXIST: it is no socket. */
must_check static int remove_stale(const struct sockaddr_un *address) {
        struct stat status;

        if (lstat(address->sun_path, &status) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISSOCK(status.st_mode))
                return -EEXIST;
        if (is_answered(address))
                return -EADDRINUSE;
        return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Returns the fd or -errno. */
must_check static int make_socket(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        cleanup(fd_closep) int fd = -EBADF;
        int r;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        r = remove_stale(&address);
        if (r < 0)
                return r;
        if (bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        /* Listening first: from here on nobody takes it for a stale one. Who may do what is not decided by the mode. */
        if (listen(fd, BACKLOG) < 0 || chmod(path, 0666) < 0) {
                r = -errno;
                (void) unlink(path); /* what fails here may be tried again elsewhere */
                return r;
        }
        return take_fd(fd);
}

/* --- the whole --- */

must_check static int api_serve(Api *api, int fd) {
        const Model *model = manager_model(api->manager);
        cleanup(fd_closep) int owned = fd;
        ServerOptions options = {
                .vendor = "draind", .product = "draind", .version = DRAIND_VERSION,
                .url = "https://github.com/draind/draind",
                .has_control_group = model->has_control_group, .control_group = model->control_group,
        };
        int r;

        r = streams_new(&api->streams, api->manager);
        if (r < 0)
                return r;
        r = poller_new(&api->poller, loop_event(manager_loop(api->manager)), LOOP_PRIORITY_CONTROL, "control");
        if (r < 0)
                return r;
        r = server_new(&api->server, api->poller, &options);
        if (r < 0)
                return r;
        api->context = (ApiContext) { .manager = api->manager, .streams = api->streams };
        api->interface = (ServerInterface) {
                .name = CONTROL_INTERFACE, .description = api_interface_text, .methods = api_methods,
                .userdata = &api->context,
        };
        r = server_add_interface(api->server, &api->interface);
        if (r < 0)
                return r;
        api->listening_fd = owned;
        return server_listen(api->server, take_fd(owned));
}

int api_new(Api **ret, Manager *manager, const char *socket_path, int inherited_fd) {
        cleanup(fd_closep) int fd = inherited_fd;
        cleanup(api_freep) Api *api = NULL;
        bool is_new = inherited_fd < 0;
        int r;

        if (is_new && !socket_path)
                return -EINVAL;
        api = malloc(sizeof(*api));
        if (!api)
                return -ENOMEM;
        *api = (Api) { .manager = manager, .listening_fd = -EBADF };
        if (is_new) {
                fd = make_socket(socket_path);
                if (fd < 0)
                        return fd;
        }
        r = api_serve(api, take_fd(fd));
        if (r < 0) {
                if (is_new)
                        (void) unlink(socket_path); /* nobody answers there */
                return r;
        }
        *ret = take(api);
        return 0;
}

Api *api_free(Api *api) {
        if (!api)
                return NULL;
        server_free(api->server); /* the streams and the reload are told that their calls are gone */
        poller_free(api->poller);
        streams_free(api->streams);
        free(api);
        return NULL;
}

int api_listening_fd(const Api *api) {
        return api ? api->listening_fd : -EBADF;
}

void api_set_control_group(Api *api, bool has_control_group, gid_t control_group) {
        if (api)
                server_set_control_group(api->server, has_control_group, control_group);
}

void api_flush(Api *api) {
        if (api)
                streams_flush(api->streams);
}
