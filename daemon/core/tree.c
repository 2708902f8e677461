#include "tree.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tree-cgroup.h"
#include "tree-private.h"

/* A service is empty when no root of it lives and no process that has lost its root is its own. A process that has
 * lost its parent becomes the keeper's child (it is PID 1 or the subreaper), so both are told by one list: the
 * keeper's children. One that is neither a root nor ours is a stranger; its service is found by
 *
 *   - what we know of it (pid and start time) from an earlier look or walk,
 *   - its session: roots begin one, so nobody else's process can be in it,
 *   - the mark in the environment that it was started with,
 *
 * in this order: the first is exact, the last is the dearest and can be overwritten. What was found teaches its
 * session. Who belongs to nobody is a stray, asked about again at every look, and swept at the end.
 *
 * A cgroup adds to this; it never takes away: a process that has moved itself out is still found by its parents. */

enum { NODES_MIN = 1024, NAME_BYTES = 512, SESSIONS_KEPT = 2048 };

#define CGROUP_PREFIX "svc-"

int tree_nodes_reserve(TreeNodes *nodes, unsigned n) {
        TreeNode *items;

        if (n <= nodes->n_max)
                return 0;
        items = realloc(nodes->items, n * sizeof(*items));
        if (!items)
                return -ENOMEM;
        nodes->items = items;
        nodes->n_max = n;
        return 0;
}

TreeNode *tree_nodes_add(TreeNodes *nodes, const TreeNode *node) {
        if (nodes->n == nodes->n_max && tree_nodes_reserve(nodes, 2 * nodes->n_max) < 0)
                return NULL;
        nodes->items[nodes->n] = *node;
        return &nodes->items[nodes->n++];
}

/* Room for everybody that n roots may bring, before they do. */
static int reserve_for(Tree *tree, unsigned n_roots) {
        unsigned n = NODES_MIN + 4 * n_roots, n_sessions = tree->sessions.n > n_roots ? tree->sessions.n : n_roots;
        int r;

        if ((r = pid_table_reserve(&tree->roots, n_roots + 8)) < 0 ||
            (r = pid_table_reserve(&tree->sessions, n_sessions + 64)) < 0 ||
            (r = pid_table_reserve(&tree->known, n)) < 0 || (r = pid_table_reserve(&tree->seen, n)) < 0 ||
            (r = pid_table_reserve(&tree->killed, n)) < 0 || (r = tree_nodes_reserve(&tree->nodes, n)) < 0 ||
            (r = tree_nodes_reserve(&tree->strangers, n)) < 0)
                return r;
        return 0;
}

/* Their parent must live: a list of nobody's children is empty, and no error. */
static int open_children(Tree *tree) {
        char path[64];
        ProcStat stat;
        int r;

        tree->children = fd_close(tree->children);

        if (!tree->procfs.has_children)
                return procfs_stat(&tree->procfs, tree->keeper, &stat);
        (void) snprintf(path, sizeof(path), "%d/task/%d/children", (int) tree->keeper, (int) tree->keeper);
        r = procfs_open(&tree->procfs, tree->procfs.root, path, O_RDONLY);
        if (r < 0)
                return r;
        tree->children = r;
        return 0;
}

