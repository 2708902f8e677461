#pragma once

/* The manager as main sees it: made, run, freed. */

#include "manager.h"

/* arguments: those of draind, borrowed. *ret: manager_free(). Starts or takes over all services. A positive outcome:
 * nothing runs and draind is to end with *ret_status, which the keeper knows already. */
must_check int manager_new(Manager **ret, char **arguments, int *ret_status);
must_check int manager_run(Manager *manager);
Manager *manager_free(Manager *manager);
static inline void manager_freep(Manager **manager) { *manager = manager_free(*manager); }
