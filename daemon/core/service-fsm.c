#include "service-fsm.h"

/* How a run ends. Whatever ended it (the leader, a failed start, a drain), the rest is the same: what is left of its
 * tree is terminated, ExecStopPost= runs once all is empty, and then it stops or is started again. */

#define GUARD(name, expression)                          \
        static bool name(const ServiceFacts *facts) {    \
                return expression;                       \
        }

GUARD(may_start, facts->may_start)
GUARD(may_start_pre, facts->may_start && facts->has_start_pre)
GUARD(dependency_failed, facts->dependency_failed)
GUARD(another_command, facts->has_another_command)
GUARD(is_ready, !facts->is_oneshot)
GUARD(retryable, facts->is_retryable && facts->is_empty)
GUARD(not_empty, !facts->is_empty)
GUARD(empty, facts->is_empty)
GUARD(empty_post, facts->is_empty && facts->has_stop_post)
GUARD(empty_restart, facts->is_empty && facts->will_restart)
GUARD(will_restart, facts->will_restart)
GUARD(leader, facts->has_leader)
GUARD(has_reload, facts->has_reload)
GUARD(to_withdraw, facts->may_withdraw && facts->has_withdraw)
GUARD(to_quiesce, facts->may_withdraw && facts->has_quiesce)
GUARD(may_withdraw, facts->may_withdraw)
GUARD(has_quiesce, facts->has_quiesce)
GUARD(may_stop, facts->may_stop)
GUARD(may_stop_hook, facts->may_stop && facts->has_stop_hook && facts->has_leader && facts->was_ready)
GUARD(may_stop_leader, facts->may_stop && facts->has_leader)
GUARD(turn_hook, facts->may_withdraw && may_stop_hook(facts))
GUARD(turn_leader, facts->may_withdraw && may_stop_leader(facts))
GUARD(turn, facts->may_withdraw && facts->may_stop)
GUARD(skip_hook, facts->skips && may_stop_hook(facts))
GUARD(skip_leader, facts->skips && may_stop_leader(facts))
GUARD(skip_tree, facts->skips && facts->may_stop)
GUARD(skips, facts->skips)
GUARD(another_rung_leader, facts->has_another_rung && facts->has_leader)
GUARD(another_rung, facts->has_another_rung)
GUARD(tree_not_told, !facts->rung_reached_tree)
GUARD(was_told, facts->was_told)
GUARD(leader_ready, facts->has_leader && facts->was_ready)
GUARD(hook_runs, facts->has_hook)

#define ROW(from, on, guard, to, action) { SERVICE_##from, EV_##on, guard, #guard, SERVICE_##to, ACT_##action }
#define ANY NULL

/* A run that ended outside a drain, with or without processes left. */
#define ENDS(from, on)                                        \
        ROW(from, on, not_empty, TERMINATE, SIGNAL_TREE),     \
        ROW(from, on, empty_post, POST, STOP_POST),           \
        ROW(from, on, will_restart, BACKOFF, STOPPED),        \
        ROW(from, on, ANY, STOPPED, STOPPED)

/* The same where processes that are left are still waited for. */
#define ENDS_EMPTY(from, on)                                  \
        ROW(from, on, empty_post, POST, STOP_POST),           \
        ROW(from, on, empty_restart, BACKOFF, STOPPED),       \
        ROW(from, on, empty, STOPPED, STOPPED)

/* On to the first signal if it may come, else hold. */
#define QUIESCED(from, on)                                    \
        ROW(from, on, may_stop_hook, STOP_HOOK, STOP_HOOK),   \
        ROW(from, on, may_stop_leader, TERMINATE, SIGNAL),    \
        ROW(from, on, may_stop, TERMINATE, SIGNAL_TREE),      \
        ROW(from, on, ANY, HELD, QUIESCE)

