#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "../../protocol/log.h"
#include "journal-ids.h"
#include "manager-private.h"

/* A new core takes over from one that has died. The order counts: pids are opened as pidfds first, and only then the ring
 * is looked at. A pid without a record of its end at that time had not been reaped when its pidfd was opened, so
 * the pidfd is of the right process; with one, the record is all that is needed. */

static void adopt(Service *service, pid_t pid, bool is_hook) {
        int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);

        if (is_hook) {
                service->hook = pid;
                service->hook_fd = pidfd < 0 ? -EBADF : pidfd;
        } else {
                service->leader = pid;
                service->leader_fd = pidfd < 0 ? -EBADF : pidfd;
        }
}

/* The end of this pid stands in the ring and has not been taken in. */
static bool has_record(Manager *manager, pid_t pid) {
        const RingRecord *record;

        for (uint64_t i = 0; (record = link_peek(manager->link, i)) != NULL; i++)
                if (record->kind == RING_EXIT && record->pid == pid)
                        return true;
        return false;
}

/* Neither alive nor reported: its record was taken in by the old core, which died before it could act on it. */
static void lost_end(Service *service, pid_t pid, bool is_hook) {
        log_message(LOG_WARNING, "%s: the end of pid %d was seen and not recorded; taking it as a clean one.",
                    service_config(service)->name, pid);
        service->awaits_end = true;
        service->next_end = service->manager->ends;
        service->manager->ends = service;
        if (is_hook) {
                service->is_hook_end = true;
                service->hook_code = CLD_EXITED;
        } else {
                service->is_leader_end = true;
                service->leader_code = CLD_EXITED;
        }
}

static void follow(Service *service, bool is_hook) {
        Manager *manager = service->manager;
        pid_t pid = is_hook ? service->hook : service->leader;
        int pidfd = is_hook ? service->hook_fd : service->leader_fd;
        bool has_end = has_record(manager, pid);

        if (pidfd < 0 && !has_end) {
                if (is_hook)
                        service->hook = 0;
                else
                        service->leader = 0;
                lost_end(service, pid, is_hook);
                return;
        }
        if (has_end && pidfd >= 0) { /* whoever has this pid by now is somebody else, or its zombie */
                if (is_hook)
                        service->hook_fd = fd_close(service->hook_fd);
                else
                        service->leader_fd = fd_close(service->leader_fd);
        }
        if (exits_watch(service, is_hook) < 0)
                log_message(LOG_WARNING, "%s: cannot follow pid %d at once.", service_config(service)->name, pid);
}

/* What was to be sent last: the action of the state, and whether it was meant for the tree. */
static uint8_t doubtful_told(const Service *service, const Cell *cell) {
        const ServiceConfig *config = service_config(service);
        bool to_tree = (cell->flags & CELL_LEADER) == 0 || (cell->rung < config->n_rungs && config->rungs[cell->rung].to_tree);

        return to_tree ? TOLD_ACTION | TOLD_TREE : TOLD_ACTION;
}

static void restore_service(Service *service) {
        Manager *manager = service->manager;
        BoardWords *words = board_words(manager->board, service->place);
        bool leader_started, hook_started;
        BoardRun run;

        if (!board_read(manager->board, service->place, &run))
                return;
        if ((words->told & ~UINT32_C(0xff)) == board_told_of(&run.cell))
                run.cell.told |= (uint8_t) words->told;
        if (words->signal_intent != words->signal_sent) {
                run.cell.told |= doubtful_told(service, &run.cell);
                /* In this order: this core may die here as well. */
                __atomic_store_n(&words->told, board_told_of(&run.cell) | run.cell.told, __ATOMIC_SEQ_CST);
                __atomic_store_n(&words->signal_sent, words->signal_intent, __ATOMIC_SEQ_CST);
                log_message(LOG_WARNING, "%s: cannot tell whether its last signal was sent; not sending it again.",
                            service_config(service)->name);
        }
        leader_started = (run.cell.flags & CELL_LEADER) != 0 || (run.cell.state == SERVICE_STARTING && words->leader > 0);
        hook_started = (run.cell.flags & CELL_HOOK) != 0 || words->hook > 0;
        machine_restore_cell(manager->machine, service->index, &run.cell);
        machine_restore_runs(manager->machine, service->index, leader_started, hook_started);
        if (leader_started) {
                adopt(service, (run.cell.flags & CELL_LEADER) != 0 ? run.leader : words->leader, false);
                service->main = run.main;
        }
        if (hook_started)
                adopt(service, (run.cell.flags & CELL_HOOK) != 0 ? run.hook : words->hook, true);
}

/* Its signal has been sent: what was to follow is made up for. */
static void restore_terminate(Service *service) {
        const Cell *cell = service_cell(service);

        if (cell->state != SERVICE_TERMINATE)
                return;
        drop(service_send(service, SIGCONT)); /* the old core may have died before it; once more does no harm */
        if (cell->rung + 1u >= service_config(service)->n_rungs)
                verdicts_expect(service, cell->kill_by);
}

int restore_all(Manager *manager) {
        unsigned n_alive = 0;

        for (unsigned i = 0; i < manager->n_services; i++)
                restore_service(manager->services[i]);
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                Operation operation;

                if (board_read_operation(manager->board, place, &operation))
                        machine_restore_operation(manager->machine, place, &operation);
        }
        for (unsigned i = 0; i < manager->n_services; i++) {
                Service *service = manager->services[i];

                if (service->leader > 0)
                        follow(service, false);
                if (service->hook > 0)
                        follow(service, true);
                n_alive += service->leader > 0;
        }
        log_record(LOG_WARNING, (const LogField[]) { { "MESSAGE_ID", MSG_CORE_RESTORED }, { NULL, NULL } }, __FILE__, __LINE__,
                   "Core %u has taken over %u services, %u of them running.", manager_generation(manager),
                   manager->n_services, n_alive);
        machine_restored(manager->machine, manager_now(manager));
        for (unsigned i = 0; i < manager->n_services; i++) {
                restore_terminate(manager->services[i]);
                exits_note_awaiting(manager->services[i]); /* those whose leader the old core has seen end */
                manager->services[i]->has_drain_file = true; /* perhaps; the old core knew */
                manager->services[i]->needs_clearing = service_cell(manager->services[i])->state == SERVICE_STOPPED;
        }
        manager->has_chores = true;
        manager_later(manager);
        exits_take_all(manager);
        exits_look_soon(manager);
        return 0;
}
