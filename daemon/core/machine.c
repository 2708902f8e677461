#include "machine.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "machine-private.h"

/* Model: facts are taken from cells and graph, the table tells the row, and machine_step() carries it out. News
 * is put in a queue, so that no effect is called from within another; what a change means for neighbours and
 * operations is worked out after the action (machine-drain.c), so that a signal never waits for book-keeping. */

int machine_new(Machine **ret, const Model *model, const Order *order, const MachineEffects *effects, void *userdata) {
        cleanup(machine_freep) Machine *machine = calloc(1, sizeof(*machine));
        size_t n = model->n_services;
        int r;

        if (!machine)
                return -ENOMEM;
        machine->model = model;
        machine->order = order;
        machine->effects = effects;
        machine->userdata = userdata;
        machine->n = model->n_services;
        machine->n_queue = 8 * n + 64;
        machine->cells = calloc(n + 1, sizeof(Cell));
        machine->armed = calloc(n + 1, sizeof(usec_t));
        machine->stages = calloc(n + 1, 1);
        machine->has_gate = calloc(n + 1, sizeof(bool));
        machine->marked = calloc(n + 1, sizeof(unsigned));
        machine->queue = calloc(machine->n_queue, sizeof(Posted));
        if (!machine->cells || !machine->armed || !machine->stages || !machine->has_gate || !machine->marked
            || !machine->queue)
                return -ENOMEM;
        r = budget_new(&machine->budget, order, model->services);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < machine->n; i++) {
                machine->cells[i] = (Cell) {
                        .flags = CELL_EMPTY, .deadline = USEC_INFINITY, .start_by = USEC_INFINITY,
                        .watchdog_by = USEC_INFINITY, .scope = USEC_INFINITY, .kill_by = USEC_INFINITY,
                        .limit = USEC_INFINITY, .ladder_scale = BUDGET_SCALE_ONE,
                };
                machine->armed[i] = USEC_INFINITY;
        }
        *ret = take(machine);
        return 0;
}

Machine *machine_free(Machine *machine) {
        if (!machine)
                return NULL;
        budget_free(machine->budget);
        free(machine->cells);
        free(machine->armed);
        free(machine->stages);
        free(machine->has_gate);
        free(machine->marked);
        free(machine->queue);
        free(machine);
        return NULL;
}

/* --- facts --- */

/* Whether one that goes before is not yet so far. What is only to be quiesced is not waited for any longer than that. */
static bool holds_up(const Machine *machine, unsigned before, bool to_stop) {
        ServiceState state = machine->cells[before].state;

        if (machine_active_of(machine, before) == 0)
                return false;
        return to_stop && machine_proceeds(machine, before) ? state != SERVICE_STOPPED : !machine_is_quiesced(state);
}

unsigned machine_blocker(const Machine *machine, unsigned service, bool to_stop) {
        edges_foreach(before, &machine->order->stop_waits, service)
                if (holds_up(machine, before, to_stop))
                        return before;
        if (machine->order->is_late[service]) /* told when all others have stopped */
                for (unsigned i = 0; i < machine->n; i++)
                        if (!machine->order->is_late[i] && holds_up(machine, i, true))
                                return i;
        return MACHINE_NO_SERVICE;
}

static bool is_its_turn(const Machine *machine, unsigned service, bool to_stop) {
        return machine_blocker(machine, service, to_stop) == MACHINE_NO_SERVICE;
}

static bool is_needed(const Machine *machine, unsigned service, unsigned other) {
        edges_foreach(needed, &machine->order->requires, service)
                if (needed == other)
                        return true;
        return false;
}

static bool may_start(const Machine *machine, unsigned service) {
        edges_foreach(needed, &machine->order->start_needs, service) {
                const Cell *cell = &machine->cells[needed];

                switch ((ServiceState) cell->state) {
                case SERVICE_RUNNING:
                case SERVICE_RELOADING:
                        break;
                case SERVICE_STOPPED:
                        if ((cell_has(cell, CELL_STARTS_AFTER) && machine_active_of(machine, needed) == 0)
                            || (!cell_has(cell, CELL_READY) && is_needed(machine, service, needed)))
                                return false;
                        break;
                case SERVICE_QUEUED:
                case SERVICE_BACKOFF:
                case SERVICE_START_PRE:
                case SERVICE_STARTING:
                case SERVICE_PENDING:
                case SERVICE_WITHDRAW:
                case SERVICE_QUIESCE:
                case SERVICE_HELD:
                case SERVICE_STOP_HOOK:
                case SERVICE_TERMINATE:
                case SERVICE_KILL:
                case SERVICE_POST:
                case SERVICE_STATE_MAX:
                default:
                        return false;
                }
        }
        return true;
}

