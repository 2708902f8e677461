#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../protocol/fds.h"
#include "../../protocol/log.h"
#include "manager-private.h"

/* How ends are learnt. The ring is the one way that is complete: the keeper writes the end of every child into it. Where
 * somebody waits for the end of a leader, its pidfd is watched besides, and the zombie is asked for its status, so that
 * the next signal does not wait for the keeper; the record that follows is then old news.
 *
 * Whether a tree is empty takes a look at /proc that costs as much as the keeper has children. Ends are gathered and one
 * look answers for all of them: at once where another service waits, else a little later, so that thousands of ends
 * cost a bounded share of one CPU. */

#define RECORDS_MAX    256 /* in one wake-up */
#define LOOK_SHARE     8   /* a look is followed by as many times its own duration without one */
#define LOOK_PAUSE_MAX (5 * USEC_PER_MSEC)
#define FEW            32 /* processes that live: a look at so many costs next to nothing */

static bool is_held_up(const Service *service) {
        const Order *order = service->manager->order;

        return order->stop_holds.first[service->index] < order->stop_holds.first[service->index + 1];
}

/* --- what a look brings --- */

/* A pidfd is readable from the end of its process on, so before that end is recorded. */
static bool is_alive(int pidfd) {
        struct pollfd end = { .fd = pidfd, .events = POLLIN };

        return pidfd >= 0 && poll(&end, 1, 0) == 0;
}

/* A moment later, when those who got KILL themselves are gone: mostly nobody is left by then. */
void exits_sweep_soon(Service *service) {
        service->needs_sweep = service->manager->has_sweep = true;
        manager_later(service->manager);
}

/* Somebody who was born while KILL went round. */
static void sweep_if_killing(Service *service) {
        if (service_cell(service)->state != SERVICE_KILL)
                return;
        exits_sweep_soon(service);
}

static void settle_end(Service *service, bool is_empty, usec_t now) {
        Machine *machine = service->manager->machine;
        bool hook_ended = service->is_hook_end, leader_ended = service->is_leader_end;

        service->is_hook_end = service->is_leader_end = false;
        if (!is_empty)
                sweep_if_killing(service);
        if (leader_ended)
                machine_exited(machine, service->index, service->leader_code, service->leader_status,
                               is_empty && service->hook <= 0, now);
        if (hook_ended)
                machine_hook_exited(machine, service->index, service->hook_code, service->hook_status,
                                    is_empty && service->leader <= 0, now);
}

void exits_note_awaiting(Service *service) {
        const Cell *cell = service_cell(service);
        bool awaits = (cell->flags & (CELL_EMPTY | CELL_LEADER | CELL_HOOK)) == 0;

        if (awaits == service->awaits_empty)
                return;
        service->awaits_empty = awaits;
        if (awaits)
                service->manager->n_awaiting++;
        else
                service->manager->n_awaiting--;
}

static void settle_awaiting(Manager *manager, bool is_known, usec_t now) {
        for (unsigned i = 0; manager->n_awaiting > 0 && i < manager->n_services; i++) {
                Service *service = manager->services[i];

                if (!service->awaits_empty || !is_known)
                        continue;
                if (!tree_is_empty(manager->tree, service->place)) {
                        sweep_if_killing(service);
                        continue;
                }
                service->awaits_empty = false;
                manager->n_awaiting--;
                machine_emptied(manager->machine, i, now);
        }
}

/* A record stays in the ring until what follows from it is on the blackboard: until then it is all that a new core has. */
static void retire(Manager *manager) {
        for (; manager->n_unsettled > 0; manager->n_unsettled--)
                link_done(manager->link);
}

static void look(Manager *manager) {
        usec_t before = clock_now_usec(), after, pause;
        Service *ends = take(manager->ends);
        int r = tree_look(manager->tree);

        if (r < 0)
                log_message(LOG_WARNING, "Cannot look at the processes: %s; looking again.", strerror(-r));
        while (ends) {
                Service *service = ends;

                ends = take(service->next_end);
                service->awaits_end = false;
                settle_end(service, r >= 0 && tree_is_empty(manager->tree, service->place), before);
                exits_note_awaiting(service);
                service_commit(service);
        }
        retire(manager);
        settle_awaiting(manager, r >= 0, before);
        after = clock_now_usec();
        pause = usec_min((after - before) * LOOK_SHARE, LOOK_PAUSE_MAX);
        manager->looked_at = before;
        manager->look_after = usec_add(after, pause);
        if (r < 0)
                timer_arm(manager->loop, &manager->look_timer, usec_add(after, LOOK_PAUSE_MAX));
        manager_finish_if_done(manager);
}

