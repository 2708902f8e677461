/* The clients of the demo, and the balancer in front of them: N connections at a time to 127.0.0.1:PORT, each one request.
 *
 *     demo-load PORT CONNECTIONS
 *
 * As a balancer does, it asks GET /ready ten times a second, and sends nothing new once the answer is not 200 any more.
 * What is in flight then goes on. A request counts as accepted when the server has taken the connection and all of the
 * request; an accepted request without a complete answer of status 200 is lost, whatever the reason.
 *
 * It prints "warm" when every connection is busy, "withdrawn in_flight=N" when it stops sending, and at the end one line
 * of NAME=VALUE. The exit status is 0 if nothing was lost. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX  1024
#define ANSWER_BYTES_MAX 2048u
#define PROBE_PERIOD_MS  100
#define START_LIMIT_MS   15000
#define RUN_LIMIT_MS     60000
#define DELAY_LEAST_MS   100u
#define DELAY_SPAN_MS    1400u
#define WARM_ROUNDS      2u

typedef struct Request {
        int fd; /* -EBADF: none */
        bool is_sent, is_probe;
        long began;
        size_t n_answer;
        char answer[ANSWER_BYTES_MAX + 1];
} Request;

typedef struct Load {
        struct sockaddr_in server;
        Request *requests; /* the first one is the balancer's */
        nfds_t n;
        unsigned seed;
        bool is_ready, is_warm;
        unsigned long n_sent, n_answered, n_lost, n_refused, n_at_withdrawal, highest;
        long slowest, probe_at;
} Load;

static long now_ms(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void request_end(Request *request) {
        (void) close(request->fd);
        request->fd = -EBADF;
}

/* False: not even a connection was begun. */
static bool request_begin(Load *load, Request *request) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return false;
        *request = (Request) { .fd = fd, .is_probe = request == load->requests, .began = now_ms() };
        if (connect(fd, (struct sockaddr *) &load->server, sizeof(load->server)) == 0 || errno == EINPROGRESS)
                return true;
        request_end(request);
        return false;
}

/* The socket is writable: it is connected, or will never be. A request fits the empty send buffer as a whole. */
static bool request_send(Load *load, Request *request) {
        char text[160];
        int n;

        if (request->is_probe)
                n = snprintf(text, sizeof(text), "GET /ready HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n");
        else
                n = snprintf(text, sizeof(text), "GET /slow?ms=%u HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n",
                             DELAY_LEAST_MS + (unsigned) rand_r(&load->seed) % DELAY_SPAN_MS);
        if (send(request->fd, text, (size_t) n, MSG_NOSIGNAL) != n)
                return false;
        request->is_sent = true;
        return true;
}