static bool dependency_failed(const Machine *machine, unsigned service) {
        edges_foreach(needed, &machine->order->requires, service) {
                const Cell *cell = &machine->cells[needed];

                if (cell->state == SERVICE_STOPPED && !cell_has(cell, CELL_READY) && cell_has(cell, CELL_FAILED))
                        return true;
        }
        return false;
}

/* It ran long enough to be taken for well. */
static bool ran_well(const Machine *machine, const Cell *cell, const ServiceConfig *config) {
        return service_state_public(cell->state) == PUBLIC_RUNNING
                && machine->now - usec_min(cell->since, machine->now) >= config->restart_delay_max;
}

static usec_t next_backoff(const Machine *machine, const Cell *cell, const ServiceConfig *config) {
        if (cell->backoff == 0 || ran_well(machine, cell, config))
                return config->restart_delay;
        return usec_min(usec_add(cell->backoff, cell->backoff),
                        config->restart_delay_max > config->restart_delay ? config->restart_delay_max : config->restart_delay);
}

static bool is_limited(const Machine *machine, const Cell *cell, const ServiceConfig *config) {
        usec_t again = usec_add(machine->now, next_backoff(machine, cell, config));

        return config->start_limit_burst > 0 && cell->n_starts >= config->start_limit_burst
                && again <= usec_add(cell->window, config->start_limit_interval);
}

static bool wants_restart(const Machine *machine, unsigned service) {
        const ServiceConfig *config = machine_config(machine, service);
        const Cell *cell = &machine->cells[service];

        if (machine_active_of(machine, service) || !cell_has(cell, CELL_WANTED) || cell->result == RESULT_UNKILLABLE)
                return false;
        return config->restart == RESTART_ALWAYS || (config->restart == RESTART_ON_FAILURE && cell_has(cell, CELL_FAILED));
}

static unsigned n_hook_commands(const ServiceConfig *config, ServiceState state) {
        switch (state) {
        case SERVICE_START_PRE:
                return config->start_pre.n;
        case SERVICE_RELOADING:
                return config->reload.n;
        case SERVICE_STOP_HOOK:
                return config->stop.n;
        case SERVICE_POST:
                return config->stop_post.n;
        case SERVICE_STOPPED:
        case SERVICE_QUEUED:
        case SERVICE_BACKOFF:
        case SERVICE_STARTING:
        case SERVICE_RUNNING:
        case SERVICE_PENDING:
        case SERVICE_WITHDRAW:
        case SERVICE_QUIESCE:
        case SERVICE_HELD:
        case SERVICE_TERMINATE:
        case SERVICE_KILL:
        case SERVICE_STATE_MAX:
        default:
                return 0;
        }
}

/* The part of the facts that is asked of the graph; only where the state can make use of it. */
static void look_around(Machine *machine, unsigned service, ServiceEvent event, ServiceFacts *facts) {
        ServiceState state = machine->cells[service].state;

        if (state == SERVICE_QUEUED && event == EV_GATE && !facts->is_draining) {
                facts->dependency_failed = dependency_failed(machine, service);
                facts->may_start = !facts->dependency_failed && may_start(machine, service);
        }
        if (!facts->is_draining)
                return;
        facts->skips = machine_skips(machine, service);
        facts->may_withdraw = is_its_turn(machine, service, false);
        facts->may_stop = machine_proceeds(machine, service) && is_its_turn(machine, service, true);
        if (state == SERVICE_PENDING && facts->may_withdraw && !facts->skips) {
                Grant grant = machine_grant_now(machine, service, BUDGET_WHOLE);

                facts->has_withdraw = grant.withdraw > 0;
                facts->has_quiesce = grant.quiesce > 0;
        } else if (state == SERVICE_WITHDRAW)
                facts->has_quiesce = machine->cells[service].quiesce_for > 0;
}

