#pragma once

/* Which living processes belong to which service: by cgroup v2 where a writable one is there, else by parentage
 * (below a known root), by the subreaper (children of the keeper that nobody knows), session and environment mark.
 * Reads /proc and cgroupfs through descriptors that are opened at the start. Knows no states. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../protocol/base.h"

#define TREE_MARK_NAME "DRAIND_MARK" /* environment of every process: "INSTANCE.NAME" */
#define TREE_MARK_BYTES 384u         /* room for a mark: the variable, an instance and a service's name */
#define TREE_INSTANCE_MAX 255u       /* bytes, without the NUL */

typedef struct Tree Tree;

typedef struct TreeProcess {
        pid_t pid, parent, session;
        char state;        /* as in /proc/PID/stat; Z and X are not listed */
        bool is_escapee;   /* left its session, or its parents: belongs to it all the same */
        char command[16];
} TreeProcess;

/* keeper: pid of the parent of everything. instance: text unique to this draind, the same for the next core. n: services. */
must_check int tree_new(Tree **ret, pid_t keeper, const char *instance, unsigned n_services, bool use_cgroup);
Tree *tree_free(Tree *tree);
static inline void tree_freep(Tree **tree) { *tree = tree_free(*tree); }

/* "DRAIND_MARK=INSTANCE.NAME", for the environment of a service's processes. Returns buf, cut if it must be. */
char *tree_mark_format(char *buf, size_t size, const char *instance, const char *name);
/* pid is the core's own business (a helper that is the keeper's child): no service's, no stray. Swept all the same. */
must_check int tree_ignore(Tree *tree, pid_t pid);
/* It has been reaped. Fine for others, too. */
void tree_forget_ignored(Tree *tree, pid_t pid);

/* The name of a service, for its mark and its cgroup; borrowed. Called once for each before anything else. */
void tree_name(Tree *tree, unsigned service, const char *name);
/* Makes the service's cgroup if that is how it is followed; *ret_fd is borrowed, -EBADF where there is none. */
must_check int tree_prepare(Tree *tree, unsigned service, int *ret_fd);
/* Removes it when it is empty. */
void tree_clear(Tree *tree, unsigned service);

/* pid is a root of the service: its leader or a hook. pidfd is borrowed (signals go through it), or -EBADF. */
must_check int tree_add_root(Tree *tree, unsigned service, pid_t pid, int pidfd);
/* The root has ended (a zombie already counts as ended). The session keeps its meaning until tree_clear(). */
void tree_remove_root(Tree *tree, pid_t pid);

/* Looks at the machine once, for all services: the answers below are as of then. Cheap when the keeper has only
 * children that are known roots: one read of /proc/KEEPER/task/KEEPER/children. 0 or -errno (then nothing is known:
 * every service counts as not empty). */
must_check int tree_look(Tree *tree);
/* No living process, as of the last look (by cgroup: as of now). */
bool tree_is_empty(Tree *tree, unsigned service);
/* Whether any service's root is gone with processes left (as of the last look). */
bool tree_has_leftovers(const Tree *tree, unsigned service);

/* Looks, then calls back for every living process of the service, roots first. The number of processes, or -errno.
 * on_process must not call the tree; NULL: only to get to know them. Who was met once is known without a mark later,
 * so a drain does well to call this before its first signal. */
must_check int tree_list(Tree *tree, unsigned service, void (*on_process)(const TreeProcess *process, void *userdata),
                         void *userdata);
/* Living children of the keeper that no service can be found for, as of the last look. The number. */
unsigned tree_list_strays(Tree *tree, void (*on_process)(const TreeProcess *process, void *userdata), void *userdata);
/* Looks, then sends the signal to every process of the service, through pidfds, never to a pid that may be another's.
 * SIGKILL repeats until a pass finds nobody new (bounded). exclude: a pid to leave out, or 0. The number signalled, or -errno. */
must_check int tree_signal(Tree *tree, unsigned service, int signal, pid_t exclude);
/* The same in two steps, for who has to note what comes between them: finds the processes (how many, or -errno); sends
 * to those that were found last (how many were there still). */
must_check int tree_gather(Tree *tree, unsigned service);
int tree_signal_gathered(Tree *tree, int signal);
/* Thaws a frozen cgroup. */
void tree_thaw(Tree *tree, unsigned service);
/* KILL to everything below the keeper but the core: the last sweep. The number of processes that lived when it
 * began its last pass: 0 says that there is none, more says to come again. */
must_check int tree_sweep(Tree *tree);
