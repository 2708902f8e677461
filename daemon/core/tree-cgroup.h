#pragma once

/* One cgroup a service, below the one that we are in. Needs cgroup v2, writable; enables no controller, so that
 * processes may stay beside it. Knows no services. */

#include <stdbool.h>

#include "../../protocol/base.h"
#include "procfs.h"

/* Our own cgroup, when processes can be put into cgroups below it. The fd is the caller's. -ENOTSUP: not so here. */
must_check int tree_cgroup_find(int *ret_fd);
/* Makes it, or takes over what is there. The fd is the caller's. */
must_check int tree_cgroup_make(int parent, const char *name, int *ret_fd);
/* With every cgroup that the service has made below. What is not empty stays. */
void tree_cgroup_remove(Procfs *procfs, int parent, const char *name);
/* Whether anything lives in it or below; zombies do not. Cannot be told: it does. */
bool tree_cgroup_is_populated(Procfs *procfs, int cgroup);
/* KILL to everything in it and below, at once. -errno: not this kernel (before 5.14). */
must_check int tree_cgroup_kill(Procfs *procfs, int cgroup);
void tree_cgroup_thaw(Procfs *procfs, int cgroup);
/* Every process in it and below, as far as can be read. */
void tree_cgroup_list(Procfs *procfs, int cgroup, ProcfsPid on_pid, void *userdata);