static void look_fired(Timer *timer, usec_t now) {
        look(container_of(timer, Manager, look_timer));
}

void exits_look_soon(Manager *manager) {
        usec_t now = clock_now_usec();

        if (now >= manager->look_after) {
                timer_arm(manager->loop, &manager->look_timer, USEC_INFINITY);
                look(manager);
        } else if (!timer_is_armed(&manager->look_timer))
                timer_arm(manager->loop, &manager->look_timer, manager->look_after);
}

static void look_now(Manager *manager) {
        timer_arm(manager->loop, &manager->look_timer, USEC_INFINITY);
        look(manager);
}

void exits_settle(Service *service, usec_t now) {
        Manager *manager = service->manager;

        if (is_alive(service->leader_fd))
                return; /* that is answer enough, and hundreds may be due in this moment */
        if (link_peek(manager->link, manager->n_unsettled))
                exits_take_all(manager);
        if ((service->awaits_end || service->awaits_empty) && manager->looked_at < now)
                look_now(manager);
}

/* --- ends --- */

/* true: somebody waits for this one. */
static bool take_end(Manager *manager, pid_t pid, int code, int status) {
        const PidEntry *entry = pid_table_find(&manager->pids, pid);
        Service *service;
        bool is_hook;

        if (!entry)
                return false;
        service = manager->services[entry->service / 2];
        is_hook = entry->service % 2 == 1;
        if (pid != (is_hook ? service->hook : service->leader)) { /* it was given up; another has taken its part */
                pid_table_remove(&manager->pids, pid);
                tree_remove_root(manager->tree, pid);
                return false;
        }
        if (is_alive(is_hook ? service->hook_fd : service->leader_fd))
                return false; /* of somebody who had this pid before */
        /* READY=1 and the like that came before the end count before the end. */
        if (service->notify)
                notify_socket_read(service->notify);
        if (is_hook) {
                service->is_hook_end = true;
                service->hook_code = code;
                service->hook_status = status;
        } else {
                service->is_leader_end = true;
                service->leader_code = code;
                service->leader_status = status;
        }
        service_forget_process(service, is_hook);
        if (!service->awaits_end) {
                service->awaits_end = true;
                service->next_end = manager->ends;
                manager->ends = service;
        }
        return is_hook || is_held_up(service) || !machine_operation_of(manager->machine, service->index);
}

/* Signals are acted on in their turn, with all ends before them settled. */
static void take_signal(Manager *manager) {
        if (manager->ends)
                look_now(manager);
        retire(manager);
        manager_on_signal(manager, link_peek(manager->link, 0), link_position(manager->link));
        link_done(manager->link);
}

void exits_take_all(Manager *manager) {
        bool is_urgent = false, has_strangers = false;

        for (unsigned n = 0; n < RECORDS_MAX; n++) {
                const RingRecord *record = link_peek(manager->link, manager->n_unsettled);

                if (!record)
                        break;
                if (record->kind == RING_SIGNAL) {
                        take_signal(manager);
                        continue;
                }
                if (record->kind == RING_EXIT && pid_table_find(&manager->pids, record->pid))
                        is_urgent |= take_end(manager, record->pid, record->code, record->status);
                else if (record->kind == RING_EXIT) {
                        tree_forget_ignored(manager->tree, record->pid);
                        has_strangers = true;
                }
                manager->n_unsettled++;
                if (!manager->ends)
                        retire(manager);
        }
        if (is_urgent || (manager->ends && manager->pids.n < FEW))
                look_now(manager);
        else if (manager->ends || (has_strangers && manager->n_awaiting > 0))
                exits_look_soon(manager);
        if (link_peek(manager->link, manager->n_unsettled))
                eventfd_signal(link_event_fd(manager->link)); /* come back after the others had their turn */
}

