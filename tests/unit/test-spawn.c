#include "../lib/test.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/socket.h>

#include "../lib/family.h"
#include "../../daemon/core/raw-syscall.h"
#include "../../daemon/core/spawn-clone.h"
#include "../../daemon/core/spawn.h"

/* HELPERS_DIR is where the compiled programs of tests/lib/ are. */
static char show_self_directory[] = "/tmp/draind-test-spawn-XXXXXX";
static char show_self[sizeof(show_self_directory) + sizeof("/show-self")];
static char show_self_search[sizeof(show_self_directory) + sizeof("PATH=/nowhere:/etc/passwd:")];

enum { OUTPUT_BYTES = 65536, STRANGE_UID = 54321, STRANGE_GID = 54322, N_COMBINATIONS = 96 };

/* One spawn as a test wants it, and all that it needs. */
typedef struct Trial {
        Spawner *spawner;
        pid_t *pid_word;
        ServiceConfig service;
        Command command;
        SpawnRequest request;
        SpawnFailure failure;
        pid_t pid;
        int pidfd, pipe[2];
        char output[OUTPUT_BYTES];
} Trial;

static char *default_argv[] = { show_self, (char *) "one", (char *) "two words", NULL };
static char *default_environment[] = { (char *) "PATH=/nowhere:/bin:/usr/bin", (char *) "HOME=/tmp",
                                       (char *) "LC_ALL=C", NULL };

