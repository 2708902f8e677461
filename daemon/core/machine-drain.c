#include "machine.h"

#include <stdio.h>
#include <string.h>

#include "machine-private.h"

/* Operations: who belongs to one, when it moves on, and what a change of one service means for its neighbours. */

bool machine_proceeds(const Machine *machine, unsigned service) {
        uint8_t active = machine_active_of(machine, service);

        for (unsigned place = 0; active != 0; place++, active >>= 1)
                if ((active & 1) != 0 && machine->operations[place].until == DRAIN_UNTIL_STOPPED)
                        return true;
        return false;
}

bool machine_skips(const Machine *machine, unsigned service) {
        uint8_t active = machine_active_of(machine, service);

        for (unsigned place = 0; active != 0; place++, active >>= 1)
                if ((active & 1) != 0 && (machine->operations[place].flags & OPERATION_SKIPS) != 0)
                        return true;
        return false;
}

bool machine_members_quiesced(const Machine *machine, unsigned place) {
        for (unsigned i = 0; i < machine->n; i++)
                if ((machine->cells[i].operations & (1u << place)) != 0 && !machine_is_quiesced(machine->cells[i].state))
                        return false;
        return true;
}

static void gate_members(Machine *machine, unsigned place) {
        for (unsigned at = 0; at < machine->n; at++) {
                unsigned i = machine->order->stop_order[at];

                if ((machine->cells[i].operations & (1u << place)) != 0 && machine->cells[i].state != SERVICE_STOPPED)
                        machine_post_gate(machine, i);
        }
}

/* It held for longer than its budget: it had got where it was asked to go, so that its deadline limits nothing any
 * more. Whoever asks for more gives it time anew. */
static bool outlived(const Machine *machine, unsigned place) {
        const Operation *operation = &machine->operations[place];

        return operation->until == DRAIN_UNTIL_QUIESCED && machine->now >= operation->deadline
                && (operation->state == OPERATION_HOLDING || operation->state == OPERATION_STOPPING);
}

/* What is to be stopped has the time of its stop; what is only to be quiesced, that of those who asked for it. */
usec_t machine_scope_of(const Machine *machine, unsigned service) {
        uint8_t active = machine_active_of(machine, service);
        usec_t scope = USEC_INFINITY, held = USEC_INFINITY;

        for (unsigned place = 0; active != 0; place++, active >>= 1) {
                if ((active & 1) == 0)
                        continue;
                if (machine->operations[place].until == DRAIN_UNTIL_STOPPED || machine->operations[place].state == OPERATION_KILLING)
                        scope = usec_min(scope, machine->operations[place].deadline);
                else if (!outlived(machine, place))
                        held = usec_min(held, machine->operations[place].deadline);
        }
        return scope != USEC_INFINITY ? scope : held;
}

static void retime_members(Machine *machine, unsigned place) {
        for (unsigned i = 0; i < machine->n; i++) {
                Cell *cell = &machine->cells[i];

                if ((cell->operations & (1u << place)) == 0 || cell->state == SERVICE_STOPPED)
                        continue;
                cell->scope = machine_scope_of(machine, i);
                machine_time_shorten(machine, i);
        }
}

BudgetStage machine_stage_of(const Machine *machine, unsigned service) {
        ServiceState state = machine->cells[service].state;

        if (machine_active_of(machine, service) == 0 || state == SERVICE_STOPPED)
                return BUDGET_GONE;
        if (state == SERVICE_HELD)
                return BUDGET_TO_SIGNAL;
        return state > SERVICE_HELD ? BUDGET_SIGNALLED : BUDGET_WHOLE;
}

/* --- the end of an operation --- */

static void leave_member(Machine *machine, unsigned service) {
        Cell *cell = &machine->cells[service];

        machine->stages[service] = (unsigned char) machine_stage_of(machine, service);
        cell->scope = machine_scope_of(machine, service);
}