/* What every state before the first signal has in common. */
#define BEFORE_SIGNAL(from)                                   \
        ENDS_EMPTY(from, EXITED),                             \
        ROW(from, EXITED, ANY, from, NONE),                   \
        ENDS_EMPTY(from, EMPTY),                              \
        ROW(from, RESUME, leader_ready, RUNNING, UNDO),       \
        ROW(from, RESUME, leader, STARTING, UNDO),            \
        ROW(from, RESUME, hook_runs, START_PRE, UNDO),        \
        ROW(from, RESUME, ANY, TERMINATE, SIGNAL_TREE),       \
        ROW(from, RETIME, ANY, from, NONE),                   \
        ROW(from, KILL, ANY, KILL, KILL)

#define SKIPPED(from)                                         \
        ROW(from, GATE, skip_hook, STOP_HOOK, STOP_HOOK),     \
        ROW(from, GATE, skip_leader, TERMINATE, SIGNAL),      \
        ROW(from, GATE, skip_tree, TERMINATE, SIGNAL_TREE),   \
        ROW(from, GATE, skips, HELD, QUIESCE)

/* What a new core has to do again, because the old one did not get to it. */
#define RESTORED(from, action)                                \
        ROW(from, RESTORED, was_told, from, NONE),            \
        ROW(from, RESTORED, ANY, from, action)

