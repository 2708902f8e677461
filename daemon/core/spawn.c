#include "spawn.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "raw-syscall.h"
#include "spawn-child.h"
#include "spawn-clone.h"

/* One spawn:
 *
 *   core                         child (the keeper's)
 *   blocks all signals
 *   clone3: sleeps (VFORK) ────► steps of spawn-child.c, each first written into the report
 *   wakes ◄───────────────────── execve, or the errno into the report and exit
 *   reads the report
 *
 * The plain clone(2) that stands in for clone3 may be turned into a fork that nobody waits for (valgrind does so).
 * There the core waits until the child's end of a pipe, the gate, is closed; what happened still says the report. */

enum {
        STACK_BYTES = 64 * 1024,    /* the child's deepest frame is a few KiB */
        KERNEL_SIGSET_BYTES = 8,
        N_SLOTS = 3,                /* descriptors 0, 1, 2 of a child */
        CLOSE_NOTHING = ~0u,        /* a range with no descriptor in it */
        UNSHARE = 2,                /* CLOSE_RANGE_UNSHARE, which older headers lack */
};

#define DEFAULT_SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct Spawner {
        char *area; /* a guard page, then the stack */
        size_t area_size_bytes, guard_size_bytes;
        volatile SpawnReport *report;
        int null_fd;
        int slots[N_SLOTS];    /* low descriptors; -EBADF: none */
        bool can_share_files;
        CloneMethod method; /* the first one that this machine allows */
        char path[PATH_MAX];
};

static const char *const step_names[SPAWN_STEP_MAX] = {
        [SPAWN_STEP_NONE] = "nothing",
        [SPAWN_STEP_CLONE] = "new process",
        [SPAWN_STEP_OUTPUT] = "output",
        [SPAWN_STEP_CGROUP] = "cgroup",
        [SPAWN_STEP_SESSION] = "session",
        [SPAWN_STEP_NICE] = "nice level",
        [SPAWN_STEP_OOM_SCORE] = "OOM score",
        [SPAWN_STEP_LIMITS] = "resource limits",
        [SPAWN_STEP_GROUPS] = "supplementary groups",
        [SPAWN_STEP_GROUP] = "group",
        [SPAWN_STEP_BOUNDING_SET] = "capability bounding set",
        [SPAWN_STEP_USER] = "user",
        [SPAWN_STEP_CAPABILITIES] = "ambient capabilities",
        [SPAWN_STEP_NO_NEW_PRIVILEGES] = "no new privileges",
        [SPAWN_STEP_WORKING_DIRECTORY] = "working directory",
        [SPAWN_STEP_DESCRIPTORS] = "file descriptors",
        [SPAWN_STEP_EXEC] = "exec",
};

const char *spawn_step_name(SpawnStep step) {
        return (unsigned) step < SPAWN_STEP_MAX ? step_names[step] : "unknown step";
}

static void *map(size_t size_bytes, int protection, int sharing) {
        void *memory = mmap(NULL, size_bytes, protection, sharing | MAP_ANONYMOUS, -1, 0);

        return memory == MAP_FAILED ? NULL : memory;
}

/* A copy of the core's table would grow with the number of services, and the child would have to close all of it: the
 * square of their number, when all are started. So the child begins with the core's own table, while the core sleeps,
 * and leaves it with a copy of its beginning (close_range with UNSHARE). What it needs is put there for it before. A
 * core that takes over begins with thousands below: no slower than with a copy. */
static void open_slots(Spawner *spawner) {
        for (int i = 0; i < N_SLOTS; i++) {
                spawner->slots[i] = fcntl(spawner->null_fd, F_DUPFD_CLOEXEC, 3);
                if (spawner->slots[i] < 0)
                        return; /* without */
        }
        spawner->can_share_files = syscall(SYS_close_range, CLOSE_NOTHING, CLOSE_NOTHING, UNSHARE) == 0;
}

/* 0, or -errno with the slots as they were, or emptied by empty_slots(). */
must_check static int fill_slots(const Spawner *spawner, SpawnChild *child) {
        for (int i = 0; i < N_SLOTS; i++) {
                if (dup3(child->sources[i], spawner->slots[i], O_CLOEXEC) < 0)
                        return -errno;
                child->sources[i] = spawner->slots[i];
                if (spawner->slots[i] >= child->first_other)
                        child->first_other = spawner->slots[i] + 1;
        }
        return 0;
}

/* A writer of a pipe that stayed open here would hide its end. */
static void empty_slots(const Spawner *spawner) {
        for (int i = 0; i < N_SLOTS; i++)
                (void) dup3(spawner->null_fd, spawner->slots[i], O_CLOEXEC); /* cannot fail: both are open */
}