static Trial *trial_new(void) {
        Trial *trial = calloc(1, sizeof(*trial));

        check(trial);
        check(spawner_new(&trial->spawner) == 0);
        trial->pid_word = mmap(NULL, sizeof(pid_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        check(trial->pid_word != MAP_FAILED);
        check(pipe2(trial->pipe, O_CLOEXEC) == 0);
        trial->command.argv = default_argv;
        trial->request = (SpawnRequest) { .command = &trial->command, .service = &trial->service,
                                          .environment = default_environment, .input = -EBADF,
                                          .output = trial->pipe[1], .error = -EBADF, .cgroup = -EBADF,
                                          .pid_word = trial->pid_word, .default_nofile = 1024 };
        trial->pidfd = -EBADF;
        return trial;
}

static int trial_spawn(Trial *trial) {
        return spawn_process(trial->spawner, &trial->request, &trial->pid, &trial->pidfd, &trial->failure);
}

static void trial_read(Trial *trial) {
        size_t at = 0;
        ssize_t n;

        trial->pipe[1] = fd_close(trial->pipe[1]);
        while ((n = read(trial->pipe[0], trial->output + at, sizeof(trial->output) - 1 - at)) > 0)
                at += (size_t) n;
        trial->output[at] = '\0';
}

static void trial_run(Trial *trial) {
        int r = trial_spawn(trial);

        if (r != 0)
                (void) fprintf(stderr, "spawn: %d, step %s, %s\n", r, spawn_step_name(trial->failure.step),
                               strerror(trial->failure.error));
        check(r == 0);
        trial_read(trial);
}

static void trial_free(Trial *trial) {
        trial->pidfd = fd_close(trial->pidfd);
        trial->pipe[0] = fd_close(trial->pipe[0]);
        trial->pipe[1] = fd_close(trial->pipe[1]);
        trial->spawner = spawner_free(trial->spawner);
        (void) munmap(trial->pid_word, sizeof(pid_t));
        free(trial);
}

/* Whether the output has exactly this line; prints all of it when not. */
__attribute__((__format__(__printf__, 2, 3))) static bool shows(const Trial *trial, const char *format, ...) {
        char line[4096];
        va_list arguments;
        size_t length;

        va_start(arguments, format);
        length = (size_t) vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        for (const char *at = trial->output; at && *at; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
                if (strncmp(at, line, length) == 0 && at[length] == '\n')
                        return true;
        (void) fprintf(stderr, "no line \"%s\" in:\n%s", line, trial->output);
        return false;
}

static unsigned count_lines(const Trial *trial, const char *start) {
        unsigned n = 0;

        for (const char *at = trial->output; at && *at; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
                n += strncmp(at, start, strlen(start)) == 0;
        return n;
}

static bool is_root(void) {
        return geteuid() == 0;
}

static void run(void (*body)(void *userdata)) {
        assert_int_equal(family_run(body, NULL), 0);
}

/* -- the child as it sees itself -- */

static void body_defaults(void *userdata) {
        Trial *trial = trial_new();

        trial_run(trial);
        check(trial->pid > 0 && *trial->pid_word == trial->pid && trial->pidfd >= 0);
        check(shows(trial, "pid=%d", (int) trial->pid));
        check(shows(trial, "ppid=%d", (int) getppid()));
        check(shows(trial, "sid=%d", (int) trial->pid));
        check(shows(trial, "pgid=%d", (int) trial->pid));
        check(shows(trial, "cwd=/"));
        check(shows(trial, "umask=022"));
        check(shows(trial, "fd0=/dev/null"));
        check(shows(trial, "fd2=/dev/null"));
        check(count_lines(trial, "fd") == 3);
        check(shows(trial, "argv2=two words"));
        check(shows(trial, "env=LC_ALL=C"));
        check(count_lines(trial, "env=") == 3);
        check(count_lines(trial, "argv") == 3);
        trial_free(trial);
}

static void test_child_has_session_pid_and_three_descriptors(void **state) {
        run(body_defaults);
}

static void on_signal(int signal) {
}

static void body_signals(void *userdata) {
        Trial *trial = trial_new();
        sigset_t mask;

        check(signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGHUP, SIG_IGN) != SIG_ERR);
        check(signal(SIGUSR1, on_signal) != SIG_ERR && signal(SIGRTMIN + 3, SIG_IGN) != SIG_ERR);
        check(sigemptyset(&mask) == 0 && sigaddset(&mask, SIGTERM) == 0 && sigaddset(&mask, SIGCHLD) == 0);
        check(sigprocmask(SIG_BLOCK, &mask, NULL) == 0);
        trial_run(trial);
        check(shows(trial, "SigBlk=0000000000000000"));
        check(shows(trial, "SigIgn=0000000000000000"));
        check(shows(trial, "SigCgt=0000000000000000"));
        check(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, SIGTERM) == 1 &&
              sigismember(&mask, SIGUSR1) == 0); /* ours are as they were */
        trial_free(trial);
}

static void test_signals_are_at_their_defaults(void **state) {
        run(body_signals);
}

static void body_crossed_descriptors(void *userdata) {
        Trial *trial = trial_new();
        int socket_fds[2], kept;

        /* The core's own 0, 1, 2 are what the child gets as 2, 0, 1, and others are open without CLOEXEC. */
        check(socketpair(AF_UNIX, SOCK_STREAM, 0, socket_fds) == 0);
        check((kept = open("/dev/zero", O_RDONLY)) >= 0 && dup2(kept, 200) == 200);
        kept = fcntl(2, F_DUPFD_CLOEXEC, 100);
        check(dup2(trial->pipe[1], 0) == 0 && dup2(socket_fds[0], 2) == 2);
        trial->request.output = 0;
        trial->request.input = 2;
        trial->request.error = 200;
        trial->pipe[1] = fd_close(trial->pipe[1]);
        check(trial_spawn(trial) == 0);
        check(dup2(kept, 2) == 2 && close(0) == 0);
        trial_read(trial);
        check(count_lines(trial, "fd") == 3);
        check(count_lines(trial, "fd0=socket:") == 1);
        check(count_lines(trial, "fd1=pipe:") == 1);
        check(shows(trial, "fd2=/dev/zero"));
        trial_free(trial);
}

static void test_descriptors_are_moved_past_each_other(void **state) {
        run(body_crossed_descriptors);
}

static void body_closed_descriptors(void *userdata) {
        Trial *trial = trial_new();

        check(close(0) == 0 && close(1) == 0); /* the first numbers that a new descriptor would get */
        trial_run(trial);
        check(shows(trial, "fd0=/dev/null") && shows(trial, "fd2=/dev/null"));
        check(count_lines(trial, "fd") == 3 && count_lines(trial, "fd1=pipe:") == 1);
        trial_free(trial);
}

static void test_a_core_without_standard_descriptors_gives_them(void **state) {
        run(body_closed_descriptors);
}

/* -- all settings together -- */

enum { NO_DIRECTORY, ROOT_DIRECTORY, HOME_DIRECTORY, MISSING_DIRECTORY, KEPT_DIRECTORY, DIRECTORY_MAX };

typedef struct Combination {
        unsigned directory;
        bool has_user, has_groups, has_umask, has_nice, has_oom, has_limits, has_high_limit, has_bounding, has_ambient,
                has_no_new, has_input, has_error, is_ignoring, is_searched;
} Combination;

/* Ninety-six draws hold every pair of values several times over. Without root, what needs it is left out. */
static Combination combination_draw(unsigned seed) {
        uint64_t bits = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15);
        bool root = is_root();

        bits ^= bits >> 29;
        bits *= UINT64_C(0xBF58476D1CE4E5B9);
        bits ^= bits >> 32;
        return (Combination) {
                .has_user = root && (bits & 1), .has_groups = root && (bits & 2), .has_umask = bits & 4,
                .has_nice = bits & 8, .has_oom = bits & 16, .has_limits = bits & 32, .has_high_limit = bits & 64,
                .has_bounding = root && (bits & 128), .has_ambient = root && (bits & 256), .has_no_new = bits & 512,
                .has_input = bits & 1024, .has_error = bits & 2048, .is_ignoring = bits & 4096,
                .is_searched = bits & 8192, .directory = (unsigned) (bits >> 20) % DIRECTORY_MAX,
        };
}

static void combination_apply(const Combination *c, Trial *trial) {
        static const char *const directories[] = { NULL, "/", "~", "/proc/nonexistent/directory", NULL };
        static gid_t groups[] = { 70001, 70002 };
        static Limit limits[3];
        static char *argv[] = { (char *) "show-self", NULL };
        static char *environment[] = { show_self_search, (char *) "HOME=/usr", NULL };
        ServiceConfig *service = &trial->service;

        *service = (ServiceConfig) {
                .has_user = c->has_user, .uid = STRANGE_UID, .gid = STRANGE_GID, .has_groups = c->has_groups,
                .groups = groups, .n_groups = 2, .has_umask = c->has_umask, .umask = 0077, .has_nice = c->has_nice,
                .nice = 7, .has_oom_score_adjust = c->has_oom, .oom_score_adjust = 321, .limits = limits,
                .no_new_privileges = c->has_no_new, .has_bounding = c->has_bounding, .bounding = 0x4ff,
                .ambient = c->has_ambient ? 0x400 : 0, .working_directory = (char *) directories[c->directory],
                .working_directory_may_fail = c->directory == MISSING_DIRECTORY,
        };
        if (c->has_limits) {
                limits[service->n_limits++] = (Limit) { .resource = RLIMIT_NOFILE, .soft = 8, .hard = 99 };
                limits[service->n_limits++] = (Limit) { .resource = RLIMIT_CORE, .soft = 0, .hard = 0 };
        }
        if (c->has_high_limit)
                limits[service->n_limits++] = (Limit) { .resource = RLIMIT_FSIZE, .soft = 1 << 20, .hard = UINT64_MAX };
        trial->request.keep_directory = c->directory == KEPT_DIRECTORY;
        if (c->is_searched) {
                trial->command.argv = argv;
                trial->request.environment = environment;
        }
        if (c->has_input)
                trial->request.input = trial->pipe[0];
        if (c->has_error)
                trial->request.error = trial->pipe[1];
}

static void check_identity(const Combination *c, const Trial *trial) {
        if (c->has_user) {
                check(shows(trial, "Uid=%d %d %d %d", STRANGE_UID, STRANGE_UID, STRANGE_UID, STRANGE_UID));
                check(shows(trial, "Gid=%d %d %d %d", STRANGE_GID, STRANGE_GID, STRANGE_GID, STRANGE_GID));
                check(shows(trial, "CapPrm=%016x", c->has_ambient ? 0x400 : 0));
                check(shows(trial, "CapEff=%016x", c->has_ambient ? 0x400 : 0));
        } else if (is_root())
                check(shows(trial, "Uid=0 0 0 0"));
        if (c->has_groups)
                check(shows(trial, "Groups=70001 70002"));
        if (is_root())
                check(shows(trial, "CapAmb=%016x", c->has_ambient ? 0x400 : 0));
        if (c->has_bounding)
                check(shows(trial, "CapBnd=00000000000004ff"));
        check(shows(trial, "NoNewPrivs=%d", c->has_no_new));
}

static void check_limits(const Combination *c, const Trial *trial) {
        struct rlimit files, size;

        check(getrlimit(RLIMIT_NOFILE, &files) == 0 && getrlimit(RLIMIT_FSIZE, &size) == 0);
        if (c->has_limits)
                check(shows(trial, "limit-nofile=8:99") && shows(trial, "limit-core=0:0"));
        else
                check(shows(trial, "limit-nofile=1024:%lld", (long long) files.rlim_max));
        if (c->has_high_limit) /* root without CAP_SYS_RESOURCE gets it cut, and so does everybody else */
                check(shows(trial, "limit-fsize=%d:%lld", 1 << 20, (long long) size.rlim_max));
}

static void check_combination(const Combination *c, const Trial *trial) {
        static const char *const directories[] = { "/", "/", "/tmp", "/", "/dev" };
        const char *directory = directories[c->directory];

        if (c->directory == HOME_DIRECTORY && c->is_searched)
                directory = "/usr";
        check(shows(trial, "cwd=%s", directory));
        check(shows(trial, "umask=%s", c->has_umask ? "077" : "022"));
        check(shows(trial, "nice=%d", c->has_nice ? 7 : 0));
        if (c->has_oom)
                check(shows(trial, "oom=321"));
        check(shows(trial, "SigIgn=0000000000000000") && shows(trial, "SigBlk=0000000000000000"));
        check(count_lines(trial, "fd") == 3);
        check(c->has_input || shows(trial, "fd0=/dev/null"));
        check(count_lines(trial, "fd2=pipe:") == c->has_error);
        check_limits(c, trial);
        check(shows(trial, "sid=%d", (int) trial->pid));
}

static void body_combination(void *userdata) {
        Combination *c = userdata;
        Trial *trial = trial_new();

        check(chdir("/dev") == 0);
        if (c->is_ignoring)
                check(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
        combination_apply(c, trial);
        trial_run(trial);
        check_combination(c, trial);
        check_identity(c, trial);
        trial_free(trial);
}

static void test_every_pair_of_settings_arrives(void **state) {
        if (!is_root())
                print_message("not root: users, groups and capabilities are left out\n");
        for (unsigned i = 0; i < N_COMBINATIONS; i++) {
                Combination c = combination_draw(i);

                if (family_run(body_combination, &c) != 0)
                        fail_msg("combination %u", i);
        }
}

/* -- failures -- */

static void expect_failure(Trial *trial, SpawnStep step, int error) {
        trial->failure = (SpawnFailure) { 0 };
        check(trial_spawn(trial) == SPAWN_FAILED);
        if (trial->failure.step != step || trial->failure.error != error)
                (void) fprintf(stderr, "failed at %s: %s\n", spawn_step_name(trial->failure.step),
                               strerror(trial->failure.error));
        check(trial->failure.step == step && trial->failure.error == error);
        check(*trial->pid_word == 0 && trial->pidfd == -EBADF);
}

static char *write_file(char *path, const char *text, mode_t mode) {
        int fd = mkstemp(path);

        check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text));
        check(fchmod(fd, mode) == 0 && close(fd) == 0);
        return path;
}