static bool would_have_run(const Machine *machine, unsigned service) {
        const Cell *cell = &machine->cells[service];
        RestartPolicy restart = machine_config(machine, service)->restart;

        if (cell->state != SERVICE_STOPPED || !cell_has(cell, CELL_WANTED) || cell_has(cell, CELL_LIMITED))
                return false;
        return !cell_has(cell, CELL_READY) || restart == RESTART_ALWAYS
                || (restart == RESTART_ON_FAILURE && cell_has(cell, CELL_FAILED));
}

void machine_start_again(Machine *machine, unsigned service) {
        Cell *cell = &machine->cells[service];

        cell_set(cell, CELL_WANTED, true);
        cell->n_starts = 0;
        cell->n_restarts = 0;
        cell->backoff = 0;
        machine_post(machine, service, EV_START);
        machine_post_gate(machine, service);
}

static void resume_members(Machine *machine, unsigned place) {
        for (unsigned i = 0; i < machine->n; i++) {
                if ((machine->cells[i].operations & (1u << place)) == 0)
                        continue;
                leave_member(machine, i);
                if (machine_active_of(machine, i) != 0) {
                        machine_time_shorten(machine, i); /* what is left of its drains may hold it for as long as it likes */
                        continue;
                }
                cell_set(&machine->cells[i], CELL_STARTS_AFTER, would_have_run(machine, i));
                machine_touch(machine, i);
                if (cell_has(&machine->cells[i], CELL_STARTS_AFTER))
                        machine_start_again(machine, i);
                else
                        machine_post(machine, i, EV_RESUME);
        }
        for (unsigned i = 0; i < machine->n; i++) /* those that go on may have waited for one of them */
                if (machine_active_of(machine, i) != 0)
                        machine_post_gate(machine, i);
}

static void end_members(Machine *machine, unsigned place) {
        for (unsigned i = 0; i < machine->n; i++) {
                Cell *cell = &machine->cells[i];

                if ((cell->operations & (1u << place)) == 0)
                        continue;
                leave_member(machine, i);
                if (machine_active_of(machine, i) != 0)
                        continue;
                cell_set(cell, CELL_WANTED, cell_has(cell, CELL_STARTS_AFTER));
                machine_touch(machine, i);
                if (cell_has(cell, CELL_STARTS_AFTER))
                        machine_start_again(machine, i);
        }
}

static void kill_members(Machine *machine, unsigned place) {
        Operation *operation = &machine->operations[place];
        usec_t end = usec_add(machine->now, machine->model->kill_reserve);

        if (end < operation->deadline)
                operation->deadline = end;
        for (unsigned at = 0; at < machine->n; at++) {
                Cell *cell = &machine->cells[machine->order->stop_order[at]];

                if ((cell->operations & (1u << place)) == 0 || cell->state == SERVICE_STOPPED)
                        continue;
                if (operation->deadline < cell->scope)
                        cell->scope = operation->deadline;
                if (cell->state == SERVICE_KILL) /* in another drain, which has more time */
                        machine_time_shorten(machine, machine->order->stop_order[at]);
                machine_post(machine, machine->order->stop_order[at], EV_KILL);
        }
}

/* Held, it has nothing to end; in its last state, KILL has been sent to all and each has a timer of its own. */
void machine_arm_operation(Machine *machine, unsigned place) {
        const Operation *operation = &machine->operations[place];
        bool is_timed = operation->state == OPERATION_QUIESCING
                || (operation->state == OPERATION_STOPPING && operation->until == DRAIN_UNTIL_STOPPED);

        machine->effects->arm_operation(machine->userdata, place, is_timed ? operation->deadline : USEC_INFINITY);
}

