#include "../lib/test.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "../lib/family.h"
#include "../../daemon/core/spawn.h"
#include "../../daemon/core/tree-private.h"

/* HELPERS_DIR is where the compiled programs of tests/lib/ are. */
#define STUBBORN HELPERS_DIR "/stubborn"

enum { N_SERVICES = 3, LISTED_MAX = 64 };

static const char *const names[N_SERVICES] = { "web", "web2", "database" };

typedef struct World {
        Tree *tree;
        Spawner *spawner;
        pid_t *pid_word;
        char *environment[2];
        char mark[TREE_MARK_BYTES];
        TreeProcess listed[LISTED_MAX];
        unsigned n_listed;
} World;

typedef struct Child {
        pid_t leader, ready; /* ready: the process that the recipe is about */
        int pidfd;
} Child;

static Tree *make_tree(bool use_cgroup) {
        Tree *tree;

        check(tree_new(&tree, getppid(), "test", N_SERVICES, use_cgroup) == 0);
        for (unsigned i = 0; i < N_SERVICES; i++)
                tree_name(tree, i, names[i]);
        return tree;
}

static World *world_new(bool use_cgroup) {
        World *world = calloc(1, sizeof(*world));

        check(world && spawner_new(&world->spawner) == 0);
        world->tree = make_tree(use_cgroup);
        world->pid_word = mmap(NULL, sizeof(pid_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        check(world->pid_word != MAP_FAILED);
        return world;
}

static void world_free(World *world) {
        world->tree = tree_free(world->tree);
        world->spawner = spawner_free(world->spawner);
        (void) munmap(world->pid_word, sizeof(pid_t));
        free(world);
}

static Child start(World *world, unsigned service, const char *recipe, const char *n) {
        char *argv[] = { (char *) STUBBORN, (char *) recipe, (char *) n, NULL };
        Command command = { .argv = argv };
        ServiceConfig config = { 0 };
        SpawnRequest request = { .command = &command, .service = &config, .environment = world->environment,
                                 .input = -EBADF, .error = -EBADF, .pid_word = world->pid_word };
        SpawnFailure failure;
        Child child = { .pidfd = -EBADF };
        char text[64] = "";
        int fds[2], ready = 0;

        world->environment[0] = tree_mark_format(world->mark, sizeof(world->mark), "test", names[service]);
        check(pipe2(fds, O_CLOEXEC) == 0);
        request.output = fds[1];
        check(tree_prepare(world->tree, service, &request.cgroup) == 0);
        check(spawn_process(world->spawner, &request, &child.leader, &child.pidfd, &failure) == 0);
        check(tree_add_root(world->tree, service, child.leader, child.pidfd) == 0);
        check(read(fds[0], text, sizeof(text) - 1) > 0 && sscanf(text, "ready %d", &ready) == 1);
        child.ready = ready;
        (void) fd_close(fds[0]);
        (void) fd_close(fds[1]);
        return child;
}

/* The leader obeys TERM and is reaped by the keeper; its tree is told. */
static void end_leader(World *world, Child *child, int signal) {
        struct pollfd watch = { .fd = child->pidfd, .events = POLLIN };

        check(signal == 0 || kill(child->leader, signal) == 0); /* 0: it ends by itself */
        check(poll(&watch, 1, 10000) == 1);
        tree_remove_root(world->tree, child->leader);
        child->pidfd = fd_close(child->pidfd);
}

static void on_listed(const TreeProcess *process, void *userdata) {
        World *world = userdata;

        if (world->n_listed < LISTED_MAX)
                world->listed[world->n_listed++] = *process;
}

static int list(World *world, unsigned service) {
        world->n_listed = 0;
        return tree_list(world->tree, service, on_listed, world);
}

static const TreeProcess *find_listed(const World *world, pid_t pid) {
        for (unsigned i = 0; i < world->n_listed; i++)
                if (world->listed[i].pid == pid)
                        return &world->listed[i];
        return NULL;
}

static bool is_empty(World *world, unsigned service) {
        return tree_look(world->tree) == 0 && tree_is_empty(world->tree, service);
}

static void kill_all(World *world, unsigned service, Child *child) {
        check(tree_signal(world->tree, service, SIGKILL, 0) >= 0);
        if (child && child->pidfd >= 0) {
                struct pollfd watch = { .fd = child->pidfd, .events = POLLIN };

                check(poll(&watch, 1, 10000) == 1);
                tree_remove_root(world->tree, child->leader);
                child->pidfd = fd_close(child->pidfd);
        }
        check_becomes(is_empty(world, service));
        check(!tree_has_leftovers(world->tree, service));
}

static void run(void (*body)(void *userdata)) {
        assert_int_equal(family_run(body, NULL), 0);
}

/* -- by parentage -- */

static void body_root(void *userdata) {
        World *world = world_new(false);
        Child child;

        check(!tree_is_empty(world->tree, 0)); /* nobody has looked */
        check(is_empty(world, 0));
        child = start(world, 0, "obey", NULL);
        check(!is_empty(world, 0) && is_empty(world, 1) && !tree_has_leftovers(world->tree, 0));
        check(list(world, 0) == 1 && world->listed[0].pid == child.leader && !world->listed[0].is_escapee);
        check(world->listed[0].parent == getppid() && world->listed[0].session == child.leader);
        check(strcmp(world->listed[0].command, "stubborn") == 0);
        check(tree_signal(world->tree, 0, SIGTERM, 0) == 1);
        end_leader(world, &child, 0);
        check(is_empty(world, 0) && list(world, 0) == 0);
        world_free(world);
}

static void test_a_service_is_empty_when_its_leader_was_alone(void **state) {
        run(body_root);
}

static void body_descendants(void *userdata) {
        World *world = world_new(false);
        Child child = start(world, 0, "chain", "20"), other = start(world, 1, "chain", "2");

        check(list(world, 0) == 21 && world->listed[0].pid == child.leader);
        check(find_listed(world, child.ready) && !find_listed(world, other.ready));
        check(!find_listed(world, child.ready)->is_escapee);
        check(tree_signal(world->tree, 0, 0, child.ready) == 20);
        kill_all(world, 0, &child);
        check(list(world, 1) == 3 && kill(other.leader, 0) == 0);
        kill_all(world, 1, &other);
        world_free(world);
}

static void test_every_descendant_is_found_and_nobody_else(void **state) {
        run(body_descendants);
}

static void body_orphans(void *userdata) {
        World *world = world_new(false);
        Child child = start(world, 0, "children", "5");

        end_leader(world, &child, SIGTERM);
        check(!is_empty(world, 0) && tree_has_leftovers(world->tree, 0));
        check(list(world, 0) == 5 && world->listed[0].is_escapee && world->listed[0].parent == getppid());
        check(tree_signal(world->tree, 0, SIGTERM, 0) == 5); /* they ignore it */
        check(list(world, 0) == 5);
        kill_all(world, 0, NULL);
        world_free(world);
}

static void test_children_that_outlive_their_leader_are_left(void **state) {
        run(body_orphans);
}

static void body_escape(void *userdata) {
        World *world = world_new(false);
        Child child = start(world, 1, "escape", NULL);

        end_leader(world, &child, SIGTERM);
        check(!is_empty(world, 1) && tree_has_leftovers(world->tree, 1) && is_empty(world, 0));
        check(list(world, 1) == 1 && world->listed[0].pid == child.ready && world->listed[0].is_escapee);
        kill_all(world, 1, NULL);
        world_free(world);
}

static void test_an_escapee_is_known_by_its_mark(void **state) {
        run(body_escape);
}

/* What was seen below its parents is known without a mark; what was not is a stray, until it is swept. */
static void body_hidden(void *userdata) {
        World *world = world_new(false);
        Child seen = start(world, 0, "hide", NULL), unseen;

        check(list(world, 0) == 2 && find_listed(world, seen.ready)->is_escapee);
        pid_table_remove(&world->tree->sessions, seen.ready); /* as if it began another one afterwards */
        end_leader(world, &seen, SIGTERM);
        unseen = start(world, 1, "hide", NULL);
        end_leader(world, &unseen, SIGTERM);
        check_becomes(tree_look(world->tree) == 0 && tree_list_strays(world->tree, on_listed, world) == 1);
        check(list(world, 0) == 1 && world->listed[0].pid == seen.ready);
        check(list(world, 1) == 0 && is_empty(world, 1));
        check_becomes(tree_sweep(world->tree) == 0);
        check(is_empty(world, 0) && tree_list_strays(world->tree, on_listed, world) == 0);
        world_free(world);
}

static void test_what_was_seen_once_is_not_lost(void **state) {
        run(body_hidden);
}

static void body_stray(void *userdata) {
        World *world = world_new(false);
        pid_t pid = (pid_t) syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL), ignored;

        if (pid == 0)
                for (;;)
                        (void) pause();
        check(tree_look(world->tree) == 0);
        check(tree_list_strays(world->tree, on_listed, world) == 1 && world->listed[0].pid == pid);
        for (unsigned i = 0; i < N_SERVICES; i++)
                check(tree_is_empty(world->tree, i));
        ignored = (pid_t) syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
        if (ignored == 0)
                for (;;)
                        (void) pause();
        check(tree_ignore(world->tree, ignored) == 0 && tree_look(world->tree) == 0);
        check(tree_list_strays(world->tree, on_listed, world) == 1);
        check_becomes(tree_sweep(world->tree) == 0);
        check_becomes(kill(pid, 0) < 0 && kill(ignored, 0) < 0); /* reaped, too */
        world_free(world);
}

static void test_strays_belong_to_nobody_and_are_swept(void **state) {
        run(body_stray);
}

static void body_threads(void *userdata) {
        World *world = world_new(false);
        Child lost = start(world, 0, "leader", NULL), child = start(world, 1, "thread", NULL);
        ProcStat stat;

        check_becomes(procfs_stat(&world->tree->procfs, lost.leader, &stat) == 0 && stat.state == 'Z');
        check(list(world, 0) == 1 && !is_empty(world, 0));
        tree_remove_root(world->tree, lost.leader); /* even to those who take it for ended */
        check(!is_empty(world, 0));
        check(list(world, 1) == 2 && find_listed(world, child.ready));
        kill_all(world, 0, NULL);
        kill_all(world, 1, &child);
        lost.pidfd = fd_close(lost.pidfd);
        world_free(world);
}

static void test_threads_keep_a_process_alive_and_have_children(void **state) {
        run(body_threads);
}

static void body_zombies(void *userdata) {
        World *world = world_new(false);
        Child child = start(world, 0, "zombies", "7");

        check(list(world, 0) == 1);
        kill_all(world, 0, &child);
        world_free(world);
}

static void test_zombies_do_not_count(void **state) {
        run(body_zombies);
}

static void body_stopped(void *userdata) {
        World *world = world_new(false);
        Child child = start(world, 0, "stop", NULL);

        check_becomes(list(world, 0) == 1 && world->listed[0].state == 'T');
        check(tree_signal(world->tree, 0, SIGCONT, 0) == 1);
        check_becomes(list(world, 0) == 1 && world->listed[0].state == 'S');
        kill_all(world, 0, &child);
        world_free(world);
}

static void test_a_stopped_process_is_woken(void **state) {
        run(body_stopped);
}

static void body_run_away(void *userdata) {
        World *world = world_new(false);
        Child child = start(world, 0, "run-away", NULL);
        struct pollfd watch = { .fd = child.pidfd, .events = POLLIN };
        long long begin = family_now();

        check(poll(&watch, 1, 10000) == 1);
        tree_remove_root(world->tree, child.leader);
        check_becomes(tree_signal(world->tree, 0, SIGKILL, 0) == 0 && is_empty(world, 0));
        check(family_now() - begin < 4000); /* it gives up by itself after five seconds */
        child.pidfd = fd_close(child.pidfd);
        world_free(world);
}

static void test_kill_catches_who_runs_away(void **state) {
        run(body_run_away);
}

/* The next core knows the pids from its snapshot, and nothing else. */
static void body_restored(void *userdata) {
        World *world = world_new(false);
        Child child = start(world, 0, "children", "3"), escaped = start(world, 1, "escape", NULL);

        end_leader(world, &child, SIGTERM);
        end_leader(world, &escaped, SIGTERM);
        world->tree = tree_free(world->tree);
        world->tree = make_tree(false);
        check(tree_add_root(world->tree, 0, child.leader, -EBADF) == 0);
        tree_remove_root(world->tree, child.leader);
        check(tree_look(world->tree) == 0);
        check(tree_has_leftovers(world->tree, 0) && tree_has_leftovers(world->tree, 1));
        kill_all(world, 0, NULL);
        kill_all(world, 1, NULL);
        tree_clear(world->tree, 0);
        world_free(world);
}

static void test_a_new_core_finds_the_processes_again(void **state) {
        run(body_restored);
}

/* -- with nothing left -- */

static void body_no_descriptors(void *userdata) {
        World *world = world_new(false);
        Child child = start(world, 0, "children", "4");
        struct rlimit limit, none;

        end_leader(world, &child, SIGTERM);
        check(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        none = (struct rlimit) { .rlim_cur = 0, .rlim_max = limit.rlim_max };
        for (int fd = 0; fd >= 0; none.rlim_cur = fd >= 0 ? (rlim_t) fd + 1 : none.rlim_cur)
                fd = open("/dev/null", O_RDONLY | O_CLOEXEC), fd = fd > 100 ? -1 : fd;
        check(setrlimit(RLIMIT_NOFILE, &none) == 0);
        while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
                ;
        check(errno == EMFILE);
        check(list(world, 0) == 4);
        check(tree_signal(world->tree, 0, SIGKILL, 0) == 4);
        check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        check_becomes(is_empty(world, 0));
        world_free(world);
}

static void test_kill_needs_no_new_descriptor(void **state) {
        run(body_no_descriptors);
}

static size_t allocated(void) {
        struct mallinfo2 info = mallinfo2();

        return info.uordblks + info.hblkhd;
}

static void body_no_memory(void *userdata) {
        World *world = world_new(false);
        Child child = start(world, 0, "children", "200"), other = start(world, 1, "chain", "30");
        size_t before;

        end_leader(world, &child, SIGTERM);
        before = allocated();
        check(tree_look(world->tree) == 0);
        check(tree_signal(world->tree, 0, SIGTERM, 0) == 200 && tree_signal(world->tree, 1, 0, 0) == 31);
        check(tree_signal(world->tree, 0, SIGKILL, 0) == 200);
        check(allocated() == before);
        kill_all(world, 0, NULL);
        kill_all(world, 1, &other);
        world_free(world);
}

static void test_kill_allocates_nothing(void **state) {
        run(body_no_memory);
}

static void body_no_children_lists(void *userdata) {
        World *world = world_new(false);
        Child child = start(world, 0, "chain", "6"), orphans = start(world, 1, "children", "3");

        world->tree->procfs.has_children = false; /* a kernel without CONFIG_PROC_CHILDREN */
        world->tree->children = fd_close(world->tree->children);
        end_leader(world, &orphans, SIGTERM);
        check(tree_look(world->tree) == 0 && tree_has_leftovers(world->tree, 1) && is_empty(world, 2));
        check(list(world, 0) == 7 && list(world, 1) == 3);
        kill_all(world, 0, &child);
        kill_all(world, 1, NULL);
        check_becomes(tree_sweep(world->tree) == 0);
        world_free(world);
}

static void test_a_scan_stands_in_for_lists_of_children(void **state) {
        run(body_no_children_lists);
}

static void body_not_our_parent(void *userdata) {
        Tree *tree;
        pid_t other = fork();

        if (other == 0)
                for (;;)
                        (void) pause();
        check(tree_new(&tree, other, "test", 1, false) == 0);
        check(kill(other, SIGKILL) == 0 && waitpid(other, NULL, 0) == other);
        tree->keeper = getppid(); /* nobody to go over to */
        check(tree_look(tree) < 0 && !tree_is_empty(tree, 0));
        tree = tree_free(tree);
        check(tree_new(&tree, other, "test", 1, false) < 0);
}

static void test_a_look_that_fails_says_nothing_is_empty(void **state) {
        run(body_not_our_parent);
}

/* The core whose keeper dies goes on to end its trees, and nobody else's. */
static void live_without_keeper(void) {
        World *world = world_new(false);
        pid_t keeper = getppid(), bystander;
        Child orphans = start(world, 0, "children", "3"), child = start(world, 1, "chain", "2"),
              escaped = start(world, 2, "escape", NULL);

        bystander = (pid_t) syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
        if (bystander == 0)
                for (;;)
                        (void) pause();
        end_leader(world, &orphans, SIGTERM);
        end_leader(world, &escaped, SIGTERM);
        check(kill(keeper, SIGKILL) == 0);
        check_becomes(getppid() != keeper);
        check(tree_look(world->tree) == 0);
        check(tree_has_leftovers(world->tree, 0) && !tree_is_empty(world->tree, 1));
        check(tree_signal(world->tree, 1, SIGTERM, 0) == 3);
                check_becomes(tree_sweep(world->tree) == 0);
        check(kill(bystander, 0) == 0);
        check(kill(bystander, SIGKILL) == 0);
        child.pidfd = fd_close(child.pidfd);
        world_free(world);
}

static void body_lost_keeper(void *userdata) {
        int status;

        check(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
        if (fork() == 0) {
                check(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
                if (fork() == 0) {
                        live_without_keeper();
                        _exit(0);
                }
                while (waitpid(-1, NULL, 0) > 0)
                        ;
                _exit(1);
        }
        while (waitpid(-1, &status, 0) > 0)
                check(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
}

static void test_a_core_without_keeper_ends_its_trees(void **state) {
        run(body_lost_keeper);
}

/* A hook a second for a day leaves no day's worth of sessions. */
static void body_many_hooks(void *userdata) {
        World *world = world_new(false);
        pid_t self = getpid();

        for (pid_t pid = 4000000; pid < 4000000 + 20000; pid++) { /* above every pid that there is */
                check(tree_add_root(world->tree, 0, pid, -EBADF) == 0);
                tree_remove_root(world->tree, pid);
        }
        check(world->tree->sessions.n < 5000 && world->tree->sessions.n_slots <= 8192 && self == getpid());
        world_free(world);
}

static void test_sessions_that_nobody_is_in_are_forgotten(void **state) {
        run(body_many_hooks);
}

/* Refuses pidfds, as filters from before them do. */
static void refuse_pidfds(void) {
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 1, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_send_signal, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { .len = n_elements(filter), .filter = filter };

        check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void body_no_pidfds(void *userdata) {
        World *world = world_new(false);
        Child child = start(world, 0, "children", "3");

        refuse_pidfds();
        check(tree_signal(world->tree, 0, 0, 0) == 4);
        kill_all(world, 0, &child);
        world_free(world);
}

static void test_kill_works_without_pidfds(void **state) {
        run(body_no_pidfds);
}

/* A pid that a root had, but that is another process by now, gets no signal. */
static void body_reused_pid(void *userdata) {
        World *world = world_new(false);
        Child child = start(world, 0, "obey", NULL);

        pid_table_find(&world->tree->roots, child.leader)->start_time += 1;
        pid_table_find(&world->tree->roots, child.leader)->pidfd = -EBADF;
        check(list(world, 0) == 0 && tree_signal(world->tree, 0, SIGKILL, 0) == 0);
        check(kill(child.leader, 0) == 0);
        check(kill(child.leader, SIGKILL) == 0);
        child.pidfd = fd_close(child.pidfd);
        world_free(world);
}

static void test_a_reused_pid_is_not_signalled(void **state) {
        run(body_reused_pid);
}

/* -- by cgroup -- */

static bool write_text(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text);

        (void) fd_close(fd);
        return is_written;
}

/* Into a cgroup below the root of the hierarchy, as a manager would start us. */
static bool enter_cgroup(char *ret, size_t size) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        char path[512];

        for (size_t i = 0; i < n_elements(roots); i++) {
                (void) snprintf(path, sizeof(path), "%s/cgroup.procs", roots[i]);
                if (access(path, W_OK) < 0)
                        continue;
                (void) snprintf(ret, size, "%s/test-tree-%d", roots[i], (int) getpid());
                if (mkdir(ret, 0755) < 0)
                        continue;
                (void) snprintf(path, sizeof(path), "%s/cgroup.procs", ret);
                if (write_text(path, "0"))
                        return true;
                (void) rmdir(ret);
        }
        return false;
}

static void leave_cgroup(char *path) {
        char procs[512];

        (void) snprintf(procs, sizeof(procs), "%.*s/cgroup.procs", (int) (strrchr(path, '/') - path), path);
        check(write_text(procs, "0"));
        check_becomes(rmdir(path) == 0);
}

static void body_cgroup(void *userdata) {
        char path[256], text[512];
        World *world;
        Child hidden, child;

        if (!enter_cgroup(path, sizeof(path)))
                _exit(77);
        world = world_new(true);
        check(world->tree->cgroup >= 0);
        hidden = start(world, 0, "hide", NULL);
        child = start(world, 1, "children", "3");
        end_leader(world, &hidden, SIGTERM);
        check(tree_look(world->tree) == 0);
        check(!tree_is_empty(world->tree, 0) && tree_has_leftovers(world->tree, 0));
        check(!tree_has_leftovers(world->tree, 1) && tree_is_empty(world->tree, 2));
        check(list(world, 0) == 1 && world->listed[0].pid == hidden.ready);
        check(list(world, 1) == 4);
        (void) snprintf(text, sizeof(text), "%s/svc-database", path);
        check(access(text, F_OK) < 0);
        (void) snprintf(text, sizeof(text), "%s/svc-web/below", path);
        check(mkdir(text, 0755) == 0);
        kill_all(world, 0, NULL);
        tree_clear(world->tree, 0);
        (void) snprintf(text, sizeof(text), "%s/svc-web", path);
        check_becomes(access(text, F_OK) < 0 || (rmdir(text), false));
        (void) snprintf(text, sizeof(text), "%s/svc-web2/cgroup.freeze", path);
        check(write_text(text, "1"));
        check(tree_signal(world->tree, 1, SIGTERM, 0) == 4); /* the leader obeys once it is thawed */
        tree_thaw(world->tree, 1);
        end_leader(world, &child, 0);
        check(write_text(text, "1"));
        kill_all(world, 1, NULL); /* a frozen one ends as well */
        tree_clear(world->tree, 1);
        world_free(world);
        leave_cgroup(path);
}

static void test_a_cgroup_holds_who_hides(void **state) {
        int r = family_run(body_cgroup, NULL);

        if (r == 77)
                skip();
        assert_int_equal(r, 0);
}

/* -- pure parts -- */

static void test_stat_lines_are_read_whatever_the_command(void **state) {
        static const struct {
                const char *text, *command;
                char state;
                pid_t parent;
        } good[] = {
                { "7 (sh) S 1 7 7 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 99 5", "sh", 'S', 1 },
                { "7 (a) Z 3 (b) R 2 7 7 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 99 5", "a) Z 3 (b", 'R', 2 },
                { "7 () D 2 7 7 0 -1 4 1 0 0 0 0 0 0 0 -20 0 1 0 99", "", 'D', 2 },
                { "7 (a name that is too long) T 2 7 7 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 99", "a name that is ", 'T', 2 },
        };
        static const char *const bad[] = {
                "", "7", "7 (sh", "7 sh) S 1", ") 7 (", "7 (sh) S", "(sh) S 1 7 7 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 99",
                "7 (sh)S 1 7 7 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 99", "7 (sh) S 1 7 7 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0",
                "7 (sh) S 1 x 7 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 99",
        };
        ProcStat stat;

        for (size_t i = 0; i < n_elements(good); i++) {
                assert_int_equal(procfs_parse_stat(good[i].text, &stat), 0);
                assert_string_equal(stat.command, good[i].command);
                assert_int_equal(stat.state, good[i].state);
                assert_int_equal(stat.parent, good[i].parent);
                assert_int_equal(stat.session, 7);
                assert_int_equal(stat.n_threads, 1);
                assert_int_equal(stat.start_time, 99);
        }
        for (size_t i = 0; i < n_elements(bad); i++)
                assert_int_equal(procfs_parse_stat(bad[i], &stat), -EINVAL);
}

static bool is_odd(const PidEntry *entry, void *userdata) {
        return entry->pid % 2 != 0;
}

static void test_the_table_of_pids_forgets_nothing_else(void **state) {
        enum { PIDS = 600, STEPS = 200000 };
        static unsigned expected[PIDS + 1];
        PidTable table = { 0 };
        uint32_t random = 1;
        unsigned n = 0;

        assert_int_equal(pid_table_put(&table, &(PidEntry) { .pid = 1 }), -ENOSPC);
        assert_int_equal(pid_table_reserve(&table, PIDS), 0);
        for (unsigned step = 1; step < STEPS; step++) {
                pid_t pid;

                random = random * 1664525u + 1013904223u;
                pid = (pid_t) (random >> 16) % PIDS + 1;
                if (random >> 12 & 3) {
                        assert_int_equal(pid_table_put(&table, &(PidEntry) { .pid = pid, .service = step }), 0);
                        n += expected[pid] == 0;
                        expected[pid] = step;
                } else {
                        pid_table_remove(&table, pid);
                        n -= expected[pid] != 0;
                        expected[pid] = 0;
                }
                if (step % 5000 == 0) {
                        pid_table_filter(&table, is_odd, NULL);
                        for (pid_t i = 2; i <= PIDS; i += 2) {
                                n -= expected[i] != 0;
                                expected[i] = 0;
                        }
                }
                assert_int_equal(table.n, n);
                if (step % 100 == 0)
                        for (pid_t i = 1; i <= PIDS; i++) {
                                const PidEntry *entry = pid_table_find(&table, i);

                                assert_int_equal(entry ? entry->service : 0, expected[i]);
                        }
        }
        pid_table_done(&table);
}

/* -- what it costs -- */

static void body_cost(void *userdata) {
        enum { LOOKS = 200 };
        static const unsigned counts[] = { 11, 1000 };
        World *world = world_new(false);
        unsigned n = 0;

        for (size_t i = 0; i < n_elements(counts); i++) {
                struct timespec begin, end;
                double usec;

                for (; n < counts[i]; n++) {
                        pid_t pid = (pid_t) syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);

                        if (pid == 0)
                                for (;;)
                                        (void) pause();
                        check(pid > 0 && tree_add_root(world->tree, 0, pid, -EBADF) == 0);
                }
                (void) clock_gettime(CLOCK_MONOTONIC, &begin);
                for (int j = 0; j < LOOKS; j++)
                        check(tree_look(world->tree) == 0);
                (void) clock_gettime(CLOCK_MONOTONIC, &end);
                usec = (double) (end.tv_sec - begin.tv_sec) * 1e6 + (double) (end.tv_nsec - begin.tv_nsec) / 1e3;
                (void) fprintf(stderr, "# a look at %u processes: %.1f us\n", n, usec / LOOKS);
        }
        check(list(world, 0) == 1000 && world->tree->strangers.n == 0);
        check(tree_signal(world->tree, 0, SIGKILL, 0) == 1000);
        world_free(world);
}

static void test_a_look_at_a_thousand_services(void **state) {
        run(body_cost);
}

static void test_the_mark_is_a_variable(void **state) {
        char text[TREE_MARK_BYTES], small[8];

        assert_string_equal(tree_mark_format(text, sizeof(text), "a1b2", "web"), "DRAIND_MARK=a1b2.web");
        assert_string_equal(tree_mark_format(small, sizeof(small), "a1b2", "web"), "DRAIND_");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_service_is_empty_when_its_leader_was_alone),
                cmocka_unit_test(test_every_descendant_is_found_and_nobody_else),
                cmocka_unit_test(test_children_that_outlive_their_leader_are_left),
                cmocka_unit_test(test_an_escapee_is_known_by_its_mark),
                cmocka_unit_test(test_what_was_seen_once_is_not_lost),
                cmocka_unit_test(test_strays_belong_to_nobody_and_are_swept),
                cmocka_unit_test(test_threads_keep_a_process_alive_and_have_children),
                cmocka_unit_test(test_zombies_do_not_count),
                cmocka_unit_test(test_a_stopped_process_is_woken),
                cmocka_unit_test(test_kill_catches_who_runs_away),
                cmocka_unit_test(test_a_new_core_finds_the_processes_again),
                cmocka_unit_test(test_kill_needs_no_new_descriptor),
                cmocka_unit_test(test_kill_allocates_nothing),
                cmocka_unit_test(test_a_scan_stands_in_for_lists_of_children),
                cmocka_unit_test(test_a_look_that_fails_says_nothing_is_empty),
                cmocka_unit_test(test_a_core_without_keeper_ends_its_trees),
                cmocka_unit_test(test_sessions_that_nobody_is_in_are_forgotten),
                cmocka_unit_test(test_kill_works_without_pidfds),
                cmocka_unit_test(test_a_reused_pid_is_not_signalled),
                cmocka_unit_test(test_a_cgroup_holds_who_hides),
                cmocka_unit_test(test_stat_lines_are_read_whatever_the_command),
                cmocka_unit_test(test_the_table_of_pids_forgets_nothing_else),
                cmocka_unit_test(test_a_look_at_a_thousand_services),
                cmocka_unit_test(test_the_mark_is_a_variable),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
