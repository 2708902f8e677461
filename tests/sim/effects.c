#include "effects.h"

#include <assert.h>

#include "oracles.h"
#include "processes.h"

/* The core may die at every call of an effect and between a deed and its report. A dead core's machine is let run to
 * the end of the call that it is in, but nothing that it does is carried out, published or checked any more.
 *
 * A signal is sent at most once: before it an intent is written to the blackboard, after it a mark. An intent without
 * mark counts as sent for the next core. KILL may be sent again. */

bool effects_cross(World *world) {
        if (!world->is_dead && world->crash_in > 0 && --world->crash_in == 0) {
                world->is_dead = true;
                world_note(world, "core dies", 0, 0, 0);
        }
        return world->is_dead;
}

/* A record is written as a whole: the cell, and with it whose exit was taken in. */
void effects_publish(World *world, unsigned service) {
        const Cell *cell = machine_cell(world->machine, service);

        world->board.cells[service] = *cell;
        if ((cell->flags & CELL_LEADER) == 0)
                world->board.leaders[service] = 0;
        if ((cell->flags & CELL_HOOK) == 0)
                world->board.hooks[service] = 0;
}

static void report(World *world, unsigned service, CellTold told) {
        if (effects_cross(world))
                return;
        machine_told(world->machine, service, told);
        effects_publish(world, service);
        (void) effects_cross(world);
}

static uint32_t signal_key(const Cell *cell, ServiceAction action) {
        uint64_t mixed = cell->drain_began * 31 + cell->since * 17 + cell->rung * 4u + (action == ACT_SIGNAL_TREE) + 1;

        return (uint32_t) (mixed ^ mixed >> 32) | 1;
}

bool effects_signal_counts_as_sent(const World *world, unsigned service, const Cell *cell, bool *ret_tree) {
        const Rung *rung = &world->graph.services[service]
                                    .rungs[cell->rung < world->graph.services[service].n_rungs ? cell->rung : 0];
        uint32_t intent = world->board.intents[service];

        *ret_tree = intent == signal_key(cell, ACT_SIGNAL_TREE) || rung->to_tree;
        return intent == signal_key(cell, ACT_SIGNAL) || intent == signal_key(cell, ACT_SIGNAL_TREE);
}

static void send_rung(World *world, unsigned service, ServiceAction action) {
        const Cell *cell = machine_cell(world->machine, service);
        const ServiceConfig *config = &world->graph.services[service];
        bool to_tree =
                action == ACT_SIGNAL_TREE || config->rungs[cell->rung].to_tree || (cell->flags & CELL_LEADER) == 0;
        uint32_t key = signal_key(cell, action);

        if (action == ACT_SIGNAL)
                processes_end_hook(world, service);
        world->board.intents[service] = key;
        if (effects_cross(world))
                return;
        oracles_on_signal(world, service, cell->rung, to_tree);
        processes_signal(world, service, cell->rung, to_tree);
        world_note(world, to_tree ? "signal tree" : "signal leader", service, cell->rung, 0);
        if (effects_cross(world))
                return;
        world->board.sent[service] = key;
        report(world, service, to_tree ? TOLD_ACTION | TOLD_TREE : TOLD_ACTION);
}

static void run_hook(World *world, unsigned service, HookKind kind) {
        bool is_running;

        if (effects_cross(world))
                return;
        oracles_on_hook(world, service, kind, machine_cell(world->machine, service)->hook_index);
        is_running = processes_start_hook(world, service, kind);
        if (!is_running) {
                machine_hook_ended(world->machine, service, false);
                return;
        }
        world->board.hooks[service] = world->actors[service].hook.pid;
        oracles_on_hook_started(world, service, kind);
        if (effects_cross(world))
                return;
        machine_spawned(world->machine, service);
        report(world, service, TOLD_ACTION);
}

static void spawn(World *world, unsigned service) {
        const Behaviour *how = &world->graph.behaviours[service];

        if (effects_cross(world))
                return;
        oracles_on_spawn(world, service);
        if (random_chance(&world->random, how->spawn_fails_percent)) {
                StartFailure failure = { .step = 3, .error = 11 };
                bool is_retryable = random_chance(&world->random, how->spawn_is_retryable_percent);

                oracles_on_spawn_failed(world, service, is_retryable);
                machine_spawn_failed(world->machine, service, failure, is_retryable);
                return;
        }
        processes_start_leader(world, service);
        oracles_on_spawned(world, service);
        world->board.leaders[service] = world->actors[service].leader.pid;
        if (effects_cross(world))
                return;
        machine_spawned(world->machine, service);
        report(world, service, TOLD_ACTION);
}