void machine_operation_step(Machine *machine, unsigned place, OperationEvent event) {
        Operation *operation = &machine->operations[place];
        OperationFacts facts = { .until_quiesced = operation->until == DRAIN_UNTIL_QUIESCED };
        const OperationRow *row = drain_fsm_find(operation->state, event, &facts);

        if (!row)
                return;
        operation->state = row->to;
        if (!operation_state_is_active(row->to)) {
                operation->ended = machine->now;
                machine->active &= (uint8_t) ~(1u << place);
        }
        switch (row->action) {
        case OP_ACT_PROCEED:
                gate_members(machine, place);
                break;
        case OP_ACT_RESUME:
                resume_members(machine, place);
                break;
        case OP_ACT_KILL:
                kill_members(machine, place);
                break;
        case OP_ACT_END:
                end_members(machine, place);
                break;
        case OP_ACT_NONE:
        case OP_ACT_HOLD:
        case OPERATION_ACTION_MAX:
        default:
                break;
        }
        machine_arm_operation(machine, place);
        machine->effects->operation(machine->userdata, operation, machine->now);
}

void machine_operation_timer(Machine *machine, unsigned place, usec_t now) {
        machine_at(machine, now);
        if ((machine->active & (1u << place)) != 0 && now >= machine->operations[place].deadline)
                machine_operation_step(machine, place, OP_DEADLINE);
        machine_run(machine, now);
}

/* --- what a change of one service means for others --- */

void machine_count_end(Machine *machine, unsigned service, unsigned place) {
        ServiceResult result = machine->cells[service].result;

        machine->operations[place].n_killed += result == RESULT_KILLED;
        machine->operations[place].n_unkillable += result == RESULT_UNKILLABLE;
}

static void gate_those_after(Machine *machine, unsigned service) {
        const Order *order = machine->order;

        edges_foreach(held, &order->stop_holds, service)
                if (machine_active_of(machine, held) != 0)
                        machine_post_gate(machine, held);
        if (order->n_late > 0 && !order->is_late[service])
                for (unsigned i = 0; i < machine->n; i++)
                        if (order->is_late[i] && machine_active_of(machine, i) != 0)
                                machine_post_gate(machine, i);
}

static void gate_those_starting(Machine *machine, unsigned service) {
        edges_foreach(waiting, &machine->order->start_holds, service)
                if (machine->cells[waiting].state == SERVICE_QUEUED)
                        machine_post_gate(machine, waiting);
}

static void advance_operations(Machine *machine, unsigned service, uint8_t active) {
        ServiceState state = machine->cells[service].state;

        for (unsigned place = 0; active != 0; place++, active >>= 1) {
                if ((active & 1) == 0)
                        continue;
                if (state >= SERVICE_STOP_HOOK && state <= SERVICE_KILL)
                        machine_operation_step(machine, place, OP_SIGNALLED);
                if (state == SERVICE_STOPPED)
                        machine_count_end(machine, service, place);
                if (state == SERVICE_STOPPED && --machine->n_left[place] == 0)
                        machine_operation_step(machine, place, OP_STOPPED);
                else if (machine_is_quiesced(state) && machine->operations[place].state == OPERATION_QUIESCING
                         && machine->operations[place].until == DRAIN_UNTIL_QUIESCED
                         && machine_members_quiesced(machine, place))
                        machine_operation_step(machine, place, OP_QUIESCED);
        }
}

void machine_drain_after(Machine *machine, unsigned service, ServiceState from) {
        uint8_t active = machine_active_of(machine, service);
        ServiceState state = machine->cells[service].state;

        machine->stages[service] = (unsigned char) machine_stage_of(machine, service);
        if (state == SERVICE_QUEUED)
                machine_post_gate(machine, service);
        if (state == SERVICE_PENDING || state == SERVICE_HELD)
                machine_post_gate(machine, service);
        if (active != 0) {
                if (machine_is_quiesced(state))
                        gate_those_after(machine, service);
                advance_operations(machine, service, active);
        }
        if (state == SERVICE_RUNNING || state == SERVICE_STOPPED)
                gate_those_starting(machine, service);
        if (state == SERVICE_STOPPED && from != SERVICE_STOPPED && active == 0)
                machine_ended(machine, service);
}

/* --- requests --- */

