/* The application server of the demo: HTTP/1.1 with keep-alive on a unix socket, a thread a connection, a counter in Redis.
 *
 *     demo-app LISTEN-SOCKET REDIS-SOCKET
 *
 * GET /slow?ms=N answers after N ms with the counter's new value. It stops as a server should: on SIGTERM it takes what
 * still stands in its queue, accepts no more, finishes every request that it has, closes idle connections and exits 0.
 * It says READY=1 and STOPPING=1 to whoever supervises it. */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_BYTES_MAX 8192u
#define DELAY_MS_MAX      60000L

typedef struct App {
        const char *redis_path;
        int draining; /* an eventfd that is readable from the first SIGTERM on; nobody reads it */
        pthread_mutex_t mutex;
        pthread_cond_t idle;
        unsigned n_connections;
        unsigned long n_answered;
} App;

typedef struct Connection {
        App *app; /* borrowed */
        int fd, redis;
        size_t n_read;
        char request[REQUEST_BYTES_MAX + 1];
} Connection;

static int address_of(struct sockaddr_un *ret, const char *path) {
        if (strlen(path) >= sizeof(ret->sun_path))
                return -ENAMETOOLONG;
        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        memcpy(ret->sun_path, path, strlen(path));
        return 0;
}

/* All of what supervisors want to hear, in ten lines: no library needed. */
static void notify(const char *text) {
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address;
        int fd;

        if (!path || address_of(&address, path) < 0)
                return;
        if (path[0] == '@')
                address.sun_path[0] = '\0';
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return;
        (void) sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *) &address,
                      (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path)));
        (void) close(fd);
}

static bool write_all(int fd, const char *text, size_t n) {
        while (n > 0) {
                ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);

                if (sent < 0 && errno == EINTR)
                        continue;
                if (sent <= 0)
                        return false;
                text += sent;
                n -= (size_t) sent;
        }
        return true;
}

static int connect_to(const char *path) {
        struct sockaddr_un address;
        int fd, r;

        r = address_of(&address, path);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
                r = -errno;
                (void) close(fd);
                return r;
        }
        return fd;
}

/* Redis' protocol by hand: an array of two strings there, ":NUMBER\r\n" back. False: Redis did not count. */
static bool redis_increment(int fd, const char *key, long *ret) {
        char text[128];
        size_t n;

        n = (size_t) snprintf(text, sizeof(text), "*2\r\n$4\r\nINCR\r\n$%zu\r\n%s\r\n", strlen(key), key);
        if (n >= sizeof(text) || !write_all(fd, text, n))
                return false;
        for (n = 0; n < sizeof(text) - 1; ) {
                ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return false;
                n += (size_t) got;
                text[n] = '\0';
                if (strstr(text, "\r\n"))
                        return sscanf(text, ":%ld", ret) == 1;
        }
        return false;
}

static bool is_draining(const App *app) {
        struct pollfd poller = { .fd = app->draining, .events = POLLIN };

        return poll(&poller, 1, 0) > 0;
}

/* Waits until one whole request (without a body) has come. False: the connection has ended, or may end. */
static bool connection_read(Connection *connection) {
        while (!strstr(connection->request, "\r\n\r\n")) {
                struct pollfd pollers[] = {
                        { .fd = connection->fd, .events = POLLIN },
                        { .fd = connection->app->draining, .events = POLLIN },
                };
                ssize_t got;

                /* Bytes that have come are looked at before the order to drain: what was sent is answered. */
                if (connection->n_read > 0)
                        pollers[1].fd = -1;
                if (poll(pollers, 2, -1) < 0 && errno != EINTR)
                        return false;
                if (pollers[0].revents == 0) {
                        if (pollers[1].revents != 0)
                                return false;
                        continue;
                }
                if (connection->n_read == REQUEST_BYTES_MAX)
                        return false;
                got = recv(connection->fd, connection->request + connection->n_read,
                           REQUEST_BYTES_MAX - connection->n_read, 0);
                if (got <= 0)
                        return false;
                connection->n_read += (size_t) got;
                connection->request[connection->n_read] = '\0';
        }
        return true;
}

