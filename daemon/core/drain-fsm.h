#pragma once

/* PURE. The machine of one operation: a request to drain and all that follows from it. */

#include <stdbool.h>
#include <stddef.h>

typedef enum OperationState {
        OPERATION_FREE,      /* a place for one */
        OPERATION_QUIESCING, /* going on, and no signal has been sent: can be taken back */
        OPERATION_HOLDING,   /* asked for --until quiesced, and is: can be taken back, or goes on */
        OPERATION_STOPPING,  /* the first signal has been sent: cannot be taken back */
        OPERATION_KILLING,   /* the time is over: KILL goes to all that is left */
        OPERATION_STOPPED,   /* ended: every member has stopped */
        OPERATION_RESUMED,   /* ended: taken back */
        OPERATION_STATE_MAX,
} OperationState;

typedef enum OperationEvent {
        OP_QUIESCED,  /* every member has quiesced */
        OP_SIGNALLED, /* the first signal goes out */
        OP_CONTINUE,  /* asked to go all the way */
        OP_RESUME,    /* asked to be taken back, or a guard's time is over with OnGuardTimeout=rollback */
        OP_KILL,      /* asked to end at once */
        OP_DEADLINE,  /* its deadline is reached */
        OP_STOPPED,   /* every member has stopped */
        OPERATION_EVENT_MAX,
} OperationEvent;

typedef enum OperationAction {
        OP_ACT_NONE,
        OP_ACT_HOLD,    /* tell those who wait for quiesced */
        OP_ACT_PROCEED, /* members may go on to terminate */
        OP_ACT_RESUME,  /* every member goes back to running */
        OP_ACT_KILL,    /* every member that is left goes to kill */
        OP_ACT_END,     /* tell those who wait */
        OPERATION_ACTION_MAX,
} OperationAction;

typedef struct OperationFacts {
        bool until_quiesced;
} OperationFacts;

typedef struct OperationRow {
        OperationState from;
        OperationEvent on;
        bool (*guard)(const OperationFacts *facts);
        const char *guard_name;
        OperationState to;
        OperationAction action;
} OperationRow;

/* The first row that fits, or NULL: refused. */
const OperationRow *drain_fsm_find(OperationState from, OperationEvent on, const OperationFacts *facts);
const OperationRow *drain_fsm_rows(size_t *ret_n);
bool operation_state_is_active(OperationState state);
const char *operation_state_name(OperationState state);
const char *operation_event_name(OperationEvent event);