static const ServiceRow rows[] = {
        /*  from        on            guard                to          action */
        ROW(STOPPED,    START,        ANY,                 QUEUED,     NONE),

        ROW(QUEUED,     GATE,         dependency_failed,   STOPPED,    STOPPED),
        ROW(QUEUED,     GATE,         may_start_pre,       START_PRE,  START_PRE),
        ROW(QUEUED,     GATE,         may_start,           STARTING,   SPAWN),
        ROW(QUEUED,     DRAIN,        ANY,                 STOPPED,    STOPPED),
        ROW(QUEUED,     RESTORED,     ANY,                 QUEUED,     NONE),

        ROW(BACKOFF,    DEADLINE,     ANY,                 QUEUED,     NONE),
        ROW(BACKOFF,    START,        ANY,                 QUEUED,     NONE),
        ROW(BACKOFF,    DRAIN,        ANY,                 STOPPED,    STOPPED),
        ROW(BACKOFF,    RESTORED,     ANY,                 BACKOFF,    NONE),

        ROW(START_PRE,  HOOK_DONE,    another_command,     START_PRE,  START_PRE),
        ROW(START_PRE,  HOOK_DONE,    ANY,                 STARTING,   SPAWN),
        ENDS(START_PRE, HOOK_FAILED),
        ROW(START_PRE,  DEADLINE,     ANY,                 TERMINATE,  SIGNAL_TREE),
        ROW(START_PRE,  DRAIN,        empty,               STOPPED,    STOPPED), /* a new core has not begun it again */
        ROW(START_PRE,  DRAIN,        may_stop,            TERMINATE,  SIGNAL_TREE),
        ROW(START_PRE,  DRAIN,        ANY,                 HELD,       WITHDRAW),
        ROW(START_PRE,  RETIME,       ANY,                 START_PRE,  NONE),
        RESTORED(START_PRE, START_PRE),

        ROW(STARTING,   SPAWNED,      ANY,                 STARTING,   NONE),
        ROW(STARTING,   SPAWN_FAILED, retryable,           BACKOFF,    STOPPED),
        ENDS(STARTING,  SPAWN_FAILED),
        ROW(STARTING,   READY,        is_ready,            RUNNING,    NONE),
        ENDS(STARTING,  EXITED),
        ROW(STARTING,   DEADLINE,     leader,              TERMINATE,  SIGNAL),
        ROW(STARTING,   DEADLINE,     ANY,                 TERMINATE,  SIGNAL_TREE),
        ROW(STARTING,   DRAIN,        empty,               STOPPED,    STOPPED),
        ROW(STARTING,   DRAIN,        may_stop_leader,     TERMINATE,  SIGNAL),
        ROW(STARTING,   DRAIN,        may_stop,            TERMINATE,  SIGNAL_TREE),
        ROW(STARTING,   DRAIN,        ANY,                 HELD,       WITHDRAW),
        ROW(STARTING,   RETIME,       ANY,                 STARTING,   NONE),
        RESTORED(STARTING, SPAWN),

        ENDS(RUNNING,   EXITED),
        ROW(RUNNING,    DRAIN,        ANY,                 PENDING,    NONE),
        ROW(RUNNING,    RELOAD,       has_reload,          RELOADING,  RELOAD),
        ROW(RUNNING,    WATCHDOG,     ANY,                 TERMINATE,  SIGNAL),
        ROW(RUNNING,    RETIME,       ANY,                 RUNNING,    NONE),
        ROW(RUNNING,    RESTORED,     ANY,                 RUNNING,    NONE),

        ROW(RELOADING,  HOOK_DONE,    another_command,     RELOADING,  RELOAD),
        ROW(RELOADING,  HOOK_DONE,    ANY,                 RUNNING,    NONE),
        ROW(RELOADING,  HOOK_FAILED,  ANY,                 RUNNING,    NONE),
        ROW(RELOADING,  DEADLINE,     ANY,                 RUNNING,    END_HOOK),
        ENDS(RELOADING, EXITED),
        ROW(RELOADING,  DRAIN,        ANY,                 PENDING,    END_HOOK),
        ROW(RELOADING,  WATCHDOG,     ANY,                 TERMINATE,  SIGNAL),
        ROW(RELOADING,  RETIME,       ANY,                 RELOADING,  NONE),
        RESTORED(RELOADING, RELOAD),

        ROW(PENDING,    GATE,         to_withdraw,         WITHDRAW,   WITHDRAW),
        ROW(PENDING,    GATE,         to_quiesce,          QUIESCE,    QUIESCE),
        ROW(PENDING,    GATE,         turn_hook,           STOP_HOOK,  STOP_HOOK),
        ROW(PENDING,    GATE,         turn_leader,         TERMINATE,  SIGNAL),
        ROW(PENDING,    GATE,         turn,                TERMINATE,  SIGNAL_TREE),
        ROW(PENDING,    GATE,         may_withdraw,        HELD,       WITHDRAW),
        BEFORE_SIGNAL(PENDING),
        ROW(PENDING,    DEADLINE,     ANY,                 KILL,       KILL),
        ROW(PENDING,    RESTORED,     ANY,                 PENDING,    NONE),

        ROW(WITHDRAW,   DEADLINE,     has_quiesce,         QUIESCE,    QUIESCE),
        QUIESCED(WITHDRAW, DEADLINE),
        SKIPPED(WITHDRAW),
        BEFORE_SIGNAL(WITHDRAW),
        RESTORED(WITHDRAW, WITHDRAW),

        QUIESCED(QUIESCE, GUARDS_HOLD),
        QUIESCED(QUIESCE, DEADLINE),
        SKIPPED(QUIESCE),
        BEFORE_SIGNAL(QUIESCE),
        ROW(QUIESCE,    RESTORED,     ANY,                 QUIESCE,    QUIESCE),

        ROW(HELD,       GATE,         may_stop_hook,       STOP_HOOK,  STOP_HOOK),
        ROW(HELD,       GATE,         may_stop_leader,     TERMINATE,  SIGNAL),
        ROW(HELD,       GATE,         may_stop,            TERMINATE,  SIGNAL_TREE),
        BEFORE_SIGNAL(HELD),
        ROW(HELD,       DEADLINE,     ANY,                 KILL,       KILL),
        RESTORED(HELD, QUIESCE),

        ROW(STOP_HOOK,  HOOK_DONE,    another_command,     STOP_HOOK,  STOP_HOOK),
        ENDS_EMPTY(STOP_HOOK, HOOK_DONE),
        ROW(STOP_HOOK,  HOOK_DONE,    leader,              TERMINATE,  SIGNAL),
        ROW(STOP_HOOK,  HOOK_DONE,    ANY,                 TERMINATE,  SIGNAL_TREE),
        ENDS_EMPTY(STOP_HOOK, HOOK_FAILED),
        ROW(STOP_HOOK,  HOOK_FAILED,  leader,              TERMINATE,  SIGNAL),
        ROW(STOP_HOOK,  HOOK_FAILED,  ANY,                 TERMINATE,  SIGNAL_TREE),
        ENDS_EMPTY(STOP_HOOK, EXITED),
        ROW(STOP_HOOK,  EXITED,       ANY,                 STOP_HOOK,  NONE),
        ENDS_EMPTY(STOP_HOOK, EMPTY),
        ROW(STOP_HOOK,  DEADLINE,     leader,              TERMINATE,  SIGNAL),
        ROW(STOP_HOOK,  DEADLINE,     ANY,                 TERMINATE,  SIGNAL_TREE),
        ROW(STOP_HOOK,  DRAIN,        ANY,                 STOP_HOOK,  NONE),
        ROW(STOP_HOOK,  RETIME,       ANY,                 STOP_HOOK,  NONE),
        ROW(STOP_HOOK,  KILL,         ANY,                 KILL,       KILL),
        RESTORED(STOP_HOOK, STOP_HOOK),

        ENDS_EMPTY(TERMINATE, EXITED),
        ROW(TERMINATE,  EXITED,       tree_not_told,       TERMINATE,  SIGNAL_TREE),
        ROW(TERMINATE,  EXITED,       ANY,                 TERMINATE,  NONE),
        ENDS_EMPTY(TERMINATE, EMPTY),
        ROW(TERMINATE,  DEADLINE,     another_rung_leader, TERMINATE,  SIGNAL),
        ROW(TERMINATE,  DEADLINE,     another_rung,        TERMINATE,  SIGNAL_TREE),
        ROW(TERMINATE,  DEADLINE,     ANY,                 KILL,       KILL),
        ROW(TERMINATE,  DRAIN,        ANY,                 TERMINATE,  NONE),
        ROW(TERMINATE,  RETIME,       ANY,                 TERMINATE,  NONE),
        ROW(TERMINATE,  KILL,         ANY,                 KILL,       KILL),
        ROW(TERMINATE,  RESTORED,     was_told,            TERMINATE,  NONE),
        ROW(TERMINATE,  RESTORED,     leader,              TERMINATE,  SIGNAL),
        ROW(TERMINATE,  RESTORED,     ANY,                 TERMINATE,  SIGNAL_TREE),

        ENDS_EMPTY(KILL, EXITED),
        ROW(KILL,       EXITED,       ANY,                 KILL,       NONE),
        ENDS_EMPTY(KILL, EMPTY),
        ROW(KILL,       DEADLINE,     ANY,                 STOPPED,    ABANDON),
        ROW(KILL,       DRAIN,        ANY,                 KILL,       NONE),
        ROW(KILL,       RETIME,       ANY,                 KILL,       NONE),
        ROW(KILL,       RESTORED,     ANY,                 KILL,       KILL),

        ROW(POST,       HOOK_DONE,    another_command,     POST,       STOP_POST),
        ROW(POST,       HOOK_DONE,    not_empty,           KILL,       KILL),
        ROW(POST,       HOOK_DONE,    will_restart,        BACKOFF,    STOPPED),
        ROW(POST,       HOOK_DONE,    ANY,                 STOPPED,    STOPPED),
        ROW(POST,       HOOK_FAILED,  not_empty,           KILL,       KILL),
        ROW(POST,       HOOK_FAILED,  will_restart,        BACKOFF,    STOPPED),
        ROW(POST,       HOOK_FAILED,  ANY,                 STOPPED,    STOPPED),
        ROW(POST,       DEADLINE,     ANY,                 KILL,       KILL),
        ROW(POST,       DRAIN,        ANY,                 POST,       NONE),
        ROW(POST,       RETIME,       ANY,                 POST,       NONE),
        ROW(POST,       KILL,         not_empty,           KILL,       KILL),
        ROW(POST,       KILL,         ANY,                 POST,       NONE),
        RESTORED(POST, STOP_POST),
};