/* Marks the services asked for and everything that requires them: 1 in marked[]. Returns how many. */
static unsigned mark_members(Machine *machine, const DrainRequest *request) {
        unsigned *marked = machine->marked, n_marked = 0;
        bool is_changed = true;

        memset(marked, 0, machine->n * sizeof(*marked));
        if ((request->flags & OPERATION_ALL) != 0 || !request->services) {
                for (unsigned i = 0; i < machine->n; i++)
                        marked[i] = 1;
                return machine->n;
        }
        for (unsigned i = 0; i < request->n_services; i++)
                marked[request->services[i]] = 1;
        /* Those that require come before those that are required in stop order: backwards, one pass is enough
         * unless StopAfter= turned a pair round; then another pass finds it. */
        while (is_changed) {
                is_changed = false;
                for (unsigned at = machine->n; at-- > 0;) {
                        unsigned i = machine->order->stop_order[at];

                        if (marked[i])
                                edges_foreach(dependent, &machine->order->required_by, i)
                                        if (!marked[dependent]) {
                                                marked[dependent] = 1;
                                                is_changed = true;
                                        }
                }
        }
        for (unsigned i = 0; i < machine->n; i++)
                n_marked += marked[i];
        return n_marked;
}

static bool covers(const Machine *machine, unsigned place) {
        for (unsigned i = 0; i < machine->n; i++)
                if (machine->marked[i] && machine->cells[i].state != SERVICE_STOPPED
                    && (machine->cells[i].operations & (1u << place)) == 0)
                        return false;
        return true;
}

/* The last place is kept for a drain of everything, which must never be refused. */
static int find_place(Machine *machine, uint32_t flags) {
        unsigned n_places = (flags & OPERATION_ALL) != 0 ? MACHINE_OPERATIONS_MAX : MACHINE_OPERATIONS_MAX - 1;
        int oldest = -1;

        for (unsigned place = 0; place < n_places; place++) {
                if ((machine->active & (1u << place)) != 0)
                        continue;
                if (oldest < 0 || machine->operations[place].id < machine->operations[oldest].id)
                        oldest = (int) place;
        }
        return oldest;
}

static void shorten(Machine *machine, unsigned place, usec_t deadline) {
        if (deadline >= machine->operations[place].deadline)
                return;
        machine->operations[place].deadline = deadline;
        retime_members(machine, place);
}

static void give_time(Machine *machine, unsigned place, usec_t deadline) {
        machine->operations[place].requested = machine->now;
        machine->operations[place].deadline = deadline;
        for (unsigned i = 0; i < machine->n; i++) {
                if ((machine->cells[i].operations & (1u << place)) == 0)
                        continue;
                machine->cells[i].scope = machine_scope_of(machine, i);
                machine_touch(machine, i);
        }
        budget_forget(machine->budget);
}

static void join(Machine *machine, unsigned place, const DrainRequest *request, usec_t deadline) {
        Operation *operation = &machine->operations[place];

        operation->n_asked++;
        operation->flags |= request->flags & (OPERATION_EXITS | OPERATION_SKIPS);
        if (request->until == DRAIN_UNTIL_STOPPED && outlived(machine, place))
                give_time(machine, place, deadline);
        else
                shorten(machine, place, deadline);
        if ((request->flags & OPERATION_RESTART) == 0) { /* a stop is stronger than a restart */
                operation->flags &= ~(uint32_t) OPERATION_RESTART;
                for (unsigned i = 0; i < machine->n; i++)
                        if (machine->marked[i])
                                cell_set(&machine->cells[i], CELL_STARTS_AFTER, false);
        }
        if (request->until == DRAIN_UNTIL_STOPPED && operation->until == DRAIN_UNTIL_QUIESCED) {
                bool was_holding = operation->state == OPERATION_HOLDING;

                operation->until = DRAIN_UNTIL_STOPPED;
                if (was_holding)
                        machine_operation_step(machine, place, OP_CONTINUE);
                else
                        gate_members(machine, place);
                retime_members(machine, place);
        }
        if ((request->flags & OPERATION_SKIPS) != 0)
                gate_members(machine, place);
        if (request->sequence > operation->sequence)
                operation->sequence = request->sequence;
        machine_arm_operation(machine, place);
        machine->effects->operation(machine->userdata, operation, machine->now);
}

