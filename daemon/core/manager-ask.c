#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "manager-private.h"

/* What clients may look at and ask for. */

Loop *manager_loop(Manager *manager) {
        return manager->loop;
}

const Model *manager_model(const Manager *manager) {
        return manager->model;
}

Machine *manager_machine(Manager *manager) {
        return manager->machine;
}

const Order *manager_order(const Manager *manager) {
        return manager->order;
}

Events *manager_events(Manager *manager) {
        return manager->events;
}

Outputs *manager_outputs(Manager *manager) {
        return manager->outputs;
}

usec_t manager_now(Manager *manager) {
        return loop_now(manager->loop);
}

unsigned manager_generation(const Manager *manager) {
        return link_ring(manager->link)->generation;
}

pid_t manager_keeper(const Manager *manager) {
        return manager->keeper;
}

char *const *manager_arguments(const Manager *manager) {
        return manager->arguments;
}

ServiceRuntime manager_runtime(const Manager *manager, unsigned index) {
        const Service *service = manager->services[index];

        return (ServiceRuntime) {
                .main_pid = service->main > 0 ? service->main : service->leader,
                .hook_pid = service->hook,
                .status_text = service->status_text,
                .needs_restart = service->needs_restart,
        };
}

/* The latest operation that it belongs to or belonged to. */
static const Operation *last_operation(const Manager *manager, unsigned service) {
        const Operation *found = machine_operation_of(manager->machine, service);

        for (unsigned place = 0; !found && place < MACHINE_OPERATIONS_MAX; place++) {
                const Operation *operation = machine_operation(manager->machine, place);

                if (operation->id != 0 && machine_is_member(manager->machine, place, service)
                    && (!found || operation->id > found->id))
                        found = operation;
        }
        return found;
}

Cause manager_cause(const Manager *manager, unsigned service) {
        const Cell *cell = machine_cell(manager->machine, service);
        const Operation *operation = last_operation(manager, service);

        if (cell->local_cause != CAUSE_NONE)
                return (Cause) { .kind = cell->local_cause };
        if (operation)
                return operation->cause;
        return (Cause) { .kind = cell->exit_code != 0 ? CAUSE_EXIT : CAUSE_NONE };
}

unsigned manager_hops(const Manager *manager, unsigned service) {
        const Operation *operation = last_operation(manager, service);
        unsigned hops = 0, at = service;

        if (!operation)
                return 0;
        /* Up along what it requires, as long as that drains in the same operation: bounded by the number of services. */
        while (hops < manager->n_services) {
                unsigned next = at;
                unsigned place = (unsigned) (operation - machine_operation(manager->machine, 0));

                edges_foreach(needed, &manager->order->requires, at)
                        if (machine_is_member(manager->machine, place, needed))
                                next = needed;
                if (next == at)
                        break;
                at = next;
                hops++;
        }
        return hops;
}

int manager_processes(Manager *manager, unsigned service, void (*on_process)(const TreeProcess *process, void *userdata),
                      void *userdata) {
        return tree_list(manager->tree, manager->services[service]->place, on_process, userdata);
}

void manager_watch(Manager *manager, ManagerWatcher *watcher) {
        watchers_add(&manager->watchers, &watcher->watcher);
}

void manager_unwatch(ManagerWatcher *watcher) {
        watchers_remove(&watcher->watcher);
}

int manager_kill(Manager *manager, unsigned index, int signal, bool to_tree) {
        Service *service = manager->services[index];
        int r;

        if (to_tree) {
                r = tree_signal(manager->tree, service->place, signal, 0);
                return r == 0 ? -ESRCH : r;
        }
        r = service_send(service, signal);
        return r < 0 ? r : 1;
}
