#pragma once

/* What the core knows, as JSON in the shapes of io.draind.Control.varlink. Knows no calls and no sockets. All return 0 or
 * -errno; *ret is the caller's. */

#include <jansson.h>

#include "manager.h"

/* n_processes: -1: was not looked up. */
must_check int api_json_service(Manager *manager, unsigned service, int n_processes, json_t **ret);
/* The names of the members of an operation that has (or had) this place. */
must_check int api_json_members(Manager *manager, const Operation *operation, json_t **ret);
/* members: an array of names, borrowed and shared. */
must_check int api_json_operation(const Operation *operation, usec_t now, json_t *members, json_t **ret);
must_check int api_json_plan_service(Manager *manager, unsigned service, const PlanRow *rows, json_t **ret);
must_check int api_json_process(const TreeProcess *process, bool is_leader, json_t **ret);
must_check int api_json_event(const Event *event, json_t **ret);
/* realtime_offset: what is to be added to a time on CLOCK_BOOTTIME to get the time of day. */
must_check int api_json_line(const OutputLine *line, int64_t realtime_offset, json_t **ret);
must_check int api_json_strings(const StringList *list, json_t **ret);

/* Whether the world should send it anything, as WithdrawReady= has it. */
bool api_json_is_ready(const ServiceConfig *config, const Cell *cell);
/* The operation that it belongs to, or belonged to last; NULL: none that is remembered. */
const Operation *api_json_operation_of(Manager *manager, unsigned service);
/* The place of an operation that is the machine's own. */
unsigned api_json_place(Manager *manager, const Operation *operation);
/* "user: Operation not permitted": why it could not be started. Returns buf. */
char *api_json_start_failure(char *buf, size_t size, const StartFailure *failure);
/* *array is the caller's; item is consumed, on failure too. made: what making it returned. */
must_check int api_json_append(json_t *array, int made, json_t *item);