static bool was_told(const Cell *cell) {
        switch ((ServiceState) cell->state) {
        case SERVICE_STARTING:
                return cell_has(cell, CELL_LEADER);
        case SERVICE_START_PRE:
        case SERVICE_RELOADING:
        case SERVICE_STOP_HOOK:
        case SERVICE_POST:
                return cell_has(cell, CELL_HOOK);
        case SERVICE_STOPPED:
        case SERVICE_QUEUED:
        case SERVICE_BACKOFF:
        case SERVICE_RUNNING:
        case SERVICE_PENDING:
        case SERVICE_WITHDRAW:
        case SERVICE_QUIESCE:
        case SERVICE_HELD:
        case SERVICE_TERMINATE:
        case SERVICE_KILL:
        case SERVICE_STATE_MAX:
        default:
                return (cell->told & TOLD_ACTION) != 0;
        }
}

static ServiceFacts facts_take(Machine *machine, unsigned service, ServiceEvent event) {
        const ServiceConfig *config = machine_config(machine, service);
        const Cell *cell = &machine->cells[service];
        bool restarts = wants_restart(machine, service);
        bool is_retried = cell_has(cell, CELL_WANTED) && cell_has(cell, CELL_RETRYABLE) && !machine_active_of(machine, service);
        ServiceFacts facts = {
                .is_draining = machine_active_of(machine, service) != 0,
                .has_leader = cell_has(cell, CELL_LEADER),
                .is_empty = cell_has(cell, CELL_EMPTY),
                .is_oneshot = config->type == SERVICE_ONESHOT,
                .has_start_pre = config->start_pre.n > 0,
                .has_reload = config->reload.n > 0,
                .has_stop_hook = config->stop.n > 0,
                .has_stop_post = config->stop_post.n > 0 && !cell_has(cell, CELL_POST_DONE),
                .has_hook = cell_has(cell, CELL_HOOK),
                .has_another_command = cell->hook_index + 1u < n_hook_commands(config, cell->state),
                .has_another_rung = cell->rung + 1u < config->n_rungs,
                .rung_reached_tree = (cell->told & TOLD_TREE) != 0,
                .was_told = was_told(cell),
                .was_ready = cell_has(cell, CELL_READY),
                .will_restart = (restarts && !is_limited(machine, cell, config)) || is_retried,
                .is_retryable = is_retried,
        };

        look_around(machine, service, event, &facts);
        return facts;
}

/* --- the step --- */

static void count_start(Machine *machine, Cell *cell, const ServiceConfig *config) {
        if (cell->n_starts == 0 || machine->now > usec_add(cell->window, config->start_limit_interval)) {
                cell->window = machine->now;
                cell->n_starts = 0;
        }
        if (cell->n_starts < UINT16_MAX)
                cell->n_starts++;
}

static void begin_run(Machine *machine, unsigned service) {
        Cell *cell = &machine->cells[service];

        count_start(machine, cell, machine_config(machine, service));
        cell->result = RESULT_SUCCESS;
        cell->failure = (StartFailure) { 0 };
        cell->flags &= (uint16_t) ~(CELL_READY | CELL_FAILED | CELL_LIMITED | CELL_WAS_KILLED | CELL_POST_DONE | CELL_HOOK
                                    | CELL_RETRYABLE);
        if (cell_has(cell, CELL_LEADER) || !cell_has(cell, CELL_EMPTY)) { /* those that KILL did not end are no part of this run */
                cell_set(cell, CELL_LEADER, false);
                cell_set(cell, CELL_EMPTY, true);
        }
        cell->local_cause = CAUSE_NONE;
        cell->drain_began = 0;
        cell->drain_budget = 0;
}

static void settle_result(Machine *machine, unsigned service, const ServiceRow *row) {
        Cell *cell = &machine->cells[service];

        if (row->action == ACT_ABANDON)
                cell->result = RESULT_UNKILLABLE;
        else if (cell_has(cell, CELL_WAS_KILLED))
                cell->result = RESULT_KILLED;
        if (row->from == SERVICE_QUEUED && dependency_failed(machine, service))
                cell->result = RESULT_DEPENDENCY;
        if (cell->result >= RESULT_TIMEOUT)
                cell_set(cell, CELL_FAILED, true);
}

