#include <inttypes.h>
#include <string.h>

#include "books.h"

/* Operations and requests: who belongs to a drain, its deadline, when it may be taken back, what a refusal leaves
 * alone. */

static bool is_active(const Deed *deed) {
        return deed->id != 0 && operation_state_is_active(deed->state);
}

/* A drain until quiesced that has got there holds for as long as one likes: its deadline is no limit for a later stop.
 */
static bool holds(const Deed *deed) {
        return is_active(deed) && deed->until == DRAIN_UNTIL_QUIESCED && deed->state != OPERATION_QUIESCING &&
               deed->state != OPERATION_KILLING;
}

static bool is_lapsed(const Deed *deed, usec_t now) {
        return holds(deed) && now >= deed->deadline;
}

usec_t books_scope(const World *world, unsigned service) {
        usec_t scope = USEC_INFINITY, held = USEC_INFINITY;

        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                const Deed *deed = &world->books->deeds[place];

                if (!is_active(deed) || (deed->members & bit(service)) == 0)
                        continue;
                if (deed->until == DRAIN_UNTIL_STOPPED || deed->state == OPERATION_KILLING)
                        scope = usec_min(scope, deed->deadline);
                else if (!is_lapsed(deed, world->now))
                        held = usec_min(held, deed->deadline);
        }
        return scope != USEC_INFINITY ? scope : held;
}

static Deed *find_deed(World *world, uint64_t id) {
        for (unsigned place = 0; id != 0 && place < MACHINE_OPERATIONS_MAX; place++)
                if (world->books->deeds[place].id == id)
                        return &world->books->deeds[place];
        return NULL;
}

static uint64_t everybody(const World *world) {
        return world->graph.n == 64 ? UINT64_MAX : bit(world->graph.n) - 1;
}

static uint64_t not_stopped(const World *world) {
        uint64_t services = 0;

        for (unsigned i = 0; i < world->graph.n; i++)
                if (world->books->services[i].state != SERVICE_STOPPED)
                        services |= bit(i);
        return services;
}

/* Who is in an operation that goes on, and until when. A scope that is left keeps nothing; one that goes on only
 * shrinks. */
static void note_members(World *world) {
        Books *books = world->books;
        uint64_t before = books->active;

        books->active = 0;
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if (is_active(&books->deeds[place]))
                        books->active |= books->deeds[place].members;
        for (unsigned i = 0; i < world->graph.n; i++) {
                Book *book = &books->services[i];

                if (((before | books->active) & bit(i)) != 0)
                        book->scope = books_scope(world, i);
        }
}

/* Asked for by us, or by the machine itself because a service ended for good. */
static uint64_t expected_members(World *world, const Operation *operation) {
        Books *books = world->books;
        uint64_t asked = 0;

        if ((operation->flags & OPERATION_ALL) != 0)
                return everybody(world) & not_stopped(world);
        if (operation->cause.kind == CAUSE_CLIENT)
                return books->asked & not_stopped(world);
        for (unsigned i = 0; i < world->graph.n; i++)
                for (unsigned j = 0; j < world->graph.n; j++)
                        if (strcmp(world->graph.names[j], operation->cause.service) == 0 && world->graph.requires[i][j])
                                asked |= bit(i);
        return books_closure(world, asked) & not_stopped(world);
}

static void begin_deed(World *world, unsigned place, const Operation *operation) {
        Deed *deed = &world->books->deeds[place];
        uint64_t members = expected_members(world, operation), reported = 0;
        unsigned n = 0;
        bool is_alone = true;

        books_check(world, !is_active(deed), CONTINUITY, "operation %" PRIu64 " takes the place of one that goes on",
                    operation->id);
        for (unsigned i = 0; i < world->graph.n; i++) {
                if (machine_is_member(world->machine, place, i))
                        reported |= bit(i);
                n += (members & bit(i)) != 0;
        }
        books_check(world, members == reported && n == operation->n_members, MEMBERS,
                    "%" PRIx64 " (%u of them), and %" PRIx64 " is right", reported, operation->n_members, members);
        for (unsigned other = 0; other < MACHINE_OPERATIONS_MAX;
             other++) { /* drains that wait for each other plan for themselves */
                is_alone &= other == place || !is_active(&world->books->deeds[other]);
                world->books->deeds[other].plan_end = USEC_INFINITY;
                world->books->deeds[other].is_clean = false;
        }
        *deed = (Deed){
                .id = operation->id,
                .members = members,
                .requested = world->now,
                .deadline = operation->deadline,
                .until = operation->until,
                .is_all = (operation->flags & OPERATION_ALL) != 0,
                .exits = (operation->flags & OPERATION_EXITS) != 0,
                .is_clean =
                        is_alone && world->books->is_clean && operation->budget >= world->graph.n * 200 * USEC_PER_MSEC,
                .plan_end = USEC_INFINITY,
        };
}