static void body_failures(void *userdata) {
        Trial *trial = trial_new();
        char script[] = "/tmp/test-spawn-XXXXXX", closed[] = "/tmp/test-spawn-XXXXXX";
        char *argv[] = { (char *) "/proc/nonexistent/program", NULL };
        Limit silly = { .resource = RLIMIT_CORE, .soft = 2, .hard = 1 };

        trial->command.argv = argv;
        expect_failure(trial, SPAWN_STEP_EXEC, ENOENT);
        argv[0] = (char *) "no-such-program-anywhere";
        expect_failure(trial, SPAWN_STEP_EXEC, ENOENT);
        argv[0] = (char *) "";
        expect_failure(trial, SPAWN_STEP_EXEC, ENOENT);
        argv[0] = write_file(closed, "#!/bin/sh\n", 0600);
        expect_failure(trial, SPAWN_STEP_EXEC, EACCES);
        argv[0] = write_file(script, "exit 0\n", 0755);
        expect_failure(trial, SPAWN_STEP_EXEC, ENOEXEC);
        argv[0] = show_self;
        trial->service.working_directory = (char *) "/proc/nonexistent";
        expect_failure(trial, SPAWN_STEP_WORKING_DIRECTORY, ENOENT);
        trial->service.working_directory = NULL;
        trial->service.limits = &silly;
        trial->service.n_limits = 1;
        expect_failure(trial, SPAWN_STEP_LIMITS, EINVAL);
        trial->service.n_limits = 0;
        trial->request.output = 999;
        expect_failure(trial, SPAWN_STEP_DESCRIPTORS, EBADF);
        trial->request.output = trial->pipe[1];
        trial->request.cgroup = trial->pipe[1];
        expect_failure(trial, SPAWN_STEP_CGROUP, ENOTDIR);
        trial->request.cgroup = -EBADF;
        trial_run(trial); /* and after all that it still works */
        check(shows(trial, "pid=%d", (int) trial->pid));
        check(unlink(script) == 0 && unlink(closed) == 0);
        trial_free(trial);
}