int tree_new(Tree **ret, pid_t keeper, const char *instance, unsigned n_services, bool use_cgroup) {
        cleanup(tree_freep) Tree *tree = malloc(sizeof(*tree));
        int r;

        if (!tree)
                return -ENOMEM;
        *tree = (Tree) { .keeper = keeper, .self = getpid(), .session = getsid(0), .children = -EBADF,
                         .cgroup = -EBADF, .procfs = { .root = -EBADF }, .look = 1 };
        for (int i = 0; i < PROCFS_RESERVE; i++)
                tree->procfs.reserve[i] = -EBADF;
        if (strlen(instance) > TREE_INSTANCE_MAX)
                return -EINVAL;
        tree->instance = strdup(instance);
        tree->services = calloc(n_services > 0 ? n_services : 1, sizeof(*tree->services));
        if (!tree->instance || !tree->services)
                return -ENOMEM;
        tree->n_services = n_services;
        for (unsigned i = 0; i < n_services; i++)
                tree->services[i].cgroup = -EBADF;
        if ((r = procfs_init(&tree->procfs)) < 0 || (r = open_children(tree)) < 0 ||
            (r = reserve_for(tree, n_services)) < 0 || (r = tree_ignore(tree, tree->self)) < 0)
                return r;
        if (use_cgroup && tree_cgroup_find(&tree->cgroup) < 0)
                tree->cgroup = -EBADF; /* then by parentage alone */
        *ret = take(tree);
        return 0;
}

Tree *tree_free(Tree *tree) {
        if (!tree)
                return NULL;
        for (unsigned i = 0; i < tree->n_services; i++) {
                free(tree->services[i].name);
                (void) fd_close(tree->services[i].cgroup);
        }
        free(tree->services);
        free(tree->instance);
        free(tree->nodes.items);
        free(tree->strangers.items);
        pid_table_done(&tree->roots);
        pid_table_done(&tree->sessions);
        pid_table_done(&tree->known);
        pid_table_done(&tree->seen);
        pid_table_done(&tree->killed);
        (void) fd_close(tree->children);
        (void) fd_close(tree->cgroup);
        procfs_done(&tree->procfs);
        free(tree);
        return NULL;
}

char *tree_mark_format(char *buf, size_t size, const char *instance, const char *name) {
        (void) snprintf(buf, size, TREE_MARK_NAME "=%s.%s", instance, name);
        return buf;
}

int tree_ignore(Tree *tree, pid_t pid) {
        int r = pid_table_reserve(&tree->roots, tree->roots.n + 1);

        if (r < 0)
                return r;
        return pid_table_put(&tree->roots, &(PidEntry) { .pid = pid, .service = TREE_IGNORED, .pidfd = -EBADF });
}

void tree_name(Tree *tree, unsigned service, const char *name) {
        free(tree->services[service].name);
        tree->services[service].name = strdup(name); /* NULL: neither mark nor cgroup, but sessions are enough */
}

static bool cgroup_name(const TreeService *service, char *ret, size_t size) {
        int n;

        if (!service->name || strchr(service->name, '/'))
                return false;
        n = snprintf(ret, size, CGROUP_PREFIX "%s", service->name);
        return n > 0 && (size_t) n < size;
}

int tree_prepare(Tree *tree, unsigned index, int *ret_fd) {
        TreeService *service = &tree->services[index];
        char name[NAME_BYTES];
        int r;

        if (tree->cgroup >= 0 && service->cgroup < 0 && !service->is_tried && cgroup_name(service, name, sizeof(name))) {
                r = tree_cgroup_make(tree->cgroup, name, &service->cgroup);
                if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
                        return r; /* passes, and can be tried again */
                service->is_tried = r < 0;
        }
        *ret_fd = service->cgroup;
        return 0;
}

static bool is_of_another(const PidEntry *entry, void *userdata) {
        return entry->service != *(const unsigned *) userdata;
}

static void forget_session(Tree *tree, unsigned index, pid_t session) {
        const PidEntry *entry = pid_table_find(&tree->sessions, session);

        if (entry && entry->service == index) /* and not of somebody who has the pid by now */
                pid_table_remove(&tree->sessions, session);
}

void tree_clear(Tree *tree, unsigned index) {
        TreeService *service = &tree->services[index];
        char name[NAME_BYTES];

        /* Nearly all have one process and one session: a thousand of them end without a thousand walks over the tables. */
        if (service->has_more_sessions)
                pid_table_filter(&tree->sessions, is_of_another, &index);
        else
                forget_session(tree, index, service->session);
        if (tree->known.n > 0)
                pid_table_filter(&tree->known, is_of_another, &index);
        service->session = 0;
        service->has_more_sessions = false;
        service->is_tried = false;
        if (service->cgroup < 0)
                return;
        service->cgroup = fd_close(service->cgroup);
        if (cgroup_name(service, name, sizeof(name)))
                tree_cgroup_remove(&tree->procfs, tree->cgroup, name);
}

