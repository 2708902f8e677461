#include "world.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "crash.h"
#include "effects.h"
#include "oracles.h"
#include "processes.h"
#include "script.h"

#define EVENTS_MAX 60000u

void world_note(World *world, const char *what, unsigned who, uint64_t a, uint64_t b) {
        uint64_t fact = (uint64_t) what[0] << 56 ^ (uint64_t) who << 48 ^ a * 31 ^ b * 127 ^ world->now;

        world->hash = (world->hash ^ fact) * UINT64_C(0x100000001b3);
        world->hash ^= world->hash >> 29;
        if (world->is_traced)
                printf("%12" PRIu64 "  s%02u  %-34s %" PRIu64 " %" PRIu64 "\n", world->now, who, what, a, b);
}

void world_put(World *world, usec_t at, HappeningKind kind, unsigned service, uint64_t key, uint32_t argument) {
        queue_put(&world->coming, (Happening){
                                          .at = at,
                                          .key = key,
                                          .sequence = ++world->sequence,
                                          .service = service,
                                          .argument = argument,
                                          .kind = kind,
                                  });
}

/* What is due by now happens, whether the core looks or not; what it is to be told waits for it. */
static void let_happen(World *world) {
        while (world->coming.n > 0 && world->coming.items[0].at <= world->now) {
                Happening happening = queue_take(&world->coming);

                if (happening.kind == HAPPENING_LEADER_EXIT || happening.kind == HAPPENING_HOOK_EXIT ||
                    happening.kind == HAPPENING_CHILD_EXIT || happening.kind == HAPPENING_REACT) {
                        if (!processes_happen(world, &happening))
                                continue;
                }
                queue_put(&world->due, happening);
        }
}

static void tell_leader_exit(World *world, const Happening *happening) {
        unsigned i = happening->service;
        bool is_empty = processes_are_gone(world, i);

        if (world->board.leaders[i] != happening->key)
                return; /* of a run that was abandoned, or taken in before the crash */
        oracles_on_exit(world, i, (int) (happening->argument >> 16), (int) (happening->argument & 0xffff), is_empty);
        machine_exited(world->machine, i, (int) (happening->argument >> 16), (int) (happening->argument & 0xffff),
                       is_empty, world->now);
        if (!world->is_dead) {
                effects_publish(world, i);
                oracles_after_exit(world, i);
        }
}

static void tell_hook_exit(World *world, const Happening *happening) {
        unsigned i = happening->service;
        bool is_empty = processes_are_gone(world, i);

        if (world->board.hooks[i] != happening->key)
                return;
        oracles_on_hook_exit(world, i, is_empty);
        machine_hook_exited(world->machine, i, (int) (happening->argument >> 16), (int) (happening->argument & 0xffff),
                            is_empty, world->now);
        if (!world->is_dead)
                effects_publish(world, i);
}

static void tell_child_exit(World *world, const Happening *happening) {
        unsigned i = happening->service;

        if (!processes_are_gone(world, i))
                return;
        oracles_on_empty(world, i);
        machine_emptied(world->machine, i, world->now);
        if (!world->is_dead)
                effects_publish(world, i);
}

static void tell_ping(World *world, const Happening *happening) {
        Actor *actor = &world->actors[happening->service];

        if (actor->leader.pid != happening->key || actor->n_pings_left == 0)
                return;
        actor->n_pings_left--;
        world_put(world, world->now + actor->watchdog / 2, HAPPENING_PING, happening->service, actor->leader.pid, 0);
        oracles_on_ping(world, happening->service);
        machine_watchdog_ping(world->machine, happening->service, world->now);
}

static void tell_extend(World *world, const Happening *happening) {
        Actor *actor = &world->actors[happening->service];
        const Behaviour *how = &world->graph.behaviours[happening->service];

        if (actor->leader.pid != happening->key)
                return;
        world_put(world, world->now + 50 * USEC_PER_MSEC + random_next(&world->random) % how->extend_by,
                  HAPPENING_EXTEND, happening->service, actor->leader.pid, 0);
        if (actor->n_extends_left > 0) {
                bool is_granted;

                oracles_on_extend(world, happening->service, how->extend_by);
                is_granted = machine_extend(world->machine, happening->service, how->extend_by, world->now);
                actor->n_extends_left -= is_granted;
                oracles_after_extend(world, happening->service, is_granted);
        }
}

static void tell_timer(World *world, const Happening *happening) {
        unsigned i = happening->service;

        if (happening->key != world->timer_version[i])
                return;
        world->armed[i] = USEC_INFINITY;
        world_note(world, "timer", i, happening->at, 0);
        machine_timer(world->machine, i, world->now);
}

static void tell_operation_timer(World *world, const Happening *happening) {
        unsigned place = happening->service;

        if (happening->key != world->operation_timer_version[place])
                return;
        world->operation_armed[place] = USEC_INFINITY;
        world_note(world, "operation timer", place, happening->at, 0);
        machine_operation_timer(world->machine, place, world->now);
}

