#include "machine.h"

#include "machine-private.h"

/* Every deadline is made here: of the state that a service is in, at the moment it comes into it, cut from what its
 * scope still has. Afterwards it only moves earlier, or later when the service itself asks for it. */

/* KILL needs a moment to work even when the time is over already. */
#define KILL_FLOOR_USEC (100 * USEC_PER_MSEC)

usec_t machine_kill_floor(const Machine *machine, unsigned service) {
        return usec_min(machine_config(machine, service)->kill_reserve, KILL_FLOOR_USEC);
}

Grant machine_grant_now(Machine *machine, unsigned service, BudgetStage stage) {
        unsigned char kept = machine->stages[service];
        Grant grant;

        machine->stages[service] = (unsigned char) stage;
        grant = budget_grant(machine->budget, service, machine->stages,
                             usec_left(machine->cells[service].scope, machine->now));
        machine->stages[service] = kept;
        return grant;
}

usec_t machine_rung_time(const Machine *machine, unsigned service, unsigned rung) {
        const ServiceConfig *config = machine_config(machine, service);
        uint32_t scale = machine->cells[service].ladder_scale;

        if (rung >= config->n_rungs)
                return 0;
        return (usec_t) ((unsigned __int128) config->rungs[rung].time * scale / BUDGET_SCALE_ONE);
}

static usec_t ladder_left(const Machine *machine, unsigned service, unsigned from) {
        usec_t left = 0;

        for (unsigned i = from; i < machine_config(machine, service)->n_rungs; i++)
                left = usec_add(left, machine_rung_time(machine, service, i));
        return left;
}

/* A stop that no operation asked for (a failed start, a crash with processes left, a watchdog) has the manager's
 * grace period as its scope. */
static void begin_local_scope(Machine *machine, Cell *cell) {
        cell->scope = usec_add(machine->now, machine->model->grace);
        cell->drain_began = machine->now;
        cell->drain_budget = machine->model->grace;
}

/* The second step begins: what it is granted, and how far the service may ask for more. */
static Grant begin_second_step(Machine *machine, unsigned service) {
        Cell *cell = &machine->cells[service];
        Grant grant;

        if (machine_active_of(machine, service) == 0) {
                Wish wish = budget_wish(machine_config(machine, service));

                begin_local_scope(machine, cell);
                cell->ladder_scale = BUDGET_SCALE_ONE;
                cell->limit = cell->scope - usec_min(wish.kill, machine->model->grace);
                if (wish.ladder > usec_left(cell->limit, machine->now))
                        cell->ladder_scale = (uint32_t) ((unsigned __int128) usec_left(cell->limit, machine->now)
                                                         * BUDGET_SCALE_ONE / wish.ladder);
                return (Grant) { .ladder = wish.ladder, .kill = wish.kill };
        }
        grant = machine_grant_now(machine, service, BUDGET_TO_SIGNAL);
        cell->ladder_scale = grant.ladder_scale;
        cell->limit = usec_left(cell->scope, usec_add(grant.kill, grant.rest));
        if (cell->limit < machine->now)
                cell->limit = machine->now;
        return grant;
}

static void time_terminate(Machine *machine, unsigned service, ServiceState from, ServiceEvent on) {
        Cell *cell = &machine->cells[service];

        if (from == SERVICE_TERMINATE && on != EV_DEADLINE)
                return;
        if (from != SERVICE_TERMINATE && from != SERVICE_STOP_HOOK)
                (void) begin_second_step(machine, service); /* its times are kept in the cell */
        if (from != SERVICE_TERMINATE)
                cell->kill_by = usec_min(usec_add(machine->now, ladder_left(machine, service, 0)), cell->limit);
        cell->deadline = usec_min(usec_add(machine->now, machine_rung_time(machine, service, cell->rung)), cell->kill_by);
        if (cell->rung + 1u >= machine_config(machine, service)->n_rungs)
                cell->deadline = cell->kill_by;
}

static void time_stop_hook(Machine *machine, unsigned service, ServiceState from) {
        Cell *cell = &machine->cells[service];
        Grant grant;

        if (from == SERVICE_STOP_HOOK)
                return; /* all its commands share one time */
        grant = begin_second_step(machine, service);
        cell->deadline = usec_min(usec_add(machine->now, grant.stop_hook), cell->limit);
        cell->kill_by = usec_min(usec_add(cell->deadline, grant.ladder), cell->limit);
}

static void time_kill(Machine *machine, unsigned service) {
        const ServiceConfig *config = machine_config(machine, service);
        Cell *cell = &machine->cells[service];
        usec_t floor = usec_add(machine->now, machine_kill_floor(machine, service));

        if (machine_active_of(machine, service) == 0 && cell->scope < machine->now)
                begin_local_scope(machine, cell);
        cell->kill_by = usec_min(cell->kill_by, machine->now);
        cell->deadline = deadline_within(cell->scope, machine->now, config->kill_reserve);
        if (cell->deadline < floor)
                cell->deadline = floor;
}

