#include "books.h"

#include <string.h>

/* The moment at which each state must be over, worked out from wishes, grants and what was asked for. */

#define KILL_MOMENT (100 * USEC_PER_MSEC) /* what KILL gets even when the time is over */
#define EXACT_MAX 12u                     /* services; larger graphs are held against bounds */

static const ServiceConfig *config_of(const World *world, unsigned service) {
        return &world->graph.services[service];
}

static usec_t minus(usec_t a, usec_t b) {
        return a == USEC_INFINITY ? a : a > b ? a - b : 0;
}

static usec_t longer(usec_t a, usec_t b) {
        return a > b ? a : b;
}

static usec_t scaled(usec_t time, double scale) {
        return scale >= 1 ? time : (usec_t) ((double) time * scale);
}

Share books_share(const World *world, unsigned service, ShareStage stage) {
        ShareStage stages[GRAPH_SERVICES_MAX];

        for (unsigned i = 0; i < world->graph.n; i++) {
                ServiceState state = world->books->services[i].state;

                if (!books_is_active(world, i) || state == SERVICE_STOPPED || state > SERVICE_HELD)
                        stages[i] = SHARE_GONE;
                else
                        stages[i] = state == SERVICE_HELD ? SHARE_SECOND : SHARE_BOTH;
        }
        stages[service] = stage;
        return share_of(&world->graph, stages, service, usec_left(world->books->services[service].scope, world->now),
                        world->graph.n <= EXACT_MAX);
}

/* The machine's own word for a time that was bent on the way, where it keeps the bounds. */
static usec_t claim(World *world, unsigned service, usec_t latest) {
        usec_t deadline = machine_cell(world->machine, service)->deadline;

        books_check(world, deadline <= latest, DEADLINE_NEVER_LATER,
                    "s%02u has its deadline at %llu, and it may not be after %llu", service,
                    (unsigned long long) deadline, (unsigned long long) latest);
        return deadline;
}

static usec_t time_first_step(World *world, unsigned service, ServiceState to) {
        Book *book = &world->books->services[service];
        Share share = books_share(world, service, SHARE_BOTH);
        bool skips = books_skips(world, service);

        book->tolerance = books_tolerance(world, &share);
        book->quiesce_for = share.quiesce;
        book->is_bent = share.is_cut && world->graph.n > EXACT_MAX;
        if (to == SERVICE_WITHDRAW || to == SERVICE_QUIESCE)
                books_check(world, !skips, NO_WAITING, "s%02u begins to withdraw or quiesce although that was skipped",
                            service);
        if (book->is_bent)
                return claim(world, service, book->scope);
        if (to == SERVICE_WITHDRAW)
                books_check(world, share.withdraw + book->tolerance > 0, CUT_ORDER,
                            "s%02u withdraws without having time for it", service);
        else
                books_check(world, share.withdraw <= book->tolerance, WHOLE_WISH,
                            "s%02u does not withdraw, with %llu us granted", service,
                            (unsigned long long) share.withdraw);
        return world->now + (to == SERVICE_WITHDRAW ? share.withdraw : share.quiesce);
}

static Share begin_second_step(World *world, unsigned service) {
        const ServiceConfig *config = config_of(world, service);
        Book *book = &world->books->services[service];
        usec_t grace = world->graph.model.grace, ladder = 0, room;
        Share share;

        if (books_is_active(world, service)) {
                share = books_share(world, service, SHARE_SECOND);
                book->tolerance = books_tolerance(world, &share);
                book->is_bent = share.is_cut && world->graph.n > EXACT_MAX;
                book->ladder_scale = share.ladder_scale;
                book->limit = longer(world->now, minus(book->scope, share.kill + share.rest));
                return share;
        }
        /* A stop of its own has the manager's grace period. */
        for (unsigned i = 0; i < config->n_rungs; i++)
                ladder += config->rungs[i].time;
        book->scope = world->now + grace;
        book->limit = book->scope - usec_min(config->kill_reserve, grace);
        room = book->limit - world->now;
        book->ladder_scale = ladder > room ? (double) room / (double) ladder : 1;
        book->tolerance = ladder > room ? 8 : 0;
        book->is_bent = false;
        return (Share){ .ladder = scaled(ladder, book->ladder_scale), .ladder_scale = book->ladder_scale };
}

