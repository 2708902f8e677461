#pragma once

/* PURE. The machine of one service: a table of rows {from, on, guard, to, action}. Opens nothing, reads no clock,
 * allocates nothing. The guards see only ServiceFacts, a snapshot that the caller takes before the step. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ServiceState {
        SERVICE_STOPPED,    /* stopped */
        SERVICE_QUEUED,     /* starting: waits for what it needs */
        SERVICE_BACKOFF,    /* starting: is started again when its time has come */
        SERVICE_START_PRE,  /* starting: ExecStartPre= */
        SERVICE_STARTING,   /* starting: its leader runs and is not ready (oneshot: until it ends) */
        SERVICE_RUNNING,    /* running */
        SERVICE_RELOADING,  /* running: ExecReload= */
        SERVICE_PENDING,    /* draining, withdraw: those that need it have not quiesced yet */
        SERVICE_WITHDRAW,   /* draining, withdraw */
        SERVICE_QUIESCE,    /* draining, quiesce */
        SERVICE_HELD,       /* draining, quiesce: is quiesced, those that need it have not stopped */
        SERVICE_STOP_HOOK,  /* draining, terminate: ExecStop= */
        SERVICE_TERMINATE,  /* draining, terminate: the ladder */
        SERVICE_KILL,       /* draining, kill */
        SERVICE_POST,       /* draining, compensate: ExecStopPost= */
        SERVICE_STATE_MAX,
} ServiceState;

/* The four states that the world knows, and the phases of draining. */
typedef enum PublicState { PUBLIC_STOPPED, PUBLIC_STARTING, PUBLIC_RUNNING, PUBLIC_DRAINING, PUBLIC_STATE_MAX } PublicState;
typedef enum Phase {
        PHASE_NONE, PHASE_WITHDRAW, PHASE_QUIESCE, PHASE_TERMINATE, PHASE_KILL, PHASE_COMPENSATE, PHASE_MAX
} Phase;

typedef enum ServiceEvent {
        EV_START,        /* ordered: run */
        EV_GATE,         /* something that it may be waiting for has changed */
        EV_HOOK_DONE,    /* the hook's command ended well */
        EV_HOOK_FAILED,  /* the hook's command failed or could not be run */
        EV_SPAWNED,      /* the leader runs */
        EV_SPAWN_FAILED, /* it could not be started */
        EV_READY,        /* it says so, or its type needs no saying */
        EV_EXITED,       /* the leader has ended */
        EV_EMPTY,        /* after that: its last process has ended */
        EV_DEADLINE,     /* its timer */
        EV_DRAIN,        /* ordered: it belongs to a drain now */
        EV_GUARDS_HOLD,  /* nothing is in flight any more */
        EV_RESUME,       /* ordered: the drain was taken back */
        EV_RETIME,       /* its deadline was moved: by a shorter scope, or by the service itself */
        EV_KILL,         /* ordered: the time is over */
        EV_RELOAD,       /* ordered: ExecReload= */
        EV_WATCHDOG,     /* it did not give a sign of life in time, or asked for the same by itself */
        EV_RESTORED,     /* a new core has taken it over */
        SERVICE_EVENT_MAX,
} ServiceEvent;

typedef enum ServiceAction {
        ACT_NONE,
        ACT_START_PRE,  /* run command hook_index of ExecStartPre= */
        ACT_SPAWN,      /* start the leader */
        ACT_RELOAD,     /* run command hook_index of ExecReload= */
        ACT_WITHDRAW,   /* tell the service and the world that it drains */
        ACT_QUIESCE,    /* watch the guards */
        ACT_UNDO,       /* tell the service and the world that the drain was taken back */
        ACT_STOP_HOOK,  /* run command hook_index of ExecStop= */
        ACT_SIGNAL,     /* end a hook that still runs; send the rung's signal to its target, and CONT */
        ACT_SIGNAL_TREE,/* the leader is gone: send the rung's signal to the tree, and CONT */
        ACT_KILL,       /* a verdict for every process left, then SIGKILL to all of them, hooks too */
        ACT_STOP_POST,  /* run command hook_index of ExecStopPost= */
        ACT_STOPPED,    /* it is empty: clear away what belonged to this run */
        ACT_END_HOOK,   /* SIGKILL to the hook that still runs */
        ACT_ABANDON,    /* it is not empty and KILL did not help: report, and go on without it */
        SERVICE_ACTION_MAX,
} ServiceAction;

typedef struct ServiceFacts {
        bool is_draining;         /* it belongs to a drain */
        bool may_start;           /* all it needs is there */
        bool dependency_failed;   /* something it requires has failed for good */
        bool may_withdraw;        /* all that go before it have quiesced */
        bool may_stop;            /* all that go before it have stopped, and the drain goes as far */
        bool has_leader;          /* the leader is alive */
        bool is_empty;            /* no process of it is alive */
        bool is_oneshot;
        bool has_start_pre, has_reload, has_stop_hook;
        bool has_stop_post;       /* and it has not been run in this stop */
        bool has_another_command; /* the list of the running hook goes on */
        bool has_another_rung;
        bool rung_reached_tree;   /* the rung's signal has gone to the whole tree */
        bool was_told;            /* the action of this state was carried out (a new core asks) */
        bool has_withdraw, has_quiesce; /* a time above zero is granted */
        bool skips;               /* asked a second time: withdraw and quiesce are over */
        bool has_hook;            /* a hook's process runs */
        bool was_ready;           /* in this run */
        bool will_restart;        /* it is to be started again after this end */
        bool is_retryable;        /* the start failed for want of resources */
} ServiceFacts;

typedef struct ServiceRow {
        ServiceState from;
        ServiceEvent on;
        bool (*guard)(const ServiceFacts *facts); /* NULL: always */
        const char *guard_name;
        ServiceState to;
        ServiceAction action;
} ServiceRow;

/* The first row that fits, or NULL: the event means nothing in this state. */
const ServiceRow *service_fsm_find(ServiceState from, ServiceEvent on, const ServiceFacts *facts);
/* The whole table, for tests and for --print-fsm. */
const ServiceRow *service_fsm_rows(size_t *ret_n);
/* Whether an event that finds no row here is expected. */
bool service_fsm_ignores(ServiceState state, ServiceEvent event);

PublicState service_state_public(ServiceState state);
Phase service_state_phase(ServiceState state);
const char *service_state_name(ServiceState state);
const char *service_event_name(ServiceEvent event);
const char *service_action_name(ServiceAction action);
const char *public_state_name(PublicState state);
const char *phase_name(Phase phase);
