#pragma once

/* The core's control interface over a fake manager, and clients of it. Every reply is held against the interface's text. */

#include "../../daemon/core/api.h"
#include "fake-manager.h"
#include "loop.h"
#include "varlink-text.h"

typedef struct ApiBench {
        Manager *manager;
        Api *api;
        char path[64];
        VarlinkText text;
} ApiBench;

extern const char api_interface_text[];

void api_bench_start(ApiBench *bench, const FakeService *services);
void api_bench_stop(ApiBench *bench);
/* A connected socket of the caller's. */
int api_bench_connect(const ApiBench *bench);
/* method: "List"; parameters: JSON text with ' for ", NULL: none. */
void api_bench_say(int fd, const char *method, const char *parameters, bool more);
void api_bench_say_json(int fd, const char *method, json_t *parameters, bool more);
/* The parameters of the next reply, the caller's; turns the loop. An error fails the test. NULL: the connection ended. */
json_t *api_bench_hear(ApiBench *bench, int fd, const char *method, bool *ret_continues);
/* Whether a reply is there once everything that is ready has been dispatched. */
bool api_bench_has_reply(ApiBench *bench, int fd);
/* The name of the error that is the next reply, without its interface where that is ours; "" none. Borrowed. */
const char *api_bench_hear_error(ApiBench *bench, int fd, json_t **ret_parameters);
/* One call with one reply. */
json_t *api_bench_ask(ApiBench *bench, const char *method, const char *parameters);
const char *api_bench_ask_error(ApiBench *bench, const char *method, const char *parameters, json_t **ret_parameters);
/* Hears until `done`; the last reply, with services replaced by what was last told of each. */
json_t *api_bench_hear_done(ApiBench *bench, int fd, const char *method);

/* "services.0.name": the member there, or NULL. Borrowed. */
const json_t *api_bench_at(const json_t *value, const char *path);
const char *api_bench_text(const json_t *value, const char *path);
int64_t api_bench_number(const json_t *value, const char *path); /* -1: not there */
bool api_bench_flag(const json_t *value, const char *path);
