#pragma once

/* The core as one object: owns the loop, the model, the machine and what carries out its actions. Wiring only; decisions are
 * the machine's. What clients may look at and ask for is here; JSON and sockets are the API's (api.c). */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../protocol/base.h"
#include "../config/model.h"
#include "events.h"
#include "loop.h"
#include "machine-ask.h"
#include "output.h"
#include "tree.h"
#include "watchers.h"

typedef struct Manager Manager;

/* --- looking: all borrowed, valid until the next return to the loop --- */

Loop *manager_loop(Manager *manager);
const Model *manager_model(const Manager *manager);
Machine *manager_machine(Manager *manager);
const Order *manager_order(const Manager *manager);
Events *manager_events(Manager *manager);
Outputs *manager_outputs(Manager *manager);
usec_t manager_now(Manager *manager);
unsigned manager_generation(const Manager *manager); /* how many cores there have been; 1 is the first */
pid_t manager_keeper(const Manager *manager);
/* The arguments that draind was given: where its configuration is. NULL-ended. */
char *const *manager_arguments(const Manager *manager);

typedef struct ServiceRuntime {
        pid_t main_pid;          /* 0: none */
        pid_t hook_pid;          /* 0: none */
        const char *status_text; /* STATUS= of the service; NULL: none */
        bool needs_restart;      /* its configuration has changed, and takes effect when it is started again */
} ServiceRuntime;
ServiceRuntime manager_runtime(const Manager *manager, unsigned service);

/* Why it is draining or was stopped: the operation's cause, or its own (a failed start, a watchdog). */
Cause manager_cause(const Manager *manager, unsigned service);
/* From the service that the request named: 0; its dependents 1, theirs 2 … */
unsigned manager_hops(const Manager *manager, unsigned service);
/* Lists every living process of the service. The number, or -errno. */
must_check int manager_processes(Manager *manager, unsigned service,
                                 void (*on_process)(const TreeProcess *process, void *userdata), void *userdata);

/* --- being told --- */

typedef struct ManagerWatcher ManagerWatcher;
struct ManagerWatcher {
        /* Something that a client can see of the service has changed; state, phase, deadline, pid, status text. NULL: not
         * interested. From within, nothing may be asked of the manager that changes things. */
        void (*service_changed)(ManagerWatcher *watcher, unsigned service);
        void (*operation_changed)(ManagerWatcher *watcher, const Operation *operation);
        /* After a reload every index and every pointer into model, machine and order is another. */
        void (*reloaded)(ManagerWatcher *watcher);
        Watcher watcher;
};
void manager_watch(Manager *manager, ManagerWatcher *watcher);
void manager_unwatch(ManagerWatcher *watcher);

/* --- asking: from the loop only, never from within a watcher. Results as machine.h has them; *ret_why is a sentence --- */

must_check int manager_start(Manager *manager, unsigned service, const char **ret_why);
must_check int manager_drain(Manager *manager, const DrainRequest *request, uint64_t *ret_id, const char **ret_why);
must_check int manager_resume(Manager *manager, uint64_t id, const char **ret_why);
/* level: 1 ends withdraw and quiesce, 2 the time. 0 or MACHINE_NOTHING. */
must_check int manager_escalate(Manager *manager, uint64_t id, unsigned level);
must_check int manager_reload_service(Manager *manager, unsigned service, const char **ret_why);
/* The number of processes that were signalled, or -errno (-ESRCH: none is there). */
must_check int manager_kill(Manager *manager, unsigned service, int signal, bool to_tree);

/* What a reload would change or has changed. Lists of names, owned: reload_outcome_done(). */
typedef struct ReloadOutcome {
        StringList added, removed, changed, need_restart;
        StringList errors;  /* not empty: nothing was changed */
        uint64_t operation; /* the drain of what vanished or is restarted; 0: none */
} ReloadOutcome;
void reload_outcome_done(ReloadOutcome *outcome);
/* outcome: borrowed for the call. */
typedef void (*ReloadDone)(const ReloadOutcome *outcome, void *userdata);

enum { MANAGER_BUSY = 1 }; /* another reload, or an operation, is running; *ret_why says which */
/* Reads the configuration in another process; done is called from the loop, later. done may be NULL. */
must_check int manager_reload(Manager *manager, bool is_dry, bool restarts, ReloadDone done, void *userdata,
                              const char **ret_why);
/* The asker of reload went away: done will not be called. */
void manager_reload_forget(Manager *manager, const void *userdata);
