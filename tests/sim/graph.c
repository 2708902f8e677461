#include "graph.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const usec_t second = USEC_PER_SEC, milli = USEC_PER_MSEC;

static char *const hook_argv[] = { (char *) "hook", NULL };
static Command hook_commands[] = {
        { .argv = (char **) hook_argv },
        { .argv = (char **) hook_argv, .may_fail = true },
        { .argv = (char **) hook_argv },
};

static char guard_text[] = "drained";
static char *guard_names[] = { guard_text };

static void list_add(StringList *list, char **items, char *name) {
        if (list->n == GRAPH_NAMES_MAX)
                return;
        list->items = items;
        items[list->n++] = name;
}

static CommandList some_commands(Random *random, unsigned percent) {
        if (!random_chance(random, percent))
                return (CommandList){ 0 };
        return (CommandList){ .items = hook_commands,
                              .n = 1 + (random_chance(random, 30) ? 1 + random_below(random, 2) : 0) };
}

static void make_ladder(Graph *graph, unsigned i, Random *random, bool is_generous) {
        static const int signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1 };
        ServiceConfig *service = &graph->services[i];

        service->rungs = graph->rungs[i];
        service->n_rungs = random_chance(random, 55) ? 1 : 1 + random_below(random, GRAPH_RUNGS_MAX);
        for (unsigned rung = 0; rung < service->n_rungs; rung++)
                service->rungs[rung] = (Rung){
                        .signal = signals[random_below(random, n_elements(signals))],
                        .to_tree = random_chance(random, 40),
                        .time = is_generous ? random_between(random, 1, 10) * second
                                            : random_between(random, 1, 2000) * milli + random_below(random, 1000),
                };
        if (random_chance(random, 3))
                service->rungs[random_below(random, service->n_rungs)].time = 0;
}

static void make_service(Graph *graph, unsigned i, Random *random) {
        ServiceConfig *service = &graph->services[i];
        bool is_generous = random_chance(random, 30);

        service_config_defaults(service);
        snprintf(graph->names[i], sizeof(graph->names[i]), "s%02u", i % 100);
        service->name = graph->names[i];
        service->type = (ServiceType) random_below(random, SERVICE_TYPE_MAX);
        if (service->type == SERVICE_ONESHOT && random_chance(random, 50))
                service->type = SERVICE_SIMPLE;
        service->start_pre = some_commands(random, 15);
        service->reload = some_commands(random, 30);
        service->stop = some_commands(random, 20);
        service->stop_post = some_commands(random, 15);
        service->restart = (RestartPolicy) random_below(random, RESTART_POLICY_MAX);
        service->start_limit_burst = random_chance(random, 20) ? 0 : 1 + random_below(random, 5);
        service->restart_delay = random_between(random, 0, 2000) * milli;
        if (service->restart_delay == 0 && service->start_limit_burst == 0)
                service->restart_delay = 50 * milli; /* else nothing but its own time keeps it from starting for ever */
        service->restart_delay_max = service->restart_delay + random_between(random, 0, 5000) * milli;
        service->start_limit_interval = random_between(random, 1, 20) * second;
        service->start_timeout = random_chance(random, 20) ? USEC_INFINITY : random_between(random, 100, 5000) * milli;
        service->watchdog = random_chance(random, 15) ? random_between(random, 200, 2000) * milli : 0;
        service->is_essential = random_chance(random, 5);
        service->withdraw = random_chance(random, 35) ? random_between(random, 1, 3000) * milli : 0;
        service->quiesce = random_chance(random, 45) ? random_between(random, 1, 5000) * milli : 0;
        if (random_chance(random, 40))
                service->guards = (StringList){ .items = guard_names, .n = 1 };
        service->on_guard_timeout = random_chance(random, 25) ? ON_GUARD_ROLLBACK : ON_GUARD_CONTINUE;
        service->success_statuses[0] |= random_chance(random, 20) ? UINT64_C(1) << 7 : 0;
        service->success_signals =
                random_chance(random, 80) ? UINT64_C(1) << (SIGTERM - 1) | UINT64_C(1) << (SIGINT - 1) : 0;
        make_ladder(graph, i, random, is_generous);
}

static usec_t some_time(Random *random, usec_t most) {
        switch (random_below(random, 4)) {
        case 0:
                return 0;
        case 1:
                return random_between(random, 0, 20 * milli);
        default:
                return random_between(random, 0, most);
        }
}