static usec_t time_rung(World *world, unsigned service, unsigned rung) {
        const ServiceConfig *config = config_of(world, service);
        Book *book = &world->books->services[service];

        if (rung + 1 >= config->n_rungs)
                return book->kill_by;
        return usec_min(world->now + scaled(config->rungs[rung].time, book->ladder_scale), book->kill_by);
}

/* The ladder begins late. Of what the loop has lost, as much is made good as is known to be free: at the least nothing.
 */
static void bend_late_ladder(World *world, unsigned service, usec_t granted) {
        Book *book = &world->books->services[service];
        usec_t kill_by = machine_cell(world->machine, service)->kill_by;

        books_check(world, kill_by <= book->kill_by + book->tolerance, DEADLINE_NEVER_LATER,
                    "s%02u is to be killed at %llu, after %llu", service, (unsigned long long) kill_by,
                    (unsigned long long) book->kill_by);
        books_check(world, kill_by + book->tolerance >= usec_min(granted, book->kill_by), RUNG_TIME,
                    "s%02u is to be killed at %llu, and had until %llu", service, (unsigned long long) kill_by,
                    (unsigned long long) granted);
        book->kill_by = kill_by;
        book->is_bent = true;
}

static void time_terminate(World *world, unsigned service, ServiceState from, ServiceEvent on) {
        const ServiceConfig *config = config_of(world, service);
        Book *book = &world->books->services[service];
        unsigned rung = machine_cell(world->machine, service)->rung;
        bool is_late = from == SERVICE_STOP_HOOK && world->now > book->due; /* the loop was */
        usec_t ladder = 0, before;

        if (from == SERVICE_TERMINATE && on != EV_DEADLINE)
                return;
        if (from != SERVICE_TERMINATE && from != SERVICE_STOP_HOOK)
                (void) begin_second_step(world, service);
        book->kill_tolerance = book->tolerance;
        if (from != SERVICE_TERMINATE) {
                for (unsigned i = 0; i < config->n_rungs; i++)
                        ladder += scaled(config->rungs[i].time, book->ladder_scale);
                before = book->kill_by;
                book->kill_by = usec_min(world->now + ladder, book->limit);
                if (is_late && !book->is_bent)
                        bend_late_ladder(world, service, before);
        }
        if (book->is_bent) {
                book->kill_by =
                        usec_min(machine_cell(world->machine, service)->kill_by, longer(book->scope, world->now));
                book->due = claim(world, service, longer(book->kill_by, world->now));
        } else
                book->due = time_rung(world, service, rung);
}

static void time_stop_hook(World *world, unsigned service, ServiceState from) {
        Book *book = &world->books->services[service];
        Share share;

        if (from == SERVICE_STOP_HOOK)
                return;
        share = begin_second_step(world, service);
        book->kill_tolerance = book->tolerance;
        if (book->is_bent) {
                book->due = claim(world, service, longer(book->scope, world->now));
                book->kill_by = machine_cell(world->machine, service)->kill_by;
                return;
        }
        book->due = usec_min(world->now + share.stop_hook, book->limit);
        book->kill_by = usec_min(book->due + share.ladder, book->limit);
}

static void time_last_steps(World *world, unsigned service, ServiceState to) {
        Book *book = &world->books->services[service];
        usec_t reserve = config_of(world, service)->kill_reserve;
        usec_t least = world->now + (to == SERVICE_KILL ? usec_min(reserve, KILL_MOMENT) : 0);

        if (!books_is_active(world, service) && (to == SERVICE_POST || book->scope < world->now))
                book->scope = world->now + world->graph.model.grace;
        book->due = longer(least, usec_min(book->scope, world->now + reserve));
        book->tolerance = 0;
        book->is_bent = false;
}

