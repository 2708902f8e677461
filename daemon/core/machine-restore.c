#include "machine-ask.h"

#include "machine-private.h"

/* A new core takes over: whatever was recorded and not yet carried out when the old one died is ordered again. */

void machine_restore_cell(Machine *machine, unsigned service, const Cell *cell) {
        machine->cells[service] = *cell;
        if (machine->cells[service].state >= SERVICE_STATE_MAX)
                machine->cells[service].state = SERVICE_STOPPED;
}

void machine_restore_operation(Machine *machine, unsigned place, const Operation *operation) {
        machine->operations[place] = *operation;
        if (operation_state_is_active(operation->state))
                machine->active |= (uint8_t) (1u << place);
        if (operation->id > machine->last_id)
                machine->last_id = operation->id;
}

void machine_restore_runs(Machine *machine, unsigned service, bool leader_was_started, bool hook_was_started) {
        Cell *cell = &machine->cells[service];

        cell_set(cell, CELL_LEADER, leader_was_started);
        cell_set(cell, CELL_HOOK, hook_was_started);
        if (leader_was_started || hook_was_started)
                cell_set(cell, CELL_EMPTY, false);
}

static void restore_member(Machine *machine, unsigned service) {
        Cell *cell = &machine->cells[service];
        uint8_t active = machine_active_of(machine, service);
        ServiceState state = cell->state;
        usec_t scope = cell->scope;

        cell->scope = machine_scope_of(machine, service); /* not that of an operation that was never written down */
        if (cell->scope < scope || state == SERVICE_PENDING || state == SERVICE_HELD)
                machine_time_shorten(machine, service);
        for (unsigned place = 0; active != 0; place++, active >>= 1) {
                const Operation *operation = &machine->operations[place];

                if ((active & 1) == 0)
                        continue;
                machine->n_left[place] += state != SERVICE_STOPPED;
                if (state == SERVICE_STOPPED)
                        machine_count_end(machine, service, place);
                if (service_state_public(state) != PUBLIC_DRAINING && state != SERVICE_STOPPED)
                        machine_post(machine, service, EV_DRAIN);
                if (state >= SERVICE_STOP_HOOK && state <= SERVICE_KILL) /* the signal may have gone out before this was written */
                        machine_operation_step(machine, place, OP_SIGNALLED);
                if (operation->state == OPERATION_KILLING && state != SERVICE_KILL && state != SERVICE_STOPPED)
                        machine_post(machine, service, EV_KILL);
        }
}

static void drain_restored(Machine *machine) {
        budget_forget(machine->budget);
        for (unsigned i = 0; i < machine->n; i++)
                machine->stages[i] = (unsigned char) machine_stage_of(machine, i);
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if ((machine->active & (1u << place)) != 0)
                        machine->n_left[place] = machine->operations[place].n_killed = machine->operations[place].n_unkillable = 0;
        for (unsigned at = 0; at < machine->n; at++) {
                unsigned i = machine->order->stop_order[at];
                const Cell *cell = &machine->cells[i];
                ServiceState state = cell->state;

                if (machine_active_of(machine, i) != 0)
                        restore_member(machine, i);
                else if (state >= SERVICE_PENDING && state <= SERVICE_HELD)
                        machine_post(machine, i, EV_RESUME);
                else if (state == SERVICE_STOPPED && cell_has(cell, CELL_STARTS_AFTER))
                        machine_start_again(machine, i);
        }
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if ((machine->active & (1u << place)) != 0)
                        machine_arm_operation(machine, place);
}

static void drain_recheck(Machine *machine) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                if ((machine->active & (1u << place)) == 0)
                        continue;
                if (machine->n_left[place] == 0)
                        machine_operation_step(machine, place, OP_STOPPED);
                else if (machine->operations[place].until == DRAIN_UNTIL_QUIESCED && machine_members_quiesced(machine, place))
                        machine_operation_step(machine, place, OP_QUIESCED);
        }
        for (unsigned i = 0; i < machine->n; i++)
                if (machine->cells[i].state == SERVICE_STOPPED && machine_active_of(machine, i) == 0
                    && cell_has(&machine->cells[i], CELL_WANTED) && !cell_has(&machine->cells[i], CELL_STARTS_AFTER))
                        machine_ended(machine, i);
}

static void restore_run(Machine *machine, unsigned service) {
        Cell *cell = &machine->cells[service];
        ServiceType type = machine_config(machine, service)->type;
        bool is_ready = type == SERVICE_SIMPLE || type == SERVICE_EXEC || cell_has(cell, CELL_READY);

        machine_post(machine, service, EV_RESTORED);
        if (cell->state == SERVICE_STARTING && cell_has(cell, CELL_LEADER) && is_ready) {
                cell_set(cell, CELL_READY, true);
                machine_post(machine, service, EV_READY);
        }
        machine_post_gate(machine, service);
}

void machine_restored(Machine *machine, usec_t now) {
        machine_at(machine, now);
        for (unsigned i = 0; i < machine->n; i++)
                if (machine->cells[i].state != SERVICE_STOPPED)
                        restore_run(machine, i);
        drain_restored(machine);
        machine_run(machine, now);
        drain_recheck(machine);
        machine_run(machine, now);
}
