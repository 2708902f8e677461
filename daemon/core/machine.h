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
#include "cause.h"
#include "drain-fsm.h"
#include "order.h"
#include "service-fsm.h"

#define MACHINE_OPERATIONS_MAX 8u
#define MACHINE_NO_SERVICE     UINT32_MAX

typedef enum ServiceResult {
        RESULT_SUCCESS, RESULT_EXIT_CODE, RESULT_SIGNAL, RESULT_TIMEOUT, RESULT_KILLED, RESULT_UNKILLABLE,
        RESULT_START_FAILED, RESULT_DEPENDENCY, RESULT_MAX
} ServiceResult;
const char *service_result_name(ServiceResult result);

/* Where a start failed. */
typedef struct StartFailure {
        uint32_t step;  /* SpawnStep */
        int32_t error;  /* errno */
} StartFailure;

/* Everything about one service that the next core must know. Plain data, no pointers: the blackboard holds
 * copies of it as they are. Times are absolute (CLOCK_BOOTTIME), USEC_INFINITY where there is none. */
typedef struct Cell {
        uint8_t state;  /* ServiceState */
        uint8_t result; /* ServiceResult of the last stop */
        uint8_t rung;   /* of the ladder, while terminating */
        uint8_t hook_index;
        uint16_t flags; /* CellFlag */
        uint16_t n_starts;     /* within the start limit's interval */
        uint8_t told;   /* CellTold: what of this state's action was carried out */
        uint8_t operations; /* bit set: the places of the operations that it belongs to, or belonged to last */
        uint8_t reserved[2];
        uint32_t n_restarts;   /* by itself, since somebody started it */
        int32_t exit_code;     /* of the last leader: CLD_…; 0 none yet */
        int32_t exit_status;
        StartFailure failure;
        usec_t since;          /* when it came into this public state */
        usec_t deadline;       /* of this state: its one timer */
        usec_t start_by;       /* while starting */
        usec_t watchdog_by;    /* while running */
        usec_t scope;          /* while draining: the end of the scope */
        usec_t kill_by;        /* while terminating: when KILL is due */
        usec_t quiesce_for;    /* duration granted to quiesce when withdraw began */
        usec_t limit;          /* while draining: what EXTEND_TIMEOUT_USEC= may not go past */
        usec_t window;         /* when the start limit's interval began */
        usec_t backoff;        /* duration of the last wait between two starts */
        usec_t drain_began;    /* when its drain began, and what it then had */
        usec_t drain_budget;
        uint32_t ladder_scale; /* of BUDGET_SCALE_ONE */
        uint32_t local_cause;  /* CauseKind of a drain without operation */
} Cell;

typedef enum CellFlag {
        CELL_WANTED = 1 << 0,        /* somebody wants it to run */
        CELL_LEADER = 1 << 1,        /* its leader is alive */
        CELL_EMPTY = 1 << 2,         /* no process of it is alive */
        CELL_READY = 1 << 3,         /* it was ready in this run; oneshot: it has ended well */
        CELL_FAILED = 1 << 4,        /* this run has failed (decides about a restart) */
        CELL_LIMITED = 1 << 5,       /* started too often */
        CELL_STARTS_AFTER = 1 << 6,  /* a drain with restart: start it again after the end */
        CELL_WAS_KILLED = 1 << 7,    /* KILL was sent in this stop */
        CELL_HOOK = 1 << 8,          /* a hook's process runs */
        CELL_POST_DONE = 1 << 9,     /* ExecStopPost= was run in this stop */
        CELL_RETRYABLE = 1 << 10,    /* the start failed for want of resources: it is tried again */
} CellFlag;

typedef enum CellTold {
        TOLD_ACTION = 1 << 0, /* the action of this state was carried out */
        TOLD_TREE = 1 << 1,   /* the rung's signal has reached the whole tree */
} CellTold;

typedef enum DrainUntil { DRAIN_UNTIL_STOPPED, DRAIN_UNTIL_QUIESCED } DrainUntil;

/* Plain data as well. Its members are known by Cell.operations. */
typedef struct Operation {
        uint64_t id;       /* 1, 2, 3 …; 0 in a free place */
        uint32_t state;    /* OperationState */
        uint32_t until;    /* DrainUntil */
        uint32_t flags;    /* OperationFlag */
        uint32_t n_asked;  /* requests that joined it */
        Cause cause;
        usec_t requested;
        usec_t budget;     /* of the first request */
        usec_t deadline;   /* absolute; only ever moves earlier */
        usec_t ended;
        uint64_t sequence; /* DrainRequest.sequence of the last request that it took in */
        uint32_t n_members, n_killed, n_unkillable;
} Operation;

typedef enum OperationFlag {
        OPERATION_ALL = 1 << 0,      /* every service; nothing starts while it is active */
        OPERATION_RESTART = 1 << 1,  /* its members are started again after the end */
        OPERATION_EXITS = 1 << 2,    /* draind ends after it */
        OPERATION_SKIPS = 1 << 3,    /* asked a second time: withdraw and quiesce are over */
        OPERATION_ROLLED_BACK = 1 << 4, /* taken back because a guard did not hold in time */
} OperationFlag;

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

/* --- a new core takes over --- */

/* Puts a recorded cell or operation in its place; nothing is done yet. */
void machine_restore_cell(Machine *machine, unsigned service, const Cell *cell);
void machine_restore_operation(Machine *machine, unsigned place, const Operation *operation);
/* After all of them: arms every timer and carries out what was ordered and not carried out. Exits that happened in
 * between are told after it: a leader or hook that was started counts as alive until then. Before it the caller sets
 * what only the spawn knows: machine_restore_runs(). */
void machine_restore_runs(Machine *machine, unsigned service, bool leader_was_started, bool hook_was_started);
void machine_restored(Machine *machine, usec_t now);

/* --- looking --- */

const Cell *machine_cell(const Machine *machine, unsigned service);
unsigned machine_n_services(const Machine *machine);
/* place < MACHINE_OPERATIONS_MAX. Ended operations stay until their place is needed. */
const Operation *machine_operation(const Machine *machine, unsigned place);
const Operation *machine_operation_find(const Machine *machine, uint64_t id);
/* The active operation that the service belongs to (the one with the earliest deadline), or NULL. */
const Operation *machine_operation_of(const Machine *machine, unsigned service);
bool machine_is_member(const Machine *machine, unsigned place, unsigned service);
/* The first service that this one waits for (to start, to withdraw or to get its signal), or MACHINE_NO_SERVICE. */
unsigned machine_waits_for(const Machine *machine, unsigned service);
/* The rung's time as granted. */
usec_t machine_rung_time(const Machine *machine, unsigned service, unsigned rung);
/* Worst case of a drain of everything that runs that began now with this budget. rows: one a service. */
usec_t machine_plan(Machine *machine, usec_t budget, PlanRow *rows);
/* No service but stopped ones. */
bool machine_is_idle(const Machine *machine);
/* Events that fell on no row and were not expected there, since the start. */
uint64_t machine_n_unexpected(const Machine *machine);