/* Nothing begins, but a time was made shorter, or longer by the service's own wish: bounds hold. */
static void retime(World *world, unsigned service, ServiceState state) {
        Book *book = &world->books->services[service];
        const Cell *cell = machine_cell(world->machine, service);

        if (state == SERVICE_PENDING || state == SERVICE_HELD || state == SERVICE_RUNNING)
                return;
        if (state == SERVICE_WITHDRAW && cell->quiesce_for < book->quiesce_for)
                book->quiesce_for = cell->quiesce_for;
        if (cell->limit < book->limit && (state == SERVICE_STOP_HOOK || state == SERVICE_TERMINATE)) {
                book->is_bent |= cell->limit + book->tolerance + 8 < book->limit;
                book->limit = cell->limit;
        }
        if (cell->deadline == book->reported_deadline && cell->kill_by == book->reported_kill_by)
                return;
        if (state == SERVICE_STOP_HOOK || state == SERVICE_TERMINATE) {
                books_check(world, cell->kill_by <= longer(book->kill_by + book->tolerance, world->now),
                            DEADLINE_NEVER_LATER, "s%02u is to be killed at %llu, after %llu", service,
                            (unsigned long long) cell->kill_by, (unsigned long long) book->kill_by);
                book->kill_by = cell->kill_by;
                book->kill_tolerance = 0;
        }
        book->due = claim(world, service, book->due + book->tolerance);
        book->tolerance = 0;
        book->is_bent = true;
}

static void time_new(World *world, unsigned service, ServiceState from, ServiceEvent on) {
        Book *book = &world->books->services[service];
        ServiceState to = book->state;

        if (books_is_active(world, service))
                book->scope = books_scope(world, service);
        switch (to) {
        case SERVICE_STOPPED:
        case SERVICE_QUEUED:
        case SERVICE_PENDING: /* see books_due() */
        case SERVICE_HELD:
                book->due = USEC_INFINITY;
                book->tolerance = 0;
                break;
        case SERVICE_BACKOFF:
                book->due = usec_add(world->now, book->backoff);
                book->tolerance = 0;
                break;
        case SERVICE_START_PRE:
        case SERVICE_STARTING:
                if (from == SERVICE_QUEUED || service_state_public(from) == PUBLIC_DRAINING)
                        book->start_by = usec_add(world->now, config_of(world, service)->start_timeout);
                book->due = book->start_by;
                book->tolerance = 0;
                break;
        case SERVICE_RUNNING:
                if (from != SERVICE_RUNNING)
                        book->due = config_of(world, service)->watchdog > 0
                                            ? world->now + config_of(world, service)->watchdog
                                            : USEC_INFINITY;
                book->tolerance = 0;
                break;
        case SERVICE_RELOADING:
                if (from != SERVICE_RELOADING)
                        book->due = usec_add(world->now, config_of(world, service)->start_timeout);
                break;
        case SERVICE_WITHDRAW:
        case SERVICE_QUIESCE:
                if (from == SERVICE_PENDING)
                        book->due = time_first_step(world, service, to);
                else if (from == SERVICE_WITHDRAW && to == SERVICE_QUIESCE)
                        book->due =
                                book->is_bent ? claim(world, service, USEC_INFINITY) : world->now + book->quiesce_for;
                break;
        case SERVICE_STOP_HOOK:
                time_stop_hook(world, service, from);
                break;
        case SERVICE_TERMINATE:
                time_terminate(world, service, from, on);
                break;
        case SERVICE_KILL:
        case SERVICE_POST:
                if (from != to)
                        time_last_steps(world, service, to);
                break;
        case SERVICE_STATE_MAX:
                break;
        }
}

void books_time_state(World *world, unsigned service, ServiceState from, ServiceEvent on) {
        Book *book = &world->books->services[service];
        ServiceState to = book->state;

        if (from == to && (on == EV_RETIME || on == EV_RESTORED || on == EV_DRAIN))
                retime(world, service, to);
        else
                time_new(world, service, from, on);
        book->reported_deadline = machine_cell(world->machine, service)->deadline;
        book->reported_kill_by = machine_cell(world->machine, service)->kill_by;
}

usec_t books_due(const World *world, unsigned service) {
        const Book *book = &world->books->services[service];

        if (book->state == SERVICE_PENDING || book->state == SERVICE_HELD)
                return books_proceeds(world, service) ? book->scope : USEC_INFINITY;
        return book->due;
}
