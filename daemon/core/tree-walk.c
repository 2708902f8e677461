#include "tree-private.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "tree-cgroup.h"

/* A walk begins at a service's roots and at its processes among the keeper's children, goes on to the children of
 * everybody that it has found, and ends with who is left in the cgroup. It holds the machine still for nobody: who
 * is born or adopted behind its back is found by the next one, which is why KILL repeats it. */

enum { KILL_PASSES_MAX = 64 };

typedef struct WalkStep {
        Tree *tree;
        pid_t parent; /* who it must be a child of, or 0 */
        unsigned service;
} WalkStep;

/* Whoever has other parents by now than those that led to it has either ended or was adopted by the keeper. */
static TreeNode *add_node(Tree *tree, pid_t pid, pid_t parent, const TreeNode *like) {
        TreeNode node = *like;

        if (pid == tree->self || pid_table_find(&tree->seen, pid))
                return NULL;
        if (procfs_stat(&tree->procfs, pid, &node.stat) < 0 || !procfs_is_living(&node.stat) ||
            (parent != 0 && node.stat.parent != parent))
                return NULL;
        if (pid_table_reserve(&tree->seen, tree->nodes.n + 1) < 0 ||
            pid_table_put(&tree->seen, &(PidEntry) { .pid = pid, .start_time = node.stat.start_time }) < 0)
                return NULL;
        return tree_nodes_add(&tree->nodes, &node);
}

static void on_descendant(pid_t pid, void *userdata) {
        const WalkStep *step = userdata;
        Tree *tree = step->tree;
        const TreeNode *node = add_node(tree, pid, step->parent, &(TreeNode) { .service = step->service, .pidfd = -EBADF });

        if (node && step->service < tree->n_services)
                tree_learn(tree, &node->stat, step->service);
}

static void descend(Tree *tree, unsigned from) {
        for (unsigned i = from; i < tree->nodes.n; i++) {
                WalkStep step = { .tree = tree, .parent = tree->nodes.items[i].stat.pid,
                                  .service = tree->nodes.items[i].service };
                int r = procfs_children(&tree->procfs, step.parent, tree->nodes.items[i].stat.n_threads, on_descendant,
                                        &step);

                (void) r; /* it has ended: its children are the keeper's by now */
        }
}

static void begin(Tree *tree) {
        tree->nodes.n = 0;
        pid_table_empty(&tree->seen);
}

/* Its end may not have been heard yet, and its pid be another's by now. */
static void add_root(Tree *tree, const PidEntry *root) {
        const TreeNode *node = add_node(tree, root->pid, tree->keeper, &(TreeNode) {
                .service = root->service, .pidfd = root->pidfd, .is_root = true,
        });

        if (node && root->start_time != 0 && node->stat.start_time != root->start_time)
                tree->nodes.n--;
}

static int walk(Tree *tree, unsigned service) {
        WalkStep cgroup = { .tree = tree, .service = service };
        int r = tree_look(tree);
        unsigned n;

        if (r < 0)
                return r;
        begin(tree);
        for (unsigned i = 0; i < tree->roots.n_slots && tree->services[service].n_roots > 0; i++) {
                const PidEntry *root = &tree->roots.entries[i];

                if (root->pid != 0 && root->service == service)
                        add_root(tree, root);
        }
        for (unsigned i = 0; i < tree->strangers.n; i++)
                if (tree->strangers.items[i].service == service)
                        (void) add_node(tree, tree->strangers.items[i].stat.pid, tree->keeper,
                                        &tree->strangers.items[i]);
        descend(tree, 0);
        if (tree->services[service].cgroup >= 0) {
                n = tree->nodes.n;
                tree_cgroup_list(&tree->procfs, tree->services[service].cgroup, on_descendant, &cgroup);
                descend(tree, n);
        }
        return 0;
}

