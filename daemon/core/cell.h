#pragma once

/* PURE. What is known of one service and of one operation, as plain data: no pointers, so that the blackboard holds
 * copies of it as they are. Times are absolute (CLOCK_BOOTTIME), USEC_INFINITY where there is none. */

#include <stdint.h>

#include "../../protocol/clock.h"
#include "cause.h"
#include "drain-fsm.h"
#include "service-fsm.h"

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
