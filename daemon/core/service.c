#include "service.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "../../protocol/log.h"
#include "drain-file.h"
#include "journal-ids.h"
#include "manager-private.h"

/* Carries out what the machine has decided for one service. Signals first; what they need stands ready since the start:
 * no fd, no memory, no process is made on the way to KILL. */

int service_new(Service **ret, Manager *manager, unsigned index, unsigned place) {
        Service *service = malloc(sizeof(*service));

        if (!service)
                return -ENOMEM;
        *service = (Service) {
                .manager = manager, .index = index, .place = place, .timer = { .fired = manager_service_fired },
                .leader_fd = -EBADF, .hook_fd = -EBADF,
        };
        *ret = service;
        return 0;
}

Service *service_free(Service *service) {
        if (!service)
                return NULL;
        timer_arm(service->manager->loop, &service->timer, USEC_INFINITY);
        poller_remove(&service->leader_entry);
        (void) fd_close(service->leader_fd);
        (void) fd_close(service->hook_fd);
        output_close(service->output);
        notify_socket_free(service->notify);
        free(service->status_text);
        free(service);
        return NULL;
}

must_check static int prepare_output(Service *service) {
        const ServiceConfig *config = service_config(service);
        Manager *manager = service->manager;
        bool is_needed = config->output.kind == OUTPUT_LOG || config->error.kind == OUTPUT_LOG;
        int inherited, r;
        bool is_new;

        if (!is_needed || service->output)
                return 0;
        inherited = link_take_place_fd(manager->link, 'o', service->place);
        is_new = inherited < 0;
        r = output_open(&service->output, manager->outputs, config->name, inherited);
        if (r < 0 || !is_new)
                return r;
        return link_store_place(manager->link, 'o', service->place, output_fd(service->output));
}

must_check static int prepare_notify(Service *service) {
        const ServiceConfig *config = service_config(service);
        Manager *manager = service->manager;
        int inherited, r;
        bool is_new;

        if ((config->type != SERVICE_NOTIFY && config->watchdog == 0) || service->notify || !manager->notifies)
                return 0;
        inherited = link_take_place_fd(manager->link, 'n', service->place);
        is_new = inherited < 0;
        r = notify_socket_new(&service->notify, manager->notifies, service->index, config->name, inherited);
        if (r < 0 || !is_new)
                return r;
        return link_store_place(manager->link, 'n', service->place, notify_socket_fd(service->notify));
}

int service_prepare(Service *service) {
        int r = prepare_output(service);

        return r < 0 ? r : prepare_notify(service);
}

void service_commit(Service *service) {
        BoardWords *words = board_words(service->manager->board, service->place);
        BoardRun run = {
                .cell = *service_cell(service), .leader = service->leader, .hook = service->hook, .main = service->main,
        };

        /* What is not alive has no pid that a new core could take for the one of the next run. */
        if ((run.cell.flags & CELL_LEADER) == 0)
                words->leader = 0;
        if ((run.cell.flags & CELL_HOOK) == 0)
                words->hook = 0;
        board_commit(service->manager->board, service->place, &run);
        /* After the cell: until then it counts for the one before. */
        __atomic_store_n(&words->told, board_told_of(&run.cell) | run.cell.told, __ATOMIC_SEQ_CST);
}

void service_forget_process(Service *service, bool is_hook) {
        Manager *manager = service->manager;
        pid_t pid = is_hook ? service->hook : service->leader;

        if (pid <= 0)
                return;
        tree_remove_root(manager->tree, pid);
        pid_table_remove(&manager->pids, pid);
        if (is_hook) {
                service->hook = 0;
                service->hook_fd = fd_close(service->hook_fd);
                return;
        }
        poller_remove(&service->leader_entry);
        service->leader = service->main = 0;
        service->leader_fd = fd_close(service->leader_fd);
}

