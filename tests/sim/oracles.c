#include "oracles.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "books.h"
#include "processes.h"

/* What is checked at the bounds: begin and end of a history, after each step, when nothing is due. */

static const struct {
        const char *name, *sentence;
} oracles[ORACLE_MAX] = {
#define X(name, sentence) { #name, sentence },
        ORACLES(X)
#undef X
};

void oracles_list(void) {
        for (unsigned i = 0; i < ORACLE_MAX; i++)
                printf("%-24s %s\n", oracles[i].name, oracles[i].sentence);
}

Books *books_new(void) {
        return calloc(1, sizeof(Books));
}

Books *books_free(Books *books) {
        free(books);
        return NULL;
}

void books_fail(World *world, Oracle oracle, const char *format, ...) {
        va_list arguments;
        int n;

        if (world->failed_oracle != 0)
                return;
        world->failed_oracle = oracle + 1;
        n = snprintf(world->failure, sizeof(world->failure), "%s (%s) at %" PRIu64 ": ", oracles[oracle].name,
                     oracles[oracle].sentence, world->now);
        va_start(arguments, format);
        if (n > 0 && (size_t) n < sizeof(world->failure))
                (void) vsnprintf(world->failure + n, sizeof(world->failure) - (size_t) n, format, arguments);
        va_end(arguments);
        world_note(world, "VIOLATED", oracle, 0, 0);
}

/* --- what the books know of operations --- */

static bool deed_is_active(const Deed *deed) {
        return deed->id != 0 && operation_state_is_active(deed->state);
}

bool books_is_active(const World *world, unsigned service) {
        return (world->books->active & bit(service)) != 0;
}

bool books_proceeds(const World *world, unsigned service) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                const Deed *deed = &world->books->deeds[place];

                if (deed_is_active(deed) && (deed->members & bit(service)) != 0 && deed->until == DRAIN_UNTIL_STOPPED)
                        return true;
        }
        return false;
}

bool books_skips(const World *world, unsigned service) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                const Deed *deed = &world->books->deeds[place];

                if (deed_is_active(deed) && (deed->members & bit(service)) != 0 && deed->skips)
                        return true;
        }
        return false;
}

bool books_everything_drains(const World *world) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if (deed_is_active(&world->books->deeds[place]) && world->books->deeds[place].is_all)
                        return true;
        return false;
}

uint64_t books_closure(const World *world, uint64_t services) {
        for (bool is_changed = true; is_changed;) {
                is_changed = false;
                for (unsigned i = 0; i < world->graph.n; i++)
                        for (unsigned j = 0; j < world->graph.n; j++)
                                if (world->graph.requires[i][j] && (services & bit(j)) != 0 &&
                                    (services & bit(i)) == 0) {
                                        services |= bit(i);
                                        is_changed = true;
                                }
        }
        return services;
}

/* What is only to be quiesced is waited for until it is. */
unsigned books_blocker(const World *world, unsigned service, bool to_stop) {
        const Graph *graph = &world->graph;

        for (unsigned i = 0; i < graph->n; i++) {
                ServiceState state = world->books->services[i].state;
                bool until_stopped =
                        (to_stop || (graph->is_late[service] && !graph->is_late[i])) && books_proceeds(world, i);

                if (!graph->goes_before[i][service] || !books_is_active(world, i) || state == SERVICE_STOPPED)
                        continue;
                if (until_stopped || state < SERVICE_HELD)
                        return i;
        }
        return MACHINE_NO_SERVICE;
}

/* --- the whole history --- */

/* Where nothing can overrun its time, nobody may meet KILL as its first signal. */
static bool is_clean_history(const World *world) {
        if (world->stall_percent > 0 || world->n_crashes_left > 0)
                return false;
        for (unsigned i = 0; i < world->graph.n; i++) {
                const ServiceConfig *config = &world->graph.services[i];
                const Behaviour *how = &world->graph.behaviours[i];

                if (how->killed_after > 4 * USEC_PER_MSEC || config->stop_post.n > 0 ||
                    config->kill_reserve < 100 * USEC_PER_MSEC)
                        return false;
                for (unsigned rung = 0; rung < config->n_rungs; rung++)
                        if (config->rungs[rung].time < USEC_PER_MSEC)
                                return false;
        }
        return true;
}

void oracles_begin(World *world) {
        memset(world->books, 0, sizeof(*world->books));
        world->books->is_clean = is_clean_history(world);
        books_check(world, !world->graph.is_order_wrong, CYCLES, "the order of this graph");
        for (unsigned i = 0; i < world->graph.n; i++)
                world->books->services[i] = (Book){
                        .is_empty = true,
                        .scope = USEC_INFINITY,
                        .due = USEC_INFINITY,
                        .kill_by = USEC_INFINITY,
                        .limit = USEC_INFINITY,
                        .rung = -1,
                };
}

