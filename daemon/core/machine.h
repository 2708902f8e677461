#pragma once

/* PURE. All services and operations of one draind as a value: takes events, runs the two tables, and orders what
 * is to be done through MachineEffects. The core and the simulator drive the same object. It reads no clock
 * (now is handed in, and never goes back), opens nothing, and allocates only in machine_new().
 *
 * An effect is called from within machine_*() and must not call machine_*() back, except the ones marked
 * "within effects": those only post an event, which is taken from the queue before the outer call returns. */

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/base.h"
#include "../../protocol/clock.h"
#include "../config/model.h"
#include "budget.h"
#include "cell.h"
#include "order.h"

#define MACHINE_OPERATIONS_MAX 8u
#define MACHINE_NO_SERVICE     UINT32_MAX

typedef struct MachineEffects {
        /* Carries out an action now. What follows later is told by machine_*() ("within effects" or afterwards). */
        void (*perform)(void *userdata, unsigned service, ServiceAction action, usec_t now);
        /* Called on each change of state, before the action: log, snapshot, publish. from == to when only the rung,
         * the hook's command, a deadline or a flag changed. */
        void (*changed)(void *userdata, unsigned service, ServiceState from, ServiceEvent on, usec_t now);
        /* The service's one timer; USEC_INFINITY disarms. Not called when nothing changes. */
        void (*arm)(void *userdata, unsigned service, usec_t deadline);
        /* An operation began, changed (state, deadline, until) or ended. */
        void (*operation)(void *userdata, const Operation *operation, usec_t now);
        /* The operation's one timer: its deadline. */
        void (*arm_operation)(void *userdata, unsigned place, usec_t deadline);
} MachineEffects;

typedef struct Machine Machine;

/* *ret is the caller's: machine_free(). model, order and effects are borrowed for as long.
 * All services are stopped. 0 or -ENOMEM. */
must_check int machine_new(Machine **ret, const Model *model, const Order *order, const MachineEffects *effects,
                           void *userdata);
Machine *machine_free(Machine *machine);
static inline void machine_freep(Machine **machine) { *machine = machine_free(*machine); }

/* --- requests --- */

enum {
        MACHINE_REFUSED = 1, /* by the state; *ret_why says it in one sentence */
        MACHINE_NOTHING,     /* it is so already */
        MACHINE_JOINED,      /* drain: an operation that covers it is running and was joined */
};

/* Starts the service and what it pulls in. ret_why: static or in a buffer of the machine, until the next call. */
must_check int machine_start(Machine *machine, unsigned service, usec_t now, const char **ret_why);
/* Starts every service: what draind does when it begins. */
void machine_start_all(Machine *machine, usec_t now);
/* The same in portions: all are wanted, then n are started at a time. true: there are more. */
void machine_want_all(Machine *machine, usec_t now);
must_check bool machine_start_some(Machine *machine, unsigned n, usec_t now);
must_check int machine_reload_service(Machine *machine, unsigned service, usec_t now, const char **ret_why);

typedef struct DrainRequest {
        const unsigned *services; /* NULL: all */
        unsigned n_services;
        usec_t budget;            /* USEC_INFINITY: the manager's */
        DrainUntil until;
        uint32_t flags;           /* OperationFlag */
        uint64_t sequence;        /* of the signal that asks, so that a new core does not take it for another; else 0 */
        Cause cause;
} DrainRequest;

/* Begins an operation over the services and everything that goes before them because it needs them, or joins the one
 * that covers them: the earlier deadline wins, and "stopped" wins over "quiesced". *ret_id is its id.
 * 0, MACHINE_JOINED, MACHINE_NOTHING (all have stopped already; *ret_id is 0), MACHINE_REFUSED (no free place). */
must_check int machine_drain(Machine *machine, const DrainRequest *request, usec_t now, uint64_t *ret_id,
                             const char **ret_why);
/* Takes an operation back as a whole. 0, MACHINE_NOTHING (no such operation), MACHINE_REFUSED. */
must_check int machine_resume(Machine *machine, uint64_t id, usec_t now, const char **ret_why);
/* Escalation of everything that drains: withdraw and quiesce are over; then: the time is over. */
must_check int machine_skip(Machine *machine, uint64_t id, usec_t now);
must_check int machine_kill(Machine *machine, uint64_t id, usec_t now);

/* --- what has happened --- */

void machine_spawned(Machine *machine, unsigned service);                     /* within effects */
void machine_spawn_failed(Machine *machine, unsigned service, StartFailure failure, bool is_retryable); /* within effects */
void machine_hook_ended(Machine *machine, unsigned service, bool is_success); /* within effects: it could not be run */
/* The action TOLD_ACTION or TOLD_TREE was carried out: within effects, right after it. */
void machine_told(Machine *machine, unsigned service, CellTold told);

/* The leader has ended. is_empty: no process of the service was found alive after that. */
void machine_exited(Machine *machine, unsigned service, int code, int status, bool is_empty, usec_t now);
/* No process of the service is left (looked at again after machine_exited() with is_empty false, or after a hook). */
void machine_emptied(Machine *machine, unsigned service, usec_t now);
void machine_hook_exited(Machine *machine, unsigned service, int code, int status, bool is_empty, usec_t now);
void machine_timer(Machine *machine, unsigned service, usec_t now);           /* arm()'s time has come */
void machine_operation_timer(Machine *machine, unsigned place, usec_t now);
void machine_ready(Machine *machine, unsigned service, usec_t now);           /* READY=1 */
void machine_watchdog_ping(Machine *machine, unsigned service, usec_t now);   /* WATCHDOG=1 */
void machine_watchdog_failed(Machine *machine, unsigned service, usec_t now); /* WATCHDOG=trigger */
void machine_watchdog_interval(Machine *machine, unsigned service, usec_t interval, usec_t now);
/* EXTEND_TIMEOUT_USEC=: true when the deadline was moved. */
bool machine_extend(Machine *machine, unsigned service, usec_t by, usec_t now);
void machine_guards(Machine *machine, unsigned service, bool hold, usec_t now);