static void show(const TreeNode *node, void (*on_process)(const TreeProcess *process, void *userdata), void *userdata) {
        TreeProcess process = { .pid = node->stat.pid, .parent = node->stat.parent, .session = node->stat.session,
                                .state = node->stat.state, .is_escapee = node->is_orphan };

        (void) snprintf(process.command, sizeof(process.command), "%s", node->stat.command);
        on_process(&process, userdata);
}

static bool is_root_session(const Tree *tree, const TreeNode *node) {
        for (unsigned i = 0; i < tree->nodes.n && tree->nodes.items[i].is_root; i++)
                if (tree->nodes.items[i].stat.session == node->stat.session)
                        return true;
        return false;
}

int tree_list(Tree *tree, unsigned service, void (*on_process)(const TreeProcess *process, void *userdata),
              void *userdata) {
        int r = walk(tree, service);

        if (r < 0)
                return r;
        for (unsigned i = 0; i < tree->nodes.n; i++) {
                TreeNode *node = &tree->nodes.items[i];

                node->is_orphan = node->is_orphan || !is_root_session(tree, node);
                if (on_process)
                        show(node, on_process, userdata);
        }
        return (int) tree->nodes.n;
}

unsigned tree_list_strays(Tree *tree, void (*on_process)(const TreeProcess *process, void *userdata), void *userdata) {
        unsigned n = 0;

        for (unsigned i = 0; i < tree->strangers.n && !tree->is_adopted; i++)
                if (tree->strangers.items[i].service == TREE_STRAY) {
                        show(&tree->strangers.items[i], on_process, userdata);
                        n++;
                }
        return n;
}

static bool is_same(Tree *tree, const TreeNode *node) {
        ProcStat stat;

        return procfs_stat(&tree->procfs, node->stat.pid, &stat) >= 0 && stat.start_time == node->stat.start_time;
}

static int open_pidfd(Tree *tree, pid_t pid) {
        long fd = syscall(SYS_pidfd_open, pid, 0);

        for (int i = 0; fd < 0 && (errno == EMFILE || errno == ENFILE) && i < PROCFS_RESERVE; i++) {
                tree->procfs.reserve[i] = fd_close(tree->procfs.reserve[i]);
                fd = syscall(SYS_pidfd_open, pid, 0);
        }
        return fd < 0 ? -errno : (int) fd;
}

/* Where the kernel, or a filter, has no pidfds. Between the check and the call the process may end and be reaped;
 * for another to get its pid, all other pids must be handed out in that instant. It is the best that there is. */
static bool signal_by_pid(Tree *tree, const TreeNode *node, int signal) {
        return is_same(tree, node) && kill(node->stat.pid, signal) == 0;
}

/* The pidfd holds on to whoever has the pid now; who that is is asked afterwards. */
static bool send(Tree *tree, const TreeNode *node, int signal) {
        int fd = node->pidfd;
        bool is_sent = false;
        long r;

        if (fd < 0) {
                fd = open_pidfd(tree, node->stat.pid);
                if (fd < 0)
                        return fd == -ENOSYS || fd == -EPERM ? signal_by_pid(tree, node, signal) : false;
        }
        if (node->pidfd >= 0 || is_same(tree, node)) {
                r = syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
                is_sent = r == 0 || (errno == ENOSYS && signal_by_pid(tree, node, signal));
        }
        if (fd != node->pidfd)
                procfs_close(&tree->procfs, fd);
        return is_sent;
}

static int signal_once(Tree *tree, int signal, pid_t exclude) {
        int n = 0;

        for (unsigned i = 0; i < tree->nodes.n; i++)
                if (tree->nodes.items[i].stat.pid != exclude && send(tree, &tree->nodes.items[i], signal))
                        n++;
        return n;
}

/* Whether this process was not met by an earlier pass; one that cannot be noted down counts as new. */
static bool is_new(Tree *tree, const TreeNode *node) {
        const PidEntry *entry = pid_table_find(&tree->killed, node->stat.pid);
        PidEntry met = { .pid = node->stat.pid, .start_time = node->stat.start_time };

        if (entry && entry->start_time == met.start_time)
                return false;
        return pid_table_reserve(&tree->killed, tree->killed.n + 1) < 0 || pid_table_put(&tree->killed, &met) >= 0;
}

