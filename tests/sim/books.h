#pragma once

/* What the oracles write down. */

#include "oracles.h"
#include "shares.h"

#define ORACLES(X)                                                                                                     \
        X(DRAIN_ENDS, "a drain ends by its deadline, with KILL's moment on top and nothing else")                      \
        X(DEADLINE_NEVER_LATER, "a deadline moves later only by the service's own lease, and never past its scope")    \
        X(EARLIER_WINS, "of two requests the earlier deadline wins")                                                   \
        X(QUIESCE_ORDER, "a service withdraws only when all that go before it have quiesced")                          \
        X(SIGNAL_ORDER, "a service gets no signal before all that go before it have stopped")                          \
        X(NO_WAITING, "a step begins the moment it may")                                                               \
        X(LATE_LAST, "supporting services are told when all others have stopped")                                      \
        X(KILL_NOT_EARLY, "no KILL before its time")                                                                   \
        X(KILL_NOT_LATE, "by the deadline KILL has gone to all that is left")                                          \
        X(KILL_NOT_FIRST, "nobody's first signal is KILL while there is budget")                                       \
        X(RUNG_ORDER, "each rung is sent once, from the first on")                                                     \
        X(RUNG_TARGET, "a rung goes to its target, and to the tree when the leader is gone")                           \
        X(RUNG_TIME, "each rung has its time")                                                                         \
        X(NO_DEAD_TARGET, "no signal and no hook goes to a service without processes")                                 \
        X(ENDS_EARLY, "a stop ends when the tree is empty")                                                            \
        X(STOPPED_IS_EMPTY, "stopped means empty, or reported as unkillable")                                          \
        X(UNKILLABLE_NEEDS_KILL, "unkillable is reported only after KILL had its moment, and then always")             \
        X(HOOK_ONCE, "each command of a hook runs once, in order")                                                     \
        X(POST_AFTER_EMPTY, "ExecStopPost= runs when all is empty")                                                    \
        X(STOPPED_STAYS, "nothing leaves stopped but a start")                                                         \
        X(NO_START_IN_DRAIN, "nothing starts while everything drains, or while it drains itself")                      \
        X(START_ORDER, "a service starts when all it needs is there, and at once")                                     \
        X(NO_DOUBLE_START, "no second leader while the tree of the first lives")                                       \
        X(BACKOFF_DOUBLES, "the wait between two starts doubles up to its maximum")                                    \
        X(START_LIMIT, "no more starts than the limit allows")                                                         \
        X(RESUME_WINDOW, "a drain can be taken back exactly until its first signal")                                   \
        X(RESUME_WHOLE, "a drain is taken back as a whole, and each that was told is told so")                         \
        X(REFUSED_CHANGES_NOTHING, "what is refused changes nothing and says why")                                     \
        X(REPEAT_IS_SILENT, "asking again sends nothing")                                                              \
        X(ONE_TIMER, "one timer a service, absolute, not in the past")                                                 \
        X(NOT_BUSY, "no endless loop of events")                                                                       \
        X(WHOLE_WISH, "where the longest path fits, each gets its wish to the microsecond")                            \
        X(CUT_ORDER, "where it does not fit, phases are cut in their order and in proportion")                         \
        X(PHASE_ON_TIME, "a phase that does not end early ends with its time")                                         \
        X(RESULT, "the result says what happened")                                                                     \
        X(EXIT_RECORDED, "an exit is recorded as it was, once")                                                        \
        X(PLAN_HOLDS, "the worst case that the plan shows is not exceeded")                                            \
        X(CONTINUITY, "a state follows from the one before, across crashes too")                                       \
        X(MEMBERS, "an operation has the services asked for and all that need them")                                   \
        X(COUNTS, "an operation counts who was killed and who could not be")                                           \
        X(EXPECTED, "no event is unexpected in its state")                                                             \
        X(CYCLES, "a cycle is reported where there is one, and nowhere else")                                          \
        X(DEPENDENTS, "a failure for good drains those that cannot do without it")                                     \
        X(RETRY_AFTER_FAILURE, "a stop in any state ends in stopped and is not started again")