const ServiceRow *service_fsm_rows(size_t *ret_n) {
        *ret_n = sizeof(rows) / sizeof(rows[0]);
        return rows;
}

/* Where the rows of a state begin: they are grouped, so a search looks at a handful. */
static const ServiceRow *rows_of(ServiceState state) {
        static uint8_t first[SERVICE_STATE_MAX];

        if (first[SERVICE_STATE_MAX - 1] == 0)
                for (size_t i = sizeof(rows) / sizeof(rows[0]); i-- > 0;)
                        first[rows[i].from] = (uint8_t) i;
        return &rows[first[state]];
}

const ServiceRow *service_fsm_find(ServiceState from, ServiceEvent on, const ServiceFacts *facts) {
        const ServiceRow *end = rows + sizeof(rows) / sizeof(rows[0]);

        for (const ServiceRow *row = rows_of(from); row < end && row->from == from; row++)
                if (row->on == on && (!row->guard || row->guard(facts)))
                        return row;
        return NULL;
}

#define BIT(event) (UINT32_C(1) << EV_##event)
#define HOOKS   (BIT(HOOK_DONE) | BIT(HOOK_FAILED))
#define SERVICE_SAYS (BIT(READY) | BIT(WATCHDOG) | BIT(GUARDS_HOLD) | BIT(SPAWNED))
#define ORDERS  (BIT(START) | BIT(DRAIN) | BIT(RELOAD) | BIT(RESUME))

