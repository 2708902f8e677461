#pragma once

/* One service as the manager holds it: its processes and fds, and what the machine has ordered for it. Comes with
 * manager-private.h. */

#include "../../protocol/poller.h"
#include "loop.h"
#include "manager.h"
#include "notify.h"
#include "output.h"

/* The run of one service: what of it is alive, and the fds that go with it. The machine knows the rest. */
typedef struct Service {
        Manager *manager;
        unsigned index; /* in the model and the machine; changes with a reload */
        unsigned place; /* on the blackboard; never changes */
        Timer timer;
        pid_t leader, hook, main; /* 0: none; main: as MAINPID= said */
        int leader_fd, hook_fd;   /* pidfds, owned */
        PollerEntry leader_entry; /* watched where somebody waits for its end */
        OutputPipe *output;       /* owned; NULL: nothing goes to the log */
        NotifySocket *notify;     /* owned; NULL: it is told of none */
        char *status_text;        /* owned */
        bool has_drain_file, needs_restart;
        bool awaits_end;   /* an exit is known and waits for a look at the tree */
        bool awaits_empty; /* the leader is gone, its tree is not */
        bool needs_sweep;  /* KILL was sent to leader and hook; the rest of the tree is to follow */
        bool needs_telling; /* its drain file is to be written; nothing hurries */
        bool needs_clearing; /* what belonged to its last run is to be cleared away */
        bool is_hook_end, is_leader_end;
        int hook_code, hook_status, leader_code, leader_status;
        struct Service *next_end; /* in Manager.ends */
} Service;

/* --- service.c --- */
must_check int service_new(Service **ret, Manager *manager, unsigned index, unsigned place);
Service *service_free(Service *service);
/* Output pipe and notify socket, taken over from an earlier core where the link has them. */
must_check int service_prepare(Service *service);
void service_perform(Service *service, ServiceAction action, usec_t now);
/* When KILL comes at the latest. */
usec_t service_kill_deadline(const Service *service);
void service_commit(Service *service);
void service_forget_process(Service *service, bool is_hook);
must_check int service_send(Service *service, int signal);
/* draind ends: nothing of it may be left in the file system, and nothing unread in its pipe. */
void service_finish(Service *service);
/* Some of what signals do not wait for: files to be written and cleared away. true: there is more. */
must_check bool service_do_chores(Manager *manager);

/* --- service-spawn.c --- */
void service_start_leader(Service *service, usec_t now);
void service_run_hook(Service *service, const CommandList *list, usec_t now);
must_check int environment_init(Manager *manager);
must_check int environment_reserve(Manager *manager);

