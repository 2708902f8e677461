#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "../../protocol/log.h"
#include "journal-ids.h"
#include "manager-private.h"

/* What services say through their notify sockets, and what draind says to the service manager above. */

static void set_status(Service *service, const char *text) {
        char *copy = text[0] != '\0' ? strdup(text) : NULL;

        free(service->status_text);
        service->status_text = copy; /* NULL as well when memory is short: it is only news */
}

/* Anybody can write to the socket who can reach its path; MAINPID= may only name a process of the service itself. */
typedef struct Membership {
        pid_t pid;
        bool is_member;
} Membership;

static void compare_process(const TreeProcess *process, void *userdata) {
        Membership *membership = userdata;

        membership->is_member |= process->pid == membership->pid;
}

static void set_main(Service *service, pid_t pid) {
        Manager *manager = service->manager;
        Membership membership = { .pid = pid };
        int pidfd;

        if (pid == service->leader || service->leader <= 0)
                return;
        if (tree_list(manager->tree, service->place, compare_process, &membership) < 0 || !membership.is_member) {
                log_id(LOG_WARNING, MSG_NOTIFY_IGNORED, "%s: MAINPID=%d is no process of it; ignoring.",
                       service_config(service)->name, pid);
                return;
        }
        pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0)
                return;
        service_forget_process(service, false);
        service->leader = service->main = pid;
        service->leader_fd = pidfd;
        if (exits_watch(service, false) < 0)
                log_message(LOG_WARNING, "%s: cannot follow its main process %d.", service_config(service)->name, pid);
        service_commit(service);
}

void manager_on_notify(unsigned index, const NotifyMessage *message, const NotifySender *sender, void *userdata) {
        Manager *manager = userdata;
        Machine *machine = manager->machine;
        Service *service = manager->services[index];
        usec_t now = manager_now(manager);
        bool is_trusted = sender->uid == 0 || sender->uid == geteuid() || sender->uid == service_config(service)->uid;

        if (!is_trusted) {
                log_id(LOG_WARNING, MSG_NOTIFY_IGNORED, "%s: ignoring a notification from uid %u (pid %d).",
                       service_config(service)->name, sender->uid, sender->pid);
                return;
        }
        if (message->status)
                set_status(service, message->status);
        if (message->main_pid > 0)
                set_main(service, message->main_pid);
        if (message->has_error)
                log_message(LOG_WARNING, "%s reports error %d: %s.", service_config(service)->name, message->error_number,
                            strerror(message->error_number));
        if (message->extend_usec > 0)
                (void) machine_extend(machine, index, message->extend_usec, now);
        if (message->watchdog_usec != USEC_INFINITY)
                machine_watchdog_interval(machine, index, message->watchdog_usec, now);
        if (message->is_watchdog_ping)
                machine_watchdog_ping(machine, index, now);
        if (message->is_watchdog_trigger)
                machine_watchdog_failed(machine, index, now);
        if (message->is_ready)
                machine_ready(machine, index, now);
        manager_publish(manager, index);
}

#define STATUS_PAUSE (200 * USEC_PER_MSEC)

void manager_tell_status(Manager *manager) {
        unsigned n[PUBLIC_STATE_MAX] = { 0 };
        usec_t now = manager_now(manager);
        char text[160];

        /* People read it: what changes a thousand times in a moment is told once, and once more at its end. */
        if (now < manager->told_status + STATUS_PAUSE) {
                if (!timer_is_armed(&manager->status_timer))
                        timer_arm(manager->loop, &manager->status_timer, manager->told_status + STATUS_PAUSE);
                return;
        }
        manager->told_status = now;

        for (unsigned i = 0; i < manager->n_services; i++)
                n[service_state_public(machine_cell(manager->machine, i)->state)]++;
        (void) snprintf(text, sizeof(text), "STATUS=%u running, %u starting, %u draining, %u stopped.", n[PUBLIC_RUNNING],
                        n[PUBLIC_STARTING], n[PUBLIC_DRAINING], n[PUBLIC_STOPPED]);
        link_notify(manager->link, text);
}

void manager_status_fired(Timer *timer, usec_t now) {
        manager_tell_status(container_of(timer, Manager, status_timer));
}
