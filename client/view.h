#pragma once

/* draind's answers as C values, and in words. Members that are unknown, or of a wrong type, are passed over: a daemon
 * may be newer than this client. Strings are borrowed from the JSON value. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "../protocol/fields.h"
#include "print.h"

typedef struct CauseView {
        const char *kind, *signal, *command, *service, *reason, *text;
} CauseView;

typedef struct ServiceView {
        const char *name, *state, *phase, *detail, *result, *waits_for, *rung, *status_text, *exit_signal, *failed_step,
                *failed_text, *origin;
        usec_t since, left, used, budget; /* USEC_INFINITY: not told */
        int64_t main_pid, n_processes, exit_code, n_restarts, operation, hops; /* -1: not told */
        bool ready, wanted, needs_restart;
        FieldStrings requires;
        const json_t *cause; /* NULL: none */
} ServiceView;

typedef struct OperationView {
        int64_t id, n_killed, n_unkillable;
        const char *state, *until;
        bool all, restarts, exits, rolled_back;
        usec_t left, budget, used;
        FieldStrings services;
        const json_t *cause;
} OperationView;

typedef struct ManagerView {
        const char *version;
        int64_t pid, keeper_pid, generation, n_services, n_running, log_dropped;
        usec_t now, grace, outer_grace;
        bool draining;
} ManagerView;

typedef struct PlanView {
        const char *name;
        usec_t withdraw, quiesce, held, stop_hook, terminate, kill, end, wish, granted;
        bool cut;
        FieldStrings after;
} PlanView;

typedef struct ProcessView {
        int64_t pid, parent, session;
        const char *state, *command;
        bool escapee, leader;
} ProcessView;

typedef struct EventView {
        const char *kind, *service, *text;
        int64_t realtime;
} EventView;

typedef struct LogLineView {
        const char *service, *text;
        int64_t realtime;
} LogLineView;

CauseView view_cause(const json_t *object);
ServiceView view_service(const json_t *object);
OperationView view_operation(const json_t *object);
ManagerView view_manager(const json_t *object);
PlanView view_plan(const json_t *object);
ProcessView view_process(const json_t *object);
EventView view_event(const json_t *object);
LogLineView view_log_line(const json_t *object);

/* "" for NULL. */
const char *view_or_empty(const char *text);
bool view_is(const char *text, const char *expected);

bool view_service_is_running(const ServiceView *service);
/* It is stopped, and not because everything went well. */
bool view_service_has_failed(const ServiceView *service);
bool view_service_was_killed(const ServiceView *service);
Colour view_service_colour(const ServiceView *service);
/* The coloured dot. */
void view_add_dot(Text *text, const ServiceView *service);
/* "running", "draining: terminate", "stopped (exit code 3)". Never more than one phrase. */
void view_add_state(Text *text, const ServiceView *service);
/* What it waits for, its time left, how it ended: the rest of its line. Empty where there is nothing to say. left: what
 * is left now. */
void view_add_info(Text *text, const ServiceView *service, usec_t left);
/* Both, with something between them that reads well: "draining: terminate, 5s left". */
void view_add_line(Text *text, const ServiceView *service, usec_t left);
/* "exit code 3", "signal SEGV", …; false: it did not end yet. */
bool view_add_end(Text *text, const ServiceView *service);
/* "operation 3: stops everything". */
void view_add_operation(Text *text, const OperationView *operation);
