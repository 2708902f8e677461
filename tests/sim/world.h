#pragma once

/* One history: a virtual clock, the processes of a graph, the machine under test with its effects, the blackboard that
 * outlives it, and the books of the oracles. Knows the machine by its header alone. */

#include "../../daemon/core/machine-ask.h"
#include "graph.h"
#include "queue.h"

#define WORLD_CHILDREN_MAX 8
#define FAILURE_TEXT_MAX 512

/* One simulated process; pid 0: not alive. */
typedef struct Process {
        uint32_t pid;
        usec_t stuck_until; /* in D state: does not end before */
} Process;

/* The processes of a service as they really are, whatever the core knows of them. */
typedef struct Actor {
        Process leader, hook, children[WORLD_CHILDREN_MAX];
        HookKind hook_kind;
        uint32_t n_runs;
        unsigned n_extends_left, n_pings_left;
        usec_t watchdog;
} Actor;

/* What the blackboard and the ring hold: all that a new core has. */
typedef struct Board {
        Cell cells[GRAPH_SERVICES_MAX];
        uint32_t leaders[GRAPH_SERVICES_MAX]; /* the pid words: running until its exit was handled */
        uint32_t hooks[GRAPH_SERVICES_MAX];
        uint32_t intents[GRAPH_SERVICES_MAX], sent[GRAPH_SERVICES_MAX]; /* of signals, see effects.c */
        Operation operations[MACHINE_OPERATIONS_MAX];
} Board;

typedef struct Books Books;

typedef struct World {
        uint64_t seed, sequence, hash;
        Random random;
        usec_t now;
        Graph graph;
        Machine *machine; /* owned */
        Actor actors[GRAPH_SERVICES_MAX];
        usec_t armed[GRAPH_SERVICES_MAX], operation_armed[MACHINE_OPERATIONS_MAX];
        uint64_t timer_version[GRAPH_SERVICES_MAX], operation_timer_version[MACHINE_OPERATIONS_MAX];
        Board board;
        Queue coming, due;
        Books *books; /* owned */
        uint32_t last_pid;
        bool is_dead;      /* the core: whatever the machine still does is not seen by anybody */
        unsigned crash_in; /* effects from now; 0: none planned */
        unsigned stall_percent, n_crashes_left, n_crashes;
        usec_t lag_most; /* the longest stall of this history */
        unsigned n_events, n_drains, n_rounds_left, n_tries;
        bool is_final, is_asked_again; /* the drain that ends the round was asked for */
        bool is_traced;
        unsigned failed_oracle; /* Oracle + 1; 0: none */
        char failure[FAILURE_TEXT_MAX];
} World;

/* Runs one whole history. True when no oracle was violated; world->n_drains says how many drains it had. */
bool world_run(World *world, uint64_t seed, bool is_traced);
void world_init(World *world);
void world_done(World *world);

/* Every fact goes into the trace: into its hash always, onto stdout when asked for. */
void world_note(World *world, const char *what, unsigned who, uint64_t a, uint64_t b);
void world_put(World *world, usec_t at, HappeningKind kind, unsigned service, uint64_t key, uint32_t argument);