/* KILL to everybody of this walk; the number that no earlier pass has met. */
static int kill_once(Tree *tree, pid_t exclude) {
        int n_new = 0;

        for (unsigned i = 0; i < tree->nodes.n; i++) {
                const TreeNode *node = &tree->nodes.items[i];

                if (node->stat.pid != exclude && is_new(tree, node)) {
                        (void) send(tree, node, SIGKILL);
                        n_new++;
                }
        }
        return n_new;
}

static void kill_cgroup(Tree *tree, unsigned service) {
        int r = -EBADF;

        if (tree->services[service].cgroup >= 0)
                r = tree_cgroup_kill(&tree->procfs, tree->services[service].cgroup);
        (void) r; /* before Linux 5.14: one by one */
}

/* Whoever has got KILL starts nobody any more, so passes come to an end, unless new ones are born faster than we
 * look: then the caller comes again. cgroup.kill cannot be outrun. */
static int kill_tree(Tree *tree, unsigned service, pid_t exclude) {
        int n = 0;

        pid_table_empty(&tree->killed);
        for (int pass = 0; pass < KILL_PASSES_MAX; pass++) {
                int r = walk(tree, service), n_new;

                if (r < 0)
                        return r;
                n_new = kill_once(tree, exclude);
                n += n_new;
                if (pass == 0 && exclude == 0)
                        kill_cgroup(tree, service);
                if (n_new == 0)
                        break;
        }
        return n;
}

int tree_signal(Tree *tree, unsigned service, int signal, pid_t exclude) {
        int r;

        if (signal == SIGKILL)
                return kill_tree(tree, service, exclude);
        r = walk(tree, service);
        return r < 0 ? r : signal_once(tree, signal, exclude);
}

int tree_gather(Tree *tree, unsigned service) {
        int r = walk(tree, service);

        return r < 0 ? r : (int) tree->nodes.n;
}

int tree_signal_gathered(Tree *tree, int signal) {
        return signal_once(tree, signal, 0);
}

static void on_keeper_child(pid_t pid, void *userdata) {
        Tree *tree = userdata;

        (void) add_node(tree, pid, tree->keeper, &(TreeNode) { .service = TREE_STRAY, .pidfd = -EBADF });
}

static int walk_all(Tree *tree) {
        WalkStep own = { .tree = tree, .parent = tree->self, .service = TREE_STRAY };
        int r;

        begin(tree);
        r = procfs_refresh(&tree->procfs);
        if (r < 0)
                return r;
        r = tree->children >= 0 ? procfs_read_pids(tree->children, on_keeper_child, tree)
                                : procfs_children(&tree->procfs, tree->keeper, 1, on_keeper_child, tree);
        if (r < 0)
                return r;
        r = procfs_children(&tree->procfs, tree->self, 1, on_descendant, &own);
        if (r < 0)
                return r;
        descend(tree, 0);
        return 0;
}

/* Whoever adopted the keeper's children has others, which are not ours. */
static int sweep_services(Tree *tree) {
        int n = 0;

        for (unsigned i = 0; i < tree->n_services; i++) {
                int r = tree->services[i].alive_look == tree->look || tree->services[i].cgroup >= 0
                                ? kill_tree(tree, i, 0) : 0;

                if (r < 0)
                        return r;
                n += r > 0 ? (int) tree->nodes.n : 0;
        }
        return n;
}

int tree_sweep(Tree *tree) {
        int r = tree_look(tree);

        if (r < 0)
                return r;
        if (tree->is_adopted)
                return sweep_services(tree);
        for (unsigned i = 0; i < tree->n_services; i++)
                kill_cgroup(tree, i);
        pid_table_empty(&tree->killed);
        for (int pass = 0; pass < KILL_PASSES_MAX; pass++) {
                r = walk_all(tree);
                if (r < 0)
                        return r;
                if (kill_once(tree, 0) == 0)
                        break;
        }
        return (int) tree->nodes.n;
}
