#include "manager-private.h"

/* What the machine orders and reports, carried to the kernel, the blackboard, the log and those who watch. */

void manager_publish(Manager *manager, unsigned service) {
        WatchersWalk walk;

        for (Watcher *at = watchers_begin(&walk, &manager->watchers); at; at = watchers_next(&walk)) {
                ManagerWatcher *watcher = container_of(at, ManagerWatcher, watcher);

                if (watcher->service_changed)
                        watcher->service_changed(watcher, service);
        }
}

static void publish_operation(Manager *manager, const Operation *operation) {
        WatchersWalk walk;

        for (Watcher *at = watchers_begin(&walk, &manager->watchers); at; at = watchers_next(&walk)) {
                ManagerWatcher *watcher = container_of(at, ManagerWatcher, watcher);

                if (watcher->operation_changed)
                        watcher->operation_changed(watcher, operation);
        }
}

/* --- services --- */

/* Whether people see another state: QUEUED and STARTING are one to them. */
static bool is_visible(ServiceState from, ServiceState to) {
        return service_state_public(from) != service_state_public(to) || service_state_phase(from) != service_state_phase(to)
                || to == SERVICE_BACKOFF;
}

static void on_changed(void *userdata, unsigned index, ServiceState from, ServiceEvent on, usec_t now) {
        Manager *manager = userdata;
        Service *service = manager->services[index];
        ServiceState to = service_cell(service)->state;

        service_commit(service);
        if (from != to && is_visible(from, to))
                records_change(service, from, on, now);
        if (from != to || on != EV_GATE)
                manager_publish(manager, index);
        if (from != to) {
                manager->has_changes = true;
                manager_later(manager);
        }
}

static void on_perform(void *userdata, unsigned service, ServiceAction action, usec_t now) {
        Manager *manager = userdata;

        service_perform(manager->services[service], action, now);
}

static void on_arm(void *userdata, unsigned service, usec_t deadline) {
        Manager *manager = userdata;

        timer_arm(manager->loop, &manager->services[service]->timer, deadline);
}

void manager_service_fired(Timer *timer, usec_t now) {
        Service *service = container_of(timer, Service, timer);

        /* A service that ended in the instant of its deadline has ended in time. */
        exits_settle(service, now);
        machine_timer(service->manager->machine, service->index, now);
}

/* --- operations --- */

/* The end of everything, for the keeper's last rites. */
static void pass_deadline(Manager *manager) {
        usec_t deadline = USEC_INFINITY;

        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                const Operation *operation = machine_operation(manager->machine, place);
                bool is_running = operation_state_is_active(operation->state) && operation->state != OPERATION_HOLDING;

                if (is_running && (operation->flags & OPERATION_ALL) != 0 && operation->deadline < deadline)
                        deadline = operation->deadline;
        }
        manager->has_news |= link_set_deadline(manager->link, deadline != USEC_INFINITY, deadline);
}

static unsigned place_of(const Manager *manager, const Operation *operation) {
        return (unsigned) (operation - machine_operation(manager->machine, 0));
}

static void on_operation(void *userdata, const Operation *operation, usec_t now) {
        Manager *manager = userdata;
        unsigned place = place_of(manager, operation);
        Operation before = { 0 };
        bool is_news = !board_read_operation(manager->board, place, &before) || before.id != operation->id
                || before.state != operation->state;

        board_commit_operation(manager->board, place, operation);
        pass_deadline(manager);
        if (is_news)
                records_operation(manager, operation, now);
        if (is_news && operation->state == OPERATION_QUIESCING)
                timer_arm(manager->loop, &manager->slow_timer,
                          usec_add(operation->requested, operation->budget / 100 * manager->model->warn_stop_after_percent));
        publish_operation(manager, operation);
        manager->has_changes = true;
        if (operation_state_is_active(operation->state))
                manager_later(manager);
        else
                loop_post(manager->finish_work);
}

static void on_arm_operation(void *userdata, unsigned place, usec_t deadline) {
        Manager *manager = userdata;

        timer_arm(manager->loop, &manager->operation_timers[place].timer, deadline);
}

void manager_operation_fired(Timer *timer, usec_t now) {
        OperationTimer *owner = container_of(timer, OperationTimer, timer);

        machine_operation_timer(owner->manager->machine, owner->place, now);
}

const MachineEffects manager_effects = {
        .perform = on_perform,
        .changed = on_changed,
        .arm = on_arm,
        .operation = on_operation,
        .arm_operation = on_arm_operation,
};