typedef enum Oracle {
#define X(name, sentence) ORACLE_##name,
        ORACLES(X)
#undef X
                ORACLE_MAX,
} Oracle;

/* One service. Times are absolute, USEC_INFINITY where there is none. */
typedef struct Book {
        ServiceState state;
        bool has_leader, has_hook, is_empty;
        bool was_ready;
        usec_t scope;
        usec_t due;                            /* when the state is over at the latest */
        usec_t tolerance;                      /* of due */
        usec_t limit, kill_by, kill_tolerance; /* of the second step */
        usec_t reported_deadline, reported_kill_by;
        usec_t quiesce_for;
        usec_t start_by;
        double ladder_scale;
        bool is_bent; /* times were changed on the way: reported ones are only held against bounds */
        bool was_signalled;
        int rung; /* last one sent, -1: none */
        bool rung_to_tree;
        bool was_killed, was_told, timed_out, spawn_failed, hook_failed, post_seen;
        bool was_retry; /* its start failed for want of resources: not counted by the limit */
        bool crossed;   /* by a crash: a signal that was only intended counts as sent */
        bool has_exited, exited_in_drain;
        usec_t killed_at, public_since;
        uint8_t n_commands[HOOK_KIND_MAX];
        int exit_code, exit_status;
        usec_t backoff, window;
        unsigned n_starts;
} Book;

/* One operation, by its place. */
typedef struct Deed {
        uint64_t id, members;
        usec_t requested, deadline, plan_end, killed_at;
        DrainUntil until;
        OperationState state;
        bool is_all, exits, is_clean, skips, kill_ordered, was_lapsed;
        bool is_signalled, is_half_signalled; /* half: one that was being stopped already got its next signal */
        unsigned n_killed, n_unkillable;
} Deed;

struct Books {
        Book services[GRAPH_SERVICES_MAX];
        Deed deeds[MACHINE_OPERATIONS_MAX];
        uint64_t active; /* services in an operation that goes on */
        bool is_clean;   /* nothing in this history excuses a first signal that is KILL */
        uint64_t asked;  /* closure of what is being asked for */
        usec_t asked_deadline, asked_plan;
        unsigned n_deeds_done, n_deeds_before; /* signals, hooks, starts: everything that is felt outside */
        Cell cells_before[GRAPH_SERVICES_MAX];
        Operation operations_before[MACHINE_OPERATIONS_MAX];
        uint64_t told_before;
        bool everything_drained;
        uint64_t failed_now; /* for good, in this step and outside of a drain */
        bool is_settling;    /* a new core has not yet been told all that happened meanwhile */
        Book kept;
};

printf_like(3, 4) void books_fail(World *world, Oracle oracle, const char *format, ...);
#define books_check(world, condition, oracle, ...)                                                                     \
        do {                                                                                                           \
                if (!(condition))                                                                                      \
                        books_fail(world, ORACLE_##oracle, __VA_ARGS__);                                               \
        } while (0)

static inline uint64_t bit(unsigned service) {
        return UINT64_C(1) << service;
}
bool books_is_active(const World *world, unsigned service); /* belongs to an operation that goes on */
bool books_proceeds(const World *world, unsigned service);  /* … past quiesce */
bool books_skips(const World *world, unsigned service);
bool books_everything_drains(const World *world);
/* The services and all that require them. */
uint64_t books_closure(const World *world, uint64_t services);
/* Who holds it up: a service, or MACHINE_NO_SERVICE. */
unsigned books_blocker(const World *world, unsigned service, bool to_stop);
bool books_may_start(const World *world, unsigned service);
/* Until when the operations that it belongs to leave it. */
usec_t books_scope(const World *world, unsigned service);
Share books_share(const World *world, unsigned service, ShareStage stage);
static inline usec_t books_tolerance(const World *world, const Share *share) {
        return share->is_cut ? 8 + 4 * (usec_t) world->graph.n : 0;
}

/* book-times.c: when each state must be over */
void books_time_state(World *world, unsigned service, ServiceState from, ServiceEvent on);
usec_t books_due(const World *world, unsigned service);