void oracles_at_end(World *world) {
        books_check(world, machine_is_idle(world->machine), RETRY_AFTER_FAILURE,
                    "something still runs at the end of the history");
}

void oracles_on_busy(World *world) {
        books_fail(world, ORACLE_NOT_BUSY, "%u events and still not idle", world->n_events);
}

/* --- after each step --- */

/* A draining service goes on the moment it may. */
static void check_waiting(World *world, unsigned service) {
        const Book *book = &world->books->services[service];
        bool is_active = books_is_active(world, service);
        bool was_told_empty = book->is_empty && !book->has_leader && !book->has_hook;

        switch (book->state) {
        case SERVICE_PENDING:
                books_check(world, !is_active || books_blocker(world, service, false) != MACHINE_NO_SERVICE, NO_WAITING,
                            "s%02u waits to withdraw and nobody goes before it", service);
                break;
        case SERVICE_HELD:
                books_check(world,
                            !is_active || !books_proceeds(world, service) ||
                                    books_blocker(world, service, true) != MACHINE_NO_SERVICE,
                            NO_WAITING, "s%02u waits for its signal and nobody goes before it", service);
                break;
        case SERVICE_WITHDRAW:
        case SERVICE_QUIESCE:
                books_check(world, !books_skips(world, service), NO_WAITING,
                            "s%02u still quiesces although that was skipped", service);
                break;
        case SERVICE_RUNNING:
        case SERVICE_RELOADING:
        case SERVICE_STARTING:
        case SERVICE_START_PRE:
        case SERVICE_QUEUED:
        case SERVICE_BACKOFF:
                books_check(world, !is_active, NO_WAITING, "s%02u is %s although it belongs to a drain", service,
                            service_state_name(book->state));
                break;
        case SERVICE_STOPPED:
        case SERVICE_STOP_HOOK:
        case SERVICE_TERMINATE:
        case SERVICE_KILL:
        case SERVICE_POST:
        case SERVICE_STATE_MAX:
                break;
        }
        if (service_state_public(book->state) == PUBLIC_DRAINING && book->state != SERVICE_POST)
                books_check(world, !was_told_empty, ENDS_EARLY, "s%02u is empty and still in %s", service,
                            service_state_name(book->state));
}

static bool is_there(const World *world, unsigned service, unsigned needed) {
        const Book *book = &world->books->services[needed];

        if (book->state == SERVICE_RUNNING || book->state == SERVICE_RELOADING)
                return true;
        return book->state == SERVICE_STOPPED &&
               ((book->was_ready && world->graph.services[needed].type == SERVICE_ONESHOT) ||
                !world->graph.requires[service][needed]);
}

bool books_may_start(const World *world, unsigned service) {
        for (unsigned i = 0; i < world->graph.n; i++)
                if (world->graph.starts_after[service][i] && !is_there(world, service, i))
                        return false;
        return true;
}

/* Those that run cannot do without it: they are drained in the same step, where there is a place for one more drain. */
static void check_dependents(World *world) {
        unsigned n_active = 0;

        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                n_active += deed_is_active(&world->books->deeds[place]);
        for (unsigned i = 0; i < world->graph.n && n_active + 1 < MACHINE_OPERATIONS_MAX; i++)
                for (unsigned j = 0; j < world->graph.n; j++) {
                        ServiceState state = world->books->services[j].state;

                        if ((world->books->failed_now & bit(i)) != 0 && world->graph.requires[j][i] &&
                            world->books->services[i].state == SERVICE_STOPPED)
                                books_check(world,
                                            service_state_public(state) != PUBLIC_RUNNING || books_is_active(world, j),
                                            DEPENDENTS, "s%02u requires s%02u, which has failed, and runs on", j, i);
                }
        world->books->failed_now = 0;
}

void oracles_after_step(World *world) {
        if (world->books->is_settling)
                return;
        if (world->books->failed_now != 0)
                check_dependents(world);
        for (unsigned i = 0; i < world->graph.n; i++) {
                const Book *book = &world->books->services[i];

                if (book->state == SERVICE_STOPPED)
                        continue;
                check_waiting(world, i);
                if (book->state == SERVICE_QUEUED)
                        books_check(world, !books_may_start(world, i), START_ORDER, "s%02u could start and does not",
                                    i);
        }
        books_check(world, machine_n_unexpected(world->machine) == 0, EXPECTED,
                    "an event was not expected in its state");
}

/* --- when nothing is due --- */