static void follow_deed(World *world, Deed *deed, const Operation *operation) {
        bool outlived = deed->was_lapsed || is_lapsed(deed, world->now);

        books_check(world, operation->deadline <= deed->deadline || outlived, DEADLINE_NEVER_LATER,
                    "operation %" PRIu64 " ends at %" PRIu64 " instead of %" PRIu64, operation->id, operation->deadline,
                    deed->deadline);
        if (operation->deadline != deed->deadline || operation->until != deed->until)
                deed->is_clean &= operation->deadline >= world->now + world->graph.n * 200 * USEC_PER_MSEC;
        deed->deadline = operation->deadline;
        deed->until = operation->until;
        deed->skips |= (operation->flags & OPERATION_SKIPS) != 0;
        deed->exits |= (operation->flags & OPERATION_EXITS) != 0;
}

static void end_deed(World *world, const Deed *deed, const Operation *operation) {
        uint64_t running = deed->members & not_stopped(world);

        world->n_drains++;
        if (operation->state == OPERATION_STOPPED) {
                books_check(world, running == 0, STOPPED_IS_EMPTY,
                            "operation %" PRIu64 " has ended, and %" PRIx64 " have not", deed->id, running);
                books_check(world,
                            operation->n_killed == deed->n_killed && operation->n_unkillable == deed->n_unkillable,
                            COUNTS, "operation %" PRIu64 " had %u killed and %u unkillable, %u and %u is right",
                            deed->id, operation->n_killed, operation->n_unkillable, deed->n_killed, deed->n_unkillable);
                books_check(world, !deed->is_clean || world->now - deed->requested <= deed->plan_end, PLAN_HOLDS,
                            "operation %" PRIu64 " took %" PRIu64 ", and %" PRIu64 " was planned", deed->id,
                            world->now - deed->requested, deed->plan_end);
        }
        books_check(world, operation->ended == world->now, COUNTS, "operation %" PRIu64 " ended at another time",
                    deed->id);
}

static void check_held(World *world, const Deed *deed) {
        for (unsigned i = 0; i < world->graph.n; i++) {
                ServiceState state = world->books->services[i].state;

                if ((deed->members & bit(i)) != 0)
                        books_check(world, state >= SERVICE_HELD || state == SERVICE_STOPPED, QUIESCE_ORDER,
                                    "operation %" PRIu64 " holds, and s%02u is %s", deed->id, i,
                                    service_state_name(state));
        }
}

void oracles_on_operation(World *world, unsigned place, const Operation *operation, usec_t now) {
        Deed *deed = &world->books->deeds[place];
        OperationState state = (OperationState) operation->state;

        books_check(world, now == world->now, CONTINUITY, "the machine's time is %" PRIu64, now);
        if (operation->id != deed->id)
                begin_deed(world, place, operation);
        else
                follow_deed(world, deed, operation);
        if (deed->state != state) {
                books_check(world, deed->state != OPERATION_STOPPED && deed->state != OPERATION_RESUMED, CONTINUITY,
                            "operation %" PRIu64 " goes on after its end", deed->id);
                if (state == OPERATION_KILLING)
                        books_check(world, world->now >= deed->deadline || deed->kill_ordered, KILL_NOT_EARLY,
                                    "operation %" PRIu64 " kills", deed->id);
                if (state == OPERATION_HOLDING && world->now < deed->deadline)
                        check_held(world, deed);
                if (state == OPERATION_RESUMED) {
                        books_check(world, !deed->is_signalled, RESUME_WINDOW,
                                    "operation %" PRIu64 " is taken back after its first signal", deed->id);
                        books_check(world, !deed->exits, RESUME_WINDOW,
                                    "operation %" PRIu64 " ends draind, and is taken back", deed->id);
                }
                deed->state = state;
                if (!operation_state_is_active(state))
                        end_deed(world, deed, operation);
        }
        note_members(world);
}

/* --- requests --- */