/* What changes in the cell with the row, before anybody is told. */
static void cell_follow(Machine *machine, unsigned service, const ServiceRow *row) {
        const ServiceConfig *config = machine_config(machine, service);
        Cell *cell = &machine->cells[service];
        PublicState before = service_state_public(row->from), after = service_state_public(row->to);

        if (row->from == SERVICE_STOPPED)
                cell_set(cell, CELL_STARTS_AFTER, false);
        if (after != PUBLIC_RUNNING && ran_well(machine, cell, config))
                cell->backoff = 0;
        if (row->from == SERVICE_QUEUED && row->to != SERVICE_STOPPED && row->to != SERVICE_QUEUED)
                begin_run(machine, service);
        if (row->on == EV_DEADLINE && (row->from == SERVICE_STARTING || row->from == SERVICE_START_PRE)) {
                cell->result = RESULT_TIMEOUT;
                cell->local_cause = CAUSE_TIMEOUT;
        }
        if (row->on == EV_WATCHDOG) {
                cell->result = RESULT_TIMEOUT;
                cell->local_cause = CAUSE_TIMEOUT;
        }
        if (row->from != row->to && (row->to == SERVICE_STOPPED || row->to == SERVICE_BACKOFF)) {
                settle_result(machine, service, row);
                if (row->to == SERVICE_STOPPED && wants_restart(machine, service) && is_limited(machine, cell, config))
                        cell_set(cell, CELL_LIMITED, true);
                if (config->type != SERVICE_ONESHOT)
                        cell_set(cell, CELL_READY, false);
        }
        if (row->to == SERVICE_BACKOFF && row->from != SERVICE_BACKOFF) {
                cell->backoff = next_backoff(machine, cell, config);
                cell->n_restarts++;
        }
        if (row->to == SERVICE_TERMINATE && row->from != SERVICE_TERMINATE)
                cell->rung = 0;
        else if (row->from == SERVICE_TERMINATE && row->to == SERVICE_TERMINATE && row->on == EV_DEADLINE)
                cell->rung++;
        if (row->action == ACT_KILL)
                cell_set(cell, CELL_WAS_KILLED, true);
        if (row->to == SERVICE_POST)
                cell_set(cell, CELL_POST_DONE, true);
        if (row->from != row->to)
                cell->hook_index = row->on == EV_RESUME || row->to == SERVICE_HELD ? cell->hook_index : 0; /* it may be taken back */
        else if (row->on == EV_HOOK_DONE && row->action != ACT_NONE)
                cell->hook_index++;
        if (row->action != ACT_NONE)
                cell->told = 0;
        if (row->from != row->to && (row->action == ACT_STOP_HOOK || row->action == ACT_STOP_POST))
                cell_set(cell, CELL_HOOK, false); /* that was a hook of before, and was told to end */
        if (before != after)
                cell->since = machine->now;
}

static void arm_if_changed(Machine *machine, unsigned service) {
        usec_t deadline = machine->cells[service].deadline;

        if (machine->armed[service] == deadline)
                return;
        machine->armed[service] = deadline;
        machine->effects->arm(machine->userdata, service, deadline);
}

void machine_touch(Machine *machine, unsigned service) {
        machine->effects->changed(machine->userdata, service, machine->cells[service].state, EV_RETIME, machine->now);
}

static void machine_step(Machine *machine, unsigned service, ServiceEvent event) {
        ServiceFacts facts = facts_take(machine, service, event);
        Cell *cell = &machine->cells[service];
        ServiceState from = cell->state;
        const ServiceRow *row = service_fsm_find(from, event, &facts);

        /* A drain has come in between: nothing is started, or ordered again by a new core, only to be stopped. */
        if (event == EV_START && !cell_has(cell, CELL_WANTED))
                return;
        if (event == EV_RESTORED && facts.is_draining && service_state_public(from) != PUBLIC_DRAINING)
                return;
        if (!row) {
                machine->n_unexpected += !service_fsm_ignores(from, event);
                return;
        }
        cell_follow(machine, service, row);
        cell->state = (uint8_t) row->to; /* the only assignment to .state in the program */
        machine_time_state(machine, service, from, event);
        machine->effects->changed(machine->userdata, service, from, event, machine->now);
        arm_if_changed(machine, service);
        if (row->action != ACT_NONE)
                machine->effects->perform(machine->userdata, service, row->action, machine->now);
        if (row->from != row->to)
                machine_drain_after(machine, service, from);
}

