#include "drain-fsm.h"

static bool until_quiesced(const OperationFacts *facts) {
        return facts->until_quiesced;
}

#define ROW(from, on, guard, to, action) { OPERATION_##from, OP_##on, guard, #guard, OPERATION_##to, OP_ACT_##action }
#define ANY NULL

static const OperationRow rows[] = {
        /*  from       on         guard           to         action */
        ROW(QUIESCING, QUIESCED,  until_quiesced, HOLDING,   HOLD),
        ROW(QUIESCING, SIGNALLED, ANY,            STOPPING,  NONE),
        ROW(QUIESCING, RESUME,    ANY,            RESUMED,   RESUME),
        ROW(QUIESCING, KILL,      ANY,            KILLING,   KILL),
        ROW(QUIESCING, DEADLINE,  until_quiesced, HOLDING,   HOLD), /* as far as it got: nobody was to be stopped */
        ROW(QUIESCING, DEADLINE,  ANY,            KILLING,   KILL),
        ROW(QUIESCING, STOPPED,   ANY,            STOPPED,   END),

        ROW(HOLDING,   CONTINUE,  ANY,            QUIESCING, PROCEED),
        ROW(HOLDING,   RESUME,    ANY,            RESUMED,   RESUME),
        ROW(HOLDING,   KILL,      ANY,            KILLING,   KILL),
        ROW(HOLDING,   DEADLINE,  ANY,            HOLDING,   NONE),
        ROW(HOLDING,   SIGNALLED, ANY,            STOPPING,  NONE),
        ROW(HOLDING,   STOPPED,   ANY,            STOPPED,   END),

        ROW(STOPPING,  KILL,      ANY,            KILLING,   KILL),
        ROW(STOPPING,  DEADLINE,  until_quiesced, STOPPING,  NONE), /* those still held were never to be stopped */
        ROW(STOPPING,  DEADLINE,  ANY,            KILLING,   KILL),
        ROW(STOPPING,  STOPPED,   ANY,            STOPPED,   END),

        ROW(KILLING,   STOPPED,   ANY,            STOPPED,   END),
};

const OperationRow *drain_fsm_rows(size_t *ret_n) {
        *ret_n = sizeof(rows) / sizeof(rows[0]);
        return rows;
}

const OperationRow *drain_fsm_find(OperationState from, OperationEvent on, const OperationFacts *facts) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (rows[i].from == from && rows[i].on == on && (!rows[i].guard || rows[i].guard(facts)))
                        return &rows[i];
        return NULL;
}

bool operation_state_is_active(OperationState state) {
        return state >= OPERATION_QUIESCING && state <= OPERATION_KILLING;
}

const char *operation_state_name(OperationState state) {
        static const char *const names[OPERATION_STATE_MAX] = {
                [OPERATION_FREE] = "free",         [OPERATION_QUIESCING] = "quiescing",
                [OPERATION_HOLDING] = "holding",   [OPERATION_STOPPING] = "stopping",
                [OPERATION_KILLING] = "killing",   [OPERATION_STOPPED] = "stopped",
                [OPERATION_RESUMED] = "resumed",
        };

        return names[state];
}

const char *operation_event_name(OperationEvent event) {
        static const char *const names[OPERATION_EVENT_MAX] = {
                [OP_QUIESCED] = "quiesced", [OP_SIGNALLED] = "signalled", [OP_CONTINUE] = "continue",
                [OP_RESUME] = "resume",     [OP_KILL] = "kill",           [OP_DEADLINE] = "deadline",
                [OP_STOPPED] = "stopped",
        };

        return names[event];
}