static void add_member(Machine *machine, unsigned service, unsigned place, const DrainRequest *request) {
        const Operation *operation = &machine->operations[place];
        Cell *cell = &machine->cells[service];
        bool was_draining = machine_active_of(machine, service) != 0;

        cell->operations = (uint8_t) ((was_draining ? cell->operations & machine->active : 0) | (1u << place));
        cell_set(cell, CELL_STARTS_AFTER, (request->flags & OPERATION_RESTART) != 0 && cell_has(cell, CELL_WANTED));
        if (!was_draining) {
                cell->drain_began = machine->now;
                cell->drain_budget = operation->budget;
        }
}

/* Cells first, the operation last: until its record is active, a new core takes no notice of what stands in cells. */
static void enlist(Machine *machine, unsigned place, const DrainRequest *request) {
        Operation *operation = &machine->operations[place];

        machine->n_left[place] = 0;
        for (unsigned i = 0; i < machine->n; i++) {
                Cell *cell = &machine->cells[i];
                uint8_t was = cell->operations;
                bool was_wanted = cell_has(cell, CELL_WANTED);

                cell->operations &= (uint8_t) ~(1u << place); /* of what was in this place before */
                if (machine->marked[i] && cell->state == SERVICE_STOPPED) {
                        cell_set(cell, CELL_WANTED, false);
                        if ((request->flags & OPERATION_RESTART) == 0) { /* nor does the end of another drain start it */
                                cell_set(cell, CELL_STARTS_AFTER, false);
                                gate_those_starting(machine, i);
                        }
                } else if (machine->marked[i]) {
                        add_member(machine, i, place, request);
                        operation->n_members++;
                        machine->n_left[place]++;
                }
                if ((cell->operations & (1u << place)) != 0 || was != cell->operations || was_wanted != cell_has(cell, CELL_WANTED))
                        machine_touch(machine, i);
        }
}

static void begin(Machine *machine, unsigned place, const DrainRequest *request, usec_t budget) {
        Operation *operation = &machine->operations[place];

        *operation = (Operation) {
                .id = ++machine->last_id, .state = OPERATION_QUIESCING, .until = request->until, .flags = request->flags,
                .n_asked = 1, .cause = request->cause, .requested = machine->now, .budget = budget,
                .deadline = usec_add(machine->now, budget), .sequence = request->sequence,
        };
        enlist(machine, place, request);
        machine->active |= (uint8_t) (1u << place);
        budget_forget(machine->budget);
        for (unsigned i = 0; i < machine->n; i++) {
                machine->stages[i] = (unsigned char) machine_stage_of(machine, i);
                if ((machine->cells[i].operations & (1u << place)) != 0)
                        machine->cells[i].scope = machine_scope_of(machine, i);
        }
        machine_arm_operation(machine, place);
        machine->effects->operation(machine->userdata, operation, machine->now);
        for (unsigned at = 0; at < machine->n; at++) {
                unsigned i = machine->order->stop_order[at];

                if ((machine->cells[i].operations & (1u << place)) == 0)
                        continue;
                machine_post(machine, i, EV_DRAIN);
                if (machine->cells[i].state >= SERVICE_PENDING) { /* it is on its way already: only the scope is new */
                        machine_post_gate(machine, i);
                        machine_time_shorten(machine, i);
                }
        }
        if (operation->n_members == 0)
                machine_operation_step(machine, place, OP_STOPPED);
}

static int refuse(Machine *machine, const char **ret_why, const char *why) {
        (void) snprintf(machine->why, sizeof(machine->why), "%s", why);
        *ret_why = machine->why;
        return MACHINE_REFUSED;
}