/* Found alive by the look that goes on, or just started. */
static void mark_alive(Tree *tree, TreeService *service) {
        if (service->alive_look == tree->look)
                return;
        if (service->alive_look + 1 == tree->look)
                tree->n_alive_again++;
        service->alive_look = tree->look;
        tree->n_alive++;
}

typedef struct SessionScan {
        Tree *tree;
        bool is_whole;
} SessionScan;

static void note_session(pid_t pid, void *userdata) {
        SessionScan *scan = userdata;
        ProcStat stat;

        if (procfs_stat(&scan->tree->procfs, pid, &stat) < 0 || stat.session <= 0)
                return;
        if (pid_table_reserve(&scan->tree->seen, scan->tree->seen.n + 1) < 0 ||
            pid_table_put(&scan->tree->seen, &(PidEntry) { .pid = stat.session }) < 0)
                scan->is_whole = false;
}

static bool is_in_use(const PidEntry *entry, void *userdata) {
        Tree *tree = userdata;

        return pid_table_find(&tree->roots, entry->pid) || pid_table_find(&tree->seen, entry->pid);
}

/* A service that is never cleared, but reloaded by a hook every second, leaves a session each time. Those that
 * nobody is in are forgotten when there are many. */
static void forget_sessions(Tree *tree) {
        SessionScan scan = { .tree = tree, .is_whole = true };

        if (tree->sessions.n < SESSIONS_KEPT + 2 * tree->roots.n)
                return;
        pid_table_empty(&tree->seen);
        if (procfs_everybody(&tree->procfs, note_session, &scan) >= 0 && scan.is_whole)
                pid_table_filter(&tree->sessions, is_in_use, tree);
}

int tree_add_root(Tree *tree, unsigned index, pid_t pid, int pidfd) {
        PidEntry entry = { .pid = pid, .service = index, .pidfd = pidfd };
        ProcStat stat;
        int r;

        if (index >= tree->n_services || pid <= 0)
                return -EINVAL;
        forget_sessions(tree);
        r = reserve_for(tree, tree->roots.n + 1);
        if (r < 0)
                return r;
        /* A pidfd is enough to know it by. Whoever looks at /proc/PID leaves entries in the kernel's cache that cost more to
         * clear away at the process's end than all that we do about it. */
        if (pidfd < 0 && procfs_stat(&tree->procfs, pid, &stat) >= 0) /* it may have ended already */
                entry.start_time = stat.start_time;
        tree_remove_root(tree, pid); /* of another, which ended unheard */
        pid_table_remove(&tree->known, pid);
        if ((r = pid_table_put(&tree->roots, &entry)) < 0 || (r = pid_table_put(&tree->sessions, &entry)) < 0)
                return r;
        tree->services[index].n_roots++;
        tree->services[index].has_more_sessions |= tree->services[index].session > 0 && tree->services[index].session != pid;
        tree->services[index].session = pid;
        mark_alive(tree, &tree->services[index]);
        return 0;
}

void tree_forget_ignored(Tree *tree, pid_t pid) {
        const PidEntry *root = pid_table_find(&tree->roots, pid);

        if (root && root->service == TREE_IGNORED && pid != tree->self)
                pid_table_remove(&tree->roots, pid);
}

void tree_remove_root(Tree *tree, pid_t pid) {
        const PidEntry *root = pid_table_find(&tree->roots, pid);

        if (!root || pid == tree->self)
                return;
        if (root->service != TREE_IGNORED) {
                TreeService *service = &tree->services[root->service];

                service->n_roots--;
                /* It was alive by this root alone: the next look is not surprised that it finds nothing. */
                if (service->n_roots == 0 && service->alive_look == tree->look && service->stranger_look != tree->look
                    && service->populated_look != tree->look && tree->n_alive > 0)
                        tree->n_alive--;
        }
        pid_table_remove(&tree->roots, pid);
}

