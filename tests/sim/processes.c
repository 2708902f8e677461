#include "processes.h"

#include <signal.h>
#include <string.h>

#define ENDED_WELL 0u

/* An exit as one word: code in the upper half. */
static uint32_t exit_word(int code, int status) {
        return (uint32_t) code << 16 | (uint32_t) status;
}

static const Behaviour *behaviour(const World *world, unsigned service) {
        return &world->graph.behaviours[service];
}

static Process new_process(World *world) {
        return (Process){ .pid = ++world->last_pid };
}

static void end_at(World *world, HappeningKind kind, unsigned service, const Process *process, usec_t at,
                   uint32_t word) {
        if (process->pid != 0 && at != USEC_INFINITY)
                world_put(world, at, kind, service, process->pid, word);
}

static void end_after(World *world, HappeningKind kind, unsigned service, const Process *process, usec_t after,
                      uint32_t word) {
        end_at(world, kind, service, process, usec_add(world->now, after), word);
}

static void add_child(World *world, unsigned service) {
        Actor *actor = &world->actors[service];

        for (unsigned i = 0; i < WORLD_CHILDREN_MAX; i++)
                if (actor->children[i].pid == 0) {
                        actor->children[i] = new_process(world);
                        return;
                }
}

void processes_start_leader(World *world, unsigned service) {
        const ServiceConfig *config = &world->graph.services[service];
        const Behaviour *how = behaviour(world, service);
        Actor *actor = &world->actors[service];
        bool ends_badly = random_chance(&world->random, how->ends_badly_percent);

        actor->leader = new_process(world);
        actor->n_runs++;
        actor->n_pings_left = how->pings;
        actor->n_extends_left = how->n_extends;
        actor->watchdog = config->watchdog;
        for (unsigned i = 0; i < how->n_children; i++)
                add_child(world, service);
        end_after(world, HAPPENING_LEADER_EXIT, service, &actor->leader, how->lives_for,
                  exit_word(CLD_EXITED, ends_badly                          ? 1
                                        : random_chance(&world->random, 10) ? 7
                                                                            : 0));
        if (config->type == SERVICE_NOTIFY && how->ready_after != GRAPH_NEVER)
                world_put(world, world->now + how->ready_after, HAPPENING_READY, service, actor->leader.pid, 0);
        if (config->watchdog > 0)
                world_put(world, world->now + config->watchdog / 2, HAPPENING_PING, service, actor->leader.pid, 0);
        if (how->n_extends > 0)
                world_put(world, world->now + random_below(&world->random, 1000000), HAPPENING_EXTEND, service,
                          actor->leader.pid, 0);
        if (random_chance(&world->random, 2))
                world_put(world, world->now + random_below(&world->random, 3000000), HAPPENING_TRIGGER, service,
                          actor->leader.pid, 0);
        world_note(world, "leader", service, actor->leader.pid, 0);
}

bool processes_start_hook(World *world, unsigned service, HookKind kind) {
        const Behaviour *how = behaviour(world, service);
        Actor *actor = &world->actors[service];
        HookFate fate = random_chance(&world->random, 85) ? how->hooks[kind] : HOOK_FATE_SUCCESS;

        if (fate == HOOK_FATE_IMPOSSIBLE)
                return false;
        for (unsigned i = 0; actor->hook.pid != 0 && i < WORLD_CHILDREN_MAX; i++)
                if (actor->children[i].pid == 0) { /* one that was told to end still does so */
                        actor->children[i] = actor->hook;
                        break;
                }
        actor->hook = new_process(world);
        actor->hook_kind = kind;
        if (how->hook_leaves_child)
                add_child(world, service);
        if (fate == HOOK_FATE_AT_DEADLINE)
                world_put(world, world->now, HAPPENING_REACT, service, actor->hook.pid, UINT32_MAX);
        else if (fate != HOOK_FATE_HANGS)
                end_after(world, HAPPENING_HOOK_EXIT, service, &actor->hook, how->hook_takes,
                          exit_word(CLD_EXITED, fate == HOOK_FATE_FAILURE ? 3 : 0));
        world_note(world, "hook", service, actor->hook.pid, kind);
        return true;
}

void processes_end_hook(World *world, unsigned service) {
        Actor *actor = &world->actors[service];

        end_after(world, HAPPENING_HOOK_EXIT, service, &actor->hook, random_below(&world->random, 1000),
                  exit_word(CLD_KILLED, SIGKILL));
}

void processes_signal(World *world, unsigned service, unsigned rung, bool to_tree) {
        Actor *actor = &world->actors[service];

        if (actor->leader.pid != 0)
                world_put(world, world->now, HAPPENING_REACT, service, actor->leader.pid, rung);
        if (to_tree && actor->hook.pid != 0)
                world_put(world, world->now, HAPPENING_REACT, service, actor->hook.pid, rung);
        if (to_tree)
                for (unsigned i = 0; i < WORLD_CHILDREN_MAX; i++)
                        if (actor->children[i].pid != 0)
                                world_put(world, world->now, HAPPENING_REACT, service, actor->children[i].pid, rung);
        if (behaviour(world, service)->forks_on_signal)
                add_child(world, service);
}