int spawner_new(Spawner **ret) {
        cleanup(spawner_freep) Spawner *spawner = malloc(sizeof(*spawner));
        size_t page_bytes = (size_t) sysconf(_SC_PAGESIZE);

        if (!spawner)
                return -ENOMEM;
        *spawner = (Spawner) { .area_size_bytes = page_bytes + STACK_BYTES, .guard_size_bytes = page_bytes,
                               .null_fd = -EBADF, .slots = { -EBADF, -EBADF, -EBADF } };
        spawner->report = map(sizeof(SpawnReport), PROT_READ | PROT_WRITE, MAP_SHARED);
        spawner->area = map(spawner->area_size_bytes, PROT_NONE, MAP_PRIVATE);
        if (!spawner->report || !spawner->area)
                return -ENOMEM;
        if (mprotect(spawner->area + page_bytes, STACK_BYTES, PROT_READ | PROT_WRITE) < 0)
                return -errno;
        spawner->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (spawner->null_fd < 0)
                return -errno;
        open_slots(spawner);
        *ret = take(spawner);
        return 0;
}

Spawner *spawner_free(Spawner *spawner) {
        if (!spawner)
                return NULL;
        if (spawner->report)
                (void) munmap((void *) spawner->report, sizeof(SpawnReport)); /* our own mapping: cannot fail */
        if (spawner->area)
                (void) munmap(spawner->area, spawner->area_size_bytes); /* our own mapping: cannot fail */
        for (int i = 0; i < N_SLOTS; i++)
                (void) fd_close(spawner->slots[i]);
        (void) fd_close(spawner->null_fd);
        free(spawner);
        return NULL;
}

/* Not of getenv: the environment is that of the child. */
static const char *environment_find(char *const *environment, const char *name) {
        size_t length = strlen(name);

        for (; environment && *environment; environment++)
                if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
                        return *environment + length + 1;
        return NULL;
}

static const char *or_default(const char *text, const char *otherwise) {
        return text && *text ? text : otherwise;
}

/* Born in the cgroup if the kernel can do that; what forbids it may still allow the child to move there itself. */
static pid_t clone_by(CloneMethod method, CloneRequest *clone, SpawnChild *child, int *ret_pidfd) {
        pid_t pid;

        clone->cgroup = method == CLONE_METHOD_CLONE3 ? child->request->cgroup : -EBADF;
        child->is_outside_cgroup = child->request->cgroup >= 0 && clone->cgroup < 0;
        /* Only where it is certain that we sleep, and that the child opens nothing before it has a table of its own. */
        clone->shares_files = child->shares_files = method == CLONE_METHOD_CLONE3 && child->first_other > 0;
        pid = clone_sibling(method, clone, ret_pidfd);
        if (pid > 0 || clone->cgroup < 0 || pid == -EAGAIN || pid == -ENOMEM || pid == -EMFILE || pid == -ENFILE ||
            pid == -ENOSYS)
                return pid;
        clone->cgroup = -EBADF;
        child->is_outside_cgroup = true;
        clone->shares_files = child->shares_files = false;
        return clone_sibling(method, clone, ret_pidfd);
}

/* A child that may run beside us: until its end of the gate is closed, by exec or by its end. */
static pid_t clone_and_wait(CloneMethod method, CloneRequest *clone, SpawnChild *child, int *ret_pidfd) {
        int gate[2];
        pid_t pid;
        char byte;

        if (pipe2(gate, O_CLOEXEC) < 0)
                return -errno;
        child->gate = gate[1];
        pid = clone_by(method, clone, child, ret_pidfd);
        (void) fd_close(gate[1]);
        while (pid > 0 && read(gate[0], &byte, 1) < 0 && errno == EINTR)
                ;
        (void) fd_close(gate[0]);
        return pid;
}

/* What a seccomp filter or an imitation of Linux refuses once it refuses always. */
static bool is_forbidden(pid_t result) {
        return result == -ENOSYS || result == -EPERM || result == -EINVAL || result == -E2BIG;
}

static pid_t clone_by_first_allowed(Spawner *spawner, CloneRequest *clone, SpawnChild *child, int *ret_pidfd) {
        for (;;) {
                pid_t pid = spawner->method == CLONE_METHOD_CLONE3
                                    ? clone_by(spawner->method, clone, child, ret_pidfd)
                                    : clone_and_wait(spawner->method, clone, child, ret_pidfd);

                if (!is_forbidden(pid) || spawner->method + 1 == CLONE_METHOD_MAX)
                        return pid;
                spawner->method++;
        }
}