/* --- the queue --- */

void machine_post(Machine *machine, unsigned service, ServiceEvent event) {
        assert(machine->n_queued < machine->n_queue);
        machine->queue[(machine->head + machine->n_queued++) % machine->n_queue] = (Posted) { service, event };
}

void machine_post_gate(Machine *machine, unsigned service) {
        if (machine->has_gate[service])
                return;
        machine->has_gate[service] = true;
        machine_post(machine, service, EV_GATE);
}

void machine_run(Machine *machine, usec_t now) {
        if (machine->is_busy)
                return;
        machine->is_busy = true;
        machine_at(machine, now);
        while (machine->n_queued > 0) {
                Posted posted = machine->queue[machine->head];

                machine->head = (machine->head + 1) % machine->n_queue;
                machine->n_queued--;
                if (posted.event == EV_GATE)
                        machine->has_gate[posted.service] = false;
                machine_step(machine, posted.service, posted.event);
        }
        machine->is_busy = false;
}

/* --- what has happened --- */

void machine_spawned(Machine *machine, unsigned service) {
        Cell *cell = &machine->cells[service];
        ServiceType type = machine_config(machine, service)->type;

        if (cell->state != SERVICE_STARTING) { /* a hook */
                cell_set(cell, CELL_HOOK, true);
                cell_set(cell, CELL_EMPTY, false);
                return;
        }
        cell_set(cell, CELL_LEADER, true);
        cell_set(cell, CELL_EMPTY, false);
        machine_post(machine, service, EV_SPAWNED);
        if (type == SERVICE_SIMPLE || type == SERVICE_EXEC) {
                cell_set(cell, CELL_READY, true);
                machine_post(machine, service, EV_READY);
        }
}

void machine_spawn_failed(Machine *machine, unsigned service, StartFailure failure, bool is_retryable) {
        Cell *cell = &machine->cells[service];

        cell->failure = failure;
        cell_set(cell, CELL_RETRYABLE, is_retryable);
        cell->result = RESULT_START_FAILED;
        cell_set(cell, CELL_FAILED, true);
        machine_post(machine, service, EV_SPAWN_FAILED);
}

void machine_hook_ended(Machine *machine, unsigned service, bool is_success) {
        Cell *cell = &machine->cells[service];

        cell_set(cell, CELL_HOOK, false);
        if (cell->state == SERVICE_START_PRE && !is_success) {
                cell->result = RESULT_START_FAILED;
                cell_set(cell, CELL_FAILED, true);
        }
        machine_post(machine, service, is_success ? EV_HOOK_DONE : EV_HOOK_FAILED);
}

void machine_told(Machine *machine, unsigned service, CellTold told) {
        machine->cells[service].told |= (uint8_t) told;
}

static bool is_rung_signal(const ServiceConfig *config, int number) {
        for (unsigned i = 0; i < config->n_rungs; i++)
                if (config->rungs[i].signal == number)
                        return true;
        return false;
}

/* Death by TERM, INT, HUP or PIPE is a clean end, as for systemd; in a drain so is death by any signal of the ladder. */
static ServiceResult exit_result(const ServiceConfig *config, bool is_draining, int code, int status) {
        if (code == CLD_EXITED) {
                if (status == 0 || (config->success_statuses[(status & 255) / 64] >> (status & 63) & 1) != 0)
                        return RESULT_SUCCESS;
                return RESULT_EXIT_CODE;
        }
        if (status == SIGTERM || status == SIGINT || status == SIGHUP || status == SIGPIPE)
                return RESULT_SUCCESS;
        if (status > 0 && status <= 64 && (config->success_signals >> (status - 1) & 1) != 0)
                return RESULT_SUCCESS;
        return is_draining && is_rung_signal(config, status) ? RESULT_SUCCESS : RESULT_SIGNAL;
}

