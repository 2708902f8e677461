#include "crash.h"

#include <assert.h>
#include <string.h>

#include "effects.h"
#include "oracles.h"
#include "processes.h"

/* How long it takes until the next core is there. */
static usec_t outage(World *world) {
        switch (random_below(&world->random, 4)) {
        case 0:
                return 0;
        case 1:
                return random_between(&world->random, 0, 3 * USEC_PER_SEC);
        default:
                return random_between(&world->random, 1, 100) * USEC_PER_MSEC;
        }
}

static void forget_timers(World *world) {
        for (unsigned i = 0; i < world->graph.n; i++) {
                world->armed[i] = USEC_INFINITY;
                world->timer_version[i]++;
        }
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                world->operation_armed[place] = USEC_INFINITY;
                world->operation_timer_version[place]++;
        }
}

static void restore_service(World *world, unsigned service) {
        Cell cell = world->board.cells[service];
        bool reached_tree;

        if (cell.state == SERVICE_STOPPED || cell.state == SERVICE_QUEUED || cell.state == SERVICE_BACKOFF)
                processes_disown(world, service); /* as the old core was about to do */
        if (cell.state == SERVICE_TERMINATE && effects_signal_counts_as_sent(world, service, &cell, &reached_tree))
                cell.told |= TOLD_ACTION | (reached_tree ? TOLD_TREE : 0);
        machine_restore_cell(world->machine, service, &cell);
        machine_restore_runs(world->machine, service, world->board.leaders[service] != 0,
                             world->board.hooks[service] != 0);
}

void crash_recover(World *world) {
        usec_t time = outage(world);
        int r;

        world->is_dead = false;
        world->n_crashes++;
        world->now += time;
        world->lag_most += time;
        world_note(world, "new core", 0, time, 0);
        world->machine = machine_free(world->machine);
        forget_timers(world);
        r = machine_new(&world->machine, &world->graph.model, world->graph.order, &effects, world);
        assert(r == 0);
        for (unsigned i = 0; i < world->graph.n; i++)
                restore_service(world, i);
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if (world->board.operations[place].id != 0)
                        machine_restore_operation(world->machine, place, &world->board.operations[place]);
        oracles_on_crash(world);
        if (world->n_crashes_left > 0 && --world->n_crashes_left > 0)
                world->crash_in = 1 + random_below(&world->random, 60);
        machine_restored(world->machine, world->now);
        if (world->is_dead)
                return;
        for (unsigned i = 0; i < world->graph.n; i++)
                world_put(world, world->now, HAPPENING_LOOK, i, 0, 0);
        oracles_after_restore(world);
}