/* The child's change of user marked the memory that it shared with us as not dumpable: our core files and the
 * owner of our /proc files hang on that. It has left that memory by now. */
static void restore_dumpable(int is_dumpable) {
        if (is_dumpable >= 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != is_dumpable)
                (void) prctl(PR_SET_DUMPABLE, is_dumpable, 0, 0, 0); /* 2 cannot be set: it stays, then */
}

static pid_t clone_child(Spawner *spawner, SpawnChild *child, int *ret_pidfd) {
        CloneRequest clone = {
                .stack = spawner->area + spawner->guard_size_bytes,
                .stack_size_bytes = STACK_BYTES,
                .main = spawn_child_main,
                .userdata = child,
                .pid_word = child->request->pid_word,
        };
        const uint64_t all = UINT64_MAX;
        uint64_t before = 0;
        int is_dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
        pid_t pid;

        /* By hand: libc keeps two signals of its own out of reach, and the child must not run their handlers either. */
        (void) raw(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, KERNEL_SIGSET_BYTES);
        pid = clone_by_first_allowed(spawner, &clone, child, ret_pidfd);
        (void) raw(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, KERNEL_SIGSET_BYTES);
        restore_dumpable(is_dumpable);
        return pid;
}

static int open_pidfd(pid_t pid) {
        int fd = (int) syscall(SYS_pidfd_open, pid, 0);

        return fd < 0 ? -EBADF : fd;
}

/* 0: execve was begun, and nothing says that it returned. Without an error the child was killed on its way. */
static int judge(const Spawner *spawner, SpawnFailure *reterr) {
        SpawnReport report = { .reached = spawner->report->reached, .error = spawner->report->error };

        if (report.error == 0 && report.reached == SPAWN_STEP_EXEC)
                return 0;
        *reterr = (SpawnFailure) { .step = report.reached == SPAWN_STEP_NONE ? SPAWN_STEP_CLONE : report.reached,
                                   .error = report.error ? report.error : ECHILD };
        return SPAWN_FAILED;
}

static int or_null(const Spawner *spawner, int fd) {
        return fd < 0 ? spawner->null_fd : fd;
}

/* The pid, or -errno; *reterr_step is where. */
static pid_t clone_with_slots(Spawner *spawner, SpawnChild *child, int *ret_pidfd, SpawnStep *reterr_step) {
        pid_t pid;
        int r = 0;

        *reterr_step = SPAWN_STEP_CLONE;
        if (!spawner->can_share_files)
                return clone_child(spawner, child, ret_pidfd);
        r = fill_slots(spawner, child);
        if (r < 0)
                *reterr_step = SPAWN_STEP_DESCRIPTORS;
        pid = r < 0 ? r : clone_child(spawner, child, ret_pidfd);
        empty_slots(spawner);
        return pid;
}

int spawn_process(Spawner *spawner, const SpawnRequest *request, pid_t *ret_pid, int *ret_pidfd,
                  SpawnFailure *reterr) {
        cleanup(fd_closep) int pidfd = -EBADF;
        const ServiceConfig *service = request->service;
        SpawnChild child = {
                .request = request,
                .report = spawner->report,
                .sources = { or_null(spawner, request->input), or_null(spawner, request->output),
                             or_null(spawner, request->error) },
                .gate = -EBADF,
                .search_path = or_default(environment_find(request->environment, "PATH"), DEFAULT_SEARCH_PATH),
                .home = or_default(service->home, or_default(environment_find(request->environment, "HOME"), "/")),
                .path = spawner->path,
                .path_size_bytes = sizeof(spawner->path),
        };
        SpawnStep step;
        pid_t pid;
        int r;

        if (!request->command->argv || !request->command->argv[0] || !request->environment || !request->pid_word)
                return -EINVAL;
        spawner->report->reached = SPAWN_STEP_NONE;
        spawner->report->error = 0;
        pid = clone_with_slots(spawner, &child, &pidfd, &step);
        if (pid < 0) {
                *request->pid_word = 0;
                *reterr = (SpawnFailure) { .step = step, .error = -pid };
                return SPAWN_FAILED;
        }
        if (pidfd < 0)
                pidfd = open_pidfd(pid);
        r = judge(spawner, reterr);
        if (r != 0) {
                *request->pid_word = 0;
                return r;
        }
        *request->pid_word = pid; /* valgrind does not pass CLONE_CHILD_SETTID on in all versions */
        *ret_pid = pid;
        *ret_pidfd = take_fd(pidfd);
        return 0;
}
