#pragma once

/* A Varlink server with a few methods on a real socket, and clients for it: plain sockets that never block. */

#include <systemd/sd-event.h>

#include "loop.h"

#include "../../protocol/poller.h"
#include "../../protocol/server.h"

#define BENCH_KEPT_MAX 4096

/* What the methods of io.test note down. Keep and Watch keep their call; Change and Echo are counted. */
typedef struct Bench {
        sd_event *event;
        Poller *poller;
        Server *server;
        char path[64];
        Call *kept[BENCH_KEPT_MAX];
        unsigned n_kept, n_gone, n_calls;
} Bench;

extern const ServerOptions bench_options;

/* For cmocka: *state is the Bench. */
int bench_setup(void **state);
int bench_teardown(void **state);
int bench_start(void **state, const ServerOptions *options);

/* A connected socket of the caller's, or -1. */
int bench_connect(const char *path);
int bench_client(Bench *bench);
void bench_say(int fd, const char *text);
/* The next message, borrowed until the next call; turns the loop. NULL: the connection has ended. */
const char *bench_hear(Bench *bench, int fd);
void bench_expect(Bench *bench, int fd, const char *request, const char *reply);
/* 20 kB. */
json_t *bench_large_parameters(void);
