#include "manager.h"

/* What is asked of the manager and is the machine's to decide: all that is added is the time. */

int manager_start(Manager *manager, unsigned service, const char **ret_why) {
        return machine_start(manager_machine(manager), service, manager_now(manager), ret_why);
}

int manager_drain(Manager *manager, const DrainRequest *request, uint64_t *ret_id, const char **ret_why) {
        return machine_drain(manager_machine(manager), request, manager_now(manager), ret_id, ret_why);
}

int manager_resume(Manager *manager, uint64_t id, const char **ret_why) {
        return machine_resume(manager_machine(manager), id, manager_now(manager), ret_why);
}

int manager_escalate(Manager *manager, uint64_t id, unsigned level) {
        return level == 1 ? machine_skip(manager_machine(manager), id, manager_now(manager))
                          : machine_kill(manager_machine(manager), id, manager_now(manager));
}

int manager_reload_service(Manager *manager, unsigned service, const char **ret_why) {
        return machine_reload_service(manager_machine(manager), service, manager_now(manager), ret_why);
}