/* 1: all of it is there; 0: more is to come; -1: it has ended too early. */
static int request_receive(Request *request) {
        const char *body, *length;
        ssize_t got;

        got = recv(request->fd, request->answer + request->n_answer, ANSWER_BYTES_MAX - request->n_answer, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (got <= 0)
                return -1;
        request->n_answer += (size_t) got;
        request->answer[request->n_answer] = '\0';
        body = strstr(request->answer, "\r\n\r\n");
        length = strcasestr(request->answer, "\r\nContent-Length:");
        if (!body || !length || length > body)
                return 0;
        return strlen(body + 4) >= strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
}

static bool request_is_good(const Request *request) {
        return strncmp(request->answer, "HTTP/1.1 200 ", 13) == 0;
}

static void load_on_answer(Load *load, const Request *request) {
        const char *body = strstr(request->answer, "\r\n\r\n") + 4;
        unsigned long count = strtoul(body, NULL, 10);
        long took = now_ms() - request->began;

        load->n_answered++;
        if (count > load->highest)
                load->highest = count;
        if (took > load->slowest)
                load->slowest = took;
}

static unsigned long load_in_flight(const Load *load) {
        unsigned long n = 0;

        for (nfds_t i = 1; i < load->n; i++)
                n += load->requests[i].fd >= 0 && load->requests[i].is_sent;
        return n;
}

static void load_on_probe(Load *load, bool is_ready) {
        if (load->is_ready && !is_ready) {
                load->n_at_withdrawal = load_in_flight(load);
                printf("withdrawn in_flight=%lu\n", load->n_at_withdrawal);
                (void) fflush(stdout);
        }
        load->is_ready = is_ready;
        load->probe_at = now_ms() + PROBE_PERIOD_MS;
}

/* One is enough to know: no more is sent. */
static void load_on_loss(Load *load) {
        load->n_lost++;
        load_on_probe(load, false);
}

static void load_on_event(Load *load, Request *request) {
        bool was_sent = request->is_sent;
        int outcome;

        if (!was_sent) {
                if (request_send(load, request)) {
                        load->n_sent += !request->is_probe;
                        return;
                }
                outcome = -1;
        } else {
                outcome = request_receive(request);
        }
        if (outcome == 0)
                return;
        if (request->is_probe)
                load_on_probe(load, outcome > 0 && request_is_good(request));
        else if (outcome > 0 && request_is_good(request))
                load_on_answer(load, request);
        else if (was_sent)
                load_on_loss(load);
        else
                load->n_refused++;
        request_end(request);
}

/* Sends what is due. */
static void load_fill(Load *load) {
        Request *probe = &load->requests[0];

        if (load->is_ready && probe->fd < 0 && now_ms() >= load->probe_at && !request_begin(load, probe))
                load_on_probe(load, false);
        for (nfds_t i = 1; load->is_ready && i < load->n; i++)
                if (load->requests[i].fd < 0 && !request_begin(load, &load->requests[i]))
                        load->n_refused++;
        if (!load->is_warm && load->n_answered >= WARM_ROUNDS * load->n && load_in_flight(load) >= load->n / 2) {
                load->is_warm = true;
                puts("warm");
                (void) fflush(stdout);
        }
}

static void load_run(Load *load, struct pollfd *pollers) {
        long end = now_ms() + RUN_LIMIT_MS;

        while (now_ms() < end) {
                unsigned n_open = 0;

                load_fill(load);
                for (nfds_t i = 0; i < load->n; i++) {
                        const Request *request = &load->requests[i];

                        pollers[i] = (struct pollfd) { .fd = request->fd,
                                                       .events = request->is_sent ? POLLIN : POLLOUT };
                        n_open += request->fd >= 0;
                }
                if (n_open == 0 && !load->is_ready)
                        return;
                if (poll(pollers, load->n, PROBE_PERIOD_MS / 2) <= 0)
                        continue;
                for (nfds_t i = 0; i < load->n; i++)
                        if (pollers[i].fd >= 0 && pollers[i].revents != 0)
                                load_on_event(load, &load->requests[i]);
        }
        load->n_lost += load_in_flight(load); /* too late is lost as well */
}

/* Until the first good answer to /ready. */
static bool load_wait_ready(Load *load) {
        long end = now_ms() + START_LIMIT_MS;
        Request *probe = &load->requests[0];

        while (!load->is_ready && now_ms() < end) {
                struct pollfd poller;

                if (probe->fd < 0 && (now_ms() < load->probe_at || !request_begin(load, probe))) {
                        (void) poll(NULL, 0, PROBE_PERIOD_MS / 5);
                        continue;
                }
                poller = (struct pollfd) { .fd = probe->fd, .events = probe->is_sent ? POLLIN : POLLOUT };
                if (poll(&poller, 1, PROBE_PERIOD_MS) > 0)
                        load_on_event(load, probe);
        }
        return load->is_ready;
}

int main(int argc, char *argv[]) {
        static Request requests[CONNECTIONS_MAX + 1];
        static struct pollfd pollers[CONNECTIONS_MAX + 1];
        Load load = { .requests = requests, .seed = 1 };
        int port, n;

        if (argc != 3 || (port = atoi(argv[1])) <= 0 || (n = atoi(argv[2])) <= 0 || n > CONNECTIONS_MAX) {
                fprintf(stderr, "usage: %s PORT CONNECTIONS (at most %d)\n", argv[0], CONNECTIONS_MAX);
                return 2;
        }
        load.n = (nfds_t) n + 1;
        load.server = (struct sockaddr_in) { .sin_family = AF_INET, .sin_port = htons((uint16_t) port),
                                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        for (nfds_t i = 0; i < load.n; i++)
                requests[i].fd = -EBADF;
        if (!load_wait_ready(&load)) {
                fprintf(stderr, "Nobody was ready on port %d within %d ms.\n", port, START_LIMIT_MS);
                return 1;
        }
        load_run(&load, pollers);
        printf("sent=%lu answered=%lu lost=%lu refused=%lu in_flight=%lu slowest_ms=%ld highest=%lu\n", load.n_sent,
               load.n_answered, load.n_lost, load.n_refused, load.n_at_withdrawal, load.slowest, load.highest);
        return load.n_lost > 0 || load.n_sent == 0;
}