static void test_the_step_that_failed_is_named(void **state) {
        run(body_failures);
}

/* The child begins with our table of descriptors: nothing that it does to its own may be seen in ours. */
static void body_many_descriptors(void *userdata) {
        char *missing[] = { (char *) "/proc/nonexistent/program", NULL };
        Trial *trial = trial_new();

        for (int fd = 300; fd < 600; fd++)
                check(dup3(trial->pipe[0], fd, fd % 2 == 0 ? O_CLOEXEC : 0) == fd);
        trial->command.argv = missing;
        expect_failure(trial, SPAWN_STEP_EXEC, ENOENT);
        trial->command.argv = default_argv;
        trial_run(trial); /* reads to the end: no writer has stayed behind */
        check(count_lines(trial, "fd") == 3);
        for (int fd = 300; fd < 600; fd++)
                check(fcntl(fd, F_GETFD) == (fd % 2 == 0 ? FD_CLOEXEC : 0));
        trial_free(trial);
}

static void test_the_core_keeps_its_descriptors(void **state) {
        run(body_many_descriptors);
}

static void body_denied_in_path(void *userdata) {
        Trial *trial = trial_new();
        char directory[] = "/tmp/test-spawn-dir-XXXXXX", path[128], search[256];
        char *environment[] = { search, NULL }, *argv[] = { (char *) "tool", NULL };

        check(mkdtemp(directory));
        (void) snprintf(path, sizeof(path), "%s/tool", directory);
        check(mkdir(path, 0755) == 0); /* a directory: EACCES, also for root */
        (void) snprintf(search, sizeof(search), "PATH=/proc/nonexistent:%s:/bin", directory);
        trial->command.argv = argv;
        trial->request.environment = environment;
        expect_failure(trial, SPAWN_STEP_EXEC, EACCES);
        argv[0] = (char *) "true"; /* found after a directory that lacks it */
        check(trial_spawn(trial) == 0);
        check(rmdir(path) == 0 && rmdir(directory) == 0);
        trial_free(trial);
}

