#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../../protocol/log.h"
#include "manager-private.h"

/* What the signals that the keeper received mean to draind. */

static void find_asker(Cause *cause, pid_t pid) {
        char path[32], text[sizeof(cause->command) + 1];
        cleanup(fd_closep) int fd = -EBADF;
        ssize_t n;

        (void) snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -EBADF;
        n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
        if (n <= 0)
                return; /* it has ended, or is of another pid namespace */
        text[n] = '\0';
        (void) snprintf(cause->command, sizeof(cause->command), "%.*s", (int) strcspn(text, "\n"), text);
}

/* The running drain of everything that ends draind, or NULL. */
static const Operation *exit_operation(Manager *manager) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                const Operation *operation = machine_operation(manager->machine, place);

                if (operation_state_is_active(operation->state) && (operation->flags & OPERATION_EXITS) != 0)
                        return operation;
        }
        return NULL;
}

static void drain_everything(Manager *manager, const Cause *cause, uint64_t sequence, bool skips) {
        DrainRequest request = {
                .budget = USEC_INFINITY, .until = DRAIN_UNTIL_STOPPED, .sequence = sequence, .cause = *cause,
                .flags = OPERATION_ALL | OPERATION_EXITS | (skips ? OPERATION_SKIPS : 0u),
        };
        const Operation *running = exit_operation(manager);
        const char *why = "";
        uint64_t id;

        if (running && (running->flags & OPERATION_SKIPS) != 0) {
                drop(machine_kill(manager->machine, running->id, manager_now(manager))); /* the third request */
                return;
        }
        if (running)
                request.flags |= OPERATION_SKIPS; /* the second */
        if (machine_drain(manager->machine, &request, manager_now(manager), &id, &why) == MACHINE_REFUSED)
                log_message(LOG_ERR, "Cannot drain: %s.", why);
}

static void say_status(Manager *manager) {
        char since[DURATION_TEXT_MAX];

        for (unsigned i = 0; i < manager->n_services; i++) {
                const Cell *cell = machine_cell(manager->machine, i);
                usec_t now = manager_now(manager);

                log_message(LOG_NOTICE, "%s: %s (%s) for %s, pid %d.", manager->model->services[i].name,
                            public_state_name(service_state_public(cell->state)), service_state_name(cell->state),
                            duration_format(since, sizeof(since), (now - usec_min(cell->since, now)) / 1000 * 1000),
                            manager->services[i]->leader);
        }
}

static bool was_seen(Manager *manager, uint64_t position) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if (machine_operation(manager->machine, place)->sequence > position)
                        return true;
        return false;
}

void manager_on_signal(Manager *manager, const RingRecord *record, uint64_t position) {
        Cause cause = { .kind = CAUSE_SIGNAL, .signal = record->status, .pid = record->pid, .uid = record->uid };

        if (was_seen(manager, position))
                return; /* an earlier core has acted on it, and died before it could say so */
        find_asker(&cause, record->pid);
        if (record->status == SIGTERM || record->status == SIGINT || record->status == SIGRTMIN + 3)
                drain_everything(manager, &cause, position + 1, false);
        else if (record->status == SIGQUIT)
                drain_everything(manager, &cause, position + 1, true);
        else if (record->status == SIGHUP)
                reload_signalled(manager);
        else if (record->status == SIGUSR1)
                say_status(manager);
        else if (record->status == SIGUSR2) {
                log_message(LOG_NOTICE, "Making way for a new core.");
                loop_exit(manager->loop, 0); /* not finished: the keeper starts the next one */
        }
}

void manager_on_keeper_gone(Manager *manager, int signal) {
        Cause cause = { .kind = CAUSE_KEEPER, .signal = signal };

        log_message(LOG_ERR, "The keeper is gone; everything ends.");
        manager->is_keeper_gone = true;
        drain_everything(manager, &cause, 0, true);
}