static void make_behaviour(Graph *graph, unsigned i, Random *random) {
        const ServiceConfig *service = &graph->services[i];
        bool is_oneshot = service->type == SERVICE_ONESHOT, is_good = random_chance(random, 45);

        graph->behaviours[i] = (Behaviour){
                .spawn_fails_percent = random_chance(random, 8) ? 60 : 0,
                .spawn_is_retryable_percent = 50,
                .ready_after = random_chance(random, 8) ? GRAPH_NEVER : some_time(random, 3 * second),
                .lives_for = is_oneshot                  ? some_time(random, 2 * second)
                             : random_chance(random, 15) ? some_time(random, 20 * second)
                                                         : GRAPH_NEVER,
                .ends_badly_percent = random_chance(random, 30) ? 80 : 10,
                .heeds_rung = is_good ? 0 : random_below(random, service->n_rungs + 2),
                .ends_after = some_time(random, is_good ? second : 12 * second),
                .ends_at_deadline = random_chance(random, 8),
                .n_children = random_chance(random, 35) ? 1 + random_below(random, GRAPH_CHILDREN_MAX) : 0,
                .child_heeds_rung = is_good ? 0 : random_below(random, service->n_rungs + 2),
                .child_ends_after = some_time(random, 3 * second),
                .children_end_with_leader = random_chance(random, 50),
                .forks_on_signal = random_chance(random, 5),
                .killed_after = random_chance(random, 6)
                                        ? random_chance(random, 50) ? GRAPH_NEVER : some_time(random, 10 * second)
                                        : random_between(random, 0, 4 * milli),
                .hook_takes = some_time(random, 3 * second),
                .hook_leaves_child = random_chance(random, 5),
                .guards_after = random_chance(random, 25) ? GRAPH_NEVER : some_time(random, 4 * second),
                .n_extends = random_chance(random, 10) ? 1 + random_below(random, 20) : 0,
                .extend_by = random_between(random, 1, 5000) * milli,
                .pings = random_chance(random, 60) ? 1000 : random_below(random, 10),
                .exits_well = random_chance(random, 70),
        };
        for (HookKind kind = 0; kind < HOOK_KIND_MAX; kind++) {
                unsigned dice = random_below(random, 100);

                graph->behaviours[i].hooks[kind] = dice < 65   ? HOOK_FATE_SUCCESS
                                                   : dice < 80 ? HOOK_FATE_FAILURE
                                                   : dice < 90 ? HOOK_FATE_HANGS
                                                   : dice < 95 ? HOOK_FATE_IMPOSSIBLE
                                                               : HOOK_FATE_AT_DEADLINE;
        }
}

/* Edges go from a higher rank to a lower one, so that there is no cycle; ranks are shuffled against the names. */
static void make_edges(Graph *graph, Random *random, const unsigned *rank, unsigned percent) {
        for (unsigned i = 0; i < graph->n; i++)
                for (unsigned j = 0; j < graph->n; j++) {
                        ServiceConfig *service = &graph->services[i];

                        if (rank[i] <= rank[j] || !random_chance(random, percent))
                                continue;
                        switch (random_below(random, 6)) {
                        case 0:
                        case 1:
                                list_add(&service->requires, graph->lists[i][0], graph->names[j]);
                                break;
                        case 2:
                                list_add(&service->wants, graph->lists[i][1], graph->names[j]);
                                break;
                        case 3:
                                list_add(&graph->services[j].stop_after, graph->lists[j][3], graph->names[i]);
                                break;
                        case 4:
                                /* Starts after it and stops after it as well: may close a cycle, then it is made again.
                                 */
                                if (random_chance(random, 10))
                                        list_add(&service->stop_after, graph->lists[i][3], graph->names[j]);
                                list_add(&service->after, graph->lists[i][2], graph->names[j]);
                                break;
                        default:
                                list_add(&service->after, graph->lists[i][2], graph->names[j]);
                                break;
                        }
                }
}

static void mark(bool relation[GRAPH_SERVICES_MAX], const Graph *graph, const StringList *names) {
        for (unsigned k = 0; k < names->n; k++)
                for (unsigned j = 0; j < graph->n; j++)
                        if (strcmp(names->items[k], graph->names[j]) == 0)
                                relation[j] = true;
}

static void note_late(Graph *graph) {
        for (unsigned i = 0; i < graph->n; i++)
                graph->is_late[i] = graph->services[i].is_supporting;
        for (unsigned round = 0; round < graph->n; round++)
                for (unsigned i = 0; i < graph->n; i++)
                        for (unsigned j = 0; j < graph->n; j++)
                                graph->is_late[j] |= graph->is_late[i] && graph->starts_after[i][j];
        /* Whoever was asked to go before one that is not late is not late either. */
        for (unsigned round = 0; round < graph->n; round++)
                for (unsigned i = 0; i < graph->n; i++)
                        for (unsigned j = 0; j < graph->n; j++)
                                graph->is_late[i] &= !(graph->goes_before[i][j] && !graph->is_late[j]);
}