static int on_ring(int fd, uint32_t events, void *userdata) {
        Manager *manager = userdata;

        (void) eventfd_clear(fd);
        link_pong(manager->link);
        exits_take_all(manager);
        return 0;
}

/* The last number in /proc/PID/stat is the wait status of a zombie, for those who may trace it. */
must_check static int ask_zombie(Manager *manager, pid_t pid, int *ret_code, int *ret_status) {
        char path[32], text[1024], *last;
        int fd, status;
        ssize_t n;

        (void) snprintf(path, sizeof(path), "%d/stat", pid);
        fd = procfs_open(&manager->procfs, manager->procfs.root, path, O_RDONLY);
        if (fd < 0)
                return fd;
        n = read(fd, text, sizeof(text) - 1);
        procfs_close(&manager->procfs, fd);
        if (n <= 0)
                return -ESRCH;
        text[n] = '\0';
        last = strrchr(text, ')');
        if (!last || last[1] != ' ' || (last[2] != 'Z' && last[2] != 'X'))
                return -EAGAIN;
        last = strrchr(text, ' ');
        status = last ? atoi(last + 1) : 0;
        *ret_code = WIFEXITED(status) ? CLD_EXITED : WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED;
        *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
        return 0;
}

/* exit_code is 0 for those who may not look at it, too; then the ring has to tell. */
static void on_leader_end(PollerEntry *entry, uint32_t events) {
        Service *service = container_of(entry, Service, leader_entry);
        Manager *manager = service->manager;
        pid_t pid = service->leader;
        int code, status;

        poller_remove(entry);
        exits_take_all(manager);
        if (service->leader != pid || pid <= 0)
                return;
        if (geteuid() != 0 || ask_zombie(manager, pid, &code, &status) < 0) {
                if (service->main != pid)
                        return; /* the keeper's child: the ring has it in a moment */
                code = CLD_EXITED; /* MAINPID= named a child of somebody else, who has its status */
                status = 0;
        }
        drop(take_end(manager, pid, code, status));
        drop(tree_ignore(manager->tree, pid)); /* until it is reaped it stands among the keeper's children; else looked at */
        look_now(manager);
}

int exits_watch(Service *service, bool is_hook) {
        Manager *manager = service->manager;
        pid_t pid = is_hook ? service->hook : service->leader;
        int pidfd = is_hook ? service->hook_fd : service->leader_fd, r;

        r = pid_table_put(&manager->pids, &(PidEntry) { .pid = pid, .service = service->index * 2 + is_hook,
                                                        .pidfd = pidfd });
        if (r < 0)
                return r;
        r = tree_add_root(manager->tree, service->place, pid, pidfd);
        if (r < 0 || pidfd < 0 || is_hook || (!is_held_up(service) && service->main == 0))
                return r;
        return poller_add(manager->exits, &service->leader_entry, pidfd, EPOLLIN, on_leader_end);
}

/* --- after KILL --- */

/* Everybody whose leader has got KILL: now the rest of the trees. */
void exits_sweep(Manager *manager) {
        int r;

        if (!manager->has_sweep)
                return;
        manager->has_sweep = false;
        r = tree_look(manager->tree);
        for (unsigned i = 0; i < manager->n_services; i++) {
                Service *service = manager->services[i];

                if (!service->needs_sweep)
                        continue;
                service->needs_sweep = false;
                if (r < 0 || !tree_is_empty(manager->tree, service->place))
                        drop(tree_signal(manager->tree, service->place, SIGKILL, 0)); /* who is left is looked for again at its end */
        }
        if (manager->ends || manager->n_awaiting > 0)
                exits_look_soon(manager);
}

int exits_init(Manager *manager) {
        int r;

        manager->look_timer.fired = look_fired;
        r = procfs_init(&manager->procfs);
        if (r < 0)
                return r;
        r = pid_table_reserve(&manager->pids, 2 * manager->n_services + 16);
        if (r < 0)
                return r;
        r = poller_new(&manager->exits, loop_event(manager->loop), LOOP_PRIORITY_EXITS, "exits");
        if (r < 0)
                return r;
        return loop_add_fd(manager->loop, link_event_fd(manager->link), EPOLLIN, LOOP_PRIORITY_EXITS, "ring", on_ring, manager,
                           &manager->ring_source);
}