static void kill_one(World *world, HappeningKind kind, unsigned service, Process *process) {
        usec_t after = behaviour(world, service)->killed_after;

        if (process->pid == 0)
                return;
        process->stuck_until = usec_add(world->now, after);
        end_after(world, kind, service, process, after, exit_word(CLD_KILLED, SIGKILL));
}

void processes_kill(World *world, unsigned service) {
        Actor *actor = &world->actors[service];

        kill_one(world, HAPPENING_LEADER_EXIT, service, &actor->leader);
        kill_one(world, HAPPENING_HOOK_EXIT, service, &actor->hook);
        for (unsigned i = 0; i < WORLD_CHILDREN_MAX; i++)
                kill_one(world, HAPPENING_CHILD_EXIT, service, &actor->children[i]);
}

void processes_disown(World *world, unsigned service) {
        Actor *actor = &world->actors[service];

        actor->leader = actor->hook = (Process){ 0 };
        memset(actor->children, 0, sizeof(actor->children));
}

bool processes_are_gone(const World *world, unsigned service) {
        const Actor *actor = &world->actors[service];

        if (actor->leader.pid != 0 || actor->hook.pid != 0)
                return false;
        for (unsigned i = 0; i < WORLD_CHILDREN_MAX; i++)
                if (actor->children[i].pid != 0)
                        return false;
        return true;
}

static Process *find_process(Actor *actor, uint64_t pid, HappeningKind *ret_kind) {
        if (pid == 0)
                return NULL;
        if (actor->leader.pid == pid) {
                *ret_kind = HAPPENING_LEADER_EXIT;
                return &actor->leader;
        }
        if (actor->hook.pid == pid) {
                *ret_kind = HAPPENING_HOOK_EXIT;
                return &actor->hook;
        }
        for (unsigned i = 0; i < WORLD_CHILDREN_MAX; i++)
                if (actor->children[i].pid == pid) {
                        *ret_kind = HAPPENING_CHILD_EXIT;
                        return &actor->children[i];
                }
        return NULL;
}

/* The signal of a rung has come (argument), or a hook that wants to end with its deadline has begun (UINT32_MAX). */
static void react(World *world, const Happening *happening, const Process *process, HappeningKind kind) {
        unsigned service = happening->service, rung = happening->argument;
        const Behaviour *how = behaviour(world, service);
        int number = rung == UINT32_MAX ? 0 : world->graph.services[service].rungs[rung].signal;
        uint32_t word = how->exits_well ? exit_word(CLD_EXITED, ENDED_WELL) : exit_word(CLD_KILLED, number);

        if (rung == UINT32_MAX)
                end_at(world, kind, service, process, world->armed[service], exit_word(CLD_EXITED, ENDED_WELL));
        else if (kind != HAPPENING_LEADER_EXIT && rung >= how->child_heeds_rung)
                end_after(world, kind, service, process, how->child_ends_after, word);
        else if (kind == HAPPENING_LEADER_EXIT && rung >= how->heeds_rung && how->ends_at_deadline &&
                 world->armed[service] >= world->now)
                end_at(world, kind, service, process, world->armed[service], word);
        else if (kind == HAPPENING_LEADER_EXIT && rung >= how->heeds_rung)
                end_after(world, kind, service, process, how->ends_after, word);
}

static void follow_leader(World *world, unsigned service) {
        Actor *actor = &world->actors[service];

        if (!behaviour(world, service)->children_end_with_leader)
                return;
        for (unsigned i = 0; i < WORLD_CHILDREN_MAX; i++)
                end_after(world, HAPPENING_CHILD_EXIT, service, &actor->children[i], random_below(&world->random, 2000),
                          exit_word(CLD_EXITED, ENDED_WELL));
}

bool processes_happen(World *world, Happening *happening) {
        HappeningKind kind = HAPPENING_KIND_MAX;
        Process *process = find_process(&world->actors[happening->service], happening->key, &kind);

        if (!process)
                return false;
        if (happening->kind == HAPPENING_REACT) {
                react(world, happening, process, kind);
                return false;
        }
        if (process->stuck_until > happening->at) {
                end_at(world, kind, happening->service, process, process->stuck_until, happening->argument);
                return false;
        }
        happening->kind = kind; /* a hook may have become one of the rest */
        world_note(world, "ends", happening->service, happening->key, happening->argument);
        process->pid = 0;
        process->stuck_until = 0;
        if (kind == HAPPENING_LEADER_EXIT)
                follow_leader(world, happening->service);
        return true;
}
