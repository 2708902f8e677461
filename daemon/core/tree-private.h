#pragma once

/* What tree.c (who belongs to whom) and tree-walk.c (everybody of one service, and signals) share. */

#include "pid-table.h"
#include "procfs.h"
#include "tree.h"

enum { TREE_STRAY = UINT32_MAX, TREE_IGNORED = UINT32_MAX - 1 };

typedef struct TreeService {
        char *name;  /* owned */
        int cgroup;  /* owned, or -EBADF */
        unsigned n_roots;
        pid_t session;          /* the only one that it is known by, 0: none yet */
        bool has_more_sessions; /* there are others */
        /* numbers of looks: the last one that found anything of it alive, found a process without a root, and
         * found its cgroup populated without a root */
        uint64_t alive_look, stranger_look, populated_look;
        bool is_tried; /* its cgroup could not be made: said once, and not tried again */
} TreeService;

typedef struct TreeNode {
        ProcStat stat;
        unsigned service;
        int pidfd; /* borrowed, or -EBADF */
        bool is_root, is_orphan;
} TreeNode;

/* An array that grows where it can and otherwise stays as it is. */
typedef struct TreeNodes {
        TreeNode *items; /* owned */
        unsigned n, n_max;
} TreeNodes;

struct Tree {
        pid_t keeper, self, session; /* of the core: never a service's */
        Procfs procfs;
        int children;                /* the keeper's list of children, or -EBADF: by procfs' scan */
        int cgroup;                  /* our own, or -EBADF: by parentage alone */
        char *instance;              /* owned */
        TreeService *services;       /* owned */
        unsigned n_services;
        PidTable roots;              /* living roots, and those that are ignored */
        PidTable sessions;           /* sessions of services: every one that a process of theirs was seen in */
        PidTable known;              /* processes without a root above them that were seen before, by pid */
        PidTable seen;               /* scratch of a walk, of a KILL */
        PidTable killed;
        TreeNodes strangers;         /* of the last look: children of the keeper that are no roots, alive */
        TreeNodes nodes;             /* of the last walk */
        uint64_t look;
        unsigned n_alive, n_alive_again; /* services: at the last look; of those, found alive by this one */
        bool is_known;               /* the last look worked */
        bool has_seen_self;          /* it found us: the keeper lives */
        bool is_adopted;             /* it does not, and keeper is whoever adopted its children: not all are ours */
};

/* NULL: no room, and no memory for more. */
TreeNode *tree_nodes_add(TreeNodes *nodes, const TreeNode *node);
must_check int tree_nodes_reserve(TreeNodes *nodes, unsigned n);
/* The process is the service's: so is its session, and so are its children when it has gone. */
void tree_learn(Tree *tree, const ProcStat *stat, unsigned service);