static bool is_same_still(const PidEntry *entry, void *userdata) {
        Tree *tree = userdata;
        ProcStat stat;

        return procfs_stat(&tree->procfs, entry->pid, &stat) >= 0 && stat.start_time == entry->start_time;
}

/* A table that is full loses the dead first. Without memory for more it forgets who comes now: the session and the
 * mark are left to tell. */
static void remember(Tree *tree, const ProcStat *stat, unsigned service) {
        PidEntry entry = { .pid = stat->pid, .service = service, .start_time = stat->start_time, .pidfd = -EBADF };

        if (pid_table_put(&tree->known, &entry) >= 0)
                return;
        pid_table_filter(&tree->known, is_same_still, tree);
        if (pid_table_reserve(&tree->known, 2 * tree->known.n) >= 0 && pid_table_put(&tree->known, &entry) < 0)
                return;
}

void tree_learn(Tree *tree, const ProcStat *stat, unsigned service) {
        const PidEntry *known = pid_table_find(&tree->known, stat->pid);
        PidEntry session = { .pid = stat->session, .service = service, .pidfd = -EBADF };

        if (!known || known->start_time != stat->start_time || known->service != service)
                remember(tree, stat, service);
        /* A session that was there before any service is nobody's, 0 is one that this pid namespace cannot name. */
        if (stat->session <= 0 || stat->session == tree->session || stat->session == tree->keeper ||
            pid_table_find(&tree->sessions, stat->session))
                return;
        session.start_time = stat->session == stat->pid ? stat->start_time : 0;
        if (service < tree->n_services)
                tree->services[service].has_more_sessions = true;
        if (pid_table_reserve(&tree->sessions, tree->sessions.n + 1) >= 0 &&
            pid_table_put(&tree->sessions, &session) < 0)
                return; /* cannot be: there is room */
}

/* The number of a session stays taken as long as anybody is in it; afterwards a new process may get it as its pid. */
static const PidEntry *find_session(Tree *tree, const ProcStat *stat) {
        const PidEntry *session = pid_table_find(&tree->sessions, stat->session);

        if (!session || stat->pid != stat->session || session->start_time == 0 ||
            session->start_time == stat->start_time)
                return session;
        pid_table_remove(&tree->sessions, stat->session);
        return NULL;
}

static unsigned find_by_mark(Tree *tree, const ProcStat *stat) {
        size_t length = strlen(tree->instance);
        char mark[TREE_MARK_BYTES];

        if (procfs_environment(&tree->procfs, stat->pid, TREE_MARK_NAME, mark, sizeof(mark)) <= 0)
                return TREE_STRAY;
        if (strncmp(mark, tree->instance, length) != 0 || mark[length] != '.')
                return TREE_STRAY;
        for (unsigned i = 0; i < tree->n_services; i++)
                if (tree->services[i].name && strcmp(tree->services[i].name, mark + length + 1) == 0)
                        return i;
        return TREE_STRAY;
}

/* Reading the environment of a process in state D may wait as long as it does. */
static unsigned attribute(Tree *tree, const ProcStat *stat) {
        const PidEntry *known = pid_table_find(&tree->known, stat->pid), *session;
        unsigned service;

        if (known && known->start_time != stat->start_time)
                known = NULL;
        if (known && known->service != TREE_STRAY)
                return known->service;
        session = find_session(tree, stat);
        if (session) {
                tree_learn(tree, stat, session->service);
                return session->service;
        }
        if (known || stat->state == 'D')
                return TREE_STRAY; /* the mark was read before */
        service = find_by_mark(tree, stat);
        if (service == TREE_STRAY)
                remember(tree, stat, TREE_STRAY);
        else
                tree_learn(tree, stat, service);
        return service;
}

