#include "script.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "oracles.h"

#define FINAL 1u
#define TRIES_MAX 40u

static usec_t some_budget(World *world) {
        Random *random = &world->random;

        switch (random_below(random, 8)) {
        case 0:
                return 0;
        case 1:
                return random_between(random, 0, 50) * USEC_PER_MSEC;
        case 2:
        case 3:
                return random_between(random, 0, 5 * USEC_PER_SEC);
        case 4:
        case 5:
                return random_between(random, 1, 60) * USEC_PER_SEC;
        default:
                return USEC_INFINITY;
        }
}

static uint64_t some_operation(World *world) {
        uint64_t ids[MACHINE_OPERATIONS_MAX];
        unsigned n = 0;

        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if (world->board.operations[place].id != 0 &&
                    operation_state_is_active((OperationState) world->board.operations[place].state))
                        ids[n++] = world->board.operations[place].id;
        return n > 0 ? ids[random_below(&world->random, n)] : 1 + random_below(&world->random, 3);
}

static void ask_drain(World *world, bool is_final) {
        unsigned services[GRAPH_SERVICES_MAX], n = 0;
        bool takes_all = is_final || random_chance(&world->random, 40);
        DrainRequest request = { .budget = some_budget(world), .cause = { .kind = CAUSE_CLIENT, .pid = 77 } };
        const char *why = NULL;
        uint64_t id = 0;
        int r;

        if (is_final && world->n_tries > 6) /* some guard never holds */
                request.flags |= OPERATION_SKIPS;
        if (is_final && random_chance(&world->random, 60))
                request.budget = USEC_INFINITY;
        if (!is_final && random_chance(&world->random, 25))
                request.until = DRAIN_UNTIL_QUIESCED;
        if (!takes_all) {
                n = 1 + random_below(&world->random, 2);
                for (unsigned i = 0; i < n; i++)
                        services[i] = random_below(&world->random, world->graph.n);
                request.services = services;
                request.n_services = n;
                if (request.until == DRAIN_UNTIL_STOPPED && random_chance(&world->random, 30))
                        request.flags |= OPERATION_RESTART;
        }
        world_note(world,
                   is_final    ? "ask: drain all, the last"
                   : takes_all ? "ask: drain all"
                               : "ask: drain",
                   n > 0 ? services[0] : 0, request.budget, request.until);
        oracles_before_drain(world, &request);
        r = machine_drain(world->machine, &request, world->now, &id, &why);
        if (!world->is_dead)
                oracles_after_drain(world, &request, r, id, why);
}

static void ask_resume(World *world) {
        uint64_t id = some_operation(world);
        const char *why = NULL;
        int r;

        world_note(world, "ask: resume", 0, id, 0);
        oracles_before_resume(world, id);
        r = machine_resume(world->machine, id, world->now, &why);
        if (!world->is_dead)
                oracles_after_resume(world, id, r, why);
}

static void ask_harder(World *world, bool to_kill) {
        uint64_t id = some_operation(world);
        int r;

        world_note(world, to_kill ? "ask: kill" : "ask: skip", 0, id, 0);
        oracles_before_harder(world, id, to_kill);
        r = to_kill ? machine_kill(world->machine, id, world->now) : machine_skip(world->machine, id, world->now);
        if (!world->is_dead)
                oracles_after_harder(world, id, to_kill, r);
}

static void ask_start(World *world, unsigned service) {
        const char *why = NULL;
        int r;

        world_note(world, "ask: start", service, 0, 0);
        oracles_before_start(world, service);
        r = machine_start(world->machine, service, world->now, &why);
        if (!world->is_dead)
                oracles_after_start(world, service, r, why);
}

static void ask_reload(World *world, unsigned service) {
        const char *why = NULL;
        int r;

        world_note(world, "ask: reload", service, 0, 0);
        oracles_before_request(world);
        r = machine_reload_service(world->machine, service, world->now, &why);
        if (!world->is_dead)
                oracles_after_request(world, r, why);
}

static void put_final(World *world, usec_t at) {
        world_put(world, at, HAPPENING_STOP, 0, 0, FINAL);
}

void script_ask(World *world, const Happening *happening) {
        unsigned dice = random_below(&world->random, 100), service = random_below(&world->random, world->graph.n);

        if (happening->argument == FINAL) {
                world->is_final = true;
                world->is_asked_again = false;
                world->n_tries++;
                if (world->n_tries > TRIES_MAX)
                        oracles_on_busy(world);
                else
                        ask_drain(world, true);
                return;
        }
        if (happening->kind == HAPPENING_STOP) {
                if (dice < 75)
                        ask_drain(world, false);
                else
                        ask_harder(world, dice >= 90);
        } else if (dice < 40)
                ask_start(world, service);
        else if (dice < 80)
                ask_resume(world);
        else
                ask_reload(world, service);
}

/* Everything or a few are started, then come requests, then the drain that ends the round. */
void script_begin_round(World *world) {
        usec_t span = random_chance(&world->random, 30)   ? 200 * USEC_PER_MSEC
                      : random_chance(&world->random, 50) ? 3 * USEC_PER_SEC
                                                          : 12 * USEC_PER_SEC;
        unsigned n_requests = random_chance(&world->random, 30) ? 0 : random_below(&world->random, 6);

        world->is_final = false;
        world->n_tries = 0;
        if (random_chance(&world->random, 85)) {
                oracles_before_start_all(world);
                machine_start_all(world->machine, world->now);
        } else
                ask_start(world, random_below(&world->random, world->graph.n));
        for (unsigned i = 0; i < n_requests; i++)
                world_put(world, world->now + random_between(&world->random, 0, span),
                          random_chance(&world->random, 65) ? HAPPENING_STOP : HAPPENING_REQUEST, 0, 0, 0);
        if (world->n_crashes_left > 0 && random_chance(&world->random, 50))
                world_put(world, world->now + random_between(&world->random, 0, span), HAPPENING_CRASH, 0, 0, 0);
        put_final(world, world->now + random_between(&world->random, 0, span));
}

/* Going on by itself; one that holds waits for us. */
static bool is_any_going_on(const World *world) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                const Operation *operation = &world->board.operations[place];
                bool holds = operation->until == DRAIN_UNTIL_QUIESCED &&
                             (operation->state == OPERATION_HOLDING || operation->state == OPERATION_STOPPING);

                if (operation_state_is_active((OperationState) operation->state) && !holds)
                        return true;
        }
        return false;
}

static bool is_any_active(const World *world) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if (operation_state_is_active((OperationState) world->board.operations[place].state))
                        return true;
        return false;
}

bool script_round_is_over(World *world) {
        if (!world->is_final || is_any_going_on(world))
                return false;
        if (machine_is_idle(world->machine) && !is_any_active(world))
                return true;
        if (!world->is_asked_again) { /* a guard rolled it back, or something was started after it */
                put_final(world, world->now + USEC_PER_MSEC);
                world->is_asked_again = true;
        }
        return false;
}

bool script_goes_on(World *world) {
        return world->n_rounds_left > 0 && --world->n_rounds_left > 0;
}