/* Events that come in a state without meaning anything there: news that crossed a change of state, orders that the
 * machine refuses before they get here. */
static const uint32_t ignored[SERVICE_STATE_MAX] = {
        [SERVICE_STOPPED] = UINT32_MAX & ~BIT(START),
        [SERVICE_QUEUED] = ORDERS | HOOKS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(EXITED) | BIT(RETIME) | BIT(KILL)
                | BIT(DEADLINE) | BIT(SPAWN_FAILED),
        [SERVICE_BACKOFF] = ORDERS | HOOKS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(EXITED) | BIT(RETIME) | BIT(KILL)
                | BIT(SPAWN_FAILED),
        [SERVICE_START_PRE] = ORDERS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(EXITED) | BIT(KILL) | BIT(SPAWN_FAILED),
        [SERVICE_STARTING] = ORDERS | HOOKS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(KILL),
        [SERVICE_RUNNING] = ORDERS | HOOKS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(KILL) | BIT(DEADLINE)
                | BIT(SPAWN_FAILED),
        [SERVICE_RELOADING] = ORDERS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(KILL) | BIT(SPAWN_FAILED),
        [SERVICE_PENDING] = ORDERS | HOOKS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(SPAWN_FAILED),
        [SERVICE_WITHDRAW] = ORDERS | HOOKS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(SPAWN_FAILED),
        [SERVICE_QUIESCE] = ORDERS | HOOKS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(SPAWN_FAILED),
        [SERVICE_HELD] = ORDERS | HOOKS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(SPAWN_FAILED),
        [SERVICE_STOP_HOOK] = ORDERS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(SPAWN_FAILED),
        [SERVICE_TERMINATE] = ORDERS | HOOKS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(SPAWN_FAILED),
        [SERVICE_KILL] = ORDERS | HOOKS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(KILL) | BIT(SPAWN_FAILED),
        [SERVICE_POST] = ORDERS | SERVICE_SAYS | BIT(GATE) | BIT(EMPTY) | BIT(EXITED) | BIT(SPAWN_FAILED),
};

bool service_fsm_ignores(ServiceState state, ServiceEvent event) {
        return (ignored[state] & (UINT32_C(1) << event)) != 0;
}

typedef struct StateInfo {
        const char *name;
        PublicState public_state;
        Phase phase;
} StateInfo;