void machine_exited(Machine *machine, unsigned service, int code, int status, bool is_empty, usec_t now) {
        const ServiceConfig *config = machine_config(machine, service);
        Cell *cell = &machine->cells[service];
        ServiceState state = cell->state;
        ServiceResult result;

        if (!cell_has(cell, CELL_LEADER))
                return;
        result = exit_result(config, service_state_public(state) == PUBLIC_DRAINING, code, status);
        cell->exit_code = code;
        cell->exit_status = status;
        if (cell->result == RESULT_SUCCESS)
                cell->result = (uint8_t) result;
        if (result != RESULT_SUCCESS || cell->result != RESULT_SUCCESS)
                cell_set(cell, CELL_FAILED, true);
        if (state == SERVICE_STARTING && config->type == SERVICE_ONESHOT && result == RESULT_SUCCESS)
                cell_set(cell, CELL_READY, true);
        else if (state == SERVICE_STARTING && config->type == SERVICE_NOTIFY)
                cell_set(cell, CELL_FAILED, true); /* it ended before it was ready */
        cell_set(cell, CELL_LEADER, false);
        cell_set(cell, CELL_EMPTY, is_empty);
        machine_post(machine, service, EV_EXITED);
        machine_run(machine, now);
}

void machine_emptied(Machine *machine, unsigned service, usec_t now) {
        Cell *cell = &machine->cells[service];

        if (cell_has(cell, CELL_EMPTY) || cell_has(cell, CELL_LEADER) || cell_has(cell, CELL_HOOK))
                return;
        cell_set(cell, CELL_EMPTY, true);
        machine_post(machine, service, EV_EMPTY);
        machine_run(machine, now);
}

void machine_hook_exited(Machine *machine, unsigned service, int code, int status, bool is_empty, usec_t now) {
        Cell *cell = &machine->cells[service];
        const ServiceConfig *config = machine_config(machine, service);
        ServiceState state = cell->state;
        ServiceResult result = exit_result(config, false, code, status);
        const CommandList *list = state == SERVICE_START_PRE ? &config->start_pre
                : state == SERVICE_STOP_HOOK ? &config->stop
                : state == SERVICE_POST ? &config->stop_post
                : &config->reload;
        bool may_fail = cell->hook_index < list->n && list->items[cell->hook_index].may_fail;

        if (!cell_has(cell, CELL_HOOK)) { /* another has taken its place, or was to */
                if (is_empty)
                        machine_emptied(machine, service, now);
                return;
        }
        if (state == SERVICE_START_PRE && result != RESULT_SUCCESS && !may_fail) {
                cell->result = (uint8_t) result;
                cell_set(cell, CELL_FAILED, true);
        }
        cell_set(cell, CELL_HOOK, false);
        machine_post(machine, service, result == RESULT_SUCCESS || may_fail ? EV_HOOK_DONE : EV_HOOK_FAILED);
        if (is_empty && !cell_has(cell, CELL_LEADER)) {
                cell_set(cell, CELL_EMPTY, true);
                machine_post(machine, service, EV_EMPTY);
        }
        machine_run(machine, now);
}

/* A guard that must hold did not: the operations that have not sent a signal yet are taken back, unless draind ends. */
static void roll_back(Machine *machine, unsigned service) {
        uint8_t active = machine_active_of(machine, service);

        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if ((active & (1u << place)) != 0 && machine->operations[place].state == OPERATION_QUIESCING
                    && (machine->operations[place].flags & OPERATION_EXITS) == 0) {
                        machine->operations[place].flags |= OPERATION_ROLLED_BACK;
                        machine_operation_step(machine, place, OP_RESUME);
                }
}

void machine_timer(Machine *machine, unsigned service, usec_t now) {
        const ServiceConfig *config = machine_config(machine, service);
        Cell *cell = &machine->cells[service];

        machine->armed[service] = USEC_INFINITY;
        if (cell->deadline == USEC_INFINITY)
                return;
        if (now < cell->deadline) { /* it was moved while the timer fired */
                arm_if_changed(machine, service);
                return;
        }
        machine_at(machine, now); /* the deadline stays recorded until the step, for a core that takes over in between */
        if (cell->state == SERVICE_QUIESCE && config->guards.n > 0 && config->on_guard_timeout == ON_GUARD_ROLLBACK
            && !machine_skips(machine, service))
                roll_back(machine, service);
        if (cell->state != SERVICE_QUIESCE || machine_active_of(machine, service) != 0)
                machine_post(machine, service, cell->state == SERVICE_RUNNING ? EV_WATCHDOG : EV_DEADLINE);
        machine_run(machine, now);
}