static void time_post(Machine *machine, unsigned service, ServiceState from) {
        Cell *cell = &machine->cells[service];

        if (from == SERVICE_POST)
                return;
        if (machine_active_of(machine, service) == 0)
                begin_local_scope(machine, cell);
        cell->deadline = deadline_within(cell->scope, machine->now, machine_config(machine, service)->kill_reserve);
        if (cell->deadline < machine->now)
                cell->deadline = machine->now;
}

static void time_starting(Machine *machine, unsigned service, ServiceState from) {
        Cell *cell = &machine->cells[service];

        if (from == SERVICE_QUEUED || service_state_public(from) == PUBLIC_DRAINING) /* the latter: taken back */
                cell->start_by = usec_add(machine->now, machine_config(machine, service)->start_timeout);
        cell->deadline = cell->start_by;
}

static void time_running(Machine *machine, unsigned service, ServiceState from) {
        usec_t watchdog = machine_config(machine, service)->watchdog;
        Cell *cell = &machine->cells[service];

        if (from != SERVICE_RUNNING)
                cell->watchdog_by = watchdog > 0 ? usec_add(machine->now, watchdog) : USEC_INFINITY;
        cell->start_by = USEC_INFINITY;
        cell->deadline = cell->watchdog_by;
}

static void end_times(Cell *cell) {
        cell->deadline = cell->start_by = cell->watchdog_by = USEC_INFINITY;
        cell->kill_by = cell->limit = USEC_INFINITY;
        cell->quiesce_for = 0;
}

/* Before a new core has done so, a deadline that was recorded stands. */
static bool keeps_time(ServiceEvent on) {
        return on == EV_RESTORED || on == EV_RETIME || on == EV_DRAIN;
}

void machine_time_state(Machine *machine, unsigned service, ServiceState from, ServiceEvent on) {
        Cell *cell = &machine->cells[service];
        ServiceState state = cell->state;

        if (from == state && keeps_time(on))
                return;
        if (machine_active_of(machine, service) != 0)
                cell->scope = machine_scope_of(machine, service);
        switch (state) {
        case SERVICE_STOPPED:
        case SERVICE_QUEUED:
                end_times(cell);
                break;
        case SERVICE_BACKOFF:
                end_times(cell);
                cell->deadline = usec_add(machine->now, cell->backoff);
                break;
        case SERVICE_START_PRE:
        case SERVICE_STARTING:
                time_starting(machine, service, from);
                break;
        case SERVICE_RUNNING:
                time_running(machine, service, from);
                break;
        case SERVICE_RELOADING:
                if (from != SERVICE_RELOADING)
                        cell->deadline = usec_add(machine->now, machine_config(machine, service)->start_timeout);
                break;
        case SERVICE_PENDING:
        case SERVICE_HELD:
                cell->deadline = machine_proceeds(machine, service) ? cell->scope : USEC_INFINITY;
                break;
        case SERVICE_WITHDRAW:
        case SERVICE_QUIESCE:
                if (from == SERVICE_PENDING) {
                        Grant grant = machine_grant_now(machine, service, BUDGET_WHOLE);

                        cell->quiesce_for = grant.quiesce;
                        cell->deadline = usec_add(machine->now, state == SERVICE_WITHDRAW ? grant.withdraw : grant.quiesce);
                } else if (from == SERVICE_WITHDRAW && state == SERVICE_QUIESCE)
                        cell->deadline = usec_add(machine->now, cell->quiesce_for);
                break;
        case SERVICE_STOP_HOOK:
                time_stop_hook(machine, service, from);
                break;
        case SERVICE_TERMINATE:
                time_terminate(machine, service, from, on);
                break;
        case SERVICE_KILL:
                if (from != SERVICE_KILL)
                        time_kill(machine, service);
                break;
        case SERVICE_POST:
                time_post(machine, service, from);
                break;
        case SERVICE_STATE_MAX:
        default:
                break;
        }
}

static usec_t shrunk(usec_t deadline, usec_t now, usec_t left_before, usec_t left_after) {
        usec_t left = usec_left(deadline, now);

        if (left_before == 0)
                return now;
        return now + (usec_t) ((unsigned __int128) left * left_after / left_before);
}

/* What is left of the ladder is compressed as a whole, so that every rung to come is still heard. */
static void shorten_ladder(Machine *machine, Cell *cell, const Grant *grant) {
        usec_t limit = usec_left(cell->scope, usec_add(grant->kill, grant->rest));
        usec_t before = usec_left(cell->kill_by, machine->now), after = usec_left(limit, machine->now);

        cell->limit = usec_min(cell->limit, limit > machine->now ? limit : machine->now);
        if (after >= before)
                return;
        cell->deadline = usec_min(cell->deadline, shrunk(cell->deadline, machine->now, before, after));
        cell->kill_by = machine->now + after;
        cell->ladder_scale = (uint32_t) ((unsigned __int128) cell->ladder_scale * after / before);
}