/* Answers the first request in the buffer and takes it out. False: the connection is to be closed. */
static bool connection_answer(Connection *connection) {
        char *end = strstr(connection->request, "\r\n\r\n") + 4;
        char body[64], head[256];
        const char *status = "404 Not Found";
        bool may_stay;
        long ms, count;
        int n_body, n_head;

        n_body = snprintf(body, sizeof(body), "not here\n");
        if (sscanf(connection->request, "GET /slow?ms=%ld", &ms) == 1 && ms >= 0 && ms <= DELAY_MS_MAX) {
                struct timespec delay = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

                while (nanosleep(&delay, &delay) < 0 && errno == EINTR)
                        ;
                if (redis_increment(connection->redis, "demo:answers", &count)) {
                        status = "200 OK";
                        n_body = snprintf(body, sizeof(body), "%ld\n", count);
                } else {
                        status = "500 Internal Server Error";
                        n_body = snprintf(body, sizeof(body), "no answer from redis\n");
                }
        }
        may_stay = !is_draining(connection->app) && !strcasestr(connection->request, "\r\nConnection: close");
        n_head = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s\r\n",
                          status, n_body, may_stay ? "" : "Connection: close\r\n");
        connection->n_read -= (size_t) (end - connection->request);
        memmove(connection->request, end, connection->n_read + 1);
        return write_all(connection->fd, head, (size_t) n_head) && write_all(connection->fd, body, (size_t) n_body) &&
               may_stay;
}

static void *connection_serve(void *userdata) {
        Connection *connection = userdata;
        App *app = connection->app;
        unsigned long n_answered = 0;

        connection->redis = connect_to(app->redis_path);
        if (connection->redis < 0)
                fprintf(stderr, "%s: %s\n", app->redis_path, strerror(-connection->redis));
        while (connection_read(connection)) {
                n_answered++;
                if (!connection_answer(connection))
                        break;
        }
        (void) close(connection->fd);
        if (connection->redis >= 0)
                (void) close(connection->redis);
        free(connection);

        pthread_mutex_lock(&app->mutex);
        app->n_answered += n_answered;
        if (--app->n_connections == 0)
                pthread_cond_signal(&app->idle);
        pthread_mutex_unlock(&app->mutex);
        return NULL;
}

static void app_accept(App *app, int listener) {
        Connection *connection;
        pthread_t thread;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
                return;
        connection = calloc(1, sizeof(*connection));
        if (!connection) {
                (void) close(fd);
                return;
        }
        *connection = (Connection) { .app = app, .fd = fd, .redis = -EBADF };
        pthread_mutex_lock(&app->mutex);
        app->n_connections++;
        pthread_mutex_unlock(&app->mutex);
        if (pthread_create(&thread, NULL, connection_serve, connection) == 0) {
                (void) pthread_detach(thread);
                return;
        }
        pthread_mutex_lock(&app->mutex);
        app->n_connections--;
        pthread_mutex_unlock(&app->mutex);
        (void) close(fd);
        free(connection);
}

static int listen_on(const char *path) {
        struct sockaddr_un address;
        int fd, r;

        r = address_of(&address, path);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        (void) unlink(path);
        if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 512) < 0) {
                r = -errno;
                (void) close(fd);
                return r;
        }
        return fd;
}

/* Until SIGTERM, then until the last connection has ended. */
static void app_run(App *app, int listener, int signals) {
        struct pollfd pollers[] = { { .fd = listener, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
        char text[96];

        notify("READY=1\nSTATUS=Serving");
        while (pollers[1].revents == 0) {
                if (poll(pollers, 2, -1) < 0 && errno != EINTR)
                        break;
                if (pollers[0].revents != 0)
                        app_accept(app, listener);
        }
        notify("STOPPING=1\nSTATUS=Finishing what is in flight");
        /* Whoever stands in the queue got in: the kernel has told the client so. */
        while (poll(pollers, 1, 0) > 0)
                app_accept(app, listener);
        (void) close(listener);
        if (eventfd_write(app->draining, 1) < 0)
                perror("eventfd");

        pthread_mutex_lock(&app->mutex);
        while (app->n_connections > 0)
                pthread_cond_wait(&app->idle, &app->mutex);
        (void) snprintf(text, sizeof(text), "STATUS=Answered %lu requests", app->n_answered);
        pthread_mutex_unlock(&app->mutex);
        notify(text);
        puts(text + strlen("STATUS="));
}

int main(int argc, char *argv[]) {
        App app = { .mutex = PTHREAD_MUTEX_INITIALIZER, .idle = PTHREAD_COND_INITIALIZER };
        sigset_t mask;
        int listener, signals;

        if (argc != 3) {
                fprintf(stderr, "usage: %s LISTEN-SOCKET REDIS-SOCKET\n", argv[0]);
                return 2;
        }
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        app.redis_path = argv[2];
        app.draining = eventfd(0, EFD_CLOEXEC);
        signals = signalfd(-1, &mask, SFD_CLOEXEC);
        if (app.draining < 0 || signals < 0) {
                perror("demo-app");
                return 1;
        }
        listener = listen_on(argv[1]);
        if (listener < 0) {
                fprintf(stderr, "%s: %s\n", argv[1], strerror(-listener));
                return 1;
        }
        app_run(&app, listener, signals);
        return 0;
}