static void check_deed(World *world, const Deed *deed) {
        usec_t end = usec_add(deed->deadline > deed->killed_at ? deed->deadline
                                                               : deed->killed_at + world->graph.model.kill_reserve,
                              2 * USEC_PER_SEC / 10 + 4 * world->lag_most);

        if (!deed_is_active(deed) || world->now < deed->deadline)
                return;
        if (deed->until == DRAIN_UNTIL_QUIESCED && deed->state != OPERATION_QUIESCING &&
            deed->state != OPERATION_KILLING)
                return; /* held for as long as one likes */
        books_check(world, world->now <= end, DRAIN_ENDS, "operation %" PRIu64 " should have ended at %" PRIu64,
                    deed->id, deed->deadline);
        for (unsigned i = 0; i < world->graph.n; i++) {
                const Book *book = &world->books->services[i];

                if ((deed->members & bit(i)) != 0)
                        books_check(world,
                                    book->state == SERVICE_STOPPED || book->was_killed || processes_are_gone(world, i),
                                    KILL_NOT_LATE, "s%02u is %s after its deadline", i,
                                    service_state_name(book->state));
        }
}

void oracles_when_quiet(World *world, usec_t next) {
        if (world->books->is_settling) {
                world->books->is_settling = false;
                oracles_after_step(world);
        }
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                check_deed(world, &world->books->deeds[place]);
        for (unsigned i = 0; i < world->graph.n; i++) {
                const Book *book = &world->books->services[i];
                usec_t due;

                if (book->state == SERVICE_STOPPED)
                        continue;
                due = books_due(world, i);
                if (due != USEC_INFINITY && usec_add(due, book->tolerance) < next)
                        books_check(world, world->armed[i] <= due + book->tolerance, PHASE_ON_TIME,
                                    "s%02u is still %s, and that was to be over at %" PRIu64, i,
                                    service_state_name(book->state), due);
                books_check(world, due == USEC_INFINITY || world->armed[i] != USEC_INFINITY || due >= next, ONE_TIMER,
                            "s%02u has no timer in %s", i, service_state_name(book->state));
        }
}

void oracles_on_arm(World *world, unsigned service, usec_t deadline) {
        usec_t oldest = world->now - usec_min(world->now, world->lag_most);

        books_check(world, deadline == USEC_INFINITY || deadline >= oldest || world->n_crashes > 0, ONE_TIMER,
                    "s%02u has its timer in the past: %" PRIu64, service, deadline);
}

/* --- crashes --- */

/* Whether a service was stopped already before its operation began is not written down. */
static void forget_who_began(World *world) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                for (unsigned i = 0; i < world->graph.n; i++) {
                        ServiceState state = world->books->services[i].state;

                        if ((world->books->deeds[place].members & bit(i)) != 0 && state >= SERVICE_STOP_HOOK &&
                            state <= SERVICE_KILL)
                                world->books->deeds[place].is_half_signalled = true;
                }
}

/* Processes that KILL did not end are none of the next run. */
static bool has_no_run(ServiceState state) {
        return state == SERVICE_STOPPED || state == SERVICE_QUEUED || state == SERVICE_BACKOFF;
}

/* A request that was not written down was not made. */
static void forget_requests(World *world) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                Deed *deed = &world->books->deeds[place];
                const Operation *operation = &world->board.operations[place];

                deed->skips = (operation->flags & OPERATION_SKIPS) != 0;
                deed->until = operation->until;
                deed->kill_ordered &= operation->state == OPERATION_KILLING;
                deed->was_lapsed = false;
        }
}

void oracles_on_crash(World *world) {
        forget_who_began(world);
        forget_requests(world);
        world->books->failed_now = 0;
        for (unsigned i = 0; i < world->graph.n; i++) {
                Book *book = &world->books->services[i];
                const Cell *cell = &world->board.cells[i];

                /* What was not written down is not known any more; it is told or looked at again. */
                book->crossed = true;
                if (book->state == SERVICE_STARTING || book->state == SERVICE_START_PRE)
                        book->spawn_failed = book->hook_failed = false;
                book->has_leader = !has_no_run(book->state) && world->board.leaders[i] != 0;
                book->has_hook = !has_no_run(book->state) && world->board.hooks[i] != 0;
                book->is_empty = !book->has_leader && !book->has_hook && (cell->flags & CELL_EMPTY) != 0;
                if (book->state != (ServiceState) cell->state)
                        books_fail(world, ORACLE_CONTINUITY, "s%02u was seen in %s, and the blackboard says %s", i,
                                   service_state_name(book->state), service_state_name((ServiceState) cell->state));
        }
}

void oracles_after_restore(World *world) {
        world->books->is_settling = true;
}