void machine_time_shorten(Machine *machine, unsigned service) {
        Cell *cell = &machine->cells[service];
        usec_t floor = usec_add(machine->now, machine_kill_floor(machine, service));
        Grant grant;

        switch ((ServiceState) cell->state) {
        case SERVICE_PENDING:
        case SERVICE_HELD:
                cell->deadline = machine_proceeds(machine, service) ? cell->scope : USEC_INFINITY;
                break;
        case SERVICE_WITHDRAW:
                grant = machine_grant_now(machine, service, BUDGET_WHOLE);
                cell->deadline = usec_min(cell->deadline, usec_add(machine->now, grant.withdraw));
                cell->quiesce_for = usec_min(cell->quiesce_for, grant.quiesce);
                break;
        case SERVICE_QUIESCE:
                grant = machine_grant_now(machine, service, BUDGET_WHOLE);
                cell->deadline = usec_min(cell->deadline, usec_add(machine->now, grant.quiesce));
                break;
        case SERVICE_STOP_HOOK:
        case SERVICE_TERMINATE:
                grant = machine_grant_now(machine, service, BUDGET_TO_SIGNAL);
                shorten_ladder(machine, cell, &grant);
                break;
        case SERVICE_KILL:
                cell->deadline = usec_min(cell->deadline, cell->scope > floor ? cell->scope : floor);
                break;
        case SERVICE_POST:
                cell->deadline = usec_min(cell->deadline, cell->scope > machine->now ? cell->scope : machine->now);
                break;
        case SERVICE_STOPPED:
        case SERVICE_QUEUED:
        case SERVICE_BACKOFF:
        case SERVICE_START_PRE:
        case SERVICE_STARTING:
        case SERVICE_RUNNING:
        case SERVICE_RELOADING:
        case SERVICE_STATE_MAX:
        default:
                return;
        }
        machine_post(machine, service, EV_RETIME);
}

/* --- what a service says about its own time --- */

void machine_ready(Machine *machine, unsigned service, usec_t now) {
        Cell *cell = &machine->cells[service];
        bool is_starting = cell->state == SERVICE_STARTING || (cell->state == SERVICE_HELD && cell_has(cell, CELL_LEADER));

        if (!is_starting || machine_config(machine, service)->type != SERVICE_NOTIFY)
                return;
        cell_set(cell, CELL_READY, true);
        machine_post(machine, service, EV_READY);
        machine_run(machine, now);
}

void machine_watchdog_ping(Machine *machine, unsigned service, usec_t now) {
        machine_watchdog_interval(machine, service, machine_config(machine, service)->watchdog, now);
}

void machine_watchdog_interval(Machine *machine, unsigned service, usec_t interval, usec_t now) {
        Cell *cell = &machine->cells[service];

        machine_at(machine, now);
        if (cell->watchdog_by == USEC_INFINITY || interval == 0)
                return;
        cell->watchdog_by = usec_add(machine->now, interval);
        if (cell->state != SERVICE_RUNNING)
                return;
        cell->deadline = cell->watchdog_by;
        machine_post(machine, service, EV_RETIME);
        machine_run(machine, now);
}

void machine_watchdog_failed(Machine *machine, unsigned service, usec_t now) {
        machine_post(machine, service, EV_WATCHDOG);
        machine_run(machine, now);
}

void machine_guards(Machine *machine, unsigned service, bool hold, usec_t now) {
        if (!hold)
                return;
        machine_post(machine, service, EV_GUARDS_HOLD);
        machine_run(machine, now);
}

/* A lease: the service must ask again before it runs out, and never gets past its limit. */
bool machine_extend(Machine *machine, unsigned service, usec_t by, usec_t now) {
        Cell *cell = &machine->cells[service];
        usec_t wanted, moved;

        machine_at(machine, now);
        wanted = usec_add(machine->now, by);
        switch ((ServiceState) cell->state) {
        case SERVICE_START_PRE:
        case SERVICE_STARTING:
                if (wanted <= cell->start_by)
                        return false;
                cell->start_by = cell->deadline = wanted;
                break;
        case SERVICE_STOP_HOOK:
        case SERVICE_TERMINATE:
                wanted = usec_min(wanted, cell->limit);
                if (cell->deadline == USEC_INFINITY || wanted <= cell->deadline)
                        return false;
                moved = wanted - cell->deadline;
                cell->deadline = wanted;
                cell->kill_by = usec_min(usec_add(cell->kill_by, moved), cell->limit);
                break;
        case SERVICE_STOPPED:
        case SERVICE_QUEUED:
        case SERVICE_BACKOFF:
        case SERVICE_RUNNING:
        case SERVICE_RELOADING:
        case SERVICE_PENDING:
        case SERVICE_WITHDRAW:
        case SERVICE_QUIESCE:
        case SERVICE_HELD:
        case SERVICE_KILL:
        case SERVICE_POST:
        case SERVICE_STATE_MAX:
        default:
                return false;
        }
        machine_post(machine, service, EV_RETIME);
        machine_run(machine, now);
        return true;
}