/* The rules of order.h, once more and in the plainest way. */
static void note_relations(Graph *graph) {
        bool after[GRAPH_SERVICES_MAX][GRAPH_SERVICES_MAX] = { 0 },
             stop_after[GRAPH_SERVICES_MAX][GRAPH_SERVICES_MAX] = { 0 };

        memset(graph->requires, 0, sizeof(graph->requires));
        memset(graph->pulls, 0, sizeof(graph->pulls));
        memset(graph->starts_after, 0, sizeof(graph->starts_after));
        memset(graph->goes_before, 0, sizeof(graph->goes_before));
        for (unsigned i = 0; i < graph->n; i++) {
                mark(graph->requires[i], graph, &graph -> services[i].requires);
                mark(graph->pulls[i], graph, &graph->services[i].requires);
                mark(graph->pulls[i], graph, &graph->services[i].wants);
                mark(after[i], graph, &graph->services[i].after);
                mark(stop_after[i], graph, &graph->services[i].stop_after);
        }
        for (unsigned i = 0; i < graph->n; i++)
                for (unsigned j = 0; j < graph->n; j++) {
                        graph->starts_after[i][j] = graph->requires[i][j] || after[i][j];
                        graph->goes_before[i][j] =
                                graph->requires[i][j] || stop_after[j][i] || (after[i][j] && !stop_after[i][j]);
                }
        note_late(graph);
        for (unsigned i = 0; i < graph->n; i++)
                for (unsigned j = 0; j < graph->n; j++)
                        graph->goes_before[i][j] |= !graph->is_late[i] && graph->is_late[j];
}

/* Whoever waits for nobody that is left is taken away; what remains goes in circles. */
static bool has_cycle(const Graph *graph, bool relation[GRAPH_SERVICES_MAX][GRAPH_SERVICES_MAX]) {
        bool is_gone[GRAPH_SERVICES_MAX] = { false };
        unsigned n_gone = 0;

        for (bool is_changed = true; is_changed;) {
                is_changed = false;
                for (unsigned i = 0; i < graph->n; i++) {
                        bool waits = is_gone[i];

                        for (unsigned j = 0; j < graph->n && !waits; j++)
                                waits = relation[i][j] && !is_gone[j];
                        if (waits)
                                continue;
                        is_gone[i] = is_changed = true;
                        n_gone++;
                }
        }
        return n_gone < graph->n;
}

static void make_names_and_ranks(Graph *graph, Random *random, unsigned *rank) {
        for (unsigned i = 0; i < graph->n; i++)
                rank[i] = i;
        for (unsigned i = graph->n; i > 1; i--) {
                unsigned j = random_below(random, i), kept = rank[i - 1];

                rank[i - 1] = rank[j];
                rank[j] = kept;
        }
}

/* Everybody keeps what was wished for: ends inside the ladder, with KILL at once where it comes to that. */
static void make_timid(Graph *graph) {
        graph->is_timid = true;
        for (unsigned i = 0; i < graph->n; i++) {
                Behaviour *how = &graph->behaviours[i];

                how->killed_after = how->killed_after == GRAPH_NEVER
                                            ? 0
                                            : usec_min(how->killed_after, graph->services[i].kill_reserve / 2);
                how->n_extends = 0;
        }
}

void graph_make(Graph *graph, Random *random) {
        unsigned rank[GRAPH_SERVICES_MAX], percent;
        OrderProblem problem = { 0 };
        usec_t kill_reserve;
        int r;

        graph->is_order_wrong = false;
        do {
                free(problem.path);
                problem = (OrderProblem){ 0 };
                graph->n = random_chance(random, 1)    ? 40
                           : random_chance(random, 30) ? 1 + random_below(random, 12)
                                                       : 1 + random_below(random, 5);
                graph->is_timid = false;
                model_defaults(&graph->model);
                make_names_and_ranks(graph, random, rank);
                kill_reserve = random_chance(random, 30) ? 2 * second : random_between(random, 1, 4000) * milli;
                for (unsigned i = 0; i < graph->n; i++) {
                        make_service(graph, i, random);
                        graph->services[i].kill_reserve = kill_reserve;
                        graph->services[i].is_supporting = random_chance(random, 8);
                        make_behaviour(graph, i, random);
                }
                percent = graph->n > 12 ? 5 : random_below(random, 60);
                make_edges(graph, random, rank, percent);
                if (random_chance(random, 25))
                        make_timid(graph);
                graph->model.kill_reserve = kill_reserve;
                graph->model.grace = random_chance(random, 50) ? random_between(random, 20, 90) * second
                                                               : random_between(random, 100, 20000) * milli;
                graph->model.services = graph->services;
                graph->model.n_services = graph->n;
                r = order_new(&graph->order, &graph->model, &problem);
                assert(r >= 0);
                note_relations(graph);
                graph->is_order_wrong |= (r == ORDER_CYCLE) != (has_cycle(graph, graph->starts_after) ||
                                                                has_cycle(graph, graph->goes_before));
        } while (r > 0 && !graph->is_order_wrong);
        free(problem.path);
}

void graph_done(Graph *graph) {
        graph->order = order_free(graph->order);
}