static const StateInfo states[SERVICE_STATE_MAX] = {
        [SERVICE_STOPPED] = { "stopped", PUBLIC_STOPPED, PHASE_NONE },
        [SERVICE_QUEUED] = { "queued", PUBLIC_STARTING, PHASE_NONE },
        [SERVICE_BACKOFF] = { "backoff", PUBLIC_STARTING, PHASE_NONE },
        [SERVICE_START_PRE] = { "start-pre", PUBLIC_STARTING, PHASE_NONE },
        [SERVICE_STARTING] = { "starting", PUBLIC_STARTING, PHASE_NONE },
        [SERVICE_RUNNING] = { "running", PUBLIC_RUNNING, PHASE_NONE },
        [SERVICE_RELOADING] = { "reloading", PUBLIC_RUNNING, PHASE_NONE },
        [SERVICE_PENDING] = { "pending", PUBLIC_DRAINING, PHASE_WITHDRAW },
        [SERVICE_WITHDRAW] = { "withdraw", PUBLIC_DRAINING, PHASE_WITHDRAW },
        [SERVICE_QUIESCE] = { "quiesce", PUBLIC_DRAINING, PHASE_QUIESCE },
        [SERVICE_HELD] = { "held", PUBLIC_DRAINING, PHASE_QUIESCE },
        [SERVICE_STOP_HOOK] = { "stop-hook", PUBLIC_DRAINING, PHASE_TERMINATE },
        [SERVICE_TERMINATE] = { "terminate", PUBLIC_DRAINING, PHASE_TERMINATE },
        [SERVICE_KILL] = { "kill", PUBLIC_DRAINING, PHASE_KILL },
        [SERVICE_POST] = { "post", PUBLIC_DRAINING, PHASE_COMPENSATE },
};

static const char *const events[SERVICE_EVENT_MAX] = {
        [EV_START] = "start",
        [EV_GATE] = "gate",
        [EV_HOOK_DONE] = "hook-done",
        [EV_HOOK_FAILED] = "hook-failed",
        [EV_SPAWNED] = "spawned",
        [EV_SPAWN_FAILED] = "spawn-failed",
        [EV_READY] = "ready",
        [EV_EXITED] = "exited",
        [EV_EMPTY] = "empty",
        [EV_DEADLINE] = "deadline",
        [EV_DRAIN] = "drain",
        [EV_GUARDS_HOLD] = "guards-hold",
        [EV_RESUME] = "resume",
        [EV_RETIME] = "retime",
        [EV_KILL] = "kill",
        [EV_RELOAD] = "reload",
        [EV_WATCHDOG] = "watchdog",
        [EV_RESTORED] = "restored",
};

static const char *const actions[SERVICE_ACTION_MAX] = {
        [ACT_NONE] = "-",
        [ACT_START_PRE] = "run ExecStartPre=",
        [ACT_SPAWN] = "start the leader",
        [ACT_RELOAD] = "run ExecReload=",
        [ACT_WITHDRAW] = "tell that it withdraws",
        [ACT_QUIESCE] = "tell that it quiesces",
        [ACT_UNDO] = "tell that it goes on",
        [ACT_STOP_HOOK] = "run ExecStop=",
        [ACT_SIGNAL] = "send the rung's signal",
        [ACT_SIGNAL_TREE] = "send the rung's signal to the tree",
        [ACT_KILL] = "send KILL to the tree",
        [ACT_STOP_POST] = "run ExecStopPost=",
        [ACT_STOPPED] = "clear away",
        [ACT_END_HOOK] = "send KILL to the hook",
        [ACT_ABANDON] = "report as unkillable",
};

PublicState service_state_public(ServiceState state) {
        return states[state].public_state;
}

Phase service_state_phase(ServiceState state) {
        return states[state].phase;
}

const char *service_state_name(ServiceState state) {
        return states[state].name;
}

const char *service_event_name(ServiceEvent event) {
        return events[event];
}

const char *service_action_name(ServiceAction action) {
        return actions[action];
}

const char *public_state_name(PublicState state) {
        static const char *const names[PUBLIC_STATE_MAX] = { "stopped", "starting", "running", "draining" };

        return names[state];
}

const char *phase_name(Phase phase) {
        static const char *const names[PHASE_MAX] = { "", "withdraw", "quiesce", "terminate", "kill", "compensate" };

        return names[phase];
}