void oracles_before_request(World *world) {
        Books *books = world->books;

        for (unsigned i = 0; i < world->graph.n; i++)
                books->cells_before[i] = *machine_cell(world->machine, i);
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                books->operations_before[place] = *machine_operation(world->machine, place);
        books->n_deeds_before = books->n_deeds_done;
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                books->deeds[place].was_lapsed = is_lapsed(&books->deeds[place], world->now);
}

static bool is_unchanged(World *world) {
        for (unsigned i = 0; i < world->graph.n; i++)
                if (memcmp(&world->books->cells_before[i], machine_cell(world->machine, i), sizeof(Cell)) != 0)
                        return false;
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if (memcmp(&world->books->operations_before[place], machine_operation(world->machine, place),
                           sizeof(Operation)) != 0)
                        return false;
        return world->books->n_deeds_before == world->books->n_deeds_done;
}

void oracles_after_request(World *world, int r, const char *why) {
        if (r != MACHINE_REFUSED && r != MACHINE_NOTHING)
                return;
        books_check(world, is_unchanged(world), REFUSED_CHANGES_NOTHING, "the answer was %d: %s", r, why ? why : "-");
        books_check(world, r != MACHINE_REFUSED || (why && why[0] != '\0'), REFUSED_CHANGES_NOTHING,
                    "a refusal does not say why");
}

static usec_t plan_for(World *world, usec_t budget) {
        PlanRow rows[GRAPH_SERVICES_MAX];

        return machine_plan(world->machine, budget, rows);
}

/* Nothing is on its way: what the plan says is then all that can happen. */
static bool is_steady(const World *world) {
        if (!world->graph.is_timid)
                return false;
        for (unsigned i = 0; i < world->graph.n; i++)
                if (world->books->services[i].state != SERVICE_RUNNING &&
                    world->books->services[i].state != SERVICE_STOPPED)
                        return false;
        return true;
}

void oracles_before_drain(World *world, const DrainRequest *request) {
        Books *books = world->books;
        usec_t budget = request->budget == USEC_INFINITY ? world->graph.model.grace : request->budget;

        books->asked = 0;
        for (unsigned i = 0; i < request->n_services; i++)
                books->asked |= bit(request->services[i]);
        books->asked = request->services ? books_closure(world, books->asked) : everybody(world);
        books->asked_deadline = usec_add(world->now, budget);
        books->asked_plan = USEC_INFINITY;
        if (books->is_clean && !request->services && request->until == DRAIN_UNTIL_STOPPED && is_steady(world))
                books->asked_plan = plan_for(world, budget);
        oracles_before_request(world);
}

static void check_joined(World *world, const DrainRequest *request, const Deed *deed, const Operation *operation) {
        Books *books = world->books;
        const Operation *before = NULL;

        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if (books->operations_before[place].id == deed->id)
                        before = &books->operations_before[place];
        if (!before) {
                books_fail(world, ORACLE_CONTINUITY, "operation %" PRIu64 " was joined, and was not there", deed->id);
                return;
        }
        if (!deed->was_lapsed)
                books_check(world, operation->deadline == usec_min(before->deadline, books->asked_deadline),
                            EARLIER_WINS, "operation %" PRIu64 " ends at %" PRIu64 ", of %" PRIu64 " and %" PRIu64,
                            deed->id, operation->deadline, before->deadline, books->asked_deadline);
        if (operation->deadline == before->deadline && operation->until == before->until &&
            (request->flags & OPERATION_SKIPS) == 0)
                books_check(world, books->n_deeds_done == books->n_deeds_before, REPEAT_IS_SILENT, "operation %" PRIu64,
                            deed->id);
        books_check(world, operation->until == DRAIN_UNTIL_STOPPED || request->until == DRAIN_UNTIL_QUIESCED,
                    EARLIER_WINS, "operation %" PRIu64 " still ends with quiesced", deed->id);
        books_check(world, operation->n_asked == before->n_asked + 1, COUNTS,
                    "operation %" PRIu64 " was asked for %u times", deed->id, operation->n_asked);
}