static void quiesce(World *world, unsigned service) {
        const Behaviour *how = &world->graph.behaviours[service];

        if (world->graph.services[service].guards.n > 0 && how->guards_after != GRAPH_NEVER)
                world_put(world, usec_add(world->now, how->guards_after), HAPPENING_GUARD, service,
                          world->actors[service].leader.pid, true);
}

static void on_perform(void *userdata, unsigned service, ServiceAction action, usec_t now) {
        World *world = userdata;

        if (effects_cross(world))
                return;
        world_note(world, service_action_name(action), service, action, 0);
        oracles_on_action(world, service, action, now);
        switch (action) {
        case ACT_NONE:
                break;
        case ACT_START_PRE:
                run_hook(world, service, HOOK_START_PRE);
                break;
        case ACT_SPAWN:
                spawn(world, service);
                break;
        case ACT_RELOAD:
                run_hook(world, service, HOOK_RELOAD);
                break;
        case ACT_QUIESCE:
                quiesce(world, service);
                report(world, service, TOLD_ACTION);
                break;
        case ACT_WITHDRAW:
        case ACT_UNDO:
                report(world, service, TOLD_ACTION);
                break;
        case ACT_STOP_HOOK:
                run_hook(world, service, HOOK_STOP);
                break;
        case ACT_SIGNAL:
        case ACT_SIGNAL_TREE:
                send_rung(world, service, action);
                break;
        case ACT_END_HOOK:
                processes_end_hook(world, service);
                report(world, service, TOLD_ACTION);
                break;
        case ACT_KILL:
                processes_kill(world, service);
                report(world, service, TOLD_ACTION);
                break;
        case ACT_STOP_POST:
                run_hook(world, service, HOOK_STOP_POST);
                break;
        case ACT_STOPPED:
        case ACT_ABANDON:
                processes_disown(world, service);
                report(world, service, TOLD_ACTION);
                break;
        case SERVICE_ACTION_MAX:
                assert(false);
        }
}

static void on_changed(void *userdata, unsigned service, ServiceState from, ServiceEvent on, usec_t now) {
        World *world = userdata;

        if (effects_cross(world))
                return;
        effects_publish(world, service);
        world_note(world, service_state_name((ServiceState) machine_cell(world->machine, service)->state), service,
                   from, on);
        oracles_on_changed(world, service, from, on, now);
        (void) effects_cross(world);
}

static void on_arm(void *userdata, unsigned service, usec_t deadline) {
        World *world = userdata;

        if (world->is_dead)
                return;
        oracles_on_arm(world, service, deadline);
        world->armed[service] = deadline;
        world->timer_version[service]++;
        world_note(world, "arm", service, deadline, 0);
        if (deadline != USEC_INFINITY)
                world_put(world, deadline, HAPPENING_TIMER, service, world->timer_version[service], 0);
}

static unsigned place_of(const World *world, const Operation *operation) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if (machine_operation(world->machine, place) == operation)
                        return place;
        assert(false);
}

static void on_operation(void *userdata, const Operation *operation, usec_t now) {
        World *world = userdata;
        unsigned place;

        if (effects_cross(world))
                return;
        place = place_of(world, operation);
        world->board.operations[place] = *operation;
        world_note(world, operation_state_name((OperationState) operation->state), place, operation->id,
                   operation->deadline);
        oracles_on_operation(world, place, operation, now);
        (void) effects_cross(world);
}

static void on_arm_operation(void *userdata, unsigned place, usec_t deadline) {
        World *world = userdata;

        if (world->is_dead)
                return;
        world->operation_armed[place] = deadline;
        world->operation_timer_version[place]++;
        world_note(world, "arm operation", place, deadline, 0);
        if (deadline != USEC_INFINITY)
                world_put(world, deadline, HAPPENING_OPERATION_TIMER, place, world->operation_timer_version[place], 0);
}

const MachineEffects effects = {
        .perform = on_perform,
        .changed = on_changed,
        .arm = on_arm,
        .operation = on_operation,
        .arm_operation = on_arm_operation,
};
