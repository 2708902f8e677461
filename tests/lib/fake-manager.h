#pragma once

/* A manager without processes: manager.h over a real machine, a real loop and real timers. Services obey or do not, as the
 * test says. */

#include "../../daemon/core/manager.h"

typedef struct FakeService {
        const char *name; /* borrowed; sorted, the last one is NULL */
        const char *requires; /* one, or NULL */
        usec_t withdraw, quiesce, ladder;
        ServiceType type;
        WithdrawReady withdraw_ready;
        bool has_reload, fails_to_start, is_stubborn; /* stubborn: only KILL ends it */
} FakeService;

/* All are stopped. services: borrowed. */
Manager *fake_manager_new(const FakeService *services);
void fake_manager_free(Manager *manager);
/* What machine_start_all() makes of them. */
void fake_manager_start_all(Manager *manager);
/* The leader has ended by itself. */
void fake_manager_exit(Manager *manager, unsigned service, int status);
void fake_manager_ready(Manager *manager, unsigned service);
void fake_manager_set_status(Manager *manager, unsigned service, const char *text);
/* From here on the configuration is another one; services of the same name go on. */
void fake_manager_exchange(Manager *manager, const FakeService *services);
/* The reload that was asked for ends like this. False: nobody waits for one any more. */
bool fake_manager_reload_ends(Manager *manager, const ReloadOutcome *outcome);
/* The next one is refused. */
void fake_manager_be_busy(Manager *manager);
/* The last signal of manager_kill(). */
int fake_manager_last_kill(const Manager *manager, bool *ret_to_tree);
/* Watchers that are told of something. */
unsigned fake_manager_n_watchers(const Manager *manager);
