#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "../../protocol/log.h"
#include "api.h"
#include "journal-ids.h"
#include "manager-private.h"

/* The two ends of a life: when draind says that it is ready, and when it ends, with which status. */

#define STARTS_MAX 16u /* in one go */

enum { EXIT_CLEAN = 0, EXIT_KILLED = 3, EXIT_ESSENTIAL = 4, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* One command without a file: its status is ours, as a shell would tell it. */
static int status_of_command(const Cell *cell, const ServiceConfig *config, const Operation *operation) {
        bool was_asked = operation->cause.kind == CAUSE_SIGNAL || operation->cause.kind == CAUSE_CLIENT;

        if (cell->result == RESULT_START_FAILED)
                return cell->failure.error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
        if (cell->exit_code == CLD_EXITED)
                return cell->exit_status;
        if (cell->exit_code == 0)
                return EXIT_CLEAN; /* it never ran */
        for (unsigned i = 0; was_asked && cell->result != RESULT_KILLED && i < config->n_rungs; i++)
                if (config->rungs[i].signal == cell->exit_status)
                        return EXIT_CLEAN; /* it ended by the drain's signal, in time */
        return 128 + cell->exit_status;
}

static int status_of(Manager *manager, const Operation *operation) {
        if (manager->model->is_command && manager->n_services == 1)
                return status_of_command(machine_cell(manager->machine, 0), &manager->model->services[0], operation);
        if (operation->cause.kind == CAUSE_EXIT || operation->cause.kind == CAUSE_LIMIT)
                return EXIT_ESSENTIAL;
        return operation->n_killed + operation->n_unkillable > 0 ? EXIT_KILLED : EXIT_CLEAN;
}

static const Operation *ended_exit_operation(Manager *manager) {
        const Operation *found = NULL;

        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                const Operation *operation = machine_operation(manager->machine, place);

                if (operation->state == OPERATION_STOPPED && (operation->flags & OPERATION_EXITS) != 0
                    && (!found || operation->id > found->id))
                        found = operation;
        }
        return found;
}

static void finish(Manager *manager, const Operation *operation) {
        int status = status_of(manager, operation);
        char path[4200];

        manager->is_finishing = true;
        for (unsigned i = 0; i < manager->n_services; i++)
                service_finish(manager->services[i]);
        records_flush(manager);
        link_notify(manager->link, "STOPPING=1");
        log_message(LOG_INFO, "Ending with status %d.", status);
        api_flush(manager->api);
        if (manager->runtime_directory && !manager->model->control_socket && api_listening_fd(manager->api) >= 0) {
                (void) snprintf(path, sizeof(path), "%s/control", manager->runtime_directory);
                drop(unlink(path)); /* the next one replaces it */
        }
        for (unsigned i = 0; i < manager->n_services; i++)
                if (manager->services[i]->notify)
                        manager->services[i]->notify = notify_socket_remove(manager->services[i]->notify);
        link_finish(manager->link, status);
        loop_exit(manager->loop, 0);
}

void manager_finish_if_done(Manager *manager) {
        const Operation *operation;

        if (manager->is_finishing || !machine_is_idle(manager->machine))
                return;
        operation = ended_exit_operation(manager);
        if (operation)
                finish(manager, operation);
}

static bool is_starting(Manager *manager) {
        for (unsigned i = 0; i < manager->n_services; i++)
                if (service_state_public(machine_cell(manager->machine, i)->state) == PUBLIC_STARTING)
                        return true;
        return false;
}

/* Whatever changes of state have led to, once for many of them. */
static void after_changes(void *userdata) {
        Manager *manager = userdata;

        manager->has_changes = false;
        manager_finish_if_done(manager);
        if (manager->is_finishing)
                return;
        if (!manager->is_ready && !manager->is_starting_up && !is_starting(manager)) {
                manager->is_ready = true;
                link_notify(manager->link, "READY=1");
        }
        manager_tell_status(manager);
        reload_continue(manager);
}

/* A share of the budget is used up: say who is still there, before it has to be killed. */
void manager_slow_fired(Timer *timer, usec_t now) {
        Manager *manager = container_of(timer, Manager, slow_timer);

        for (unsigned i = 0; i < manager->n_services; i++) {
                const Cell *cell = machine_cell(manager->machine, i);
                const Operation *operation = machine_operation_of(manager->machine, i);
                const char *name = manager->model->services[i].name;
                char left[DURATION_TEXT_MAX];

                if (!operation || operation->state == OPERATION_HOLDING || cell->state < SERVICE_STOP_HOOK)
                        continue;
                log_record(LOG_WARNING,
                           (const LogField[]) { { "MESSAGE_ID", MSG_SLOW_STOP }, { "DRAIND_SERVICE", name }, { NULL, NULL } },
                           __FILE__, __LINE__, "%s: still there (%s) after %u%% of the drain's time, %s left.", name,
                           service_state_name(cell->state), manager->model->warn_stop_after_percent,
                           duration_format(left, sizeof(left), usec_left(operation->deadline, now) / 1000 * 1000));
        }
}

#define LATER_USEC USEC_PER_MSEC

void manager_later(Manager *manager) {
        if (!timer_is_armed(&manager->later_timer))
                timer_arm(manager->loop, &manager->later_timer, usec_add(manager_now(manager), LATER_USEC));
}

void manager_later_fired(Timer *timer, usec_t now) {
        Manager *manager = container_of(timer, Manager, later_timer);

        exits_sweep(manager);
        if (manager->has_news)
                link_wake_keeper(manager->link);
        manager->has_news = false;
        records_flush(manager);
        if (service_do_chores(manager))
                timer_arm(manager->loop, timer, now); /* after what has come meanwhile */
        if (manager->has_changes)
                after_changes(manager);
}

/* Thousands are not started in one go: requests, signals and the keeper's watch are answered in between. */
static void start_some(void *userdata) {
        Manager *manager = userdata;

        manager->is_starting_up = machine_start_some(manager->machine, STARTS_MAX, manager_now(manager));
        if (manager->is_starting_up)
                loop_post(manager->start_work);
        loop_post(manager->finish_work);
}

int finish_init(Manager *manager) {
        int r = loop_add_work(manager->loop, LOOP_PRIORITY_CONTROL, "start", start_some, manager, &manager->start_work);

        return r < 0 ? r : loop_add_work(manager->loop, LOOP_PRIORITY_CONTROL, "after changes", after_changes, manager,
                             &manager->finish_work);
}
