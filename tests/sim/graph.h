#pragma once

/* Random models: services, their order, their phases, and how their processes will behave. All strings and lists lie in
 * arrays of the graph itself, so that making one costs little. */

#include <stdbool.h>
#include <stdint.h>

#include "../../daemon/config/model.h"
#include "../../daemon/core/order.h"
#include "random.h"

#define GRAPH_SERVICES_MAX 40
#define GRAPH_NAMES_MAX 16 /* in one list of a service */
#define GRAPH_RUNGS_MAX 5
#define GRAPH_CHILDREN_MAX 4
#define GRAPH_NEVER USEC_INFINITY

typedef enum HookKind { HOOK_START_PRE, HOOK_RELOAD, HOOK_STOP, HOOK_STOP_POST, HOOK_KIND_MAX } HookKind;

typedef enum HookFate {
        HOOK_FATE_SUCCESS,
        HOOK_FATE_FAILURE,
        HOOK_FATE_HANGS,
        HOOK_FATE_IMPOSSIBLE,
        HOOK_FATE_AT_DEADLINE,
} HookFate;

/* What processes of a service do. Durations; GRAPH_NEVER where it does not happen. */
typedef struct Behaviour {
        unsigned spawn_fails_percent, spawn_is_retryable_percent;
        usec_t ready_after; /* Type=notify */
        usec_t lives_for;   /* oneshot: its work; else it ends by itself then */
        unsigned ends_badly_percent;
        unsigned heeds_rung;   /* the first rung that the leader ends on; past the ladder: none */
        usec_t ends_after;     /* after that rung */
        bool ends_at_deadline; /* exactly when the state's deadline is reached */
        unsigned n_children;
        unsigned child_heeds_rung; /* of those signals that reach the tree */
        usec_t child_ends_after;
        bool children_end_with_leader;
        bool forks_on_signal;
        usec_t killed_after; /* from KILL to the end: long is D state */
        HookFate hooks[HOOK_KIND_MAX];
        usec_t hook_takes;
        bool hook_leaves_child;
        usec_t guards_after; /* from the begin of quiesce */
        unsigned n_extends;  /* per drain */
        usec_t extend_by;
        unsigned pings;  /* watchdog: how many before it falls silent */
        bool exits_well; /* 0 on a signal, else dies of it */
} Behaviour;

typedef struct Graph {
        Model model;
        Order *order; /* owned */
        unsigned n;
        ServiceConfig services[GRAPH_SERVICES_MAX];
        Behaviour behaviours[GRAPH_SERVICES_MAX];
        Rung rungs[GRAPH_SERVICES_MAX][GRAPH_RUNGS_MAX];
        char names[GRAPH_SERVICES_MAX][8];
        char *lists[GRAPH_SERVICES_MAX][5][GRAPH_NAMES_MAX];
        bool is_order_wrong; /* a cycle was reported where there is none, or not where there is one */
        bool is_timid;       /* everything keeps its wishes: what the plan says is never exceeded */
        /* The simulator's own relations, not taken from Order. */
        bool requires[GRAPH_SERVICES_MAX][GRAPH_SERVICES_MAX];
        bool starts_after[GRAPH_SERVICES_MAX][GRAPH_SERVICES_MAX]; /* [i][j]: the start of i waits for j */
        bool goes_before[GRAPH_SERVICES_MAX][GRAPH_SERVICES_MAX];  /* [i][j]: in a stop i goes before j */
        bool pulls[GRAPH_SERVICES_MAX][GRAPH_SERVICES_MAX];
        bool is_late[GRAPH_SERVICES_MAX];
} Graph;

void graph_make(Graph *graph, Random *random);
void graph_done(Graph *graph);