static void on_child(pid_t pid, void *userdata) {
        Tree *tree = userdata;
        const PidEntry *root = pid_table_find(&tree->roots, pid);
        TreeNode node = { .pidfd = -EBADF, .is_orphan = true };

        if (pid == tree->self)
                tree->has_seen_self = true;
        if (root) {
                if (root->service != TREE_IGNORED)
                        mark_alive(tree, &tree->services[root->service]);
                return;
        }
        if (procfs_stat(&tree->procfs, pid, &node.stat) < 0 || !procfs_is_living(&node.stat) ||
            node.stat.parent != tree->keeper)
                return;
        node.service = attribute(tree, &node.stat);
        if (node.service != TREE_STRAY) {
                mark_alive(tree, &tree->services[node.service]);
                tree->services[node.service].stranger_look = tree->look;
        }
        if (!tree_nodes_add(&tree->strangers, &node))
                return; /* found again when others have ended; its service counts as alive */
}

static int read_children(Tree *tree) {
        int r;

        tree->strangers.n = 0;
        if (tree->children >= 0)
                return procfs_read_pids(tree->children, on_child, tree);
        r = procfs_refresh(&tree->procfs);
        return r < 0 ? r : procfs_children(&tree->procfs, tree->keeper, 1, on_child, tree);
}

static void look_at_cgroups(Tree *tree) {
        if (tree->cgroup < 0)
                return;
        for (unsigned i = 0; i < tree->n_services; i++) {
                TreeService *service = &tree->services[i];

                if (service->cgroup >= 0 && service->n_roots == 0 &&
                    tree_cgroup_is_populated(&tree->procfs, service->cgroup))
                        service->populated_look = tree->look;
        }
}

/* The kernel promises a list without gaps only while no child ends: one that is reaped as it is read can take others
 * along with it. So a service that seems to have become empty is looked for once more, and so are we. */
static int read_children_surely(Tree *tree, unsigned n_before) {
        int r;

        tree->has_seen_self = false;
        r = read_children(tree);
        if (r >= 0 && (tree->n_alive_again < n_before || !tree->has_seen_self))
                r = read_children(tree);
        return r < 0 ? r : tree->has_seen_self ? 0 : -ESRCH;
}

/* The keeper has died, and we with all services have come to another parent. It has children of its own. */
static int follow_adoption(Tree *tree) {
        pid_t parent = getppid();

        if (parent <= 0 || parent == tree->keeper)
                return -ESRCH;
        tree->keeper = parent;
        tree->is_adopted = true;
        return open_children(tree);
}

int tree_look(Tree *tree) {
        unsigned n_before = tree->n_alive;
        int r;

        tree->look++;
        tree->is_known = false;
        tree->n_alive = tree->n_alive_again = 0;
        r = read_children_surely(tree, n_before);
        if (r == -ESRCH) {
                r = follow_adoption(tree);
                if (r >= 0)
                        r = read_children_surely(tree, n_before);
        }
        if (r < 0)
                return r;
        look_at_cgroups(tree);
        tree->is_known = true;
        return 0;
}

bool tree_is_empty(Tree *tree, unsigned index) {
        const TreeService *service = &tree->services[index];

        if (!tree->is_known || service->alive_look == tree->look)
                return false;
        return service->cgroup < 0 || !tree_cgroup_is_populated(&tree->procfs, service->cgroup);
}

bool tree_has_leftovers(const Tree *tree, unsigned index) {
        const TreeService *service = &tree->services[index];

        return service->n_roots == 0 && (service->stranger_look == tree->look || service->populated_look == tree->look);
}

void tree_thaw(Tree *tree, unsigned index) {
        if (tree->services[index].cgroup >= 0)
                tree_cgroup_thaw(&tree->procfs, tree->services[index].cgroup);
}