static void test_a_denied_program_is_not_called_missing(void **state) {
        run(body_denied_in_path);
}

static void body_unprivileged(void *userdata) {
        Trial *trial = trial_new();

        if (is_root())
                check(setresgid(STRANGE_GID, STRANGE_GID, STRANGE_GID) == 0 &&
                      setresuid(STRANGE_UID, STRANGE_UID, STRANGE_UID) == 0);
        trial->service.has_user = true;
        trial->service.uid = 0;
        trial->service.gid = getegid();
        expect_failure(trial, SPAWN_STEP_USER, EPERM);
        trial->service.uid = geteuid();
        trial->service.has_oom_score_adjust = true;
        trial->service.oom_score_adjust = -1000; /* may not be: goes on */
        trial_run(trial);
        check(shows(trial, "Uid=%d %d %d %d", (int) geteuid(), (int) geteuid(), (int) geteuid(), (int) geteuid()));
        trial_free(trial);
}

static void test_a_user_who_may_not_change_is_refused(void **state) {
        run(body_unprivileged);
}

/* A change of user makes the shared memory undumpable, which would take our own core files. */
static void body_dumpable(void *userdata) {
        Trial *trial = trial_new();

        check(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
        trial->service = (ServiceConfig) { .has_user = true, .uid = STRANGE_UID, .gid = STRANGE_GID };
        trial_run(trial);
        check(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1);
        trial_free(trial);
}

static void test_the_core_stays_dumpable(void **state) {
        if (!is_root())
                skip();
        run(body_dumpable);
}

static void body_hard_limit(void *userdata) {
        Limit wish = { .resource = RLIMIT_FSIZE, .soft = UINT64_MAX, .hard = UINT64_MAX };
        const struct rlimit low = { 1 << 30, 1 << 30 }, high = { RLIM_INFINITY, RLIM_INFINITY };
        Trial *trial = trial_new();
        bool may_raise;

        check(setrlimit(RLIMIT_FSIZE, &low) == 0);
        may_raise = setrlimit(RLIMIT_FSIZE, &high) == 0; /* CAP_SYS_RESOURCE */
        check(setrlimit(RLIMIT_FSIZE, &low) == 0);
        trial->service.limits = &wish;
        trial->service.n_limits = 1;
        trial_run(trial);
        check(shows(trial, may_raise ? "limit-fsize=-1:-1" : "limit-fsize=1073741824:1073741824"));
        trial_free(trial);
}

static void test_a_limit_above_the_hard_one_is_cut(void **state) {
        run(body_hard_limit);
}

/* What the child itself finds in the pid word: 1 its pid, 2 something else. */
typedef struct FirstLook {
        pid_t pid_word;
        int found;
} FirstLook;

raw_code static int look_at_pid_word(void *userdata) {
        volatile FirstLook *look = userdata;

        look->found = look->pid_word == (pid_t) raw(SYS_getpid) ? 1 : 2;
        return 0;
}

static void body_pid_word(void *userdata) {
        static char stack[64 * 1024] __attribute__((__aligned__(16)));

        for (CloneMethod method = 0; method < CLONE_METHOD_MAX; method++) {
                volatile FirstLook *look = mmap(NULL, sizeof(*look), PROT_READ | PROT_WRITE,
                                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
                CloneRequest request = { .stack = stack, .stack_size_bytes = sizeof(stack), .main = look_at_pid_word,
                                         .userdata = (void *) look, .cgroup = -EBADF,
                                         .pid_word = (pid_t *) &look->pid_word };
                int pidfd = -EBADF;
                pid_t pid;

                check(look != MAP_FAILED);
                pid = clone_sibling(method, &request, &pidfd);
                check(pid > 0 && pidfd >= 0);
                check_becomes(look->found != 0);
                check(look->found == 1 && look->pid_word == pid);
                (void) fd_close(pidfd);
                (void) munmap((void *) look, sizeof(*look));
        }
}

static void test_the_pid_is_written_before_the_child_runs(void **state) {
        run(body_pid_word);
}

static void body_priority(void *userdata) {
        Trial *trial = trial_new();

        if (setpriority(PRIO_PROCESS, 0, -5) == 0) {
                trial_run(trial);
                check(shows(trial, "nice=0"));
        } else {
                check(setpriority(PRIO_PROCESS, 0, 5) == 0);
                trial_run(trial);
                check(shows(trial, "nice=5"));
        }
        trial_free(trial);
}

static void test_a_raised_priority_is_not_inherited(void **state) {
        run(body_priority);
}

/* -- without clone3 -- */

/* Refuses clone3, and clone with any of the flags. */
static void install_filter(uint32_t refused_clone_flags) {
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, refused_clone_flags, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { .len = n_elements(filter), .filter = filter };

        check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void body_without_clone3(void *userdata) {
        const uint32_t *refused = userdata;
        Trial *trial = trial_new();
        char *missing[] = { (char *) "/proc/nonexistent/program", NULL };

        install_filter(*refused);
        for (int i = 0; i < 3; i++) {
                trial->command.argv = missing;
                expect_failure(trial, SPAWN_STEP_EXEC, ENOENT);
        }
        trial->command.argv = default_argv;
        trial_run(trial);
        check(*trial->pid_word == trial->pid && trial->pidfd >= 0);
        check(shows(trial, "pid=%d", (int) trial->pid));
        check(shows(trial, "ppid=%d", (int) getppid()));
        check(shows(trial, "SigIgn=0000000000000000"));
        check(count_lines(trial, "fd") == 3);
        trial_free(trial);
}

static void test_clone_stands_in_for_clone3(void **state) {
        uint32_t refused = 0x80000000; /* CLONE_IO: none of ours */

        assert_int_equal(family_run(body_without_clone3, &refused), 0);
}

static void test_fork_stands_in_for_vfork(void **state) {
        uint32_t refused = CLONE_VM;

        assert_int_equal(family_run(body_without_clone3, &refused), 0);
}

/* -- cgroup -- */

static int make_cgroup(char *path, size_t size) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

        for (size_t i = 0; i < n_elements(roots); i++) {
                (void) snprintf(path, size, "%s/cgroup.procs", roots[i]);
                if (access(path, W_OK) < 0)
                        continue;
                (void) snprintf(path, size, "%s/test-spawn-%d", roots[i], (int) getpid());
                if (mkdir(path, 0755) == 0)
                        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        return -EBADF;
}

static void body_cgroup(void *userdata) {
        uint32_t refused = 0x80000000;
        Trial *trial;
        char path[256];
        int fd = make_cgroup(path, sizeof(path));

        if (fd < 0)
                _exit(77);
        for (int pass = 0; pass < 2; pass++) {
                if (pass == 1)
                        install_filter(refused); /* now the child has to go there itself */
                trial = trial_new();
                trial->request.cgroup = fd;
                trial_run(trial);
                check(shows(trial, "cgroup=0::%s", strrchr(path, '/')));
                trial_free(trial);
        }
        check_becomes(rmdir(path) == 0);
        (void) fd_close(fd);
}

static void test_the_child_is_born_in_its_cgroup(void **state) {
        int r = family_run(body_cgroup, NULL);

        if (r == 77)
                skip();
        assert_int_equal(r, 0);
}

/* -- what it costs -- */

static double now_usec(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

static void body_cost(void *userdata) {
        enum { SPAWNS = 200, BYTES = 50 << 20 };
        char *argv[] = { (char *) "/bin/true", NULL }, *memory = malloc(BYTES);
        int fd_before = open("/dev/null", O_RDONLY | O_CLOEXEC), fd_after;
        Trial *trial = trial_new();
        double usec = 0;

        check(memory);
        memset(memory, 1, BYTES);
        trial->command.argv = argv;
        for (int i = 0; i < SPAWNS; i++) {
                struct pollfd watch = { .events = POLLIN };

                usec -= now_usec();
                check(trial_spawn(trial) == 0);
                usec += now_usec();
                watch.fd = trial->pidfd;
                check(poll(&watch, 1, 10000) == 1);
                trial->pidfd = fd_close(trial->pidfd);
        }
        (void) fprintf(stderr, "# spawn from %d MiB: %.0f us a call\n", BYTES >> 20, usec / SPAWNS);
        trial_free(trial);
        (void) fd_close(fd_before);
        fd_after = open("/dev/null", O_RDONLY | O_CLOEXEC);
        check(fd_after == fd_before);
        free(memory);
}

static void test_many_spawns_leave_nothing_behind(void **state) {
        run(body_cost);
}

static void test_every_step_has_a_name(void **state) {
        for (SpawnStep step = 0; step < SPAWN_STEP_MAX; step++)
                assert_non_null(spawn_step_name(step));
        assert_string_equal(spawn_step_name(SPAWN_STEP_MAX), "unknown step");
}

/* A copy where other users get at it: the source tree may lie in a home that is closed to them. */
static int copy_program(void **state) {
        cleanup(fd_closep) int from = open(HELPERS_DIR "/show-self", O_RDONLY | O_CLOEXEC), to = -EBADF;
        struct stat status;

        if (!mkdtemp(show_self_directory) || chmod(show_self_directory, 0755) < 0)
                return -1;
        (void) snprintf(show_self, sizeof(show_self), "%s/show-self", show_self_directory);
        (void) snprintf(show_self_search, sizeof(show_self_search), "PATH=/nowhere:/etc/passwd:%s", show_self_directory);
        to = open(show_self, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
        if (to < 0 || fstat(from, &status) < 0 || fchmod(to, 0755) < 0)
                return -1;
        for (off_t left = status.st_size; left > 0;) {
                ssize_t n = sendfile(to, from, NULL, (size_t) left);

                if (n <= 0)
                        return -1;
                left -= n;
        }
        return 0;
}

static int remove_program(void **state) {
        return unlink(show_self) < 0 || rmdir(show_self_directory) < 0 ? -1 : 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_child_has_session_pid_and_three_descriptors),
                cmocka_unit_test(test_signals_are_at_their_defaults),
                cmocka_unit_test(test_descriptors_are_moved_past_each_other),
                cmocka_unit_test(test_the_core_keeps_its_descriptors),
                cmocka_unit_test(test_a_core_without_standard_descriptors_gives_them),
                cmocka_unit_test(test_a_limit_above_the_hard_one_is_cut),
                cmocka_unit_test(test_the_pid_is_written_before_the_child_runs),
                cmocka_unit_test(test_every_pair_of_settings_arrives),
                cmocka_unit_test(test_the_step_that_failed_is_named),
                cmocka_unit_test(test_a_denied_program_is_not_called_missing),
                cmocka_unit_test(test_a_user_who_may_not_change_is_refused),
                cmocka_unit_test(test_the_core_stays_dumpable),
                cmocka_unit_test(test_a_raised_priority_is_not_inherited),
                cmocka_unit_test(test_clone_stands_in_for_clone3),
                cmocka_unit_test(test_fork_stands_in_for_vfork),
                cmocka_unit_test(test_the_child_is_born_in_its_cgroup),
                cmocka_unit_test(test_many_spawns_leave_nothing_behind),
                cmocka_unit_test(test_every_step_has_a_name),
        };

        return cmocka_run_group_tests(tests, copy_program, remove_program);
}