int machine_drain(Machine *machine, const DrainRequest *request, usec_t now, uint64_t *ret_id, const char **ret_why) {
        usec_t budget = request->budget == USEC_INFINITY ? usec_min(machine->model->grace, machine->model->outer_grace)
                                                         : request->budget;
        bool is_needed = (request->flags & OPERATION_EXITS) != 0;
        int place;

        if ((request->flags & OPERATION_EXITS) != 0) /* whoever waits outside for draind's end does not wait longer */
                budget = usec_min(budget, machine->model->outer_grace);
        machine_at(machine, now);
        (void) mark_members(machine, request);
        for (unsigned i = 0; i < MACHINE_OPERATIONS_MAX; i++)
                if ((machine->active & (1u << i)) != 0 && covers(machine, i)
                    && ((request->flags & OPERATION_ALL) == 0 || (machine->operations[i].flags & OPERATION_ALL) != 0)) {
                        if ((request->flags & OPERATION_RESTART) != 0
                            && (machine->operations[i].flags & OPERATION_RESTART) == 0)
                                return refuse(machine, ret_why, "it is being stopped by another operation");
                        *ret_id = machine->operations[i].id;
                        join(machine, i, request, usec_add(machine->now, budget));
                        machine_run(machine, now);
                        return MACHINE_JOINED;
                }
        for (unsigned i = 0; !is_needed && i < machine->n; i++)
                is_needed = machine->marked[i] && machine->cells[i].state != SERVICE_STOPPED;
        *ret_id = 0;
        if (!is_needed)
                return MACHINE_NOTHING;
        place = find_place(machine, request->flags);
        if (place < 0)
                return refuse(machine, ret_why, "too many operations are running");
        begin(machine, (unsigned) place, request, budget);
        *ret_id = machine->operations[place].id;
        machine_run(machine, now);
        return 0;
}

static int place_of(const Machine *machine, uint64_t id) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if (machine->operations[place].id == id && (machine->active & (1u << place)) != 0)
                        return (int) place;
        return -1;
}

int machine_resume(Machine *machine, uint64_t id, usec_t now, const char **ret_why) {
        int place = place_of(machine, id);

        machine_at(machine, now);
        if (place < 0)
                return MACHINE_NOTHING;
        if (machine->operations[place].state > OPERATION_HOLDING)
                return refuse(machine, ret_why, "its first signal has been sent; what stops must stop");
        if ((machine->operations[place].flags & OPERATION_EXITS) != 0)
                return refuse(machine, ret_why, "draind itself was told to end");
        machine_operation_step(machine, (unsigned) place, OP_RESUME);
        machine_run(machine, now);
        return 0;
}

int machine_skip(Machine *machine, uint64_t id, usec_t now) {
        int place = place_of(machine, id);

        machine_at(machine, now);
        if (place < 0)
                return MACHINE_NOTHING;
        machine->operations[place].flags |= OPERATION_SKIPS;
        if (outlived(machine, (unsigned) place))
                give_time(machine, (unsigned) place, usec_add(machine->now, machine->operations[place].budget));
        if (machine->operations[place].until == DRAIN_UNTIL_QUIESCED) {
                machine->operations[place].until = DRAIN_UNTIL_STOPPED;
                machine_operation_step(machine, (unsigned) place, OP_CONTINUE);
                retime_members(machine, (unsigned) place);
        }
        gate_members(machine, (unsigned) place);
        machine_arm_operation(machine, (unsigned) place);
        machine->effects->operation(machine->userdata, &machine->operations[place], machine->now);
        machine_run(machine, now);
        return 0;
}

int machine_kill(Machine *machine, uint64_t id, usec_t now) {
        int place = place_of(machine, id);

        machine_at(machine, now);
        if (place < 0)
                return MACHINE_NOTHING;
        machine_operation_step(machine, (unsigned) place, OP_KILL);
        machine_run(machine, now);
        return 0;
}