static int send_to(int pidfd, int signal) {
        return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

/* To the process that the service calls its main one, which is the leader unless MAINPID= named another. */
int service_send(Service *service, int signal) {
        if (service->leader_fd < 0)
                return -ESRCH;
        return send_to(service->leader_fd, signal);
}

/* --- telling --- */

usec_t service_kill_deadline(const Service *service) {
        const Cell *cell = service_cell(service);

        if (cell->kill_by != USEC_INFINITY)
                return cell->kill_by;
        return cell->scope == USEC_INFINITY ? cell->deadline : usec_left(cell->scope, service_config(service)->kill_reserve);
}

static void write_drain_file(Service *service, usec_t now) {
        Manager *manager = service->manager;
        const Operation *operation = machine_operation_of(manager->machine, service->index);
        char text[DRAIN_FILE_CAUSE_MAX];
        Cause cause;
        int r;

        if (manager->drain_directory < 0)
                return;
        cause = manager_cause(manager, service->index);
        r = drain_file_share(manager->drain_directory, service_config(service)->name,
                             &(DrainNotice) { .deadline = service_kill_deadline(service), .now = now,
                                              .cause = cause_format(text, sizeof(text), &cause),
                                              .phase = phase_name(service_state_phase(service_cell(service)->state)),
                                              .operation = operation ? operation->id : 0 },
                             &manager->drain_share);
        service->has_drain_file |= r == 0;
        if (r < 0)
                log_message(LOG_DEBUG, "%s: cannot write its drain file: %s.", service_config(service)->name, strerror(-r));
}

static void remove_drain_file(Service *service) {
        if (!service->has_drain_file)
                return;
        service->has_drain_file = false;
        drop(drain_file_remove(service->manager->drain_directory, service_config(service)->name)); /* the next drain
                                                                                                       replaces it */
}

#define CHORES_MAX 4 /* in one go: an end or a request that comes meanwhile is not kept waiting */

static void post_chore(Manager *manager) {
        manager->has_chores = true;
        manager_later(manager);
}

/* It is to know before its first signal, and that is written with it; until then there is time. */
static void tell_soon(Service *service) {
        service->needs_telling = true;
        post_chore(service->manager);
}

static void tell(Service *service) {
        write_drain_file(service, manager_now(service->manager));
        machine_told(service->manager->machine, service->index, TOLD_ACTION);
        board_words(service->manager->board, service->place)->told |= TOLD_ACTION;
}

/* --- signals --- */

/* ExecStop= and ExecReload= have had their time. ExecStartPre= has not: it gets the ladder, with the tree. */
static void end_hook(Service *service) {
        const Cell *cell = service_cell(service);

        if (service->hook_fd >= 0 && cell->state == SERVICE_TERMINATE && (cell->flags & (CELL_READY | CELL_LEADER)) != 0)
                drop(send_to(service->hook_fd, SIGKILL));
}

/* ExecReload= that still runs when ExecStop= is to: its end is no news of the new one's. */
static void replace_hook(Service *service) {
        if (service->hook_fd < 0)
                return;
        drop(send_to(service->hook_fd, SIGKILL)); /* -ESRCH: it has just ended */
        service_forget_process(service, true);
}

/* A signal is sent at most once: the intent is on the blackboard before it, the fact after it. A new core that finds
 * one without the other takes it as sent. */
static void send_rung(Service *service, bool to_tree, usec_t now) {
        Manager *manager = service->manager;
        BoardWords *words = board_words(manager->board, service->place);
        const ServiceConfig *config = service_config(service);
        const Cell *cell = service_cell(service);
        const Rung *rung = &config->rungs[cell->rung < config->n_rungs ? cell->rung : config->n_rungs - 1];
        bool goes_to_tree = to_tree || rung->to_tree;
        int n = 1;

        end_hook(service);
        write_drain_file(service, now);
        tree_thaw(manager->tree, service->place);
        if (goes_to_tree)
                n = tree_gather(manager->tree, service->place);
        __atomic_store_n(&words->signal_intent, words->signal_intent + 1, __ATOMIC_SEQ_CST);
        if (n >= 0)
                n = goes_to_tree ? tree_signal_gathered(manager->tree, rung->signal) : service_send(service, rung->signal);
        __atomic_fetch_or(&words->told, TOLD_ACTION | (goes_to_tree ? TOLD_TREE : 0), __ATOMIC_SEQ_CST);
        __atomic_store_n(&words->signal_sent, words->signal_intent, __ATOMIC_SEQ_CST);
        if (goes_to_tree && n > 0) /* a stopped process hears nothing: CONT goes with every signal */
                drop(tree_signal_gathered(manager->tree, SIGCONT));
        else if (n >= 0)
                drop(service_send(service, SIGCONT));
        machine_told(manager->machine, service->index, TOLD_ACTION);
        if (goes_to_tree)
                machine_told(manager->machine, service->index, TOLD_TREE);
        if (n >= 0)
                records_signal(service, rung->signal, goes_to_tree, goes_to_tree ? (unsigned) n : 1);
        if (cell->rung + 1u >= config->n_rungs)
                verdicts_expect(service, cell->kill_by);
}

/* Leader and hook die at once, through fds that are open; the others are looked for as soon as all who are due have got
 * theirs. */
static void kill_all(Service *service) {
        if (service->leader_fd >= 0)
                drop(send_to(service->leader_fd, SIGKILL)); /* -ESRCH: it has just ended */
        if (service->hook_fd >= 0)
                drop(send_to(service->hook_fd, SIGKILL));
        exits_sweep_soon(service);
        records_kill(service, manager_now(service->manager));
        machine_told(service->manager->machine, service->index, TOLD_ACTION);
}

static void abandon(Service *service) {
        const char *name = service_config(service)->name;

        log_record(LOG_ERR,
                   (const LogField[]) { { "MESSAGE_ID", MSG_SERVICE_UNKILLABLE }, { "DRAIND_SERVICE", name }, { NULL, NULL } },
                   __FILE__, __LINE__, "%s: does not end after SIGKILL; going on without it.", name);
        remove_drain_file(service);
        service_forget_process(service, false); /* whenever it ends, that is no end of a later run */
        service_forget_process(service, true);
}

static void clear_away(Service *service) {
        service->needs_sweep = false; /* nor may it find the next run */
        service->needs_clearing = false;
        if (!service->needs_telling)
                remove_drain_file(service);
        if (service->output)
                output_flush(service->output);
        tree_clear(service->manager->tree, service->place);
        free(service->status_text);
        service->status_text = NULL;
}

bool service_do_chores(Manager *manager) {
        unsigned n_done = 0;

        if (!manager->has_chores)
                return false;
        for (unsigned n = 0; n < manager->n_services; n++) {
                Service *service = manager->services[manager->next_chore++ % manager->n_services];

                if (!service->needs_telling && !service->needs_clearing)
                        continue;
                if (service->needs_clearing)
                        clear_away(service);
                if (service->needs_telling)
                        tell(service);
                service->needs_telling = false;
                if (++n_done == CHORES_MAX)
                        return true;
        }
        manager->has_chores = false;
        return false;
}

static void clear_soon(Service *service) {
        service->needs_clearing = true;
        service->needs_telling = false;
        post_chore(service->manager);
        if (service->awaits_empty) {
                service->awaits_empty = false;
                service->manager->n_awaiting--;
        }
}

void service_finish(Service *service) {
        if (service->needs_clearing)
                clear_away(service);
        else if (service->output)
                output_flush(service->output);
}

/* The next run does not begin among the things of the last one. */
static void clear_if_due(Service *service) {
        if (service->needs_clearing)
                clear_away(service);
}

void service_perform(Service *service, ServiceAction action, usec_t now) {
        const ServiceConfig *config = service_config(service);

        service->needs_telling = false;
        switch (action) {
        case ACT_START_PRE:
                clear_if_due(service);
                service_run_hook(service, &config->start_pre, now);
                break;
        case ACT_SPAWN:
                clear_if_due(service);
                service_start_leader(service, now);
                break;
        case ACT_RELOAD:
                service_run_hook(service, &config->reload, now);
                break;
        case ACT_STOP_HOOK:
                replace_hook(service);
                write_drain_file(service, now);
                service_run_hook(service, &config->stop, now);
                break;
        case ACT_STOP_POST:
                service->needs_sweep = false; /* it is empty: whoever a sweep would find is the hook */
                service_run_hook(service, &config->stop_post, now);
                break;
        case ACT_WITHDRAW:
        case ACT_QUIESCE:
                tell_soon(service);
                break;
        case ACT_UNDO:
                remove_drain_file(service);
                break;
        case ACT_SIGNAL:
                send_rung(service, false, now);
                break;
        case ACT_SIGNAL_TREE:
                send_rung(service, true, now);
                break;
        case ACT_KILL:
                kill_all(service);
                break;
        case ACT_END_HOOK:
                if (service->hook_fd >= 0)
                        drop(send_to(service->hook_fd, SIGKILL)); /* its end comes through the ring */
                break;
        case ACT_STOPPED:
                clear_soon(service);
                break;
        case ACT_ABANDON:
                abandon(service);
                break;
        case ACT_NONE:
        case SERVICE_ACTION_MAX:
        default:
                break;
        }
}