void oracles_after_drain(World *world, const DrainRequest *request, int r, uint64_t id, const char *why) {
        Books *books = world->books;
        const Operation *operation = machine_operation_find(world->machine, id);
        Deed *deed = find_deed(world, id);
        uint64_t wanted = books->asked & not_stopped(world);

        oracles_after_request(world, r, why);
        if (r == MACHINE_NOTHING) {
                books_check(world, wanted == 0, MEMBERS, "there is something to drain: %" PRIx64, wanted);
                return;
        }
        if (r == MACHINE_REFUSED) {
                books_check(world, request->services, MEMBERS, "a drain of everything is refused");
                return;
        }
        if (!operation || !deed) {
                books_fail(world, ORACLE_CONTINUITY, "operation %" PRIu64 " is not there", id);
                return;
        }
        books_check(world, (wanted & ~deed->members) == 0, MEMBERS, "operation %" PRIu64 " lacks %" PRIx64, id,
                    wanted & ~deed->members);
        books_check(world, operation->deadline <= books->asked_deadline || r == MACHINE_JOINED, EARLIER_WINS,
                    "operation %" PRIu64, id);
        if (r == MACHINE_JOINED)
                check_joined(world, request, deed, operation);
        else if (operation->state != OPERATION_STOPPED) {
                books_check(world, operation->deadline == books->asked_deadline, EARLIER_WINS,
                            "operation %" PRIu64 " ends at %" PRIu64, id, operation->deadline);
                deed->plan_end = books->asked_plan;
        }
}

void oracles_before_resume(World *world, uint64_t id) {
        oracles_before_request(world);
        world->books->told_before = 0;
        world->books->failed_now = 0; /* those that need it may be taken back */
        for (unsigned i = 0; i < world->graph.n; i++)
                if (world->books->services[i].was_told)
                        world->books->told_before |= bit(i);
}

void oracles_after_resume(World *world, uint64_t id, int r, const char *why) {
        const Deed *deed = find_deed(world, id);
        const Operation *before = NULL;

        oracles_after_request(world, r, why);
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if (world->books->operations_before[place].id == id)
                        before = &world->books->operations_before[place];
        if (!deed || !before || !operation_state_is_active((OperationState) before->state)) {
                books_check(world, r == MACHINE_NOTHING, RESUME_WINDOW,
                            "there is no operation %" PRIu64 " to take back", id);
                return;
        }
        if (deed->is_signalled || deed->exits || deed->kill_ordered)
                books_check(world, r == MACHINE_REFUSED, RESUME_WINDOW, "operation %" PRIu64 " is taken back too late",
                            id);
        else if (!deed->is_half_signalled && before->state != OPERATION_KILLING)
                books_check(world, r == 0, RESUME_WINDOW, "operation %" PRIu64 " cannot be taken back: %s", id,
                            why ? why : "-");
        if (r != 0)
                return;
        books_check(world, !is_active(deed), RESUME_WHOLE, "operation %" PRIu64 " goes on", id);
        for (unsigned i = 0; i < world->graph.n; i++) {
                const Book *book = &world->books->services[i];
                bool is_held = book->state >= SERVICE_PENDING && book->state <= SERVICE_HELD;

                if ((deed->members & bit(i)) == 0 || books_is_active(world, i))
                        continue;
                books_check(world, !is_held, RESUME_WHOLE, "s%02u is still %s", i, service_state_name(book->state));
                if ((world->books->told_before & bit(i)) != 0 && service_state_public(book->state) != PUBLIC_DRAINING &&
                    book->state != SERVICE_STOPPED)
                        books_check(world, !book->was_told, RESUME_WHOLE,
                                    "s%02u was not told that the drain was taken back", i);
        }
}

void oracles_before_harder(World *world, uint64_t id, bool to_kill) {
        Deed *deed = find_deed(world, id);

        oracles_before_request(world);
        if (!deed || !is_active(deed))
                return;
        deed->is_clean = false;
        if (to_kill) {
                deed->kill_ordered = true;
                deed->killed_at = world->now;
        } else {
                deed->skips = true;
                deed->until = DRAIN_UNTIL_STOPPED;
        }
}

void oracles_after_harder(World *world, uint64_t id, bool to_kill, int r) {
        oracles_after_request(world, r, "-");
        (void) id;
        (void) to_kill;
}

void oracles_before_start_all(World *world) {
        (void) world;
}

void oracles_before_start(World *world, unsigned service) {
        oracles_before_request(world);
        world->books->everything_drained = books_everything_drains(world);
        (void) service;
}

void oracles_after_start(World *world, unsigned service, int r, const char *why) {
        oracles_after_request(world, r, why);
        books_check(world, !world->books->everything_drained || r == MACHINE_REFUSED, NO_START_IN_DRAIN,
                    "s%02u is started while everything drains", service);
}