static void tell_from_leader(World *world, const Happening *happening) {
        unsigned i = happening->service;

        if (world->actors[i].leader.pid != happening->key)
                return;
        if (happening->kind == HAPPENING_READY) {
                oracles_on_ready(world, i);
                machine_ready(world->machine, i, world->now);
        } else if (happening->kind == HAPPENING_TRIGGER)
                machine_watchdog_failed(world->machine, i, world->now);
        else {
                machine_guards(world->machine, i, true, world->now);
                if (!world->is_dead)
                        oracles_after_guards(world, i);
        }
}

static void tell(World *world, const Happening *happening) {
        switch (happening->kind) {
        case HAPPENING_LEADER_EXIT:
                tell_leader_exit(world, happening);
                break;
        case HAPPENING_HOOK_EXIT:
                tell_hook_exit(world, happening);
                break;
        case HAPPENING_CHILD_EXIT:
        case HAPPENING_LOOK:
                tell_child_exit(world, happening);
                break;
        case HAPPENING_STOP:
        case HAPPENING_REQUEST:
                script_ask(world, happening);
                break;
        case HAPPENING_READY:
        case HAPPENING_TRIGGER:
        case HAPPENING_GUARD:
                tell_from_leader(world, happening);
                break;
        case HAPPENING_PING:
                tell_ping(world, happening);
                break;
        case HAPPENING_EXTEND:
                tell_extend(world, happening);
                break;
        case HAPPENING_TIMER:
                tell_timer(world, happening);
                break;
        case HAPPENING_OPERATION_TIMER:
                tell_operation_timer(world, happening);
                break;
        case HAPPENING_CRASH:
                if (world->n_crashes_left > 0)
                        world->is_dead = true;
                break;
        case HAPPENING_REACT:
        case HAPPENING_KIND_MAX:
                assert(false);
        }
}

/* A dead core has handled what it was told in part: the ring and the clients tell it again to the next one. */
static void survive(World *world, const Happening *happening) {
        while (world->is_dead)
                crash_recover(world);
        if (happening->kind == HAPPENING_LEADER_EXIT || happening->kind == HAPPENING_HOOK_EXIT ||
            happening->kind == HAPPENING_CHILD_EXIT ||
            (happening->kind == HAPPENING_STOP && (happening->argument != 0 || random_chance(&world->random, 60))))
                queue_put(&world->due, *happening);
}

static void serve_one(World *world) {
        Happening happening = queue_take(&world->due);

        world->n_events++;
        tell(world, &happening);
        if (world->is_dead)
                survive(world, &happening);
        else
                oracles_after_step(world);
}

static void advance(World *world) {
        usec_t next = world->coming.items[0].at;

        oracles_when_quiet(world, next);
        if (next > world->now)
                world->now = next;
        if (world->stall_percent > 0 && random_chance(&world->random, world->stall_percent))
                world->now += random_below(&world->random, 700) * USEC_PER_MSEC;
}

void world_init(World *world) {
        *world =
                (World){ .coming = { .before = happening_is_earlier }, .due = { .before = happening_is_served_first } };
        world->books = books_new();
}

void world_done(World *world) {
        queue_done(&world->coming);
        queue_done(&world->due);
        world->books = books_free(world->books);
}

static void begin_history(World *world, uint64_t seed, bool is_traced) {
        World empty = {
                .coming = world->coming, .due = world->due, .books = world->books, .seed = seed, .is_traced = is_traced
        };
        int r;

        *world = empty;
        world->coming.n = world->due.n = 0;
        world->random.state = seed;
        world->random.state = random_next(&world->random); /* neighbours have nothing in common */
        world->hash = seed;
        world->now = 1000 * USEC_PER_SEC;
        graph_make(&world->graph, &world->random);
        if (random_chance(&world->random, 25)) {
                world->stall_percent = 1 + random_below(&world->random, 10);
                world->lag_most = 700 * USEC_PER_MSEC;
        }
        if (random_chance(&world->random, 30)) {
                world->n_crashes_left = 1 + random_below(&world->random, 8);
                world->crash_in = 1 + random_below(&world->random, 200);
        }
        world->n_rounds_left = 1 + random_below(&world->random, 8);
        for (unsigned i = 0; i < world->graph.n; i++)
                world->armed[i] = USEC_INFINITY;
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                world->operation_armed[place] = USEC_INFINITY;
        oracles_begin(world);
        if (world->graph.is_order_wrong)
                return;
        r = machine_new(&world->machine, &world->graph.model, world->graph.order, &effects, world);
        assert(r == 0);
        for (unsigned i = 0; i < world->graph.n; i++)
                effects_publish(world, i);
}

bool world_run(World *world, uint64_t seed, bool is_traced) {
        begin_history(world, seed, is_traced);
        while (world->failed_oracle == 0) {
                script_begin_round(world);
                while (world->is_dead)
                        crash_recover(world);
                while (world->failed_oracle == 0 && (world->coming.n > 0 || world->due.n > 0)) {
                        let_happen(world);
                        if (world->due.n > 0)
                                serve_one(world);
                        else if (world->coming.n > 0)
                                advance(world);
                        if (world->n_events > EVENTS_MAX)
                                oracles_on_busy(world);
                        if (world->due.n == 0 && script_round_is_over(world))
                                break;
                }
                if (!script_goes_on(world))
                        break;
        }
        if (world->failed_oracle == 0)
                oracles_at_end(world);
        world->machine = machine_free(world->machine);
        graph_done(&world->graph);
        return world->failed_oracle == 0;
}
